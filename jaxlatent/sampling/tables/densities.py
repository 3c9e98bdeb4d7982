"""Product densities of independent components, in units of the semi-axes, for `ExactSampler`.

Each knows, in float64 on the host, the density of the largest component (see `law`), and on the device how
to choose which component is the largest and to draw the others within [-t, t].
"""

import abc
import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.scipy.special import erf, erfinv
from jaxtyping import Array, Float, Float64, Int

#: The densities that have a name, and those of them that need no points.
DensityName = Literal["uniform", "normal", "empirical"]
ParametricDensity = Literal["uniform", "normal"]

#: Stands for 0 in a logarithm, in float32 too.
TINY = 1e-30
# Components of which one cumulated sum is faster than two short ones.
_FEW = 512


class ProductDensity(abc.ABC):
    """A density of k independent components u_j."""

    @property
    def kinks(self) -> Float64[np.ndarray, " e"] | None:
        """Values of |u| where the density is not smooth, rising."""
        return None

    @abc.abstractmethod
    def log_max_density(self, m: Any, t: Any, xp: Any) -> Any:
        """The log of [sum_k s_k(m) / F_k(t)] prod_j F_j(t), (nodes,), in `xp`: NumPy or `jax.numpy`."""

    @abc.abstractmethod
    def largest(
        self, m: Float[Array, " b"], t: Float[Array, " b"], w: Float[Array, "2 b"]
    ) -> tuple[Int[Array, " b"], Float[Array, " b"]]:
        """Which component is the largest, and its value, m or -m, from two uniform numbers."""

    @abc.abstractmethod
    def within(self, t: Float[Array, " b"], w: Float[Array, "k b"]) -> Float[Array, "k b"]:
        """Components restricted to [-t, t], from uniform numbers."""

    @abc.abstractmethod
    def log_prob(self, u: Float[Array, "n k"]) -> Float[Array, " n"]:
        """The log density of vectors, before the restriction to the body."""


def _signed(m: jax.Array, w: jax.Array) -> jax.Array:
    return jnp.where(w < 0.5, -m, m)


def _choose(weight: Float[Array, "k b"], w: Float[Array, " b"]) -> Int[Array, " b"]:
    """A row with probability proportional to its weight, column by column."""
    weight, w = jax.lax.stop_gradient((weight, w))
    k, b = weight.shape
    if k <= _FEW:
        return _passed(weight, w)[0]
    # First a block of rows, then one of its rows: a cumulated sum of all takes log2(k) passes.
    rows = math.isqrt(k - 1) + 1
    blocks = jnp.pad(weight, ((0, -k % rows), (0, 0))).reshape(-1, rows, b)
    block, rest = _passed(jnp.sum(blocks, axis=1), w)
    found = block * rows + _passed(jnp.take_along_axis(blocks, block[None, None], axis=0)[0], rest)[0]
    return jnp.minimum(found, k - 1)


def _passed(
    weight: Float[Array, "m b"], w: Float[Array, " b"]
) -> tuple[Int[Array, " b"], Float[Array, " b"]]:
    """Where the cumulated weights pass the share w of them all, and the share of that weight to go."""
    reached = jnp.cumsum(weight, axis=0)
    sought = w * reached[-1]
    found = jnp.minimum(jnp.sum(reached <= sought, axis=0, dtype=jnp.int32), weight.shape[0] - 1)
    last, own = (jnp.take_along_axis(x, found[None], axis=0)[0] for x in (reached, weight))
    return found, jnp.clip((sought - (last - own)) / jnp.maximum(own, TINY), 0, 1)


@dataclass(frozen=True)
class UniformDensity(ProductDensity):
    """p_j = 1/2 on [-1, 1]."""

    k: int

    def log_max_density(self, m: Any, t: Any, xp: Any) -> Any:
        """See `ProductDensity`; k t^(k-1)."""
        return math.log(self.k) + (self.k - 1) * xp.log(xp.maximum(t, TINY))

    def largest(self, m: jax.Array, t: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        """See `ProductDensity`; every component alike."""
        index = jnp.minimum((w[0] * self.k).astype(jnp.int32), self.k - 1)
        return index, _signed(m, w[1])

    def within(self, t: jax.Array, w: jax.Array) -> jax.Array:
        """See `ProductDensity`."""
        return t * (2 * w - 1)

    def log_prob(self, u: jax.Array) -> jax.Array:
        """See `ProductDensity`."""
        return jnp.full(u.shape[0], -self.k * math.log(2), jnp.float32)


@dataclass(frozen=True, eq=False)
class NormalDensity(ProductDensity):
    """Normal with mean 0 and standard deviation `scale` (k,), on the whole line."""

    scale: Float[Array | np.ndarray, " k"]

    def log_max_density(self, m: Any, t: Any, xp: Any) -> Any:
        """See `ProductDensity`; where they are known, components of the same scale are computed once."""
        special = scipy.special if xp is np else jax.scipy.special
        scale: Any
        count: Any
        if xp is np:
            scale, count = np.unique(np.asarray(self.scale, np.float64), return_counts=True)
        else:
            scale, count = self.scale, jnp.ones_like(self.scale)
        log_mass = xp.log(xp.maximum(special.erf(t[:, None] / (scale * math.sqrt(2))), TINY))
        log_pair = -0.5 * xp.square(m[:, None] / scale) + math.log(2 / math.pi) / 2 - xp.log(scale)
        return special.logsumexp(log_pair - log_mass, axis=1, b=count) + xp.sum(log_mass * count, axis=1)

    def largest(self, m: jax.Array, t: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        """See `ProductDensity`."""
        scale = jnp.asarray(self.scale)[:, None]
        # From the largest scale, whose term falls least, so that it is not lost where m is large.
        fall = 0.5 * (1 / jnp.square(scale) - 1 / jnp.square(jnp.max(scale)))
        weight = jnp.exp(-fall * jnp.square(m)) / (scale * erf(t / (scale * math.sqrt(2))))
        return _choose(weight, w[0]), _signed(m, w[1])

    def within(self, t: jax.Array, w: jax.Array) -> jax.Array:
        """See `ProductDensity`."""
        scale = jnp.asarray(self.scale)[:, None] * jnp.float32(math.sqrt(2))
        return jnp.clip(scale * erfinv((2 * w - 1) * erf(t / scale)), -t, t)

    def log_prob(self, u: jax.Array) -> jax.Array:
        """See `ProductDensity`."""
        scale = jnp.asarray(self.scale)
        constant = jnp.sum(jnp.log(scale)) + u.shape[1] * 0.5 * math.log(2 * math.pi)
        return -0.5 * jnp.sum(jnp.square(u / scale), axis=1) - constant


@dataclass(frozen=True, eq=False)
class EmpiricalDensity(ProductDensity):
    """Constant in each of an even number of equal bins of [-1, 1].

    Attributes:
        cumulative: probability below each of the edges, (k, bins + 1), from 0 to 1.
    """

    cumulative: Float[Array | np.ndarray, "k edges"]

    @property
    def bins(self) -> int:
        """The number of bins of [-1, 1]."""
        return self.cumulative.shape[1] - 1

    @property
    def kinks(self) -> Float64[np.ndarray, " e"]:
        """The values of |u| where a bin ends."""
        return np.linspace(0, 1, self.bins // 2 + 1)

    def log_max_density(self, m: Any, t: Any, xp: Any) -> Any:
        """See `ProductDensity`."""
        special, dtype = (scipy.special, np.float64) if xp is np else (jax.scipy.special, jnp.float32)
        cumulative = xp.asarray(self.cumulative, dtype)
        half = self.bins // 2
        mass = (cumulative[:, half:] - cumulative[:, half::-1]).T  # F at the edges 0 .. 1
        slope = (mass[1:] - mass[:-1]) * half

        def cell(x: Any) -> Any:
            return xp.clip((x * half).astype(np.int32), 0, half - 1)

        place = cell(t)
        rest = t - place.astype(dtype) / half
        log_mass = xp.log(xp.maximum(mass[place] + rest[:, None] * slope[place], TINY))
        # A tiny number for 0 keeps the derivatives of an empty bin from being NaN.
        density = slope[cell(m)]
        log_pair = xp.where(density > 0, xp.log(xp.maximum(density, TINY)), -xp.inf)
        return special.logsumexp(log_pair - log_mass, axis=1) + xp.sum(log_mass, axis=1)

    def _rows(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Probability below x and density at x of each component, (b, k) each."""
        table = jnp.asarray(self.cumulative).T
        place = (x + 1) * (self.bins / 2)
        floor = jnp.clip(jnp.floor(place), 0, self.bins - 1)
        cell = floor.astype(jnp.int32)
        low, high = table[cell], table[cell + 1]
        return low + (place - floor)[:, None] * (high - low), high - low

    def largest(self, m: jax.Array, t: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        """See `ProductDensity`; the sign by the densities at m and -m."""
        mass = self._rows(t)[0] - self._rows(-t)[0]
        right, left = self._rows(m)[1], self._rows(-m)[1]
        index = _choose(((right + left) / jnp.maximum(mass, 1e-30)).T, w[0])
        both = jnp.stack([right, left])[:, jnp.arange(m.shape[0], dtype=jnp.int32), index]
        return index, jnp.where(w[1] * (both[0] + both[1]) < both[0], m, -m)

    def within(self, t: jax.Array, w: jax.Array) -> jax.Array:
        """See `ProductDensity`; inverts the piecewise linear distribution function."""
        table = jnp.asarray(self.cumulative)
        low, high = self._rows(-t)[0], self._rows(t)[0]
        target = low + w.T * (high - low)
        cell, below, above = jax.lax.platform_dependent(table, target, cpu=bisected, default=counted)
        share = (target - below) / jnp.maximum(above - below, 1e-30)
        u = (cell.astype(jnp.float32) + jnp.clip(share, 0, 1)) * (2 / self.bins) - 1
        return jnp.clip(u.T, -t, t)

    def log_prob(self, u: jax.Array) -> jax.Array:
        """See `ProductDensity`."""
        table = jnp.asarray(self.cumulative)
        cell = jnp.clip(((u + 1) * (self.bins / 2)).astype(jnp.int32), 0, self.bins - 1)
        component = jnp.arange(u.shape[1], dtype=jnp.int32)
        density = (table[component, cell + 1] - table[component, cell]) * (self.bins / 2)
        return jnp.sum(jnp.log(density), axis=1)


#: The cell of each number, and the values of the table at the cell's ends.
Cell = tuple[Int[Array, "b k"], Float[Array, "b k"], Float[Array, "b k"]]


def bisected(table: Float[Array, "k edges"], target: Float[Array, "b k"]) -> Cell:
    """In which cell of its component's rising table each number lies, by bisection."""
    k, edges = table.shape
    flat, last = table.ravel(), edges - 2
    first = jnp.arange(k, dtype=jnp.int32) * edges
    cell = jnp.zeros(target.shape, jnp.int32)
    step = 1 << last.bit_length()
    while step := step >> 1:
        middle = jnp.minimum(cell + step, last)
        cell = jnp.where(flat[first + middle] <= target, middle, cell)
    return cell, flat[first + cell], flat[first + cell + 1]


def counted(table: Float[Array, "k edges"], target: Float[Array, "b k"]) -> Cell:
    """The same by a comparison with every edge: on an accelerator, look-ups of single numbers take longer."""
    edges = table.shape[1]
    columns = table.T

    def compare(edge: Array, found: Cell) -> Cell:
        cell, below, above = found
        value = columns[edge]
        reached = value <= target
        return (
            cell + reached.astype(jnp.int32),
            jnp.where(reached, value, below),
            jnp.where(reached, above, jnp.minimum(above, value)),
        )

    shape = target.shape
    start = (
        jnp.zeros(shape, jnp.int32),
        jnp.broadcast_to(columns[0], shape),
        jnp.broadcast_to(columns[-1], shape),
    )
    # Many edges a step, as each step goes through the memory of the device once.
    return jax.lax.fori_loop(1, edges - 1, compare, start, unroll=64)
