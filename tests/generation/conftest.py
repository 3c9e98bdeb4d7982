import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl


@pytest.fixture(scope="package")
def sampler():
    """Five components, the pairwise law."""
    z = np.random.default_rng(0).standard_normal((500, 5)).astype(np.float32)
    return jl.PairwiseSampler.fit(z)


def decode(z):
    """Images (4, 4, 3) that show their vector: every pixel has another mixture of it."""
    mixture = jnp.linspace(0, 1, 5 * 48, dtype=jnp.float32).reshape(5, 48)
    return (0.5 + 0.1 * jnp.matmul(z, mixture, precision="highest")).reshape(-1, 4, 4, 3)


@pytest.fixture(scope="package", name="decode")
def decode_fixture():
    return decode


@pytest.fixture(scope="package")
def expected(sampler):
    """Vectors and 8-bit images as they have to be, by the plainest way."""

    def make(key, n):
        z = np.asarray(sampler.sample(key, n))
        return z, np.rint(np.clip(np.asarray(decode(z)), 0, 1) * 255).astype(np.uint8)

    return make
