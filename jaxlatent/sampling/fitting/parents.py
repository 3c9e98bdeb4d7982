"""The z-points that a sampler keeps as the parents of its vectors: whitened in a PCA frame, in float16."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float16, Float32, Int, UInt32

from jaxlatent._boundary import as_array, as_mask, as_vectors, is_traced
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.trim import trim
from jaxlatent.sampling.fitting.k_means import padded
from jaxlatent.sampling.fitting.region import fit_frame

# Parents that are added in one step of a loop; more would be compiled for longer, and drawn no faster.
_UNROLLED = 8
# Parents that are compared at once.
_ROWS = 1024


def fit_parents(
    z: Float[Array | np.ndarray, " n *latent"],
    *,
    n_components: int | None = None,
    max_points: int | None = None,
    where: Bool[Array | np.ndarray, " n"] | None = None,
) -> tuple[PCA, Float16[np.ndarray, "m k"]]:
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
        TypeError, ValueError: if an argument is out of range, or the points are all equal; the message names
            it.
    """
    z = np.asarray(as_array("z", z))
    if where is not None:
        where = as_mask("where", where, len(z))
    pca = fit_frame(z, n_components, where=where)
    chosen = trim(z if where is None else z[where], max_points=max_points)
    points = np.asarray(as_vectors("z", chosen))
    check_differ(pca, points)
    y = np.asarray(pca.transform(padded(points)))[: len(points)]
    sigma = np.sqrt(pca.explained_variance)
    centred = y - y.mean(axis=0, dtype=np.float64).astype(np.float32)
    white = np.divide(centred, sigma, out=np.zeros_like(centred), where=sigma > 0)
    return pca, white.astype(np.float16)


def check_differ(pca: PCA, points: Float[np.ndarray, "n d"]) -> None:
    """Accepts points, and their frame, if they are not all equal.

    Raises:
        ValueError: otherwise.
    """
    if not np.asarray(pca.explained_variance).any() or (points == points[:1]).all():
        raise ValueError(
            f"z: all {len(points)} vectors are equal, up to rounding, and so would be all that are drawn; "
            "give, or choose, vectors that differ"
        )


def check_parents(parents: Float16[Array | np.ndarray, "n k"]) -> None:
    """Accepts two or more whitened points, which float16 holds up to 2^-11 = 5e-4 of a number.

    Raises:
        ValueError: otherwise.
    """
    as_vectors("parents", parents, least=2)
    if not is_traced(parents) and not np.isfinite(np.asarray(parents)).all():
        raise ValueError("parents: expected numbers within the range of float16, 65,504; whiten them")


def combined(
    parents: Float16[Array, "n k"],
    rows: UInt32[Array, "m b"] | Int[Array, "m b"],
    weights: Float32[Array, "m b"],
) -> Float32[Array, "b k"]:
    """Sums of m rows of `parents` for each vector, by their weights."""

    # Parent by parent: on a CPU, a gather of all at once takes three times as long.
    def add(total: jax.Array, parent: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        row, weight = parent
        return total + weight[:, None] * parents[row].astype(jnp.float32), None

    zeros = jnp.zeros((rows.shape[1], parents.shape[1]), jnp.float32)
    return jax.lax.scan(add, zeros, (rows, weights), unroll=_UNROLLED)[0]


def log_mean_kernel(
    x: Float[Array, "n k"], parents: Float16[Array, "m k"], h: Float[Array, ""]
) -> Float[Array, " n"]:
    """The log of the mean over all parents p of exp(-|x - p / h|^2 / 2), block by block of the parents."""
    m = parents.shape[0]
    rows = min(m, _ROWS)
    number = jnp.arange(m + -m % rows, dtype=jnp.int32).reshape(-1, rows)
    blocks = jnp.pad(parents, ((0, -m % rows), (0, 0))).reshape(-1, rows, parents.shape[1])

    def add(reached: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        number, parents = block
        p = parents.astype(jnp.float32) / h
        product = jnp.matmul(x, p.T, precision="highest")
        square = jnp.sum(jnp.square(x), axis=1)[:, None] + jnp.sum(jnp.square(p), axis=1) - 2 * product
        log_kernel = jnp.where(number < m, -0.5 * jnp.maximum(square, 0), -jnp.inf)
        return jnp.logaddexp(reached, jax.nn.logsumexp(log_kernel, axis=1)), None

    start = jnp.full(x.shape[0], -jnp.inf, jnp.float32)
    return jax.lax.scan(add, start, (number, blocks))[0] - math.log(m)
