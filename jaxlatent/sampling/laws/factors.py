"""Vectors times the Cholesky factor of the cluster that each is of."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

# On a CPU: vectors that a factor is multiplied with at once, and rows of a block of it.
_GROUP, _SIDE = 8, 512


def by_cluster(
    own: Int[Array, " b"],
    unit: Float[Array, "k b"],
    means: Float[Array, "c k"],
    cholesky: Float[Array, "c k k"],
) -> Float[Array, "b k"]:
    """Means plus factors times `unit`, of the cluster that each vector is of; traceable.

    A CPU groups the vectors, an accelerator gives every cluster all of them at once.

    Args:
        own: number of each vector's cluster.
        unit: standard normal numbers, vectors in columns.
        means: of the clusters.
        cholesky: lower triangular factors of their covariances.
    """
    return jax.lax.platform_dependent(own, unit, means, cholesky, cpu=_in_groups, default=_all_at_once)


def _in_groups(
    own: Int[Array, " b"],
    unit: Float[Array, "k b"],
    means: Float[Array, "c k"],
    cholesky: Float[Array, "c k k"],
) -> Float[Array, "b k"]:
    """The vectors sorted by cluster, a factor times a few of them at once, block by block of its triangle.

    So it is read from memory once for all of these, and a block of it stays in the cache.
    """
    (k, b), c = unit.shape, len(means)
    size = _GROUP if k <= 2 * _SIDE else 2 * _GROUP
    order = jnp.argsort(own).astype(jnp.int32)
    own = own[order].astype(jnp.int32)
    unit = jnp.pad(unit[:, order], ((0, 0), (0, size)))
    sizes = jnp.sum(own[:, None] == jnp.arange(c, dtype=jnp.int32), axis=0, dtype=jnp.int32)
    stop = jnp.cumsum(sizes, dtype=jnp.int32)[own]

    def following(first: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        return jnp.where(first < b, jnp.minimum(first + size, stop[first]), b), first

    # At most so many groups, of which the last may be empty.
    firsts = jax.lax.scan(following, jnp.int32(0), length=min(b, c + b // size))[1]

    side = min(k, _SIDE)
    lower = np.array([(i, j) for i in range(-(-k // side)) for j in range(i + 1)], np.int32) * side
    # The last row of blocks, and the last column, begin early enough to be whole.
    places, begins = jnp.asarray(np.minimum(lower, k - side)), jnp.asarray(lower)
    inside, zero = jnp.arange(side, dtype=jnp.int32), jnp.int32(0)

    def multiply(first: jax.Array) -> jax.Array:
        right = jax.lax.dynamic_slice(unit, (zero, first), (k, size))
        cluster = own[first]

        def add(block: jax.Array, left: jax.Array) -> jax.Array:
            (row, column), (row_begin, column_begin) = places[block], begins[block]
            factor = jax.lax.dynamic_slice(cholesky, (cluster, row, column), (1, side, side))[0]
            part = jax.lax.dynamic_slice(right, (column, zero), (side, size))
            part = jnp.where((column + inside >= column_begin)[:, None], part, 0.0)
            more = jnp.matmul(factor, part, precision="highest")
            more = jnp.where((row + inside >= row_begin)[:, None], more, 0.0)
            reached = jax.lax.dynamic_slice(left, (row, zero), (side, size))
            return jax.lax.dynamic_update_slice(left, reached + more, (row, zero))

        left = jax.lax.fori_loop(0, len(lower), add, jnp.zeros((k, size), jnp.float32))
        return left.T + means[cluster]

    def group(first: jax.Array) -> jax.Array:
        return jax.lax.cond(first < b, multiply, lambda _: jnp.zeros((size, k), jnp.float32), first)

    drawn = jax.lax.map(group, firsts).reshape(-1, k)
    number = jnp.arange(b, dtype=jnp.int32)
    mine = jnp.searchsorted(firsts, number, side="right").astype(jnp.int32) - 1
    return drawn[(mine * size + number - firsts[mine])[jnp.argsort(order)]]


def _all_at_once(
    own: Int[Array, " b"],
    unit: Float[Array, "k b"],
    means: Float[Array, "c k"],
    cholesky: Float[Array, "c k k"],
) -> Float[Array, "b k"]:
    """C products of all vectors, of which each takes its own."""

    def add(y: jax.Array, cluster: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        number, mean, factor = cluster
        drawn = mean[:, None] + jnp.matmul(factor, unit, precision="highest")
        return jnp.where(own == number, drawn, y), None

    clusters = (jnp.arange(len(means)), means, cholesky)
    return jax.lax.scan(add, jnp.zeros_like(unit), clusters)[0].T
