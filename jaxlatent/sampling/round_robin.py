"""All pairs in k rounds of disjoint pairs: the fast form of the pairwise method.

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
from jaxtyping import Array, Bool, Float, UInt32

from jaxlatent.sampling.words import unit_uniform

# Weyl increment 2^32 / golden ratio, which spaces the rounds of one row evenly over all words.
_WEYL = 0x9E3779B9


def scramble(word: UInt32[Array, "*s"]) -> UInt32[Array, "*s"]:
    """A bijection of 32-bit words whose every output bit depends on every input bit.

    The finaliser "lowbias32" of C. Wellons (2018), found by a search for least avalanche bias.
    """
    word = word ^ (word >> 16)
    word = word * jnp.uint32(0x7FEB352D)
    word = word ^ (word >> 15)
    word = word * jnp.uint32(0x846CA68B)
    return word ^ (word >> 16)


def redrawn_table(n: int) -> Bool[np.ndarray, "n n"]:
    """Which place of each pair is the one to be redrawn: row r for round r, exactly one of each pair.

    A fixed table of fair coins. It need not differ from vector to vector, since which component sits at
    which place does. It must not follow the places, though: were it always the later half of the window,
    a component would be redrawable for n / 2 rounds on end, and the result too narrow by half.
    """
    coins = np.random.default_rng(20_190_417).random((n, n // 2)) < 0.5
    rest = np.zeros((n, 1), bool)
    return np.concatenate([coins, rest, ~coins[:, ::-1]], axis=1)


def round_robin_pass(
    q: Float[Array, "k b"], seeds: UInt32[Array, "n b"], limit: float
) -> Float[Array, "k b"]:
    """One pass over all pairs; afterwards q_i + q_j <= limit for every pair of rows.

    Args:
        q: squared components in units of the semi-axes, each at most `limit`, exchangeable.
        seeds: one random word for each of the n places of a round, n = k or k + 1, odd. Round r uses
            `scramble(seed + r * odd constant)`: a stream of distinct, scrambled words per place and
            vector, of which one is used every other vector on average (120 redraws at k = 256).
        limit: the value of 1 in the pair condition, a little less than 1 for a margin of rounding.

    Returns:
        The squared components, (k, b).
    """
    k, b = q.shape
    n = seeds.shape[0]
    redrawn = jnp.asarray(redrawn_table(n))
    queue = jnp.concatenate([q, jnp.zeros((2 * n - k, b), q.dtype)])

    def play_round(r: jax.Array, queue: jax.Array) -> jax.Array:
        window = jax.lax.dynamic_slice(queue, (r, 0), (n, b))
        partner = window[::-1]
        w = unit_uniform(scramble(seeds + r.astype(jnp.uint32) * jnp.uint32(_WEYL)))
        violated = window + partner > limit
        window = jnp.where(redrawn[r][:, None] & violated, (limit - partner) * jnp.square(w), window)
        queue = jax.lax.dynamic_update_slice(queue, window, (r, 0))
        # Read back from the queue: with a second use of `window`, XLA would not update in place.
        first = jax.lax.dynamic_slice(queue, (r, 0), (1, b))
        return jax.lax.dynamic_update_slice(queue, first, (r + n, 0))

    queue = jax.lax.fori_loop(0, n, play_round, queue)
    return queue[n : n + k]
