"""The literal law of the pairwise method without its idle steps: only the violated pairs are visited.

The method takes all pairs in a uniformly random order and redraws one of each pair that is violated. A pair
that is violated now has been so all along, since squares only shrink, and so cannot have been visited. Of
the pairs still to come, in random order, the first violated one is therefore uniform among all violated
ones, whatever happened before. Hence the same law: as long as there are violated pairs, take one of them
uniformly at random. At k = 256 that is 120 steps instead of 32,640.

The squares are kept in descending order, q_0 >= q_1 >= ... Then the violated pairs of row i are the rows
i + 1 to i + n_i, and n_i does not increase with i. So they all lie in a box, i < height and j - i <= width,
of which they fill a third to a half: uniform proposals from the box, of which the first violated one is
taken, are uniform among the violated. A proposal that is not may show that the box can be smaller.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, UInt32

from jaxlatent.sampling.laws.labels import sort_columns
from jaxlatent.sampling.words import Seed, threefry2x32, unit_uniform

# Proposals a step: each costs two look-ups, and a step that finds no violated pair a pass over all rows.
PROPOSALS = 3
# Steps whose words are made at once. In a step of their own they would be computed together with look-ups,
# a number at a time.
_STEPS = 2


class _State(NamedTuple):
    """Squares in descending order, the replacement still to be made in them, and the box."""

    q: Float[Array, "k b"]
    old: Float[Array, " b"]
    new: Float[Array, " b"]
    height: Float[Array, " b"]
    width: Float[Array, " b"]


def descending(q: Float[Array, "k b"]) -> Float[Array, "k b"]:
    """Sorts each column of numbers that are not negative, the largest first."""
    # Their bits are ordered as they are.
    bits = lax.bitcast_convert_type(q, jnp.uint32)
    return lax.bitcast_convert_type(~sort_columns(~bits), jnp.float32)


def redraw_violated(
    q: Float[Array, "k b"],
    seed: Seed,
    index: UInt32[Array, " b"],
    stream: int,
    limit: float | Float[Array, ""],
) -> Float[Array, "k b"]:
    """Takes a violated pair, uniformly among them, and redraws one of the two; until none is left.

    Args:
        q: squared components in units of the semi-axes, in descending order, each at most `limit`.
        seed: the cipher's key.
        index: the vectors' indices, (b,).
        stream: the stream of random words to use.
        limit: the value of 1 in the pair condition.

    Returns:
        The squares, (k, b), in descending order, with q_i + q_j <= limit for every pair of rows.
    """
    k, b = q.shape
    # A loop of unknown length has no derivative, which nothing needs: what is drawn here only gets scaled.
    q, limit = lax.stop_gradient((q, jnp.asarray(limit, jnp.float32)))
    rows = _STEPS * (PROPOSALS + 1)
    row = jnp.arange(rows, dtype=jnp.uint32)[:, None] + jnp.uint32(stream << 24)

    def some_steps(carry: tuple[jax.Array, _State]) -> tuple[jax.Array, _State]:
        used, state = carry
        first, second = (unit_uniform(x) for x in threefry2x32(seed, index[None, :], used + row))

        def step(s: jax.Array, inputs: tuple[_State, jax.Array, jax.Array]) -> tuple:
            state, first, second = inputs
            here = (s * (PROPOSALS + 1), 0)
            size = (PROPOSALS + 1, b)
            one, other = lax.dynamic_slice(first, here, size), lax.dynamic_slice(second, here, size)
            return _step(state, one, other, limit), first, second

        state, _, _ = lax.fori_loop(0, _STEPS, step, (state, first, second))
        return used + jnp.uint32(rows), state

    def violated(carry: tuple[jax.Array, _State]) -> jax.Array:
        return jnp.any(carry[1].q[0] + carry[1].q[1] > limit)

    zero, whole = jnp.zeros(b, jnp.float32), jnp.full(b, k - 1, jnp.float32)
    start = jnp.uint32(0), _State(q, zero, zero, whole, whole)
    # Where no pair is violated, no replacement is left to be made either.
    return lax.while_loop(violated, some_steps, start)[1].q


def _step(
    state: _State, first: Float[Array, "p b"], second: Float[Array, "p b"], limit: Float[Array, ""]
) -> _State:
    """Makes the replacement that the step before found, and finds the next one.

    The two are in this order because what a loop carries from step to step is computed once. Within one
    step, XLA would find the pair anew for every row that it replaces.
    """
    q = _replace(state.q, state.old, state.new)
    k, box = q.shape[0], (state.height, state.width)
    i, j = propose(first[:-1], second[:-1], *box)
    found = (j < k) & (_look_up(q, i) + _look_up(q, jnp.minimum(j, k - 1)) > limit)
    number = jnp.arange(found.shape[0], dtype=jnp.int32)[:, None]
    taken = jnp.max(jnp.where(found, number, 0), axis=0)[None]

    i, j = propose(_look_up(first, taken), _look_up(second, taken), *box)
    high, low = _look_up(q, i)[0], _look_up(q, jnp.minimum(j, k - 1))[0]
    violated = (j[0] < k) & (high + low > limit)
    low_is_redrawn = second[-1] < 0.5
    remaining = limit - jnp.where(low_is_redrawn, high, low)
    old = jnp.where(violated, jnp.where(low_is_redrawn, low, high), 0.0)
    new = jnp.where(violated, remaining * jnp.square(first[-1]), 0.0)

    # What the first proposal says of the box: a row whose next one is no partner ends it, and so does a
    # distance at which not even the largest has one.
    i, j = propose(first[:1], second[:1], *box)
    below = (_look_up(q, i) + _look_up(q, i + 1))[0] > limit
    within = (q[:1] + _look_up(q, j - i))[0] > limit
    height = jnp.where(below, state.height, jnp.maximum(i[0].astype(jnp.float32), 1.0))
    width = jnp.where(within, state.width, jnp.maximum((j - i)[0].astype(jnp.float32) - 1.0, 1.0))
    return _State(q, old, new, height, width)


def propose(
    first: Float[Array, "*s"],
    second: Float[Array, "*s"],
    height: Float[Array, "*#s"],
    width: Float[Array, "*#s"],
) -> tuple[Int[Array, "*s"], Int[Array, "*s"]]:
    """Rows i < height and i < j <= i + width, uniform; j may lie beyond the last row."""
    # The largest of the uniform numbers, 1 - 2^-24, times a whole number is rounded to less than it.
    i = (first * height).astype(jnp.int32)
    return i, i + 1 + (second * width).astype(jnp.int32)


def _look_up(table: Float[Array, "k b"], row: Int[Array, "p b"]) -> Float[Array, "p b"]:
    return jnp.take_along_axis(table, row, axis=0, mode="promise_in_bounds")


def _replace(q: Float[Array, "k b"], old: Float[Array, " b"], new: Float[Array, " b"]) -> Float[Array, "k b"]:
    """In each descending column, replaces `old` by `new` <= `old`, in its place; zeros change nothing.

    Below `old`, what is above `new` moves up by one row, `new` follows, and the rest stays.
    """
    following = lax.pad(q[1:], jnp.float32(0), ((0, 1, 0), (0, 0, 0)))
    return jnp.where(q > old, q, jnp.maximum(following, jnp.minimum(q, new)))
