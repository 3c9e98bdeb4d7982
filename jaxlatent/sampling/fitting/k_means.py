"""k-means on the device: where mixtures start, and clusters for their own sake."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from jaxlatent._random import numpy_generator

_LLOYD_ITERATIONS = 20
# Of more clusters, one start is as good: with 200 of them in 36,000 z-points of faces, the sums of squares of
# one and of the best of four differ by less than 0.1 %.
_STARTS, _FEW_CLUSTERS = 4, 32


def padded(x: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "m d"]:
    """The vectors in float32, filled up with zeros to one of eight numbers of rows in every power of two.

    A program is compiled for one number of rows, and so serves the next data set of about this size too.
    """
    step = 1 << max((len(x) - 1).bit_length() - 4, 0)
    return np.pad(np.asarray(x, np.float32), ((0, -len(x) % step), (0, 0)))


def k_means(
    key: jax.Array, x: Float[Array, "n d"], count: int, n_clusters: int
) -> tuple[Float[Array, "c d"], Float[Array, "c n"]]:
    """Finds clusters of a small sum of squared distances to their centres; up to 32, the best of four starts.

    Greedy k-means++ (D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007)
    and 20 of Lloyd's iterations.

    Args:
        key: for the starts.
        x: float32 (n, d); centred, as squares are taken of them.
        count: how many of the rows are vectors, >= n_clusters; the rest is padding, see `padded`.
        n_clusters: c, at least 1.

    Returns:
        The centres (c, d), and which of them each vector belongs to: (c, n), 1 at its nearest centre and else
        0, as in the columns of padding. A centre can be left without vectors.
    """
    # Greedy: of a few candidates, each by its squared distance, the one that leaves the least.
    trials = 2 + int(math.log(n_clusters))
    starts = _STARTS if n_clusters <= _FEW_CLUSTERS else 1
    places = numpy_generator(key).random((starts, n_clusters, trials), np.float32)
    # The first centre is any vector: the least sum would take the most central of the candidates, where
    # there need not be a cluster.
    places[:, 0] = places[:, 0, :1]
    return _best_start(x, count, places)


@jax.jit
def _best_start(
    x: Float[Array, "n d"], count: int | Int[Array, ""], places: Float[Array, "s c t"]
) -> tuple[Float[Array, "c d"], Float[Array, "c n"]]:
    n_clusters = places.shape[1]
    real = jnp.arange(x.shape[0]) < count
    norm = jnp.sum(jnp.square(x), axis=1, keepdims=True)

    def distances(centres: jax.Array) -> jax.Array:
        product = jnp.matmul(x, centres.T, precision="highest")
        return jnp.maximum(norm - 2 * product + jnp.sum(jnp.square(centres), axis=1), 0.0)

    def add(closest: jax.Array, places: jax.Array) -> tuple[jax.Array, jax.Array]:
        candidates = x[jnp.minimum(_choose(closest, places), count - 1)]
        remaining = jnp.minimum(closest[:, None], distances(candidates))
        best = jnp.argmin(jnp.sum(remaining, axis=0))
        return remaining[:, best], candidates[best]

    # Before the first centre, all are as far as no two vectors can be. Padding is near, and never chosen.
    farthest = jnp.where(real, 4 * jnp.max(norm) + 1, 0.0)

    def nearest(centres: jax.Array) -> tuple[jax.Array, jax.Array]:
        square = distances(centres)
        which = jnp.where(real, jnp.argmin(square, axis=1), n_clusters)
        return which, jnp.sum(jnp.where(real, jnp.min(square, axis=1), 0.0))

    def memberships(which: jax.Array) -> jax.Array:
        return jax.nn.one_hot(which, n_clusters, dtype=jnp.float32, axis=0)

    def lloyd(i: jax.Array, centres: jax.Array) -> jax.Array:
        member = memberships(nearest(centres)[0])
        size = jnp.sum(member, axis=1, keepdims=True)
        mean = jnp.matmul(member, x, precision="highest") / jnp.maximum(size, 1.0)
        return jnp.where(size > 0, mean, centres)

    def start(places: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        _, centres = jax.lax.scan(add, farthest, places)
        centres = jax.lax.fori_loop(0, _LLOYD_ITERATIONS, lloyd, centres)
        return centres, *nearest(centres)

    centres, which, sums = jax.lax.map(start, places)
    best = jnp.argmin(sums)
    return centres[best], memberships(which[best])


def _choose(weight: Float[Array, " n"], place: Float[Array, " t"]) -> Int[Array, " t"]:
    """Indices of a probability proportional to `weight`, from uniform numbers.

    First a block, then the place in it: two short cumulated sums, which are products with a triangular
    matrix, where one long one would take a tenth of a second to compile.
    """
    size = math.isqrt(len(weight) - 1) + 1
    blocks = jnp.pad(weight, (0, -len(weight) % size)).reshape(-1, size)
    block, rest = _find(jnp.sum(blocks, axis=1)[None], place)
    return block * size + _find(blocks[block], rest)[0]


def _find(
    weight: Float[Array, "#t m"], place: Float[Array, " t"]
) -> tuple[Int[Array, " t"], Float[Array, " t"]]:
    """Where the cumulated weights pass a share of them all, and the share of that weight still to go."""
    upper = jnp.triu(jnp.ones((weight.shape[1],) * 2, jnp.float32))
    reached = jnp.matmul(weight, upper, precision="highest")
    sought = place * reached[:, -1]
    found = jnp.minimum(jnp.sum(reached <= sought[:, None], axis=1, dtype=jnp.int32), weight.shape[1] - 1)
    weight, reached = (jnp.broadcast_to(w, (len(place), w.shape[1])) for w in (weight, reached))
    last, own = (jnp.take_along_axis(w, found[:, None], axis=1)[:, 0] for w in (reached, weight))
    return found, jnp.clip((sought - (last - own)) / jnp.maximum(own, jnp.finfo(jnp.float32).tiny), 0, 1)
