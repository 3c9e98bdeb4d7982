"""How many real z-points fulfil all pair conditions, over levels and numbers of components."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

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
    # Without argmax, which takes a CPU seven times as long as all of this.
    largest = jnp.max(squares, axis=1, keepdims=True)
    below = jnp.max(jnp.where(squares < largest, squares, 0.0), axis=1)
    ties = jnp.sum(squares == largest, axis=1, dtype=jnp.int32) > 1
    return largest[:, 0] + jnp.where(ties, largest[:, 0], below)


@partial(jax.jit, static_argnames="sizes")
def _gauges(y: jax.Array, widths: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
    """Roots of the sums of the two largest squares among the first `size` components, a row each."""
    squares = jnp.square(y.astype(jnp.float32) / widths)
    return jnp.stack([jnp.sqrt(largest_two(squares[:, :size])) for size in sizes])
