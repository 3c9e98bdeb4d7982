import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from jaxlatent.sampling.fitting.em import _cholesky, _expect, _Floor, _maximise, _Mixture, fit_mixture
from jaxlatent.sampling.fitting.k_means import _best_start
from jaxlatent.sampling.laws.gaussian import inverse_factor

FLOOR = _Floor(jnp.float32(1e-6), jnp.full(3, 1e-12))
NORMAL = np.random.default_rng(0).standard_normal((40, 3))


def make_clusters(n, d, n_clusters, separation, seed=0):
    """Vectors of Gaussian clusters of different shapes; their clusters, and the weights, means, factors."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(n_clusters, 5.0))
    number = rng.choice(n_clusters, n, p=weights)
    factors = rng.standard_normal((n_clusters, d, d)) / np.sqrt(d) * np.geomspace(2, 0.1, d)
    means = separation * rng.standard_normal((n_clusters, d)) + 3
    z = means[number] + np.einsum("nij,nj->ni", factors[number], rng.standard_normal((n, d)))
    return z.astype(np.float32), number, weights, means, factors


def make_curved(n, d, seed=0):
    """Vectors of one curved cloud without clusters, which nearly all belong to several."""
    rng = np.random.default_rng(seed)
    inner = np.tanh(rng.standard_normal((n, 20)) @ rng.standard_normal((20, 64)) / 3)
    outer = inner @ rng.standard_normal((64, d)) / 8
    return (outer + 0.2 * rng.standard_normal((n, d))).astype(np.float32)


def log_joint(z, weights, means, cholesky):
    """log(weight * density) (c, n) by scipy."""
    covariances = np.asarray(cholesky, np.float64) @ np.asarray(cholesky, np.float64).transpose(0, 2, 1)
    clusters = zip(np.asarray(weights), np.asarray(means), covariances, strict=True)
    return np.stack([np.log(w) + stats.multivariate_normal(m, s).logpdf(z) for w, m, s in clusters])


@pytest.mark.parametrize(
    "z",
    [
        pytest.param(make_clusters(6000, 16, 5, 3.0)[0], id="well separated"),
        pytest.param(make_clusters(6000, 16, 5, 0.1, seed=1)[0], id="one inside another"),
        pytest.param(make_curved(6000, 16), id="no clusters"),
    ],
)
def test_likelihood_of_scikit_learn(z):
    """Of the best of a few starts each, as both find local optima where clusters overlap."""
    ours = [fit_mixture(jax.random.key(seed), z, 5) for seed in range(3)]
    assert all(found.converged for found in ours)
    theirs = GaussianMixture(5, random_state=2).fit(z)
    assert max(found.log_likelihood for found in ours) == pytest.approx(theirs.score(z), rel=0.01)


def test_finds_separate_clusters(key):
    z, number, *_ = make_clusters(1500, 4, 3, 8.0)
    found = fit_mixture(key, z, 3)
    order = [np.argmin(np.linalg.norm(found.means - z[number == c].mean(axis=0), axis=1)) for c in range(3)]
    assert sorted(order) == [0, 1, 2]
    covariances = np.asarray(found.cholesky @ jnp.swapaxes(found.cholesky, 1, 2))
    for c, place in enumerate(order):
        own = z[number == c]
        np.testing.assert_allclose(found.weights[place], len(own) / len(z), atol=1e-4)
        np.testing.assert_allclose(found.means[place], own.mean(axis=0), atol=1e-3)
        np.testing.assert_allclose(covariances[place], np.cov(own.T, bias=True), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found.cholesky, jnp.tril(found.cholesky))


def test_log_likelihood_is_that_of_the_mixture_returned(key):
    z = make_curved(1500, 4)
    with pytest.warns(UserWarning, match="max_iter: the mixture has not converged after 3 iterations"):
        found = fit_mixture(key, z, 3, max_iter=3, tol=1e-6)
    assert not found.converged
    assert found.n_iterations == 3
    for field in (found.weights, found.means, found.cholesky):
        assert field.dtype == jnp.float32
    reference = logsumexp(log_joint(z, found.weights, found.means, found.cholesky), axis=0).mean()
    assert found.log_likelihood == pytest.approx(reference, abs=1e-3)


@pytest.mark.filterwarnings("ignore:max_iter")
def test_likelihood_never_falls(key):
    z = make_curved(1500, 4)
    rise = np.diff([fit_mixture(key, z, 3, max_iter=i, tol=1e-7).log_likelihood for i in range(1, 12)])
    assert rise.min() > -1e-5
    assert rise.max() > 1e-3


@pytest.mark.filterwarnings("ignore:max_iter")
def test_about_as_many_vectors_compile_nothing(key, make_z):
    def programs(n):
        fit_mixture(key, make_z(n, 3), 3, max_iter=7)
        return [step._cache_size() for step in (_best_start, _expect, _maximise)]

    assert programs(1000) == programs(970)


def test_units_and_origin_do_not_matter(key):
    """Coordinates in various small units, or a mean far off."""
    z = make_clusters(1500, 4, 3, 8.0)[0].astype(np.float64)
    unit = np.array([1e-4, 1e-4, 1e-4, 1e-7])
    plain, moved = fit_mixture(key, z, 3), fit_mixture(key, z * unit, 3)
    assert moved.log_likelihood == pytest.approx(plain.log_likelihood - np.log(unit).sum(), abs=0.01)
    moved = fit_mixture(key, z + 1000, 3)
    assert moved.log_likelihood == pytest.approx(plain.log_likelihood, abs=0.01)


def test_steps_agree_with_textbook():
    """With a number of rows that fills no whole number of blocks."""
    n, c, d = 2500, 4, 3
    z, _, weights, means, factors = make_clusters(n, d, c, 1.0)
    cholesky = np.linalg.cholesky(factors @ factors.transpose(0, 2, 1)).astype(np.float32)
    means, weights = means.astype(np.float32), weights.astype(np.float32)
    mixture = _Mixture(*map(jnp.asarray, (weights, means, cholesky)), inverse_factor(jnp.asarray(cholesky)))
    pairs = np.random.default_rng(0).random((c, n)) < 0.7
    pairs[0] = True
    share, log_density = _expect(jnp.asarray(z), mixture, jnp.asarray(pairs))
    joint = np.where(pairs, log_joint(z, weights, means, cholesky).reshape(c, n), -np.inf)
    np.testing.assert_allclose(log_density, logsumexp(joint, axis=0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(share, np.exp(joint - logsumexp(joint, axis=0)), atol=1e-3)
    found, anew = _maximise(jnp.asarray(z), share, mixture.means, FLOOR)
    assert not anew
    share = np.asarray(share, np.float64)
    for i in range(c):
        np.testing.assert_allclose(found.weights[i], share[i].mean(), rtol=1e-4)
        np.testing.assert_allclose(found.means[i], np.average(z, axis=0, weights=share[i]), atol=1e-3)
        expected = np.cov(z.T, aweights=share[i], bias=True)
        np.testing.assert_allclose(found.cholesky[i] @ found.cholesky[i].T, expected, rtol=1e-3, atol=1e-3)


def test_cluster_of_too_few_vectors_becomes_half_of_a_large_one(make_z):
    z = make_z(2500, 3)
    share = jnp.zeros((4, 2500)).at[1].set(0.75).at[3].set(0.25).at[2, :3].set(0.9)
    found, anew = _maximise(z, share, jnp.zeros((4, 3)), FLOOR)
    assert anew
    np.testing.assert_allclose(found.weights, [0.375, 0.375, 0.125, 0.125], rtol=1e-5)
    whole = np.cov(z.T, bias=True)
    for half, other in ((0, 1), (2, 3)):
        np.testing.assert_allclose(
            (found.means[half] + found.means[other]) / 2, np.mean(z, axis=0), atol=1e-4
        )
        step = found.means[half] - found.means[other]
        np.testing.assert_allclose(step, whole[0] / np.sqrt(whole[0, 0]), rtol=1e-3, atol=1e-3)
        for i in (half, other):
            np.testing.assert_allclose(found.cholesky[i] @ found.cholesky[i].T, whole, rtol=1e-3, atol=1e-3)


def test_small_clusters_stay_where_none_is_large(make_z):
    z = make_z(2500, 3)
    share = jnp.zeros((4, 2500)).at[1, :15].set(1.0).at[3, 15:18].set(1.0)
    found, anew = _maximise(z, share, jnp.zeros((4, 3)), FLOOR)
    assert not anew
    np.testing.assert_allclose(found.weights, [0, 15 / 18, 0, 3 / 18], rtol=1e-5)
    np.testing.assert_allclose(found.means[3], np.mean(z[15:18], axis=0), atol=1e-4)


def test_floor_rises_until_there_is_a_factor():
    """By rounding, a singular matrix may have negative eigenvalues."""
    spoilt = jnp.array([[[1.0, 1.0001], [1.0001, 1.0]], [[1.0, 0.5], [0.5, 1.0]]])
    cholesky = _cholesky(spoilt, _Floor(jnp.float32(1e-6), jnp.full(2, 1e-12)))
    assert jnp.isfinite(cholesky).all()
    np.testing.assert_allclose(cholesky @ jnp.swapaxes(cholesky, 1, 2), spoilt, atol=2e-3)
    np.testing.assert_allclose(cholesky[1] @ cholesky[1].T, spoilt[1], atol=1e-5)


@pytest.mark.parametrize(
    "z",
    [
        pytest.param(np.repeat([[0.0, 0.0, 1.0], [1.0, 2.0, 3.0]], 20, axis=0), id="two places"),
        pytest.param(np.ones((40, 3)), id="one place"),
        pytest.param(NORMAL * [1, 1, 0] + [0, 0, 5], id="constant coordinate"),
        pytest.param(NORMAL + [[1e4, 0, 0]] * (np.arange(40) == 7)[:, None], id="outlier"),
        pytest.param(NORMAL.reshape(6, 20), id="fewer vectors than dimensions"),
    ],
)
def test_degenerate_data_gives_a_mixture(key, z):
    found = fit_mixture(key, z.astype(np.float32), 5)
    assert found.converged
    assert np.isfinite(found.log_likelihood)
    assert jnp.isfinite(found.means).all()
    assert jnp.isfinite(found.cholesky).all()
    assert (jnp.diagonal(found.cholesky, axis1=1, axis2=2) > 0).all()
    assert (found.weights >= 0).all()
    assert found.weights.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(key, make_z):
    z = make_z(20, 3)
    with pytest.raises(TypeError, match="key: expected a typed key"):
        fit_mixture(jax.random.PRNGKey(0), z, 2)
    with pytest.raises(ValueError, match="n_clusters: expected at least 1, got 0"):
        fit_mixture(key, z, 0)
    with pytest.raises(ValueError, match="n_clusters: expected at most 20, the number of vectors, got 21"):
        fit_mixture(key, z, 21)
    with pytest.raises(ValueError, match="max_iter: expected at least 1, got 0"):
        fit_mixture(key, z, 2, max_iter=0)
    with pytest.raises(ValueError, match="tol: expected a number of at least 0, got -1"):
        fit_mixture(key, z, 2, tol=-1)
    for floor in (0.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="covariance_floor: expected a positive, finite number"):
            fit_mixture(key, z, 2, covariance_floor=floor)
    with pytest.raises(TypeError, match="z: expected floating-point numbers"):
        fit_mixture(key, np.zeros((20, 3), int), 2)
    with pytest.raises(ValueError, match="z: NaN"):
        fit_mixture(key, z.at[3, 1].set(jnp.nan), 2)
