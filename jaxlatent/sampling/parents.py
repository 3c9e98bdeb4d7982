"""The z-points that a sampler keeps as the parents of its vectors: whitened in a PCA frame, in float16."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float16

from jaxlatent._checks import check_vectors
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.subset import subset_mask
from jaxlatent.latent.trim import trim
from jaxlatent.sampling.region import fit_frame


def fit_parents(
    z: Float[Array | np.ndarray, "n d"],
    *,
    n_components: int | None = None,
    max_points: int | None = None,
    where: Bool[Array | np.ndarray, " n"] | None = None,
) -> tuple[PCA, Float16[Array, "m k"]]:
    """Finds the frame from z-points and whitens these in it.

    Args:
        z: z-points, floating point (n, d), n >= 2.
        n_components: k, from 1 to d; all that have a positive variance where not given.
        max_points: keep at most this many random points, >= 2; the frame is that of all of them.
        where: mask of a subset of the z-points, of which alone points are kept; the frame is shrunk towards
            that of all where the subset is small, see `PCA.fit`.

    Returns:
        The frame, and the points kept in it: centred on their own mean, in standard deviations of the
        frame's components, 0 in components without variance.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
    """
    pca = fit_frame(z, n_components, where=where)
    points = trim(z if where is None else z[subset_mask(z, where)], max_points=max_points)
    return pca, _whitened(pca, pca.transform(points))


def checked_parents(parents: Float[Array | np.ndarray, "n k"], k: int) -> Float16[Array, "n k"]:
    """Whitened points of k components as float16, which is wrong by up to 2^-11 = 5e-4 of a number.

    Raises:
        TypeError, ValueError: if they are not two or more vectors (n, k) of float16's range.
    """
    check_vectors("parents", parents, k)
    if parents.shape[0] < 2:
        raise ValueError(f"parents: expected at least 2 vectors, got {parents.shape[0]}")
    half = jnp.asarray(parents, jnp.float16)
    if not jnp.isfinite(half).all():
        raise ValueError("parents: expected numbers within the range of float16, 65,504; whiten them")
    return half


@jax.jit
def _whitened(pca: PCA, y: jax.Array) -> jax.Array:
    sigma = jnp.sqrt(pca.explained_variance)
    centred = y - jnp.mean(y, axis=0)
    return jnp.where(sigma > 0, centred / jnp.where(sigma > 0, sigma, 1), 0).astype(jnp.float16)
