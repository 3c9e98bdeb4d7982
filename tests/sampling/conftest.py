import math
from contextlib import contextmanager

import jax
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
        return jax.device_put(z.astype(np.float32))

    return make


@pytest.fixture
def compilations():
    """`with compilations() as programs`: a list that every compilation within it is added to."""

    @contextmanager
    def counting():
        programs = []

        def listen(event, seconds, **_):
            if event == "/jax/core/compile/backend_compile_duration":
                programs.append(seconds)

        jax.monitoring.register_event_duration_secs_listener(listen)
        try:
            yield programs
        finally:
            jax.monitoring.unregister_event_duration_listener(listen)

    return counting


@pytest.fixture(scope="session")
def identity_pca():
    """identity_pca(k): a frame that leaves vectors as they are."""

    def make(k):
        leaves = np.zeros(k), np.eye(k), np.ones(k), np.full(k, 1 / k)
        return PCA(*(jax.device_put(leaf.astype(np.float32)) for leaf in leaves))

    return make


@pytest.fixture(scope="session")
def skewed():
    """z-points far from a Gaussian: correlated, with exponential tails to one side; skewed(n, d)."""

    def make(n, d, seed=0):
        rng = np.random.default_rng(seed)
        return (rng.exponential(size=(n, d)) @ rng.standard_normal((d, d)) + 3).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def groups():
    """Round groups of z-points, each about a corner of its own: groups(sizes) -> z, number of the group."""

    def make(sizes, d=6, apart=30.0, seed=0):
        rng = np.random.default_rng(seed)
        corners = apart * rng.standard_normal((len(sizes), d))
        own = np.repeat(np.arange(len(sizes)), sizes)
        return (corners[own] + rng.standard_normal((len(own), d))).astype(np.float32), own

    return make


@pytest.fixture(scope="session")
def assert_mean():
    """assert_mean(values, expected): within 5 standard errors, along the first axis."""

    def check(values, expected):
        error = values.std(axis=0) / math.sqrt(len(values))
        assert (np.abs(values.mean(axis=0) - expected) < 5 * error).all()

    return check


@pytest.fixture(scope="session")
def assert_moments(assert_mean):
    """assert_moments(drawn, mean, covariance): by 5 standard errors, which the fourth moments give."""

    def check(drawn, mean, covariance):
        centred = np.asarray(drawn, np.float64) - mean
        assert_mean(centred, 0)
        assert_mean(centred[:, :, None] * centred[:, None, :], covariance)

    return check
