"""How far the moments and the radii of new latent vectors are from those of the z-points."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Float64

from jaxlatent._boundary import as_vectors
from jaxlatent.latent.core import squared_radii
from jaxlatent.latent.moments import moments

# Of the quantiles of squared radii.
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, eq=False)
class LatentStatistics:
    """New vectors beside the z-points, in the frame where those have mean 0 and covariance I (k components).

    Radii are Mahalanobis radii in that frame; sqrt(k) is about a Gaussian's.

    Attributes:
        mean_error: length of the mean of the new vectors; the same law gives about sqrt(k / n + k / m).
        covariance_error: Frobenius norm of their covariance less I, over that of I, sqrt(k); the same law
            gives about sqrt((k + 1) (1 / n + 1 / m)).
        correlation_error: root mean square difference of the correlation coefficients of two latent
            coordinates; of coordinates that vary in both sets, 0 if there are fewer than two.
        shift: mean of the new vectors in each component, the leading one first, in standard deviations of
            the z-points, (k,).
        spread: standard deviation of the new vectors in each component over that of the z-points, (k,).
        radius_mean: of the new vectors.
        radius_deviation: standard deviation of these radii.
        real_radius_mean: of the z-points.
        real_radius_deviation: of the z-points.
        levels: of the quantiles, `LEVELS`.
        squared_radii: quantiles of the squared radii of the new vectors, (q,).
        real_squared_radii: of those of the z-points, (q,).
        radius_ks: largest distance of the distribution functions of the radii (Kolmogorov-Smirnov), [0, 1].
        radius_p: of that distance, two-sided; as if the frame, which all radii share, had no error.
    """

    mean_error: float
    covariance_error: float
    correlation_error: float
    shift: Float64[np.ndarray, " k"]
    spread: Float64[np.ndarray, " k"]
    radius_mean: float
    radius_deviation: float
    real_radius_mean: float
    real_radius_deviation: float
    levels: tuple[float, ...]
    squared_radii: Float64[np.ndarray, " q"]
    real_squared_radii: Float64[np.ndarray, " q"]
    radius_ks: float
    radius_p: float


def latent_statistics(
    z_real: Float[Array | np.ndarray, " n *latent"], z_new: Float[Array | np.ndarray, " m *latent"]
) -> LatentStatistics:
    """Compares new vectors with z-points by their moments and by their radii.

    The radius of a z-point is taken with the mean and the covariance of the others. With those of all points
    it would be too small, as the point has drawn them towards itself (by 13 % in the square for 2,000 points
    of 256 dimensions), and new vectors of the very same law would seem to lie farther out.

    Args:
        z_real: z-points, floating point (n, d), n > k + 2 for k directions in which they vary.
        z_new: new vectors, floating point (m, d), m >= 2. What they do in directions in which the z-points
            do not vary is not seen.

    Raises:
        TypeError, ValueError: if an argument is out of range or not finite, or all z-points are equal.
    """
    from scipy import stats

    z_real = as_vectors("z_real", z_real, least=2)
    z_new = as_vectors("z_new", z_new, z_real.shape[1], least=2)
    real, new = moments(z_real, name="z_real"), moments(z_new, name="z_new")
    values, vectors = np.linalg.eigh(real.covariance)
    # The directions that `squared_radii` counts, the leading one first.
    varies = np.flatnonzero(values > values[-1] * 1e-12)[::-1]
    k = varies.size
    if not k:
        raise ValueError("z_real: all vectors are equal")
    if real.count <= k + 2:
        raise ValueError(
            f"z_real: expected more than {k + 2} vectors, as they vary in {k} directions, got {real.count}"
        )
    whiten = vectors[:, varies] / np.sqrt(values[varies])
    shift = (new.mean - real.mean) @ whiten
    covariance = whiten.T @ new.covariance @ whiten
    own = _left_out(squared_radii(z_real, real), real.count)
    others = squared_radii(z_new, real)
    test = stats.ks_2samp(own, others, method="asymp")
    own_radii, radii = np.sqrt(own), np.sqrt(others)
    return LatentStatistics(
        mean_error=float(np.linalg.norm(shift)),
        covariance_error=float(np.linalg.norm(covariance - np.eye(k)) / np.sqrt(k)),
        correlation_error=_correlation_error(real.covariance, new.covariance),
        shift=shift,
        spread=np.sqrt(np.diag(covariance)),
        radius_mean=float(radii.mean()),
        radius_deviation=float(radii.std()),
        real_radius_mean=float(own_radii.mean()),
        real_radius_deviation=float(own_radii.std()),
        levels=LEVELS,
        squared_radii=np.quantile(others, LEVELS),
        real_squared_radii=np.quantile(own, LEVELS),
        radius_ks=float(test.statistic),
        radius_p=float(test.pvalue),
    )


def _left_out(squared: np.ndarray, n: int) -> np.ndarray:
    """Squared radii by the moments of the other points, from those by the moments of all n.

    By the formula of Sherman and Morrison: K. I. Penny, "Appropriate critical values when testing for a
    single multivariate outlier by using the Mahalanobis distance", J. Royal Statistical Society C 45, 1996.
    """
    # 1 where no other point lies in some direction, which is infinitely far.
    share = np.minimum(n * squared / (n - 1) ** 2, 1 - 1e-6)
    return (n - 2) / (n - 1) * (n / (n - 1)) ** 2 * squared / (1 - share)


def _correlation_error(real: np.ndarray, new: np.ndarray) -> float:
    varies = np.flatnonzero((np.diag(real) > 0) & (np.diag(new) > 0))
    if varies.size < 2:
        return 0.0
    scales = [np.sqrt(np.diag(covariance)[varies]) for covariance in (real, new)]
    a, b = (
        covariance[np.ix_(varies, varies)] / np.outer(scale, scale)
        for covariance, scale in zip((real, new), scales, strict=True)
    )
    return float(np.sqrt(np.mean(np.square(a - b)[np.triu_indices(varies.size, 1)])))
