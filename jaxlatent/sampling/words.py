"""Random words addressed by (key, vector index, row): the reason why vector i depends on (key, i) alone.

Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
SC 2011), the cipher behind JAX's default keys. `jax.random` is not called per vector, because a word here
is a pure function of its address, and because an unrolled cipher fuses with its consumer: on a CPU it
makes several times as many words a second.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

#: The cipher's key: one for all vectors, or a column for each.
Seed = UInt32[Array, "2 *#seeds"]

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def threefry2x32(
    key: Seed | tuple[UInt32[Array, "*#s"], UInt32[Array, "*#s"]],
    x0: UInt32[Array, "*#s"],
    x1: UInt32[Array, "*#s"],
) -> tuple[UInt32[Array, "*s"], UInt32[Array, "*s"]]:
    """Encrypts the counter (x0, x1) under `key`; both results are uniform, independent 32-bit words."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = x0 ^ ((x1 << rotation) | (x1 >> (32 - rotation)))
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return x0, x1


@jax.jit
def seed_words(key: jax.Array) -> UInt32[Array, "2"]:
    """The cipher's key from all words of a typed JAX key of any implementation.

    From the key's data alone, by this module's own cipher: `jax.random.bits` depends on settings, and for
    some implementations gives other bits under `jax.vmap`.
    """
    data = jax.random.key_data(key).astype(jnp.uint32)
    data = jnp.pad(data, (0, data.shape[0] % 2))
    seed = data[:2]
    for i in range(2, data.shape[0], 2):
        seed = jnp.stack(threefry2x32(seed, data[i], data[i + 1]))
    first, second = threefry2x32(seed, jnp.zeros(2, jnp.uint32), jnp.arange(2, dtype=jnp.uint32))
    # Apart from what uses it: fused with another pass of the cipher, it took XLA minutes to compile for a CPU
    # (jax 0.11 and 0.12).
    return jax.lax.optimization_barrier(first ^ second)


def words(
    seed: Seed, index: UInt32[Array, " b"], stream: int, rows: int
) -> tuple[UInt32[Array, "{rows} b"], UInt32[Array, "{rows} b"]]:
    """Two independent tables of words for the vectors `index`; a `stream` has room for 2^24 rows.

    Vectors lie along the last axis, where a CPU's vector registers want them.
    """
    row = jnp.arange(rows, dtype=jnp.uint32) + jnp.uint32(stream << 24)
    return threefry2x32(seed, index[None, :], row[:, None])


def unit_uniform(word: UInt32[Array, "*s"]) -> Float[Array, "*s"]:
    """Uniform float32 in the open interval (0, 1), symmetric about 1/2, from the upper 23 bits."""
    one_to_two = jax.lax.bitcast_convert_type((word >> 9) | jnp.uint32(0x3F800000), jnp.float32)
    return one_to_two - jnp.float32(1 - 2**-24)


def uniforms(seed: Seed, index: UInt32[Array, " b"], stream: int, rows: int) -> Float[Array, "{rows} b"]:
    """Independent uniform numbers in (0, 1), a vector a column."""
    # One word of each address only: putting both tables together would keep XLA from vectorising what uses
    # them on a CPU, at 14 times the cost of the words left out.
    return unit_uniform(words(seed, index, stream, rows)[0])


def normals(seed: Seed, index: UInt32[Array, " b"], stream: int, rows: int) -> Float[Array, "{rows} b"]:
    """Independent standard normal numbers, a vector a column; the largest possible is 6.7.

    Source: G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", Annals of
    Mathematical Statistics 29, 1958. Of the radius, all 32 bits of a word are used.
    """
    half = -(-rows // 2)
    row = jnp.arange(rows, dtype=jnp.uint32)
    second = row >= half
    # Rows i and i + half share an address and are its cosine and sine.
    address = jnp.where(second, row - jnp.uint32(half), row) + jnp.uint32(stream << 24)
    upper, lower = threefry2x32(seed, index[None, :], address[:, None])
    share = (upper.astype(jnp.float32) + 0.5) * jnp.float32(2**-32)
    # The sine is the cosine three quarters of a turn on.
    turn = lower + jnp.where(second, jnp.uint32(3 << 30), jnp.uint32(0))[:, None]
    return jnp.sqrt(-2 * jnp.log(share)) * _cosine(turn)


def _cosine(turn: UInt32[Array, "*s"]) -> Float[Array, "*s"]:
    """cos(2 pi turn / 2^32) within 1e-7, from the sine's Taylor series to x^11 for |x| <= pi / 2."""
    signed = jax.lax.bitcast_convert_type(turn, jnp.int32).astype(jnp.float32)
    x = jnp.float32(math.pi) * (jnp.float32(0.5) - jnp.abs(signed) * jnp.float32(2**-31))
    square, series = x * x, jnp.float32(0)
    for order in (11, 9, 7, 5, 3, 1):
        series = series * square + jnp.float32((-1) ** (order // 2) / math.factorial(order))
    return x * series


def directions(seed: Seed, index: UInt32[Array, " b"], stream: int, rows: int) -> Float[Array, "{rows} b"]:
    """Vectors uniform on the unit sphere, a vector a column."""
    vector = normals(seed, index, stream, rows)
    length = jnp.sqrt(jnp.sum(jnp.square(vector), axis=0))
    # Of two normal numbers, both are 0 once in 2^25 times.
    return vector / jnp.maximum(length, jnp.finfo(jnp.float32).tiny)


def index_below(word: UInt32[Array, "*s"], n: int | UInt32[Array, "*s"]) -> UInt32[Array, "*s"]:
    """floor(word n / 2^32): uniform below `n`, 1 <= n <= 2^32 - 1, from a uniform word.

    Any two indices differ in probability by at most a share of n / 2^32, which is 4e-5 at n = 170,000.
    In halves of 16 bits, since a float32 tells no more than 2^24 indices apart.
    """
    high, low = word >> 16, word & 0xFFFF
    n_high, n_low = n >> 16, n & 0xFFFF
    middle = high * n_low + ((low * n_low) >> 16)
    carry = low * n_high + (middle & 0xFFFF)
    return high * n_high + (middle >> 16) + (carry >> 16)


def distinct_indices(
    seed: Seed,
    index: UInt32[Array, " b"],
    stream: int,
    m: int,
    n: int | UInt32[Array, " b"],
) -> UInt32[Array, "{m} b"]:
    """A uniformly random set of `m` distinct indices below `n` for each vector, a vector a column.

    `n`, at least m, is one number or one for each vector.

    The set is uniform, the order within it is not. Source: R. W. Floyd's algorithm, in J. Bentley,
    "Programming pearls: a sample of brilliance", Communications of the ACM 30, 1987.
    """
    word, _ = words(seed, index, stream, m)
    rows = jnp.arange(m)[:, None]

    # A loop in which indices take the place of words: m^2 comparisons written out would be compiled for 24 s
    # at m = 48, and drawn from at a tenth of the speed.
    def choose(row: jax.Array, chosen: jax.Array) -> jax.Array:
        last = jnp.broadcast_to(n - m + row.astype(jnp.uint32), chosen.shape[1:])
        drawn = index_below(chosen[row], last + 1)
        taken = jnp.any((rows < row) & (chosen == drawn), axis=0)
        return chosen.at[row].set(jnp.where(taken, last, drawn))

    return jax.lax.fori_loop(0, m, choose, word)
