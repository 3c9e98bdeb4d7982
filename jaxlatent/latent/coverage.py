"""How many real z-points fulfil all pair conditions, over levels and numbers of components."""

import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int

from jaxlatent._boundary import as_counts, as_floats, as_numbers, as_vectors

_BLOCK = 8192


def coverage_curves(
    y: Float[Array | np.ndarray, "n k"],
    widths: Float[Array | np.ndarray, " k"],
    levels: Sequence[float] | np.ndarray,
    components: Sequence[int],
) -> Float64[np.ndarray, "counts levels"]:
    """The share of points inside all pair ellipses with semi-axes level * widths.

    A point is inside when its two largest (y_i / widths_i)^2 sum to at most level^2, so one pass over the
    points serves all levels.

    Args:
        y: components of the z-points, floating point (n, k), n >= 1.
        widths: the unit of the levels, (k,), positive: standard deviations, for levels in sigma.
        levels: > 0.
        components: numbers of leading components to look at, each from 2 to k.

    Returns:
        Shares in [0, 1], a row for each number of components, a column for each level.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """
    y = as_vectors("y", y, least=1)
    n, k = y.shape
    scale = jnp.asarray(as_floats("widths", widths, (k,)), jnp.float32)
    limits = as_numbers("levels", levels)
    counts = as_counts("components", components)
    bad = [c for c in counts if not 2 <= c <= k]
    if bad:
        raise ValueError(f"components: expected numbers from 2 to {k}, got {bad[0]}")
    sizes = sorted(set(counts))
    gauges = np.concatenate(
        [
            np.asarray(_gauges(jnp.asarray(y[i : i + _BLOCK]), scale, tuple(sizes)))
            for i in range(0, n, _BLOCK)
        ],
        axis=1,
    )
    gauges.sort(axis=1)
    order = [sizes.index(c) for c in counts]
    return np.stack([np.searchsorted(gauges[i], limits, side="right") / n for i in order])


def largest_two(squares: Float[Array, "n k"]) -> Float[Array, " n"]:
    """The sum of the two largest numbers of each row, all >= 0; NaN where there is a NaN."""
    # In blocks, as a CPU is slow at argmax. Which one is the largest is a question of place and not of value,
    # since XLA may compute a number twice and round it in two ways.
    n, k = squares.shape
    size = math.isqrt(k - 1) + 1
    blocks = jnp.pad(squares, ((0, 0), (0, -k % size))).reshape(n, -(-k // size), size)
    heads = jnp.max(blocks, axis=2)
    first = jnp.argmax(heads, axis=1)[:, None]
    block = jnp.take_along_axis(blocks, first[:, :, None], axis=1)[:, 0]
    return jnp.max(block, axis=1) + jnp.maximum(_largest_but(heads, first), _largest_but(block))


def _largest_but(x: Float[Array, "n m"], place: Int[Array, "n 1"] | None = None) -> Float[Array, " n"]:
    """The largest number of each row but the one at `place`, that of the largest where not given."""
    place = jnp.argmax(x, axis=1, keepdims=True) if place is None else place
    return jnp.max(jnp.where(jnp.arange(x.shape[1], dtype=place.dtype) == place, 0.0, x), axis=1)


@partial(jax.jit, static_argnames="sizes")
def _gauges(y: jax.Array, widths: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
    """Roots of the sums of the two largest squares among the first `size` components, a row each."""
    squares = jnp.square(y.astype(jnp.float32) / widths)
    return jnp.stack([jnp.sqrt(largest_two(squares[:, :size])) for size in sizes])
