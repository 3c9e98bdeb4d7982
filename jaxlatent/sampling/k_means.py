"""k-means on the device: where mixtures start, and clusters for their own sake."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

_LLOYD_ITERATIONS, _STARTS = 20, 4


def padded(x: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "m d"]:
    """The vectors in float32, filled up with zeros to one of eight numbers of rows in every power of two.

    A program is compiled for one number of rows, and so serves the next data set of about this size too.
    """
    step = 1 << max((len(x) - 1).bit_length() - 4, 0)
    return np.pad(np.asarray(x, np.float32), ((0, -len(x) % step), (0, 0)))


@partial(jax.jit, static_argnames="n_clusters")
def k_means(
    key: jax.Array, x: Float[Array, "n d"], count: int | Int[Array, ""], n_clusters: int
) -> tuple[Float[Array, "c d"], Float[Array, "c n"]]:
    """Finds clusters of a small sum of squared distances to their centres; the best of four starts.

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
    real = jnp.arange(x.shape[0]) < count
    norm = jnp.sum(jnp.square(x), axis=1, keepdims=True)
    # Greedy: of a few candidates, each by its squared distance, the one that leaves the least.
    trials = 2 + int(math.log(n_clusters))
    places = jax.random.uniform(key, (_STARTS, n_clusters, trials), jnp.float32)
    # The first centre is any vector: the least sum would take the most central of the candidates, where
    # there need not be a cluster.
    places = places.at[:, 0].set(places[:, 0, :1])

    def distances(centres: jax.Array) -> jax.Array:
        product = jnp.matmul(x, centres.T, precision="highest")
        return jnp.maximum(norm - 2 * product + jnp.sum(jnp.square(centres), axis=1), 0.0)

    def add(closest: jax.Array, places: jax.Array) -> tuple[jax.Array, jax.Array]:
        running = jnp.cumsum(closest)
        chosen = jnp.searchsorted(running, places * running[-1], side="right")
        candidates = x[jnp.minimum(chosen, count - 1)]
        remaining = jnp.minimum(closest[:, None], distances(candidates))
        best = jnp.argmin(jnp.sum(remaining, axis=0))
        return remaining[:, best], candidates[best]

    # Before the first centre, all are as far as no two vectors can be. Padding is near, and never chosen.
    farthest = jnp.where(real, 4 * jnp.max(norm) + 1, 0.0)

    def memberships(centres: jax.Array) -> jax.Array:
        nearest = jnp.where(real, jnp.argmin(distances(centres), axis=1), n_clusters)
        return jax.nn.one_hot(nearest, n_clusters, dtype=jnp.float32, axis=0)

    def lloyd(i: jax.Array, centres: jax.Array) -> jax.Array:
        member = memberships(centres)
        size = jnp.sum(member, axis=1, keepdims=True)
        mean = jnp.matmul(member, x, precision="highest") / jnp.maximum(size, 1.0)
        return jnp.where(size > 0, mean, centres)

    def start(places: jax.Array) -> tuple[jax.Array, jax.Array]:
        _, centres = jax.lax.scan(add, farthest, places)
        centres = jax.lax.fori_loop(0, _LLOYD_ITERATIONS, lloyd, centres)
        return jnp.sum(jnp.where(real, jnp.min(distances(centres), axis=1), 0.0)), centres

    sums, centres = jax.lax.map(start, places)
    best = centres[jnp.argmin(sums)]
    return best, memberships(best)
