"""Columns of words in order, and random permutations of a vector's components, made by sorting words."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt32


def random_labels(word: UInt32[Array, "k b"]) -> UInt32[Array, "k b"]:
    """A random permutation of 0 .. k - 1 in each column, from independent words.

    Sorts the words with the position in their low bits, one array instead of an argsort's two.
    """
    return sort_columns(_sort_keys(word)) & _low_bits(word.shape[0])


def shuffled(u: Float[Array, "k b"], word: UInt32[Array, "k b"]) -> Float[Array, "k b"]:
    """The numbers of each column in a random order, that of `random_labels`.

    On an accelerator they are sorted along with the words: a gather of 4 million single numbers takes a TPU
    twice as long as all else (estimated from the compiled program).
    """
    return lax.platform_dependent(u, word, cpu=gathered, default=sorted_along)


def gathered(u: Float[Array, "k b"], word: UInt32[Array, "k b"]) -> Float[Array, "k b"]:
    """`shuffled` by looking the numbers up."""
    return jnp.take_along_axis(u, random_labels(word), axis=0, mode="promise_in_bounds")


def sorted_along(u: Float[Array, "k b"], word: UInt32[Array, "k b"]) -> Float[Array, "k b"]:
    """`shuffled` by one sort."""
    # Without the third array that would keep equal keys in order.
    return lax.sort((_sort_keys(word), u), dimension=0, is_stable=False, num_keys=1)[1]


def _sort_keys(word: UInt32[Array, "k b"]) -> UInt32[Array, "k b"]:
    """The words with their position in the low bits, so that no two are equal."""
    return (word & ~_low_bits(word.shape[0])) | jnp.arange(word.shape[0], dtype=jnp.uint32)[:, None]


def _low_bits(k: int) -> UInt32[Array, ""]:
    """Those that numbers below k take."""
    return jnp.uint32((1 << (k - 1).bit_length()) - 1)


def sort_columns(x: UInt32[Array, "k b"]) -> UInt32[Array, "k b"]:
    """Sorts each column, the smallest word first."""
    return lax.platform_dependent(x, cpu=_sort_columns_cpu, default=lambda x: jnp.sort(x, axis=0))


@cache
def _bitonic_partners(n: int) -> np.ndarray:
    """With which row each of n = 2^p rows is compared, stage by stage, (p (p + 1) / 2, n).

    K. E. Batcher, "Sorting networks and their applications", AFIPS 1968, with the first stage of every
    merge mirrored, so that the lower row always takes the smaller number.
    """
    row = np.arange(n)
    stages = []
    size = 2
    while size <= n:
        stages.append(row ^ (size - 1))
        stride = size // 4
        while stride:
            stages.append(row ^ stride)
            stride //= 2
        size *= 2
    return np.array(stages, np.int32).reshape(-1, n)


def _sort_columns_cpu(x: UInt32[Array, "k b"]) -> UInt32[Array, "k b"]:
    """Sorts each column by a network whose every step is one vector operation over all columns.

    XLA's own sort takes the columns one by one on a CPU: three times as long at 256 rows.
    """
    k = x.shape[0]
    n = 1 << (k - 1).bit_length()
    partners = _bitonic_partners(n)
    lower = jnp.asarray(partners > np.arange(n))
    rows = jnp.asarray(partners)
    x = jnp.concatenate([x, jnp.full((n - k, x.shape[1]), 2**32 - 1, jnp.uint32)])

    def stage(s: Int[Array, ""], x: jax.Array) -> jax.Array:
        other = x[rows[s]]
        return jnp.where(lower[s][:, None], jnp.minimum(x, other), jnp.maximum(x, other))

    return lax.fori_loop(0, partners.shape[0], stage, x)[:k]
