"""Pairs in rounds of disjoint ones: what many components begin with, when many pairs are violated.

State: q = u^2 in [0, 1], a component a row, a vector a column. Signs are left out, because a redraw of u_j
uniform in [-c, c], c^2 = 1 - u_i^2, is q_j = (1 - q_i) w^2 with w uniform in (0, 1) and a fair sign.

Circle method (Kirkman 1847) with an odd number n of places: round r pairs the places whose numbers sum to
2 r - 1 mod n. Laid out as a queue, of which round r sees the n rows from row r on, the partner of a row is
the same row of the window reversed, the middle row rests, and the next round only appends the first row at
the end: no round moves the state. An even k is filled up by an empty place, q = 0, which no pair violates.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jaxlatent.sampling.words import unit_uniform

# Weyl increment 2^32 / golden ratio, which spaces the rounds of one row evenly over all words.
WEYL = 0x9E3779B9


def scramble(word: UInt32[Array, "*s"]) -> UInt32[Array, "*s"]:
    """A bijection of 32-bit words whose every output bit depends on every input bit.

    The finaliser "lowbias32" of C. Wellons (2018), found by a search for least avalanche bias.
    """
    word = word ^ (word >> 16)
    word = word * jnp.uint32(0x7FEB352D)
    word = word ^ (word >> 15)
    word = word * jnp.uint32(0x846CA68B)
    return word ^ (word >> 16)


def round_robin(
    q: Float[Array, "k b"], words: UInt32[Array, "m b"], limit: float | Float[Array, ""], rounds: int
) -> Float[Array, "n b"]:
    """Plays the first rounds of a round robin: of each pair that is violated, one of the two is redrawn.

    Which one is a coin of each vector and pair. With one table of coins for all vectors the law is another,
    however the components are placed: P(largest |u| > 0.9) was 0.143 instead of 0.120 at k = 4.

    In random order, a component would often be met again before another is met at all, which rounds exclude.
    That alone changes the law, less so the more components there are.

    Args:
        q: squared components in units of the semi-axes, each at most `limit`, exchangeable.
        words: one random word for each pair of places, n = k or k + 1, odd, and m = (n + 1) / 2. Round r
            uses `scramble(word + r * odd constant)`: the lowest bit is the coin, the upper 23 are the number.
        limit: the value of 1 in the pair condition.
        rounds: how many, from 1 to n.

    Returns:
        The squared components in another order, and a zero where k is even.
    """
    k, b = q.shape
    n = k + 1 - k % 2
    place = np.arange(n)
    # The coin by which a place is redrawn, none for the middle one, which rests.
    coin = np.where(place < n // 2, 0, 1)
    coin[n // 2] = 2
    coins = jnp.asarray(coin, jnp.uint32)[:, None]
    # Both of a pair have its word.
    words = words[np.minimum(place, place[::-1])]
    queue = jnp.concatenate([q, jnp.zeros((n - k + rounds, b), q.dtype)])

    def play_round(r: jax.Array, queue: jax.Array) -> jax.Array:
        window = jax.lax.dynamic_slice(queue, (r, 0), (n, b))
        partner = window[::-1]
        word = scramble(words + r.astype(jnp.uint32) * jnp.uint32(WEYL))
        redrawn = (window + partner > limit) & (word & 1 == coins)
        window = jnp.where(redrawn, (limit - partner) * jnp.square(unit_uniform(word)), window)
        queue = jax.lax.dynamic_update_slice(queue, window, (r, 0))
        # Read back from the queue: with a second use of `window`, XLA would not update in place.
        front = jax.lax.dynamic_slice(queue, (r, 0), (1, b))
        return jax.lax.dynamic_update_slice(queue, front, (r + n, 0))

    return jax.lax.fori_loop(0, rounds, play_round, queue)[rounds:]
