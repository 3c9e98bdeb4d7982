"""The z-points that a sampler keeps as the parents of its vectors: whitened in a PCA frame, in float16."""

import math
from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float16, Float32, Int, UInt32

from jaxlatent._boundary import as_vectors, is_traced
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.fitting.k_means import padded
from jaxlatent.sampling.fitting.region import FitOptions, fit_points

# Parents that are added in one step of a loop; more would be compiled for longer, and drawn no faster.
_UNROLLED = 8
# Parents that are compared at once.
_ROWS = 1024


def fit_parents(
    z: Float[Vectors, " n *latent"], **options: Unpack[FitOptions]
) -> tuple[PCA, Float16[np.ndarray, "m k"]]:
    """Finds the frame from z-points and whitens these in it.

    Args:
        z: z-points, floating point (n, d), n >= 2.
        **options: see `FitOptions`.

    Returns:
        The frame, and the points described in it: centred on their own mean, in standard deviations of the
        frame's components, 0 in components without variance.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the points are all equal; the message names
            it.
    """
    pca, choice = fit_points(z, **options)
    points = np.asarray(as_vectors("z", choice.points))
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
