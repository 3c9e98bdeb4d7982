"""The exact sampler against brute-force rejection and independent quadratures."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jaxlatent as jl
from jaxlatent.sampling.laws.exact import ExactSampler, measure_marginals
from jaxlatent.sampling.tables.densities import NormalDensity, bisected, counted
from jaxlatent.sampling.tables.largest import largest_angle

N = 20_000
DENSITIES = ("uniform", "normal", "empirical")


def skewed_components(n, k, seed=1):
    """Asymmetric, one bimodal, of different spread."""
    rng = np.random.default_rng(seed)
    y = rng.gamma(2.0, 1.0, (n, k)) - 1.6
    y[:, 1] = np.where(rng.random(n) < 0.7, 0.9, -0.8) + 0.25 * rng.standard_normal(n)
    return (y * np.linspace(1, 0.3, k)).astype(np.float32)


@pytest.fixture(scope="module")
def make_sampler(identity_pca):
    def make(density, k):
        pca = identity_pca(k)
        rng = np.random.default_rng(3)
        deviation = np.linspace(1, 0.3, k).astype(np.float32)
        pca = jl.PCA(pca.mean, pca.components, jnp.asarray(deviation**2), pca.explained_variance_ratio)
        body = jl.EllipseBody(jnp.asarray(1.6 * deviation * rng.uniform(0.7, 1.4, k).astype(np.float32)))
        if density != "empirical":
            return ExactSampler(pca, body, density)
        return ExactSampler(pca, body, density, marginals=measure_marginals(skewed_components(3000, k), body))

    return make


def product_draws(sampler, n, rng):
    """Independent components in units of the semi-axes, without regard to the body."""
    k = sampler.body.n_components
    axes = np.asarray(sampler.body.semi_axes, np.float64)
    if sampler.density == "uniform":
        return rng.uniform(-1, 1, (n, k))
    if sampler.density == "normal":
        return rng.standard_normal((n, k)) * np.sqrt(sampler.pca.explained_variance) / axes
    table = np.asarray(sampler.marginals, np.float64)
    edges = np.linspace(-1, 1, table.shape[1])
    return np.stack([np.interp(rng.random(n), table[j], edges) for j in range(k)], axis=1)


def rejected(sampler, n):
    """Vectors of the body's law by rejection, in units of the semi-axes."""
    rng = np.random.default_rng(7)
    kept = []
    while sum(map(len, kept)) < n:
        u = product_draws(sampler, 200_000, rng)
        largest = np.sort(u**2, axis=1)[:, -2:]
        kept.append(u[largest.sum(axis=1) <= 1])
    return np.concatenate(kept)[:n]


def statistics(u):
    """What is compared: every component, the largest two, the radius."""
    largest = np.sort(np.abs(u), axis=1)
    return {
        **{f"component {j}": u[:, j] for j in range(u.shape[1])},
        "largest": largest[:, -1],
        "second": largest[:, -2],
        "radius": np.linalg.norm(u, axis=1),
        "product": u[:, 0] * u[:, 1],
    }


@pytest.mark.parametrize(
    "k", [2, pytest.param(3, marks=pytest.mark.slow), 5, pytest.param(8, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("density", DENSITIES)
def test_law_is_that_of_rejection(make_sampler, key, density, k):
    sampler = make_sampler(density, k)
    u = np.asarray(sampler.sample_components(key, N) / sampler.body.semi_axes)
    expected = statistics(rejected(sampler, N))
    for name, values in statistics(u).items():
        p = stats.ks_2samp(values, expected[name]).pvalue
        assert p > 1e-4, f"{name}: p = {p}"


@pytest.mark.parametrize("density", DENSITIES)
def test_all_inside_at_256_components(make_sampler, key, density):
    sampler = make_sampler(density, 256)
    y = sampler.sample_components(key, 4000)
    q = np.square(np.asarray(y, np.float64) / np.asarray(sampler.body.semi_axes, np.float64))
    assert np.sort(q, axis=1)[:, -2:].sum(axis=1).max() <= 1
    assert np.asarray(sampler.body.contains(y)).all()


@pytest.mark.parametrize("density", DENSITIES)
def test_density_integrates_to_one(make_sampler, density):
    """Quadrature on a plane grid, independent of the law of the largest component."""
    sampler = make_sampler(density, 2)
    axes = np.asarray(sampler.body.semi_axes)
    side = 1200
    u = (np.arange(side) + 0.5) / side * 2 - 1
    grid = np.stack(np.meshgrid(u, u, indexing="ij"), axis=-1).reshape(-1, 2) * axes
    log_prob = np.asarray(sampler.log_prob(grid.astype(np.float32)))
    total = np.exp(log_prob.astype(np.float64)).sum() * 4 * axes.prod() / side**2
    assert total == pytest.approx(1, rel=2e-3)
    outside = ~np.asarray(sampler.body.contains(grid.astype(np.float32)))
    assert outside.any()
    assert (log_prob[outside] == -np.inf).all()
    assert np.isfinite(log_prob[~outside]).mean() > 0.5


@pytest.mark.parametrize("density", DENSITIES)
def test_normalising_constant_is_the_acceptance_of_rejection(make_sampler, density):
    sampler = make_sampler(density, 5)
    u = product_draws(sampler, 400_000, np.random.default_rng(11))
    inside = np.sort(u**2, axis=1)[:, -2:].sum(axis=1) <= 1
    p = math.exp(sampler.table.log_total)
    assert abs(inside.mean() - p) < 5 * math.sqrt(p * (1 - p) / len(u))


def test_normal_density_equals_scipy_up_to_the_constant(make_sampler, key):
    sampler = make_sampler("normal", 6)
    y = np.asarray(sampler.sample_components(key, 100), np.float64)
    reference = stats.norm.logpdf(y, scale=np.sqrt(sampler.pca.explained_variance)).sum(axis=1)
    np.testing.assert_allclose(
        sampler.log_prob_components(y), reference - float(sampler.table.log_total), rtol=1e-5, atol=1e-5
    )


def test_constant_of_the_normal_density_against_nested_quadrature(identity_pca):
    """At k = 3 the body's section at given u_1 is a square with the corners cut off by the other ellipses."""
    deviation = np.array([1.0, 0.5, 0.8])
    axes = np.array([1.5, 1.1, 1.2])
    pca = identity_pca(3)
    pca = jl.PCA(
        pca.mean, pca.components, jnp.asarray(deviation**2, jnp.float32), pca.explained_variance_ratio
    )
    sampler = ExactSampler(pca, jl.EllipseBody(jnp.asarray(axes, jnp.float32)), "normal")
    scale = deviation / axes

    def pdf(x, j):
        return stats.norm.pdf(x, scale=scale[j])

    def given_two(x, y):
        bound = math.sqrt(max(0.0, 1 - max(x * x, y * y)))
        return pdf(x, 0) * pdf(y, 1) * math.erf(bound / scale[2] / math.sqrt(2))

    def given_one(x):
        edge = math.sqrt(1 - x * x)
        return (
            integrate.quad(lambda y: given_two(x, y), -edge, edge, points=[-abs(x), abs(x)])[0]
            if (abs(x) < edge)
            else integrate.quad(lambda y: given_two(x, y), -edge, edge)[0]
        )

    corner = math.sqrt(0.5)
    total = sum(
        integrate.quad(given_one, low, high, epsabs=1e-9)[0]
        for low, high in [(-1, -corner), (-corner, corner), (corner, 1)]
    )
    assert float(sampler.table.log_total) == pytest.approx(math.log(total), abs=2e-6)


@pytest.mark.parametrize("density", ["normal", "empirical"])
def test_temperature_scales_the_density_and_not_the_body(make_z, key, density):
    z = make_z(4000, 6)
    deviations = []
    for temperature in (0.3, 1.0):
        sampler = ExactSampler.fit(z, fact=1.5, half_width="sigma", density=density, temperature=temperature)
        y = sampler.sample_components(key, 4000)
        assert np.asarray(sampler.body.contains(y)).all()
        deviations.append(np.asarray(y.std(axis=0) / jnp.sqrt(sampler.pca.explained_variance)))
    np.testing.assert_allclose(deviations[0], 0.3, rtol=0.06)  # the body hardly cuts at 5 sigma
    assert (deviations[1] < 0.9).all()


def test_semi_axes_out_of_proportion_to_sigma(identity_pca, key):
    """A body that cuts one component hard and another not at all."""
    pca = identity_pca(4)
    sampler = ExactSampler(pca, jl.EllipseBody(jnp.array([0.2, 50.0, 50.0, 50.0])), "normal")
    y = np.asarray(sampler.sample_components(key, N))
    assert stats.kstest(y[:, 1], "norm").pvalue > 1e-4
    assert stats.kstest((y[:, 0] / 0.2 + 1) / 2, "uniform").pvalue > 1e-6  # nearly flat: 0.7 % of curvature
    assert abs(y[:, 0]).max() <= 0.2


def test_uniform_vectors_with_matched_axes_keep_the_covariance(make_z, key):
    z = make_z(20_000, 40)
    sampler = ExactSampler.fit(z, fact="matched")
    drawn = np.cov(np.asarray(sampler.sample_components(key, N)).T)
    scale = np.sqrt(np.asarray(sampler.pca.explained_variance))
    assert np.abs(drawn / np.outer(scale, scale) - np.eye(40)).max() < 5 * math.sqrt(2 / N)
    assert np.asarray(sampler.body.semi_axes / scale) == pytest.approx(math.sqrt(6), rel=3e-3)


def test_empirical_marginals_follow_the_data(key, identity_pca):
    """In a body so wide that it cuts nothing, the marginals are the data's."""
    y = skewed_components(30_000, 3)
    body = jl.EllipseBody(jnp.full(3, 9.0))
    sampler = ExactSampler(identity_pca(3), body, "empirical", marginals=measure_marginals(y, body))
    drawn = np.asarray(sampler.sample_components(key, N))
    for j in range(3):
        assert stats.ks_2samp(drawn[:, j], y[:, j]).statistic < 0.025  # what lies in one bin is spread evenly


def test_histogram_counts_what_lies_within(identity_pca):
    y = np.array([[-0.99, 0.1], [-0.01, 5.0], [0.01, 0.2], [0.99, 0.3], [7.0, -0.4]], np.float32)
    table = np.asarray(measure_marginals(y, jl.EllipseBody(jnp.ones(2))))
    assert table.shape == (2, 65)
    assert table[:, 0].tolist() == [0, 0]
    assert table[:, -1].tolist() == [1, 1]
    assert table[0, 1] == pytest.approx(0.25)
    assert table[0, 32] == pytest.approx(0.5)
    assert table[1, 32] == pytest.approx(0.25)


def test_subset_and_options_of_fit(make_z, key):
    z = make_z(3000, 5)
    where = np.asarray(z[:, 0]) > np.median(z[:, 0])
    sampler = ExactSampler.fit(z, n_components=4, where=where, density="empirical")
    drawn = np.asarray(sampler.sample(key, 2000))
    assert drawn[:, 0].mean() > np.quantile(z[:, 0], 0.6)


@pytest.mark.parametrize("density", DENSITIES)
def test_keep(make_sampler, key, density):
    sampler = make_sampler(density, 6).keep(3)
    y = sampler.sample_components(key, 500)
    assert y.shape == (500, 3)
    assert np.asarray(sampler.body.contains(y)).all()
    assert float(sampler.table.log_total) > float(make_sampler(density, 6).table.log_total)


def test_table_is_made_once_and_follows_the_leaves(make_sampler, key):
    sampler = make_sampler("normal", 4)
    assert sampler.table is sampler.table
    narrow = dataclasses.replace(sampler, temperature=0.3)
    assert float(narrow.table.log_total) > float(sampler.table.log_total)
    deviation = np.asarray(narrow.sample_components(key, N)).std(axis=0) / np.asarray(sampler.body.semi_axes)
    fresh = ExactSampler(sampler.pca, sampler.body, "normal", 0.3)
    expected = np.asarray(fresh.sample_components(key, N)).std(axis=0) / np.asarray(sampler.body.semi_axes)
    np.testing.assert_array_equal(deviation, expected)


@pytest.mark.parametrize("density", DENSITIES)
def test_a_traced_sampler_has_the_same_law(make_sampler, key, density):
    """Its table is made within the program, in float32."""
    sampler = make_sampler(density, 9)
    expected = sampler.table
    traced = jax.jit(lambda sampler: sampler.table)(sampler)
    assert float(traced.log_total) == pytest.approx(float(expected.log_total), abs=2e-5)
    u = np.linspace(0, 1, 4001)[1:-1]
    words = jnp.asarray((u * 2**32).astype(np.uint32))
    middle = jnp.full(len(u), 0.5, jnp.float32)
    # A word on the border of two cells may fall into either.
    cell = float(expected.width.max())
    np.testing.assert_allclose(
        traced.draw(words, middle), expected.draw(words, middle), rtol=0, atol=2 * cell
    )


def test_gradient_of_the_density_is_the_finite_difference(make_sampler, key):
    """Of the normal density and its constant in float64."""
    sampler = make_sampler("normal", 5)
    y = np.asarray(sampler.sample_components(key, 40))
    deviation = np.sqrt(np.asarray(sampler.pca.explained_variance, np.float64))
    axes = np.asarray(sampler.body.semi_axes, np.float64)

    def total(temperature):
        scale = temperature * deviation
        constant = largest_angle(NormalDensity(scale / axes)).log_total
        return stats.norm.logpdf(y, scale=scale).sum() - len(y) * constant

    def traced(temperature):
        return dataclasses.replace(sampler, temperature=temperature).log_prob_components(y).sum()

    expected = (total(1 + 1e-5) - total(1 - 1e-5)) / 2e-5
    assert float(jax.jit(jax.grad(traced))(1.0)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(identity_pca, make_z):
    pca, body = identity_pca(3), jl.EllipseBody(jnp.ones(3))
    with pytest.raises(ValueError, match="body: expected 3 components, got 4"):
        ExactSampler(pca, jl.EllipseBody(jnp.ones(4)))
    with pytest.raises(ValueError, match="density: expected one of"):
        ExactSampler(pca, body, "gaussian")
    with pytest.raises(ValueError, match=r"marginals: missing.*ExactSampler\.fit"):
        ExactSampler(pca, body, "empirical")
    with pytest.raises(ValueError, match="marginals: expected"):
        ExactSampler(pca, body, "empirical", marginals=jnp.ones((3, 4)))
    with pytest.raises(ValueError, match="temperature: expected a positive"):
        ExactSampler.fit(make_z(100, 3), temperature=0.0)
    flat = jl.PCA(pca.mean, pca.components, jnp.array([1.0, 1.0, 0.0]), pca.explained_variance_ratio)
    with pytest.raises(ValueError, match="no variance"):
        ExactSampler(flat, body, "normal")
    with pytest.raises(ValueError, match="component 1 lies within"):
        measure_marginals(np.array([[0.1, 3.0], [0.2, -4.0]], np.float32), jl.EllipseBody(jnp.ones(2)))
    sampler = ExactSampler(pca, body)
    with pytest.raises(ValueError, match="z: expected an array of shape"):
        sampler.log_prob(jnp.ones((2, 4)))


@pytest.mark.parametrize("edges", [3, 5, 129])
def test_the_cells_of_a_cpu_and_of_an_accelerator_are_the_same(edges):
    """Edges of the same height too, as those of empty bins; numbers on them, below all and above all."""
    rng = np.random.default_rng(edges)
    steps = rng.random((7, edges - 1)) * (rng.random((7, edges - 1)) < 0.6)
    steps[:, 0] += 0.1
    table = np.concatenate([np.zeros((7, 1)), steps.cumsum(axis=1)], axis=1).astype(np.float32)
    table /= table[:, -1:]
    target = np.concatenate([rng.random((500, 7)), np.zeros((1, 7)), np.ones((1, 7)), table.T])
    arguments = jnp.asarray(table), jnp.asarray(target.astype(np.float32))
    for a, b in zip(counted(*arguments), bisected(*arguments), strict=True):
        np.testing.assert_array_equal(a, b)
