"""The z-points that a fit is made on."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._checks import check_count, check_key
from jaxlatent.latent.moments import moments


def trim(
    z: Float[Array | np.ndarray, "n d"],
    *,
    max_points: int | None = None,
    within_sigma: float | None = None,
    key: jax.Array | None = None,
) -> Float[Array | np.ndarray, "m d"]:
    """Takes at most `max_points` random z-points of those near the mean.

    The source took 100,000 points within 3 standard deviations.

    Args:
        z: z-points, (n, d).
        max_points: the most points kept, >= 2; all where not given.
        within_sigma: a point is kept if each of its coordinates lies within this many standard deviations
            of the coordinate's mean, > 0. (At d = 256 that leaves half of Gaussian points at 3.)
        key: for the random choice; `jax.random.key(0)` where not given.

    Returns:
        The points kept, in their order in `z`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or fewer than 2 points are left.
    """
    keep = np.arange(z.shape[0])
    if within_sigma is not None:
        if not within_sigma > 0:
            raise ValueError(f"within_sigma: expected a positive number, got {within_sigma}")
        found = moments(z)
        sigma = np.sqrt(np.diag(found.covariance)).astype(np.float32)
        mean = found.mean.astype(np.float32)
        keep = np.flatnonzero(np.asarray(_near(jnp.asarray(z), mean, within_sigma * sigma)))
        if keep.size < 2:
            raise ValueError(
                f"within_sigma: only {keep.size} of {z.shape[0]} points have all coordinates within "
                f"{within_sigma} standard deviations; raise it"
            )
    if max_points is not None:
        check_count("max_points", max_points, 2)
        key = jax.random.key(0) if key is None else key
        check_key(key)
        if keep.size > max_points:
            chosen = jax.random.choice(key, keep.size, (max_points,), replace=False)
            keep = keep[np.sort(np.asarray(chosen))]
    return z if keep.size == z.shape[0] else z[keep]


@jax.jit
def _near(z: jax.Array, mean: jax.Array, limit: jax.Array) -> jax.Array:
    return jnp.all(jnp.abs(z.astype(jnp.float32) - mean) <= limit, axis=1)
