import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxlatent as jl
from jaxlatent.sampling.draws import _draw_tiles
from jaxlatent.sampling.laws.gaussian import GaussianSampler


def assert_moments(drawn, mean, covariance):
    """Within 5 standard errors of those of a normal distribution, every entry."""
    n, variance = len(drawn), np.diag(covariance)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * np.sqrt(variance / n)).all()
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / n)
    assert (np.abs(np.cov(drawn.T) - covariance) < 5 * error).all()


def as_float64(x):
    return np.asarray(x, np.float64)


def test_law_is_that_of_the_data(make_z, key):
    z = as_float64(make_z(5000, 8))
    drawn = as_float64(GaussianSampler.fit(z).sample(key, 20_000))
    mean, covariance = z.mean(axis=0), np.cov(z.T)
    assert_moments(drawn, mean, covariance)
    offset = drawn - mean
    squared_distance = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset)
    assert stats.kstest(squared_distance, stats.chi2(8).cdf).pvalue > 1e-4
    for i in range(8):
        assert stats.kstest(drawn[:, i], stats.norm(mean[i], covariance[i, i] ** 0.5).cdf).pvalue > 1e-4


def test_temperature_scales_about_the_mean(make_z, key):
    z = make_z(500, 5)
    plain, cold = (GaussianSampler.fit(z, temperature=t) for t in (1.0, 0.25))
    np.testing.assert_allclose(
        cold.sample_components(key, 300), 0.25 * plain.sample_components(key, 300), rtol=1e-6
    )


def test_temperature_is_a_leaf(make_z, key):
    pca = jl.PCA.fit(make_z(500, 5))
    GaussianSampler(pca, 0.5).sample(key, 10)
    before = _draw_tiles._cache_size()
    GaussianSampler(pca, 0.75).sample(key, 10)
    assert _draw_tiles._cache_size() == before
    drawn = jax.vmap(lambda t: GaussianSampler(pca, t).sample(key, 10))(jnp.array([0.5, 0.75]))
    np.testing.assert_allclose(drawn[1], GaussianSampler(pca, 0.75).sample(key, 10), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_prob_agrees_with_scipy(make_z, temperature):
    z = as_float64(make_z(400, 6))
    reference = stats.multivariate_normal(z.mean(axis=0), temperature**2 * np.cov(z.T))
    found = GaussianSampler.fit(z, temperature=temperature).log_prob(z)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, reference.logpdf(z), rtol=1e-4, atol=1e-3)


def test_log_prob_of_a_subspace_is_that_of_the_projection(make_z):
    z = make_z(400, 6)
    sampler = GaussianSampler.fit(z, n_components=3)
    y = as_float64(sampler.pca.transform(z))
    reference = stats.multivariate_normal(np.zeros(3), np.diag(sampler.pca.explained_variance))
    np.testing.assert_allclose(sampler.log_prob(z), reference.logpdf(y), rtol=1e-4, atol=1e-3)
    across = jl.PCA.fit(z).components[4]
    np.testing.assert_allclose(sampler.log_prob(z + 7 * across), sampler.log_prob(z), atol=1e-3)


def test_data_in_a_subspace(make_z, key):
    flat = np.pad(as_float64(make_z(400, 3)), ((0, 0), (0, 4)), constant_values=2.0)
    sampler = GaussianSampler.fit(flat)
    assert sampler.pca.n_components == 3
    np.testing.assert_allclose(sampler.sample(key, 500)[:, 3:], 2.0, rtol=1e-6)
    reference = stats.multivariate_normal(flat[:, :3].mean(axis=0), np.cov(flat[:, :3].T))
    np.testing.assert_allclose(sampler.log_prob(flat), reference.logpdf(flat[:, :3]), rtol=1e-4, atol=1e-3)


def test_component_without_variance_does_not_count(identity_pca):
    pca = identity_pca(3)
    flat = jl.PCA(pca.mean, pca.components, jnp.array([2.0, 1.0, 0.0]), pca.explained_variance_ratio)
    z = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    np.testing.assert_allclose(
        GaussianSampler(flat).log_prob(z), GaussianSampler(flat.keep(2)).log_prob(z), rtol=1e-6
    )
    assert (GaussianSampler(flat).sample(jax.random.key(0), 20)[:, 2] == 0).all()


def test_where_and_trimming_are_handed_on(make_z):
    z = make_z(600, 4)
    mask = np.arange(600) < 300
    found = GaussianSampler.fit(z, where=mask).pca
    np.testing.assert_array_equal(found.components, jl.PCA.fit(z, where=mask).components)
    np.testing.assert_array_equal(found.mean, jl.PCA.fit(z, where=mask).mean)
    found = GaussianSampler.fit(z, n_components=2, within_sigma=2.0).pca
    np.testing.assert_array_equal(found.mean, jl.PCA.fit(z, 2, within_sigma=2.0).mean)


def test_float64_mode(make_z, key):
    z = make_z(300, 4)
    sampler = GaussianSampler.fit(z, temperature=0.5)
    expected = sampler.sample(key, 20), sampler.log_prob(z)
    with jax.enable_x64(True):
        again = GaussianSampler.fit(as_float64(z), temperature=0.5)
        found = again.sample(key, 20), again.log_prob(as_float64(z))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(make_z):
    z = make_z(50, 4)
    for temperature in (0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="temperature: expected a positive, finite number"):
            GaussianSampler.fit(z, temperature=temperature)
    with pytest.raises(ValueError, match="n_components: expected at most 4"):
        GaussianSampler.fit(z, n_components=5)
    sampler = GaussianSampler.fit(z)
    with pytest.raises(ValueError, match=r"z: expected an array of shape \(n, 4\)"):
        sampler.log_prob(z[:, :3])
    with pytest.raises(TypeError, match="z: expected floating-point numbers"):
        sampler.log_prob(np.zeros((3, 4), int))
