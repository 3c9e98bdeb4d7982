"""What a chip does for a block of vectors: the pairwise method from the first random word to the last redraw.

A component is a row of the block, and nothing passes between vectors: on a GPU a thread has a vector of its
own, on a TPU a row is a register of 1,024 numbers. What differs from vector to vector, the rows of a pair, is
looked up by passing all rows by. Written in Pallas with operations that Mosaic lowers for TPUs and Mosaic GPU
for Hopper and newer.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxlatent.sampling.laws.round_robin import WEYL, scramble
from jaxlatent.sampling.laws.violated import PROPOSALS, propose
from jaxlatent.sampling.words import threefry2x32, unit_uniform

# So many rows are written out in a loop: the loads of one overlap with the arithmetic of others.
_LOG_UNROLLED = 3
_UNROLLED = 1 << _LOG_UNROLLED


def places(k: int, rounds: int) -> int:
    """Rows that are in use: a round robin has an odd number of places."""
    return k + 1 - k % 2 if rounds else k


def square_rows(k: int, rounds: int) -> int:
    """Those in use, further down by one after each round, and at least one below a pass over all."""
    return max(places(k, rounds) + rounds, _UNROLLED * -(-k // _UNROLLED) + 1)


def word_rows(k: int, rounds: int) -> int:
    """Those of the words of pairs, which rounds alone take."""
    return k // 2 if rounds else 1


def pairwise_kernel(
    seed: Any,
    index: Any,
    out: Any,
    q: Any,
    words: Any,
    *,
    columns: Any,
    k: int,
    rounds: int,
    limit: float,
    stream: int,
) -> None:
    """A block of vectors, those columns of the arguments and the result; q and words are scratches."""
    draw = partial(threefry2x32, (seed[0, columns], seed[1, columns]), index[columns])
    bound = jnp.float32(limit)
    _start(q, words, draw, bound, k, rounds)
    if rounds:
        _play_rounds(q, words, bound, k, rounds)
    _sort(q, places(k, rounds))
    _redraw_violated(q, draw, bound, k, stream)

    def write(i: Array) -> None:
        out[i, columns] = q[i]

    _for_rows(0, k, write)


def _start(q: Any, words: Any, draw: Callable[..., Any], limit: Array, k: int, rounds: int) -> None:
    """Uniform components, zeros below them, and a word for each pair of places."""

    def start(i: Array, *, with_word: bool) -> None:
        first, second = draw(i.astype(jnp.uint32))
        q[i] = jnp.square(unit_uniform(first)) * limit
        if with_word:
            words[i] = second

    pairs = k // 2 if rounds else 0
    _for_rows(0, pairs, partial(start, with_word=True))
    _for_rows(pairs, k, partial(start, with_word=False))
    _clear(q, k)


def _play_rounds(q: Any, words: Any, limit: Array, k: int, rounds: int) -> None:
    """`round_robin`: each round sees the rows of the one before, but for the first, which is now the last."""
    n = places(k, rounds)

    def play(r: Array, _: None) -> None:
        step = r.astype(jnp.uint32) * jnp.uint32(WEYL)

        def redraw(i: Array) -> None:
            here, there = r + i, r + (n - 1 - i)
            one, other = q[here], q[there]
            word = scramble(words[i] + step)
            is_other = word & 1 == 1
            violated = one + other > limit
            new = (limit - jnp.where(is_other, one, other)) * jnp.square(unit_uniform(word))
            q[here] = jnp.where(violated & ~is_other, new, one)
            q[there] = jnp.where(violated & is_other, new, other)

        _for_rows(0, n // 2, redraw)
        q[r + n] = q[r]

    def move(i: Array) -> None:
        q[i] = q[i + rounds]

    lax.fori_loop(0, rounds, play, None)
    _for_rows(0, n, move)
    _clear(q, n)


def _sort(q: Any, n: int) -> None:
    """Sorts the first n >= 2 rows, the largest on top.

    Batcher's merge exchange, in D. E. Knuth, "The Art of Computer Programming", volume 3, algorithm 5.2.2M.
    """
    top = jnp.int32(1 << ((n - 1).bit_length() - 1))

    def stage(carry: Any) -> Any:
        p, half, r, distance = carry
        # The rows i < n - distance with i & p = r, and how many they are.
        last = n - distance
        count = ((last >> 1) & -p) + jnp.clip((last & (2 * p - 1)) - r, 0, p)

        def exchange(j: Array) -> None:
            i = ((j & -p) << 1) | (j & (p - 1)) | r
            upper, lower = q[i], q[i + distance]
            q[i] = jnp.maximum(upper, lower)
            q[i + distance] = jnp.minimum(upper, lower)

        _for_rows(0, count, exchange)
        is_merged = half == p
        following = ((p >> 1, p), (top, half >> 1), (jnp.int32(0), p), (p >> 1, half - p))
        return tuple(jnp.where(is_merged, merged, other) for merged, other in following)

    lax.while_loop(lambda carry: carry[0] > 0, stage, (top, top, jnp.int32(0), top))


def _redraw_violated(q: Any, draw: Callable[..., Any], limit: Array, k: int, stream: int) -> None:
    """`redraw_violated`: a pass makes the replacement found before, and looks up what decides the next."""
    # Numbers of their own, as Mosaic GPU takes no constant for the start of what a loop carries.
    zero = jnp.minimum(q[0], 0.0)
    box = zero + jnp.float32(k - 1)

    def any_violated() -> Array:
        return jnp.max(q[0] + q[1]) > limit

    def step(carry: Any) -> Any:
        s, _, old, new, height, width = carry
        address = (s * (PROPOSALS + 1)).astype(jnp.uint32) + jnp.uint32(stream << 24)
        numbers = [
            [unit_uniform(word) for word in draw(address + jnp.uint32(p))] for p in range(PROPOSALS + 1)
        ]
        share, coin = numbers.pop()
        pairs = [propose(first, second, height, width) for first, second in numbers]
        i, j = pairs[0]
        rows = [row for upper, lower in pairs for row in (upper, jnp.minimum(lower, k - 1))]
        *values, following, distant = _pass_by(q, old, new, [*rows, i + 1, j - i], zero, k)

        violated = [
            (lower < k) & (values[2 * p] + values[2 * p + 1] > limit) for p, (_, lower) in enumerate(pairs)
        ]
        high, low = values[:2]
        for p in range(1, PROPOSALS):
            high = jnp.where(violated[p], values[2 * p], high)
            low = jnp.where(violated[p], values[2 * p + 1], low)
        found = reduce(jnp.logical_or, violated)
        low_is_redrawn = coin < 0.5
        remaining = limit - jnp.where(low_is_redrawn, high, low)
        old = jnp.where(found, jnp.where(low_is_redrawn, low, high), 0.0)
        new = jnp.where(found, remaining * jnp.square(share), 0.0)

        below = values[0] + following > limit
        within = q[0] + distant > limit
        height = jnp.where(below, height, jnp.maximum(i.astype(jnp.float32), 1.0))
        width = jnp.where(within, width, jnp.maximum((j - i).astype(jnp.float32) - 1.0, 1.0))
        return s + 1, any_violated(), old, new, height, width

    # The condition is carried, as one that reads the rows is not interpreted.
    lax.while_loop(lambda carry: carry[1], step, (jnp.int32(0), any_violated(), zero, zero, box, box))


def _pass_by(q: Any, old: Array, new: Array, wanted: list[Array], zero: Array, k: int) -> list[Array]:
    """Replaces `old` by `new` in the descending rows; gives what is then in the wanted rows of each vector.

    In rows below all that are wanted, which are two thirds at k = 256, it only replaces.
    """

    def some(g: Array, carry: tuple[Array, ...], rows: list[Array]) -> tuple[Array, ...]:
        here, *values = carry
        for r in (g * _UNROLLED + u for u in range(_UNROLLED)):
            following = q[r + 1]
            here = jnp.where(here > old, here, jnp.maximum(following, jnp.minimum(here, new)))
            q[r] = here
            values = [jnp.where(row == r, here, value) for row, value in zip(rows, values, strict=True)]
            here = following
        return here, *values

    lowest = jnp.max(reduce(jnp.maximum, wanted))
    stop = (lowest >> _LOG_UNROLLED) + 1
    here, *values = lax.fori_loop(0, stop, partial(some, rows=wanted), (q[0], *(zero for _ in wanted)))
    lax.fori_loop(stop, -(-k // _UNROLLED), partial(some, rows=[]), (here,))
    return values


def _for_rows(begin: int, end: int | Array, visit: Callable[[Array], None]) -> None:
    """Visits the rows from `begin` to `end`, several at a time."""
    several = jnp.int32(end - begin) >> _LOG_UNROLLED

    def some(g: Array, _: None) -> None:
        for u in range(_UNROLLED):
            visit(begin + g * _UNROLLED + u)

    lax.fori_loop(0, several, some, None)
    lax.fori_loop(begin + several * _UNROLLED, end, lambda i, _: visit(i), None)


def _clear(q: Any, begin: int) -> None:
    """Zeros from this row on."""
    for i in range(begin, q.shape[0]):
        q[i] = jnp.zeros(q.shape[1:], q.dtype)
