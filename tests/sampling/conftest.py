import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import PCA


@pytest.fixture(scope="session")
def make_z():
    """Correlated Gaussian z-points with a mean far from 0: make_z(n, d) -> float32 (n, d)."""

    def make(n, d, seed=0):
        rng = np.random.default_rng(seed)
        mixing = rng.standard_normal((d, d)) / np.sqrt(d)
        z = rng.standard_normal((n, d)) @ mixing + rng.uniform(-3, 3, d)
        return jnp.asarray(z, jnp.float32)

    return make


@pytest.fixture(scope="session")
def identity_pca():
    """identity_pca(k): a frame that leaves vectors as they are."""

    def make(k):
        return PCA(jnp.zeros(k), jnp.eye(k), jnp.ones(k), jnp.full(k, 1 / k))

    return make
