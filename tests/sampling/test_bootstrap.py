import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxlatent as jl


@pytest.mark.parametrize("bandwidth", [0.2, 0.5, 2.0])
def test_mean_and_covariance_are_kept(key, bandwidth, skewed, assert_moments):
    """With few z-points, so that drawing them with replacement shows."""
    n = 40
    z = skewed(n, 4)
    sampler = jl.BootstrapSampler.fit(z, bandwidth=bandwidth)
    share = 1 - 1 / (n * (1 + bandwidth**2))
    covariance = np.cov(z.T.astype(np.float64))
    assert_moments(sampler.sample(key, 40_000), z.mean(axis=0, dtype=np.float64), share * covariance)


@pytest.mark.parametrize("copies", [1, 4])
def test_few_points_copies_and_a_constant_coordinate(key, copies, skewed, assert_moments):
    """Fewer different points than coordinates: their mean and covariance, in the space that they span."""
    z = np.repeat(np.insert(skewed(5, 7), 2, 7.3, axis=1), copies, axis=0)
    drawn = np.asarray(jl.BootstrapSampler.fit(z).sample(key, 40_000))
    np.testing.assert_allclose(drawn[:, 2], 7.3, rtol=1e-5)
    assert len(np.unique(drawn, axis=0)) == 40_000
    share = 1 - 1 / (len(z) * 1.25)
    rest = np.delete(z, 2, axis=1).astype(np.float64)
    assert_moments(np.delete(drawn, 2, axis=1), rest.mean(axis=0), share * np.cov(rest.T))


def test_skewness_and_kurtosis_fade_as_documented(key, assert_mean):
    z = np.random.default_rng(0).exponential(size=(20_000, 1)).astype(np.float32)
    for bandwidth in (0.2, 0.5, 1.0):
        y = np.asarray(jl.BootstrapSampler.fit(z, bandwidth=bandwidth).sample(key, 40_000), np.float64)[:, 0]
        unit = (y - z.mean()) / z.std()
        shrink = 1 + bandwidth**2
        assert_mean(unit**3, stats.skew(z[:, 0]) / shrink**1.5)
        assert_mean(unit**4, 3 + stats.kurtosis(z[:, 0]) / shrink**2)


def test_is_the_kernel_density(key, skewed):
    """In one dimension, against the distribution function written down."""
    z = skewed(50, 1)
    bandwidth = 0.5
    deviation = z.std(ddof=1)
    centres = z.mean() + (z[:, 0] - z.mean()) / math.hypot(1, bandwidth)
    kernel = stats.norm(centres, bandwidth * deviation / math.hypot(1, bandwidth))
    drawn = np.asarray(jl.BootstrapSampler.fit(z, bandwidth=bandwidth).sample(key, 10_000))[:, 0]
    assert stats.kstest(drawn, lambda x: kernel.cdf(x[:, None]).mean(axis=1)).pvalue > 1e-4


def test_small_bandwidth_gives_each_parent_as_often(key, skewed):
    z = skewed(20, 3)
    drawn = np.asarray(jl.BootstrapSampler.fit(z, bandwidth=1e-4).sample(key, 4000))
    distance = np.abs(drawn[:, None] - z).max(axis=2)
    assert distance.min(axis=1).max() < 2e-3 * np.abs(z).max()
    assert stats.chisquare(np.bincount(distance.argmin(axis=1), minlength=20)).pvalue > 1e-4


def test_large_bandwidth_gives_a_gaussian(key, skewed):
    z = skewed(500, 3)
    y = np.asarray(jl.BootstrapSampler.fit(z, bandwidth=30.0).sample_components(key, 10_000))
    for component, sigma in zip(y.T, np.sqrt(jl.PCA.fit(z).explained_variance), strict=True):
        assert stats.kstest(component / sigma, "norm").pvalue > 1e-4


def test_distance_from_the_parent_is_as_documented(key):
    k = 100
    z = np.random.default_rng(0).standard_normal((2000, k)).astype(np.float32)
    sampler = jl.BootstrapSampler.fit(z)
    drawn = np.asarray(sampler.sample_components(key, 200)) / np.sqrt(sampler.pca.explained_variance)
    distance = np.linalg.norm(drawn[:, None] - np.asarray(sampler.parents, np.float32), axis=2)
    assert np.sort(distance, axis=1)[:, 0].mean() == pytest.approx(0.45 * math.sqrt(k), rel=0.05)
    assert np.median(distance) == pytest.approx(math.sqrt(2 * k), rel=0.05)


def test_a_component_without_variance_stays_at_its_mean(key, skewed):
    z = skewed(100, 4)
    z[:, 1] = 7.0
    drawn = jl.BootstrapSampler.fit(z, n_components=4).sample(key, 20)
    np.testing.assert_allclose(drawn[:, 1], 7, rtol=1e-6)


def test_parents_are_those_of_the_subset(key, skewed, assert_moments):
    z = skewed(600, 3)
    mask = z[:, 0] > np.quantile(z[:, 0], 0.7)
    bandwidth = 0.5
    sampler = jl.BootstrapSampler.fit(z, bandwidth=bandwidth, where=mask)
    n = mask.sum()
    assert sampler.parents.shape == (n, 3)
    pca = jl.PCA.fit(z, where=mask)
    kernel = np.asarray((pca.components.T * pca.explained_variance) @ pca.components)
    own = (n - 1) / n * np.cov(z[mask].T.astype(np.float64))
    expected = (own + bandwidth**2 * kernel) / (1 + bandwidth**2)
    assert_moments(sampler.sample(key, 40_000), np.asarray(pca.mean), expected)


def test_most_points(skewed):
    z = skewed(300, 3)
    sampler = jl.BootstrapSampler.fit(z, max_points=50)
    assert sampler.parents.shape == (50, 3)
    assert sampler.parents.dtype == jnp.float16
    np.testing.assert_array_equal(sampler.pca.mean, jl.PCA.fit(z, max_points=50).mean)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(make_z, identity_pca):
    z = make_z(30, 4)
    with pytest.raises(ValueError, match="bandwidth: expected a positive, finite number, got 0"):
        jl.BootstrapSampler.fit(z, bandwidth=0)
    with pytest.raises(ValueError, match="z: all vectors are equal"):
        jl.BootstrapSampler.fit(jnp.full((30, 4), 7.3))
    for wrong in (-0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match="bandwidth: expected a positive, finite number"):
            jl.BootstrapSampler(identity_pca(2), jnp.eye(2), wrong)
    with pytest.raises(ValueError, match="max_points: expected at least 2"):
        jl.BootstrapSampler.fit(z, max_points=1)
    with pytest.raises(TypeError, match="where: expected a boolean mask"):
        jl.BootstrapSampler.fit(z, where=np.ones(30))
    with pytest.raises(ValueError, match=r"parents: expected shape \(n, 3\)"):
        jl.BootstrapSampler(identity_pca(3), jnp.zeros((5, 2)))
    with pytest.raises(ValueError, match="parents: expected at least 2 vectors, got 1"):
        jl.BootstrapSampler(identity_pca(2), jnp.zeros((1, 2)))
    with pytest.raises(ValueError, match="parents: expected numbers within the range of float16"):
        jl.BootstrapSampler(identity_pca(2), jnp.full((5, 2), 1e6))
