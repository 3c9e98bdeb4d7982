"""Mean and covariance of the inner core of the cloud, which outliers do not move."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent._boundary import as_count, as_number, as_vectors
from jaxlatent.latent.eigen import eigenvectors, significant
from jaxlatent.latent.moments import Moments, moments

_START = 0.5
_REWEIGHT = 0.975
_BLOCK = 8192
_CONCENTRATED = 20_000


@dataclass(frozen=True, eq=False)
class Core:
    """The inner core of a cloud.

    Attributes:
        moments: mean, and covariance corrected for what was cut off; `count` is the number of points kept.
        inside: which points were kept, (n,).
        iterations: steps taken.
    """

    moments: Moments
    inside: Bool[np.ndarray, " n"]
    iterations: int


def robust_core(
    z: Float[Array | np.ndarray, " n *latent"], *, keep: float = 0.75, max_iter: int = 30
) -> Core:
    """Finds mean and covariance by iterative trimming.

    Start: the half of the points nearest to the coordinates' medians, in units of their median absolute
    deviations. Then each step keeps the share `keep` of the points with the smallest Mahalanobis distances
    of the step before, until the same points are kept: the concentration step of P. J. Rousseeuw,
    K. Van Driessen, "A fast algorithm for the minimum covariance determinant estimator", Technometrics 41,
    1999; these steps look at 20,000 random points at most. A last step keeps all points within the 97.5 %
    quantile of the chi-square law, which makes the result nearly as precise as the plain estimate.

    The covariance of the share a with the smallest distances is too small by P(X <= q) / a, X chi-square of
    d + 2 degrees of freedom, q the a-quantile of d degrees (C. Croux, G. Haesbroeck, "Influence function and
    efficiency of the minimum covariance determinant scatter matrix estimator", J. Multivariate Analysis 71,
    1999); it is divided by that.

    Args:
        z: z-points, floating point (n, d), n > 2 d.
        keep: share of the points of a concentration step, in [0.5, 1); up to 1 - keep may be outliers.
        max_iter: most concentration steps.

    Raises:
        TypeError, ValueError: if an argument is out of range, or a coordinate is constant for most points.
    """
    from scipy import stats

    z = as_vectors("z", z)
    keep = as_number("keep", keep)
    max_iter = as_count("max_iter", max_iter)
    if not 0.5 <= keep < 1:
        raise ValueError(f"keep: expected a share in [0.5, 1), got {keep}")
    z = np.asarray(z, np.float32)
    n, dim = z.shape
    if n <= 2 * dim:
        raise ValueError(f"z: expected more than {2 * dim} vectors of {dim} dimensions, got {n}")
    rows = np.random.default_rng(0).permutation(n)[: max(_CONCENTRATED, 4 * dim)]
    some = z[np.sort(rows)]
    median = np.median(some, axis=0)
    deviation = np.median(np.abs(some - median), axis=0)
    flat = np.flatnonzero(~(deviation > 0))
    if flat.size:
        raise ValueError(f"z: coordinate {flat[0]} is constant for most points, or NaN; leave it out")
    distances = np.square((some - median) / deviation).sum(axis=1)
    inside = _nearest(distances, _START)
    iterations = 0
    while iterations < max_iter:
        iterations += 1
        before = inside
        # One step from the start's half already gives a covariance; only its shape matters here.
        inside = _nearest(squared_radii(some, moments(some[inside])), keep)
        if (inside == before).all():
            break
    found = _corrected(moments(some[inside]), inside.mean())
    inside = squared_radii(z, found) <= stats.chi2.ppf(_REWEIGHT, dim)
    return Core(_corrected(moments(z[inside]), _REWEIGHT), inside, iterations)


def squared_radii(z: Float[Array | np.ndarray, " n *latent"], found: Moments) -> Float[np.ndarray, " n"]:
    """Squared Mahalanobis distances from the mean, float64 (n,); chi-square of d degrees for a Gaussian.

    Directions without variance do not count.
    """
    values, vectors = eigenvectors(found.covariance)
    values = significant(found, values, vectors)
    positive = values > 0
    whiten = (vectors[positive].T / np.sqrt(values[positive])).astype(np.float32)
    blocks = [
        np.square((np.asarray(z[i : i + _BLOCK], np.float64) - found.mean).astype(np.float32) @ whiten).sum(
            axis=1, dtype=np.float64
        )
        for i in range(0, z.shape[0], _BLOCK)
    ]
    return np.concatenate(blocks)


def _nearest(distances: np.ndarray, share: float) -> np.ndarray:
    count = int(np.ceil(share * distances.size))
    inside = np.zeros(distances.size, bool)
    inside[np.argpartition(distances, count - 1)[:count]] = True
    return inside


def _corrected(found: Moments, share: float) -> Moments:
    from scipy import stats

    dim = found.mean.size
    kept = stats.chi2.cdf(stats.chi2.ppf(share, dim), dim + 2) / share
    return dataclasses.replace(found, scatter=found.scatter / kept)
