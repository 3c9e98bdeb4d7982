"""Choices on the host that a JAX key determines."""

import jax
import numpy as np


def numpy_generator(key: jax.Array) -> np.random.Generator:
    """NumPy's generator seeded with all words of a typed key: the same key, the same choices."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
