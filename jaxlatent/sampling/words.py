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

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def threefry2x32(
    key: UInt32[Array, "2"], x0: UInt32[Array, "*#s"], x1: UInt32[Array, "*#s"]
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


def seed_words(key: jax.Array) -> UInt32[Array, "2"]:
    """The cipher's key from a typed JAX key of any implementation."""
    return jax.random.bits(key, (2,), jnp.uint32)


def words(
    seed: UInt32[Array, "2"], index: UInt32[Array, " b"], stream: int, rows: int
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


def uniforms(
    seed: UInt32[Array, "2"], index: UInt32[Array, " b"], stream: int, rows: int
) -> Float[Array, "{rows} b"]:
    """Independent uniform numbers in (0, 1), a vector a column, from both words of ceil(rows / 2) addresses."""
    upper, lower = words(seed, index, stream, -(-rows // 2))
    return unit_uniform(jnp.concatenate([upper, lower])[:rows])


def normals(
    seed: UInt32[Array, "2"], index: UInt32[Array, " b"], stream: int, rows: int
) -> Float[Array, "{rows} b"]:
    """Independent standard normal numbers, a vector a column; the largest possible is 6.7.

    Source: G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", Annals of
    Mathematical Statistics 29, 1958. Of the radius, all 32 bits of a word are used.
    """
    upper, lower = words(seed, index, stream, -(-rows // 2))
    share = (upper.astype(jnp.float32) + 0.5) * jnp.float32(2**-32)
    radius = jnp.sqrt(-2 * jnp.log(share))
    angle = jnp.float32(2 * math.pi) * unit_uniform(lower)
    return jnp.concatenate([radius * jnp.cos(angle), radius * jnp.sin(angle)])[:rows]
