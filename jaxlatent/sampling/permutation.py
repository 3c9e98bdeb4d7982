"""All pairs one after the other, in an order of its own for every vector: the source method to the letter.

Much slower than visiting the violated pairs only (k (k - 1) / 2 dependent steps): the reference.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jaxlatent.sampling.words import Seed, unit_uniform, words


def permutation_pass(
    q: Float[Array, "k b"],
    seed: Seed,
    index: UInt32[Array, " b"],
    stream: int,
    limit: float | Float[Array, ""],
) -> Float[Array, "k b"]:
    """One pass over all pairs in uniformly random order; which one of a pair is redrawn is a fair coin.

    Args:
        q: squared components in units of the semi-axes, (k, b), each at most `limit`.
        seed: the cipher's key.
        index: the vectors' indices, (b,).
        stream: the first of two streams of random words that this pass may use.
        limit: the value of 1 in the pair condition.

    Returns:
        The squared components, (k, b), with q_i + q_j <= limit for every pair of rows.
    """
    k, b = q.shape
    first, second = (jnp.asarray(side, jnp.int32) for side in np.triu_indices(k, 1))
    pairs = first.shape[0]
    # 64 bits to sort by, so that ties, which keep the listed order, do not occur in practice.
    high, low = words(seed, index, stream, pairs)
    number = jnp.broadcast_to(jnp.arange(pairs, dtype=jnp.int32)[:, None], (pairs, b))
    *_, order = jax.lax.sort((high, low, number), dimension=0, num_keys=2)
    draws, coins = words(seed, index, stream + 1, pairs)
    vector = jnp.arange(b)

    def step(q: jax.Array, inputs: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        pair, draw, coin = inputs
        heads = coin >> 31 == 1
        kept = jnp.where(heads, first[pair], second[pair])
        redrawn = jnp.where(heads, second[pair], first[pair])
        bound = limit - q[kept, vector]
        old = q[redrawn, vector]
        new = jnp.where(old > bound, bound * jnp.square(unit_uniform(draw)), old)
        return q.at[redrawn, vector].set(new), None

    q, _ = jax.lax.scan(step, q, (order, draws, coins))
    return q
