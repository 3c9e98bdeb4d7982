"""The z-points that a fit is made on."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent._boundary import as_array, as_count, as_key, as_positive, as_vectors
from jaxlatent._random import numpy_generator
from jaxlatent.latent.moments import moments
from jaxlatent.latent.sharded import Vectors, on_host

_BATCH = 8192


def trim(
    z: Float[Vectors, " n *latent"],
    *,
    max_points: int | None = None,
    within_sigma: float | None = None,
    key: jax.Array | None = None,
) -> Float[Array | np.ndarray, " m *latent"]:
    """Takes at most `max_points` random z-points of those near the mean.

    The source took 100,000 points within 3 standard deviations.

    Args:
        z: z-points, (n, d) or (n, c, h, w).
        max_points: the most points kept, >= 2; all where not given.
        within_sigma: a point is kept if each of its coordinates lies within this many standard deviations
            of the coordinate's mean, > 0. (At d = 256 that leaves half of Gaussian points at 3.)
        key: for the random choice; `jax.random.key(0)` where not given.

    Returns:
        The points kept, in their order in `z`; a JAX array where `z` is one, NumPy's otherwise.

    Raises:
        TypeError, ValueError: if an argument is out of range, or fewer than 2 points are left.
    """
    given = as_array("z", z)
    rows = on_host(given)
    z = as_vectors("z", rows)
    keep = np.arange(z.shape[0])
    if within_sigma is not None:
        within_sigma = as_positive("within_sigma", within_sigma)
        whole = moments(z)
        limit = within_sigma * np.sqrt(np.diag(whole.covariance))
        keep = np.flatnonzero(_near(z, whole.mean, limit))
        if keep.size < 2:
            raise ValueError(
                f"within_sigma: only {keep.size} of {z.shape[0]} points have all coordinates within "
                f"{within_sigma} standard deviations; raise it"
            )
    if max_points is not None:
        max_points = as_count("max_points", max_points, 2)
        key = jax.random.key(0) if key is None else as_key(key)
        if keep.size > max_points:
            keep = np.sort(numpy_generator(key).choice(keep, max_points, replace=False))
    if keep.size == z.shape[0]:
        return given if isinstance(given, jax.Array) else np.asarray(rows)
    return jnp.asarray(rows[keep]) if isinstance(given, jax.Array) else rows[keep]


def _near(z: Float[Vectors, " n *latent"], mean: np.ndarray, limit: np.ndarray) -> Bool[np.ndarray, " n"]:
    batches = (z[begin : begin + _BATCH] for begin in range(0, z.shape[0], _BATCH))
    return np.concatenate([np.all(np.abs(batch - mean) <= limit, axis=1) for batch in batches])
