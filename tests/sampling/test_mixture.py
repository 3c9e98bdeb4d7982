import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

import jaxlatent as jl
from jaxlatent.sampling.draws import _draw_tiles
from jaxlatent.sampling.laws.factors import _all_at_once, _in_groups
from jaxlatent.sampling.laws.mixture import GaussianMixtureSampler

WEIGHTS = np.array([0.5, 0.3, 0.0, 0.2])


@pytest.fixture(scope="module")
def apart(identity_pca):
    """Four clusters of three components, 100 apart on the first, the third one without weight."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((4, 3, 3))
    cholesky = np.linalg.cholesky(mixing @ mixing.transpose(0, 2, 1) + np.eye(3))
    means = np.concatenate([100 * np.arange(4)[:, None], rng.standard_normal((4, 2))], axis=1)
    arrays = (jnp.asarray(x, jnp.float32) for x in (WEIGHTS, means, cholesky))
    return GaussianMixtureSampler(identity_pca(3), *arrays)


@pytest.fixture(scope="module")
def two_clouds():
    """Two clouds of different size and shape; True for the second."""
    rng = np.random.default_rng(1)
    second = rng.random(2000) < 0.3
    mixing = rng.standard_normal((2, 4, 4))
    z = np.einsum("nij,nj->ni", mixing[second.astype(int)], rng.standard_normal((2000, 4)))
    return (z + 12.0 * second[:, None] + 3).astype(np.float32), second


@pytest.fixture(scope="module")
def fitted(two_clouds):
    return GaussianMixtureSampler.fit(two_clouds[0], n_clusters=2)


def test_clusters_are_drawn_by_their_weights(apart, key):
    drawn = np.asarray(apart.sample_components(key, 20_000))
    counts = np.bincount(np.rint(drawn[:, 0] / 100).astype(int), minlength=4)
    assert counts[2] == 0
    drawable = WEIGHTS > 0
    assert stats.chisquare(counts[drawable], 20_000 * WEIGHTS[drawable]).pvalue > 1e-4


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_law_within_each_cluster(apart, key, temperature):
    sampler = GaussianMixtureSampler(apart.pca, apart.weights, apart.means, apart.cholesky, temperature)
    drawn = np.asarray(sampler.sample_components(key, 20_000), np.float64)
    number = np.rint(drawn[:, 0] / 100).astype(int)
    for c in np.flatnonzero(WEIGHTS):
        own = drawn[number == c] - np.asarray(apart.means[c], np.float64)
        covariance = temperature**2 * np.asarray(apart.cholesky[c] @ apart.cholesky[c].T, np.float64)
        variance = np.diag(covariance)
        assert (np.abs(own.mean(axis=0)) < 5 * np.sqrt(variance / len(own))).all()
        error = np.sqrt((np.outer(variance, variance) + covariance**2) / len(own))
        assert (np.abs(np.cov(own.T) - covariance) < 5 * error).all()
        distance = np.einsum("ni,ij,nj->n", own, np.linalg.inv(covariance), own)
        assert stats.kstest(distance, stats.chi2(3).cdf).pvalue > 1e-4


def test_cluster_and_position_in_it_are_independent(apart, key):
    """Of the whitened vectors of one cluster and of another, and of neighbours."""
    drawn = np.asarray(apart.sample_components(key, 20_000), np.float64)
    number = np.rint(drawn[:, 0] / 100).astype(int)
    white = np.linalg.solve(
        np.asarray(apart.cholesky)[number], (drawn - np.asarray(apart.means)[number])[:, :, None]
    )
    white = white[:, :, 0]
    limit = 5 / np.sqrt(20_000)
    assert np.abs(np.mean(white[1:] * white[:-1], axis=0)).max() < limit
    share = (number == 0) - 0.5
    assert np.abs(np.mean(white * share[:, None], axis=0)).max() < limit
    assert np.abs(np.mean(white[1:] * share[:-1, None], axis=0)).max() < limit


def test_fit_draws_what_it_was_fitted_to(two_clouds, fitted, key):
    z, second = two_clouds
    np.testing.assert_allclose(np.sort(fitted.weights)[0], second.mean(), atol=1e-3)
    drawn = np.asarray(fitted.sample(key, 20_000))
    for i in range(4):
        assert stats.ks_2samp(drawn[:, i], z[:, i]).pvalue > 1e-4
    projection = z @ np.ones(4, np.float32), drawn @ np.ones(4, np.float32)
    assert stats.ks_2samp(*projection).pvalue > 1e-4


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_from_scikit_learn(two_clouds, key, kind):
    z = two_clouds[0].astype(np.float64)
    mixture = GaussianMixture(3, covariance_type=kind, random_state=0).fit(z)
    sampler = GaussianMixtureSampler.from_sklearn(mixture)
    assert sampler.n_clusters == 3
    np.testing.assert_allclose(sampler.log_prob(z), mixture.score_samples(z), rtol=1e-4, atol=1e-3)
    drawn, reference = np.asarray(sampler.sample(key, 5000)), mixture.sample(5000)[0]
    for i in range(4):
        assert stats.ks_2samp(drawn[:, i], reference[:, i]).pvalue > 1e-4


def test_from_bayesian_mixture(two_clouds):
    z = two_clouds[0].astype(np.float64)
    mixture = BayesianGaussianMixture(n_components=2, random_state=0).fit(z)
    sampler = GaussianMixtureSampler.from_sklearn(mixture, temperature=0.5)
    np.testing.assert_allclose(np.sort(sampler.weights), np.sort(mixture.weights_), rtol=1e-5)
    assert sampler.temperature == 0.5


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_log_prob_agrees_with_scipy(fitted, two_clouds, temperature):
    z = two_clouds[0]
    sampler = GaussianMixtureSampler(fitted.pca, fitted.weights, fitted.means, fitted.cholesky, temperature)
    covariances = temperature**2 * np.asarray(fitted.cholesky @ jnp.swapaxes(fitted.cholesky, 1, 2))
    means = np.asarray(fitted.pca.inverse_transform(fitted.means))
    axes = np.asarray(fitted.pca.components)
    joint = [
        np.log(w) + stats.multivariate_normal(m, axes.T @ s @ axes).logpdf(z)
        for w, m, s in zip(np.asarray(fitted.weights), means, covariances, strict=True)
    ]
    found = sampler.log_prob(z)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, logsumexp(joint, axis=0), rtol=1e-4, atol=2e-3)


def test_log_prob_without_some_clusters(apart):
    assert jnp.isfinite(apart.log_prob(apart.means)[jnp.array([0, 1, 3])]).all()


def test_fewer_components_of_a_subset(two_clouds, key):
    """The frame is shrunk towards that of all, the mixture is that of the subset alone."""
    z, second = two_clouds
    sampler = GaussianMixtureSampler.fit(z, n_clusters=1, n_components=2, where=second)
    np.testing.assert_array_equal(sampler.pca.components, jl.PCA.fit(z, 2, where=second).components)
    y = sampler.pca.transform(z[second])
    np.testing.assert_allclose(sampler.means[0], jnp.mean(y, axis=0), atol=1e-3)
    np.testing.assert_allclose(
        sampler.cholesky[0] @ sampler.cholesky[0].T, np.cov(y.T, bias=True), rtol=1e-3, atol=1e-3
    )
    drawn = sampler.pca.transform(sampler.sample(key, 100))
    np.testing.assert_allclose(drawn, sampler.sample_components(key, 100), atol=1e-4)
    across = jl.PCA.fit(z, where=second).components[3]
    np.testing.assert_allclose(sampler.log_prob(z + 5 * across), sampler.log_prob(z), atol=1e-3)


def test_data_in_a_subspace(two_clouds, key):
    flat = np.pad(two_clouds[0], ((0, 0), (0, 2)), constant_values=2.0)
    sampler = GaussianMixtureSampler.fit(flat, n_clusters=2)
    assert sampler.pca.n_components == 4
    np.testing.assert_allclose(sampler.sample(key, 200)[:, 4:], 2.0, rtol=1e-5)


def test_vector_depends_on_key_and_index_alone(fitted, key):
    reference = np.asarray(fitted.sample(key, 3000))
    for n in (1, 127, 129, 2100):
        np.testing.assert_array_equal(fitted.sample(key, n), reference[:n])
        np.testing.assert_array_equal(fitted.sample(key, 40, start=n), reference[n : n + 40])


def test_key_chooses_the_start():
    # A single cloud has no clusters that k-means could find, so no start is near the most likely mixture. Of
    # clouds far apart it would be, and the last bit decide whether an iteration still makes it more likely.
    z = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)

    def means(seed):
        with pytest.warns(UserWarning, match="max_iter: the mixture has not converged after 1 iterations"):
            return GaussianMixtureSampler.fit(
                z, n_clusters=3, key=jax.random.key(seed), max_iter=1, tol=0.0
            ).means

    first = means(0)
    np.testing.assert_array_equal(means(0), first)
    assert float(jnp.abs(means(4) - first).max()) > 0.01


def test_temperature_is_a_leaf(fitted, key):
    def at(temperature):
        return GaussianMixtureSampler(
            fitted.pca, fitted.weights, fitted.means, fitted.cholesky, temperature
        ).sample(key, 20)

    at(0.5)
    before = _draw_tiles._cache_size()
    assert not jnp.array_equal(at(0.25), at(0.75))
    assert _draw_tiles._cache_size() == before


def test_saved_and_loaded(fitted, key, tmp_path):
    jl.save(tmp_path / "mixture.npz", fitted)
    np.testing.assert_array_equal(jl.load(tmp_path / "mixture.npz").sample(key, 20), fitted.sample(key, 20))


def test_float64_mode(fitted, two_clouds, key):
    z = two_clouds[0]
    expected = fitted.sample(key, 20), fitted.log_prob(z)
    with jax.enable_x64(True):
        again = GaussianMixtureSampler.fit(z.astype(np.float64), n_clusters=2)
        found = again.sample(key, 20), again.log_prob(z.astype(np.float64))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-2)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(fitted, two_clouds):
    z = two_clouds[0]
    with pytest.raises(ValueError, match="temperature: expected a positive, finite number, got 0"):
        GaussianMixtureSampler.fit(z, temperature=0)
    with pytest.raises(ValueError, match="n_clusters: expected at most 2000"):
        GaussianMixtureSampler.fit(z, n_clusters=2001)
    with pytest.raises(ValueError, match="tol: expected a number of at least 0"):
        GaussianMixtureSampler.fit(z, tol=-1.0)
    with pytest.raises(ValueError, match=r"where: expected shape \(2000,\)"):
        GaussianMixtureSampler.fit(z, where=np.ones(5, bool))
    with pytest.raises(TypeError, match=r"mixture: expected a sklearn.mixture.GaussianMixture, got dict"):
        GaussianMixtureSampler.from_sklearn({})
    with pytest.raises(ValueError, match=r"mixture: not fitted yet; call mixture.fit"):
        GaussianMixtureSampler.from_sklearn(GaussianMixture(2))
    with pytest.raises(ValueError, match=r"z: expected an array of shape \(n, 4\)"):
        fitted.log_prob(z[:, :2])
    pca, weights, means, cholesky = fitted.pca, fitted.weights, fitted.means, fitted.cholesky
    for arrays, named in (
        ((weights[:1], means, cholesky), "means"),
        ((weights, means[:, :2], cholesky), "means"),
        ((weights, means, cholesky[0]), "cholesky"),
        ((weights[None], means, cholesky), "weights"),
    ):
        with pytest.raises(ValueError, match=rf"{named}: expected shape .* got "):
            GaussianMixtureSampler(pca, *arrays)
    for wrong in (2 * weights, jnp.array([1.5, -0.5]), jnp.array([jnp.nan, 1.0])):
        with pytest.raises(ValueError, match="weights: expected shares >= 0 of sum 1"):
            GaussianMixtureSampler(pca, wrong, means, cholesky)


@pytest.mark.parametrize(("k", "c"), [(1, 3), (9, 5), (300, 2), (700, 7), (1100, 1)])
def test_the_ways_of_a_cpu_and_of_an_accelerator_give_the_same(k, c):
    rng = np.random.default_rng(k)
    own = rng.integers(0, c, 128)
    unit, means = (rng.standard_normal(shape).astype(np.float32) for shape in ((k, 128), (c, k)))
    cholesky = np.tril(rng.standard_normal((c, k, k))).astype(np.float32)
    expected = np.array([means[j] + cholesky[j].astype(np.float64) @ unit[:, b] for b, j in enumerate(own)])
    for draw in (_in_groups, _all_at_once):
        found = jax.jit(draw)(jnp.asarray(own, jnp.int32), unit, means, cholesky)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.sqrt(k))
