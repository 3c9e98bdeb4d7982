"""Keys of seeds, and choices on the host that a key determines."""

from typing import Any

import jax
import numpy as np

from jaxlatent._boundary import as_count

MAX_SEED = 2**64 - 1


def as_seed(seed: Any) -> int:
    """A seed as a Python integer.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is negative, or has more than 64 bits.
    """
    return as_count("seed", seed, maximum=MAX_SEED)


def seed_key(seed: Any) -> jax.Array:
    """The typed key of a seed; all 64 bits count, where `jax.random.key` drops those above 32.

    Below 2^32 it is `jax.random.key(seed)`, above what that gives where JAX has 64-bit types.

    Raises:
        TypeError, ValueError: see `as_seed`.
    """
    with jax.enable_x64(True):
        return jax.random.key(np.uint64(as_seed(seed)))


def numpy_generator(key: jax.Array) -> np.random.Generator:
    """NumPy's generator seeded with all words of a typed key: the same key, the same choices."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
