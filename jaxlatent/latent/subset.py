"""The moments of a subset of the z-points, shrunk towards those of all of them where it is small."""

import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent.latent.moments import Moments, moments


def subset_mask(z: Float[Array | np.ndarray, "n d"], where: Bool[Array | np.ndarray, " n"]) -> np.ndarray:
    """Checks a mask over the z-points.

    Raises:
        TypeError: if `where` is not boolean.
        ValueError: if it has another length than `z` or chooses fewer than 2 points.
    """
    mask = np.asarray(where)
    if mask.dtype != np.bool_:
        raise TypeError(f"where: expected a boolean mask, got {mask.dtype}; use labels == 1 or the like")
    if mask.shape != (z.shape[0],):
        raise ValueError(f"where: expected shape ({z.shape[0]},), one entry a vector of z, got {mask.shape}")
    if mask.sum() < 2:
        raise ValueError(f"where: expected at least 2 chosen vectors, got {mask.sum()}")
    return mask


def subset_weight(count: int, dim: int) -> float:
    """Weight of the spread of `count` points against that of all points: count / (count + dim).

    As if the spread of the whole had been seen on `dim` points: the mean of an inverse Wishart
    distribution with that many degrees of freedom.
    """
    return count / (count + dim)


def subset_moments(z: Float[Array | np.ndarray, "n d"], where: Bool[Array | np.ndarray, " n"]) -> Moments:
    """Mean and covariance of the points that `where` chooses, shrunk towards those of all points.

    Covariance: w S_s + (1 - w) S with w = n_s / (n_s + d) for n_s chosen points, S_s about their own mean.
    Mean: m + max(0, 1 - (d - 2) / (n_s D^2)) (m_s - m), where D is the Mahalanobis distance of the two
    means in the shrunk covariance: the positive-part estimator of W. James and C. Stein, "Estimation with
    quadratic loss", 4th Berkeley Symposium, 1961. A random handful of points thus gives the region of all,
    a large or a distant subset its own.

    Args:
        z: z-points, floating point (n, d).
        where: mask of the chosen ones, at least 2.

    Returns:
        Moments of count n.

    Raises:
        TypeError, ValueError: see `subset_mask` and `moments`.
    """
    mask = subset_mask(z, where)
    whole, chosen = moments(z), moments(z[mask])
    dim = whole.mean.shape[0]
    weight = subset_weight(chosen.count, dim)
    covariance = weight * chosen.covariance + (1 - weight) * whole.covariance
    shift = chosen.mean - whole.mean
    squared_distance = shift @ np.linalg.pinv(covariance, hermitian=True) @ shift
    noise = max(0, dim - 2) / chosen.count
    keep = max(0.0, 1 - noise / squared_distance) if squared_distance > 0 else 0.0
    return Moments(whole.count, whole.mean + keep * shift, covariance * (whole.count - 1))
