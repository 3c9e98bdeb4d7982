"""Draws of one number whose density has no inverse distribution function in closed form: a table of cells.

The same lines run in NumPy, in float64 on the host, where the density's parameters are known, and in
`jax.numpy`, in float32 within a program, where they are traced. So a table is derived from a sampler's leaves
whenever it is needed, and follows them through `dataclasses.replace`, `vmap` and `grad`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int32, UInt32

from jaxlatent._boundary import on_device

#: The log of a density, not normalised, at places (nodes,) -> (nodes,), in NumPy or `jax.numpy`.
LogDensity = Callable[[Any], Any]

_CELLS = 4096
_GRID, _ZOOMS = 1024, 3
_DEPTH = 45.0  # what lies exp(-45) below the mode is left out: 3e-20 of it
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_CHUNK = 2048
# Where a cell's density is read: inside it, as at a kink the density may be that of the next cell.
_NOTHING = -1e30  # the log of a density of 0, of which a difference can be taken
_ENDS = np.array([1e-3, 1 - 1e-3])


class Cells(NamedTuple):
    """The integral of a density over cells.

    Attributes:
        start: lower ends of the cells, rising, (c,).
        width: of the cells, (c,); 0 for some.
        nodes: places of Gauss-Legendre quadrature, (c, 4).
        mass: share of the total at each node, (c, 4), summing to 1.
        ratio: of the density at the upper end of a cell to that at the lower end, (c,).
        log_total: log of the integral.
    """

    start: Any
    width: Any
    nodes: Any
    mass: Any
    ratio: Any
    log_total: Any


class Table(NamedTuple):
    """A law of one number, for `draw`.

    Attributes:
        start: lower ends of the cells, (c,) float32.
        width: their widths, (c,) float32.
        ratio: density at a cell's upper end over that at the lower one, (c,) float32.
        upper: the words below which a cell or one before it is drawn: cumulated mass times 2^32, (c,) uint32.
        log_total: log of the integral of the density that was given, float32.
    """

    start: Float[Array, " c"]
    width: Float[Array, " c"]
    ratio: Float[Array, " c"]
    upper: UInt32[Array, " c"]
    log_total: Float[Array, ""]

    def draw(self, word: UInt32[Array, " b"], w: Float[Array, " b"]) -> Float[Array, " b"]:
        """Numbers: the cell by a word, the place within it by a uniform number.

        The density is taken as linear within a cell, of which there are about 4,096.
        """
        cell = lax.platform_dependent(self.upper, word, cpu=bisected, default=counted)
        cells = (self.start, self.width, self.ratio)
        start, width, r = lax.platform_dependent(cells, cell, tpu=selected, default=looked_up)
        place = w * (1 + r) / (1 + jnp.sqrt(1 + w * (r * r - 1)))
        return start + place * width


def bisected(upper: UInt32[Array, " c"], word: UInt32[Array, " b"]) -> Int32[Array, " b"]:
    """The cell of each word: how many of the rising numbers, but for the last, are at most as large."""
    last = upper.shape[0] - 1
    steps = last.bit_length()

    def search(i: Array, cell: Array) -> Array:
        middle = jnp.minimum(cell + (1 << (steps - 1 - i)), last)
        return jnp.where(upper[middle - 1] <= word, middle, cell)

    # A loop, since XLA would compile the look-ups anew for each of the uses of the cell.
    return lax.fori_loop(0, steps, search, jnp.zeros(word.shape, jnp.int32))


def counted(upper: UInt32[Array, " c"], word: UInt32[Array, " b"]) -> Int32[Array, " b"]:
    """The same by comparing with all: for accelerators, where twelve rounds of look-ups take longer."""
    return jnp.sum(upper[:-1] <= word[:, None], axis=1, dtype=jnp.int32)


def looked_up(tables: Any, cell: Int32[Array, " b"]) -> Any:
    """The numbers of each cell in tables (c,)."""
    return jax.tree.map(lambda table: table[cell], tables)


def selected(tables: Any, cell: Int32[Array, " b"]) -> Any:
    """The same by passing all cells by: for TPUs, which look numbers up one by one."""

    def select(table: Array) -> Array:
        is_cell = cell[:, None] == jnp.arange(table.shape[0], dtype=jnp.int32)
        return jnp.sum(jnp.where(is_cell, table, 0), axis=1)

    return jax.tree.map(select, tables)


def tabulate(cells: Cells) -> Table:
    """The table of a law."""
    most = 2.0**32
    upper: Any
    reached = cells.mass.sum(axis=1).cumsum()
    if isinstance(reached, np.ndarray):
        upper = np.minimum(np.round(reached * most), most - 1)
    else:
        # 256 below is the largest float32.
        upper = jnp.minimum(reached * most, most - 256)
    numbers = (cells.start, cells.width, cells.ratio, cells.log_total)
    start, width, ratio, log_total = map(on_device, numbers)
    return Table(start, width, ratio, on_device(upper, np.uint32), log_total)


def integrate(
    log_density: LogDensity, sides: Sequence[tuple[Any, Any]], *, kinks: Any = None, xp: Any = np
) -> Cells:
    """Integrates a density over neighbouring intervals, where it is not negligible.

    Args:
        log_density: smooth within each interval, but for the kinks.
        sides: the intervals' ends, rising.
        kinks: places where the density is not smooth, rising.
        xp: `numpy`, or `jax.numpy` where the density's parameters are traced.

    Raises:
        ValueError: if, in NumPy, the density vanishes everywhere.
    """
    dtype = np.float64 if xp is np else jnp.float32
    evaluate = _in_chunks(log_density, xp)
    bounds = _important(evaluate, sides, xp, dtype)
    steps = xp.linspace(0, 1, _CELLS // len(bounds) + 1, dtype=dtype)
    edges = [low + (high - low) * steps for low, high in bounds]
    if kinks is not None:
        # Those outside the bounds make cells without width, so that the number of cells is fixed.
        edges += [xp.clip(xp.asarray(kinks, dtype), bounds[0][0], bounds[-1][1])]
    edges = xp.sort(xp.concatenate(edges))
    start, width = edges[:-1], edges[1:] - edges[:-1]
    nodes, weights, ends = (xp.asarray(x, dtype) for x in ((_NODES + 1) / 2, _WEIGHTS / 2, _ENDS))
    places = start[:, None] + width[:, None] * nodes
    values = evaluate(places)
    top = lax.stop_gradient(xp.max(values)) if xp is jnp else xp.max(values)
    mass = xp.exp(values - top) * weights * width[:, None]
    total = xp.sum(mass)
    at_ends = xp.maximum(evaluate(start[:, None] + width[:, None] * ends), _NOTHING)
    rise = xp.clip(at_ends[:, 1] - at_ends[:, 0], -20, 20)
    ratio = xp.exp(xp.where(width > 0, rise, 0))
    return Cells(start, width, places, mass / total, ratio, top + xp.log(total))


def _in_chunks(log_density: LogDensity, xp: Any) -> LogDensity:
    """The density at places of any shape, with bounded memory."""

    def evaluate(places: Any) -> Any:
        flat = places.reshape(-1)
        if xp is np:
            parts = [log_density(flat[i : i + _CHUNK]) for i in range(0, flat.size, _CHUNK)]
            return np.concatenate(parts).reshape(places.shape)
        return lax.map(lambda x: log_density(x[None])[0], flat, batch_size=_CHUNK).reshape(places.shape)

    return evaluate


def _important(evaluate: LogDensity, sides: Sequence[tuple[Any, Any]], xp: Any, dtype: Any) -> list[Any]:
    """The part of each interval where the density is not negligible."""
    steps = xp.linspace(0, 1, _GRID + 1, dtype=dtype)
    for _ in range(_ZOOMS):
        grids = [low + (high - low) * steps for low, high in sides]
        values = [evaluate((grid[1:] + grid[:-1]) / 2) for grid in grids]
        top = xp.max(xp.stack([xp.max(value) for value in values]))
        if xp is np and not np.isfinite(top):
            raise ValueError("body: the density vanishes on all of it; enlarge the semi-axes")
        sides = [_cut(grid, value > top - _DEPTH, xp) for grid, value in zip(grids, values, strict=True)]
    return list(sides)


def _cut(grid: Any, matters: Any, xp: Any) -> tuple[Any, Any]:
    """The ends of the cells that matter, with one cell more to each side; equal ones where none does."""
    first, behind = xp.argmax(matters), matters.size - xp.argmax(matters[::-1])
    # The density may rise above the limit within the next cell.
    low, high = grid[xp.maximum(first - 1, 0)], grid[xp.minimum(behind + 1, matters.size)]
    none = ~xp.any(matters)
    return xp.where(none, grid[0], low), xp.where(none, grid[0], high)
