"""Log densities against quadrature, SciPy and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.neighbors import KernelDensity

import jaxlatent as jl

SIDE = 500


@pytest.fixture(scope="module")
def z(make_z):
    return np.asarray(make_z(1500, 2))


def integral(log_density, z):
    """Over a square about the points, of 6 standard deviations to each side, by the midpoint rule."""
    middle, reach = z.mean(axis=0), 6 * z.std(axis=0).max()
    steps = ((np.arange(SIDE) + 0.5) / SIDE * 2 - 1) * reach
    grid = (np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2) + middle).astype(np.float32)
    density = np.exp(np.asarray(log_density(grid), np.float64))
    return density.sum() * (2 * reach / SIDE) ** 2


@pytest.mark.parametrize(
    ("make", "total"),
    [
        (jl.BoxSampler.fit, 1),
        (jl.GaussianSampler.fit, 1),
        (lambda z: jl.GaussianMixtureSampler.fit(z, n_clusters=3), 1),
        (jl.EllipsoidSampler.fit, 1),
        (lambda z: jl.EllipsoidSampler.fit(z, density="normal"), 1),
        (lambda z: jl.ExactSampler.fit(z, density="normal"), 1),
        (lambda z: jl.BootstrapSampler.fit(z, bandwidth=0.3), 1),
        (lambda z: jl.ClusterMixtureSampler.fit(z, n_clusters=4, coverage=0.9), None),
    ],
    ids=["box", "gaussian", "mixture", "ellipsoid", "ellipsoid-normal", "exact", "bootstrap", "clusters"],
)
def test_they_integrate_to_one(make, total, z, key):
    sampler = make(z)
    if total is None:
        # What the clusters draw outside their own bodies ends on the boundary.
        mixture, body = sampler.mixture, sampler.body
        index = jnp.arange(40_000, dtype=jnp.uint32)
        own, y = mixture.draw_clusters(jnp.asarray([1, 2], jnp.uint32), index)
        u = (np.asarray(y) - np.asarray(body.centres)[own]) / np.asarray(body.semi_axes)[own]
        total = (np.square(u).sum(axis=1) <= 1).mean()
        assert total < 0.97
    assert integral(sampler.log_prob, z) == pytest.approx(total, abs=0.01)


def test_kernel_density_is_that_of_scikit_learn(make_z):
    z = np.asarray(make_z(2500, 5))
    sampler = jl.BootstrapSampler.fit(z, bandwidth=0.4, n_components=4)
    h, sigma = 0.4, np.sqrt(np.asarray(sampler.pca.explained_variance, np.float64))
    centres = np.asarray(sampler.parents, np.float64) / np.sqrt(1 + h**2)
    peer = KernelDensity(bandwidth=h / np.sqrt(1 + h**2)).fit(centres)
    points = z[:1100]  # more than one block, of which the last is not full
    y = np.asarray(sampler.pca.transform(points), np.float64) / sigma
    expected = peer.score_samples(y) - np.log(sigma).sum()
    np.testing.assert_allclose(sampler.log_prob(points), expected, rtol=1e-4, atol=2e-3)


def test_kernel_density_leaves_out_what_does_not_vary(make_z):
    z = np.asarray(make_z(300, 3))
    flat = np.concatenate([z, np.ones((300, 1), np.float32)], axis=1)
    found = jl.BootstrapSampler.fit(flat, n_components=4).log_prob(flat)
    np.testing.assert_allclose(found, jl.BootstrapSampler.fit(z).log_prob(z), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("density", ["uniform", "normal"])
def test_tilted_up_to_a_constant(density, z, key):
    sampler = jl.TiltedSampler.fit(z, density=density)
    body = sampler.body
    drawn = np.asarray(sampler.sample(key, 500))
    found = np.asarray(sampler.unnormalized_log_prob(drawn))
    if density == "uniform":
        assert (found == 0).all()
    else:
        sigma = np.asarray(body.sigma, np.float64)
        law = stats.multivariate_normal(body.mean, np.asarray(body.correlation) * np.outer(sigma, sigma))
        difference = found - law.logpdf(drawn)
        np.testing.assert_allclose(difference, difference.mean(), atol=1e-3)
    assert (np.asarray(sampler.unnormalized_log_prob(drawn + 1e3)) == -np.inf).all()
    with pytest.raises(NotImplementedError, match="unnormalized_log_prob is its log density"):
        sampler.log_prob(drawn)


def test_box_without_width():
    sampler = jl.BoxSampler(jnp.array([0.0, 1, -2]), jnp.array([2.0, 1, 2]))
    points = np.float32([[1, 1, 0], [1, 1.5, 0], [3, 1, 0]])
    np.testing.assert_allclose(sampler.log_prob(points), [-np.log(8), -np.inf, -np.inf], rtol=1e-6)
    np.testing.assert_array_equal(sampler.score(points).gauge, [0, np.inf, 2])


def test_of_a_mixture_at_fewer_components_it_is_the_marginal(make_z):
    sampler = jl.GaussianMixtureSampler.fit(np.asarray(make_z(2000, 4)), n_clusters=3)
    y = np.asarray(sampler.sample_components(jax.random.key(1), 50))
    weights, means, factors = (np.asarray(x, np.float64) for x in jax.tree.leaves(sampler)[-4:-1])
    covariances = factors @ factors.transpose(0, 2, 1)
    laws = [stats.multivariate_normal(m[:2], c[:2, :2]) for m, c in zip(means, covariances, strict=True)]
    expected = np.log(sum(w * law.pdf(y[:, :2]) for w, law in zip(weights, laws, strict=True)))
    np.testing.assert_allclose(sampler.keep(2).log_prob_components(y[:, :2]), expected, rtol=1e-3, atol=1e-3)
