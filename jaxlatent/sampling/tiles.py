"""The loop over tiles on the host: whatever the number of rows, a handful of programs computes them.

Rows are written into memory that is there from the start, so that neither a slice nor a concatenation has to
be compiled for each number of rows, and nothing is held twice.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from jaxlatent._cores import cores

#: Gives the rows from a first one on, as arrays with as many rows as its tiles have.
Compute = Callable[[int], tuple[jax.Array, ...]]


def fill(
    results: tuple[np.ndarray, ...],
    tile: int,
    most: int,
    program: Callable[[int], Compute],
    *,
    skip: int = 0,
    threads: int | None = None,
) -> None:
    """Fills arrays with computed rows.

    Args:
        results: arrays of n rows each.
        tile: rows of a tile.
        most: tiles of a call at most, a power of two.
        program: makes what computes a number of tiles; this has to be compiled. `program` runs in the
            caller's thread and so under its settings (`jax.enable_x64`, `jax.default_device`, ...), of which
            the threads that call what it made know nothing.
        skip: the first row wanted.
        threads: how many compute at once; one a core where not given, as XLA runs what one thread dispatches
            one after the other, on one core where the steps are small.
    """
    stop = skip + len(results[0])
    blocks = []
    for first in range(0, stop, most * tile):
        needed = -(-(stop - first) // tile)
        # A power of two, so that all numbers of rows share a handful of programs.
        blocks.append((first, min(most, 1 << (needed - 1).bit_length())))
    programs = {tiles: program(tiles) for tiles in {tiles for _, tiles in blocks}}

    def compute(block: tuple[int, int]) -> None:
        first, tiles = block
        begin, end = max(first, skip), min(first + tiles * tile, stop)
        for result, rows in zip(results, programs[tiles](first), strict=True):
            result[begin - skip : end - skip] = np.asarray(rows)[begin - first : end - first]

    if len(blocks) == 1:
        compute(blocks[0])
    else:
        with ThreadPoolExecutor(threads or cores()) as pool:
            list(pool.map(compute, blocks))


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
