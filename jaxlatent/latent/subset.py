"""The moments of a subset of the z-points, shrunk towards those of all of them where it is small."""

import dataclasses

import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent._boundary import as_mask, as_vectors
from jaxlatent.latent.eigen import eigenvectors, significant
from jaxlatent.latent.moments import Moments, moments
from jaxlatent.latent.sharded import Vectors, on_host
from jaxlatent.latent.trim import Choice


def subset_weight(count: int, dim: int) -> float:
    """Weight of the spread of `count` points against that of all points: count / (count + dim).

    As if the spread of the whole had been seen on `dim` points: the posterior mean of a covariance whose
    prior is an inverse Wishart law of 2 dim + 1 degrees of freedom about that of the whole.
    """
    return count / (count + dim)


def subset_moments(z: Float[Vectors, " n *latent"], where: Bool[Array | np.ndarray, " n"]) -> Moments:
    """Mean and covariance of the points that `where` chooses, shrunk towards those of all points.

    Covariance: w S_s + (1 - w) S with w = n_s / (n_s + d) for n_s chosen points; S_s is about their own
    mean, and S, that of all points, without the scatter between the chosen and the others, so that the
    distance of a distant subset is no part of its spread.
    Mean: m + max(0, 1 - (r - 2) v / D^2) (m_s - m), where D is the Mahalanobis distance of the two means in
    the shrunk covariance, r its rank (d, but for constant dimensions and few points), and
    v = 1 / n_s - 1 / n the variance of m_s - m in units of the covariance: the positive-part estimator of
    W. James and C. Stein, "Estimation with quadratic loss", 4th Berkeley Symposium, 1961. A random handful
    of points thus gives the region of all, a large or a distant subset its own.

    Args:
        z: z-points, floating point (n, d).
        where: mask of the chosen ones, at least 2.

    Returns:
        Moments of count n.

    Raises:
        TypeError, ValueError: see `as_mask` and `moments`.
    """
    z = on_host(as_vectors("z", z))
    mask = as_mask("where", where, z.shape[0])
    whole, chosen = moments(z), moments(z[mask])
    shift = chosen.mean - whole.mean
    # Of m_s - m, in units of the covariance; 0 where all points are chosen, and the shift is 0 as well.
    variance = 1 / chosen.count - 1 / whole.count
    between = np.outer(shift, shift) / variance if variance > 0 else 0.0
    weight = subset_weight(chosen.count, len(whole.mean))
    covariance = weight * chosen.covariance + (1 - weight) * (whole.scatter - between) / (whole.count - 1)
    spread = dataclasses.replace(whole, scatter=covariance * (whole.count - 1))
    squared_distance, rank = _mahalanobis(shift, spread)
    noise = max(0, rank - 2) * variance
    keep = 1 - noise / squared_distance if squared_distance > noise else 0.0
    return dataclasses.replace(spread, mean=whole.mean + keep * shift)


def moments_of(choice: Choice) -> Moments:
    """Those of the z-points that are described: all that are looked at, or a subset."""
    return moments(choice.z) if choice.mask is None else subset_moments(choice.z, choice.mask)


def _mahalanobis(shift: np.ndarray, spread: Moments) -> tuple[float, int]:
    """The squared Mahalanobis length of `shift`, and the rank of the covariance."""
    values, vectors = eigenvectors(spread.covariance)
    values = significant(spread, values, vectors)
    real = values > 0
    return float(np.sum((vectors[real] @ shift) ** 2 / values[real])), int(real.sum())
