"""The loops over tiles: within a program, and on the host.

A program is compiled for the most tiles of a call, and computes as many as it is told: whatever the number of
rows, it is the same program. On the host, rows are written into memory that is there from the start, so that
neither a slice nor a concatenation has to be compiled for each number of rows, and nothing is held twice.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32

from jaxlatent._cores import cores

#: Gives the rows of a number of tiles from a first row on; the arrays may have more rows.
Compute = Callable[[int, int], tuple[jax.Array, ...]]


def power_of_two(most: int) -> int:
    """The largest power of two that is at most `most`; 1 below that."""
    return 1 << max(most, 1).bit_length() - 1


def map_tiles(
    function: Callable[[Array], Any], xs: Array, count: Int32[Array | np.integer, ""] | None
) -> Any:
    """`jax.lax.map` over the first `count` rows of `xs`; the other results are 0.

    The compiler does not know the number: a loop that it sees to run once it unrolls, and then computes
    the same with other roundings.
    """
    if count is None:
        return jax.lax.map(function, xs)
    shapes = jax.eval_shape(function, xs[0])
    room = jax.tree.map(lambda s: jnp.zeros((xs.shape[0], *s.shape), s.dtype), shapes)

    def one(i: Array, room: Any) -> Any:
        put = partial(jax.lax.dynamic_update_index_in_dim, index=i, axis=0)
        return jax.tree.map(put, room, function(xs[i]))

    return jax.lax.fori_loop(0, count, one, room)


def fill(
    results: tuple[np.ndarray, ...],
    tile: int,
    most: int,
    compute: Compute,
    *,
    skip: int = 0,
    threads: int | None = None,
) -> None:
    """Fills arrays with computed rows.

    Args:
        results: arrays of n rows each.
        tile: rows of a tile.
        most: tiles of a call at most.
        compute: called by several threads, which know nothing of the caller's settings (`jax.enable_x64`,
            `jax.default_device`, ...). So it has to call a program that is compiled.
        skip: the first row wanted.
        threads: how many compute at once; one a core where not given, as XLA runs what one thread dispatches
            one after the other, on one core where the steps are small.
    """
    stop = skip + len(results[0])

    def compute_block(first: int) -> None:
        begin, end = max(first, skip), min(first + most * tile, stop)
        for result, rows in zip(results, compute(first, -(-(end - first) // tile)), strict=True):
            result[begin - skip : end - skip] = np.asarray(rows)[begin - first : end - first]

    firsts = range(0, stop, most * tile)
    if len(firsts) == 1:
        compute_block(0)
    else:
        with ThreadPoolExecutor(threads or cores()) as pool:
            list(pool.map(compute_block, firsts))


def aligned(shape: tuple[int, ...]) -> Float32[np.ndarray, "..."]:
    """Memory for float32 numbers that `jax.device_put` takes over on a CPU; what lies otherwise it copies."""
    count, step = int(np.prod(shape)), 64 // 4
    room = np.empty(count + step, np.float32)
    offset = -(room.ctypes.data // 4) % step
    return room[offset : offset + count].reshape(shape)


def to_jax(rows: np.ndarray, sharding: Any) -> jax.Array:
    """Rows that `fill` wrote as a JAX array, looked at under `jax.debug_nans` as a program's result is."""
    result = jax.device_put(rows, sharding)
    watched = jax.config.jax_debug_nans or jax.config.jax_debug_infs  # type: ignore[attr-defined]
    return result + 0 if watched else result
