import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import jaxlatent as jl
from jaxlatent.sampling.draws import _draw_tiles
from jaxlatent.sampling.laws.ellipsoid import EllipsoidSampler, radius_law
from jaxlatent.sampling.tables.table import tabulate
from jaxlatent.sampling.words import directions, seed_words

DENSITIES = ["uniform", "normal"]


def by_rejection(rng, density, k, level, n):
    """The definition: draws from what the density is without the ellipsoid, those outside left out."""
    found = np.zeros((0, k))
    while len(found) < n:
        draw = (
            rng.uniform(-level, level, (50_000, k)) if density == "uniform" else rng.normal(size=(50_000, k))
        )
        found = np.concatenate([found, draw[np.square(draw).sum(axis=1) <= level**2]])
    return found[:n]


def square_distance(sampler, y):
    variance = np.asarray(sampler.pca.explained_variance, np.float64)
    return (np.asarray(y, np.float64) ** 2 / variance).sum(axis=1)


def radius_cdf(density, k, level):
    """The closed form of the distribution function of the radius."""
    if density == "uniform":
        return lambda r: (r / level) ** k
    return lambda r: special.gammainc(k / 2, r**2 / 2) / special.gammainc(k / 2, level**2 / 2)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize(
    "k", [2, pytest.param(3, marks=pytest.mark.slow), 5, pytest.param(8, marks=pytest.mark.slow)]
)
def test_same_law_as_rejection(identity_pca, density, k):
    level = math.sqrt(stats.chi2.ppf(0.5, k))
    sampler = EllipsoidSampler(identity_pca(k), level, density)
    y = np.asarray(sampler.sample_components(jax.random.key(k), 20_000))
    reference = by_rejection(np.random.default_rng(k), density, k, level, 5000)
    for statistic in (
        lambda x: np.linalg.norm(x, axis=1),
        lambda x: x[:, 0],
        lambda x: x[:, -1],
        lambda x: x[:, 0] * x[:, -1],
        lambda x: np.abs(x).max(axis=1),
    ):
        assert stats.ks_2samp(statistic(y), statistic(reference)).pvalue > 1e-4


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize(("k", "level"), [(1, 1.0), (105, 9.0)])
def test_radius_follows_its_closed_form(identity_pca, density, k, level):
    y = EllipsoidSampler(identity_pca(k), level, density).sample_components(jax.random.key(1), 20_000)
    radius = np.linalg.norm(np.asarray(y, np.float64), axis=1)
    assert stats.kstest(radius, radius_cdf(density, k, level)).pvalue > 1e-4


@pytest.mark.parametrize(("k", "level"), [(1, 2.0), (2, 0.1), (3, 50.0), (50, 2.0), (256, 16.0), (256, 17.0)])
def test_table_is_exact_to_1e_5(k, level):
    log_mass = (
        np.log(special.gammainc(k / 2, level**2 / 2)) + special.gammaln(k / 2) + (k / 2 - 1) * np.log(2)
    )
    traced = jax.jit(lambda level: tabulate(radius_law(k, level, jnp)))(level)
    for table in (tabulate(radius_law(k, level)), traced):
        np.testing.assert_allclose(table.log_total, log_mass, rtol=3e-7, atol=2e-5)
        # Quantiles of every cell, at four places within it.
        word = np.arange(0, 2**32, 2**20, dtype=np.uint32)
        for place in (0.001, 0.25, 0.5, 0.999):
            r = np.asarray(table.draw(jnp.asarray(word), jnp.full(len(word), place, jnp.float32)), np.float64)
            share = radius_cdf("normal", k, level)(np.minimum(r, level))
            cell = np.searchsorted(np.asarray(table.upper), word, side="right")
            below = np.concatenate([[0], np.asarray(table.upper, np.float64)]) / 2**32
            expected = below[cell] + place * (below[cell + 1] - below[cell])
            np.testing.assert_allclose(share, expected, rtol=0, atol=1e-5)


def test_directions_are_uniform_on_the_sphere(key):
    draw = jax.jit(directions, static_argnums=(2, 3))
    unit = np.asarray(draw(seed_words(key), jnp.arange(40_000, dtype=jnp.uint32), 1, 3))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=0), 1, rtol=1e-6)
    # Archimedes: each coordinate of a point of the sphere in three dimensions is uniform.
    for coordinate in unit:
        assert stats.kstest(coordinate, "uniform", (-1, 2)).pvalue > 1e-4
    correlation = np.corrcoef(unit) - np.eye(3)
    assert np.abs(correlation).max() < 5 / np.sqrt(unit.shape[1])


def test_uniform_components_have_the_documented_deviation(identity_pca, key):
    k, level, n = 30, 4.0, 20_000
    squares = np.square(EllipsoidSampler(identity_pca(k), level).sample_components(key, n))
    error = squares.std() / np.sqrt(n)
    assert np.abs(squares.mean(axis=0) - level**2 / (k + 2)).max() < 5 * error


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("k", [1, 2, 256])
def test_every_vector_inside(density, k):
    """In float64, with standard deviations that span four decades."""
    variance = jnp.asarray(np.geomspace(5, 5e-4, k) ** 2, jnp.float32)
    pca = jl.PCA(jnp.zeros(k), jnp.eye(k), variance, variance / jnp.sum(variance))
    # The level leaves radii near the surface in both laws.
    level = 0.5 * math.sqrt(k)
    sampler = EllipsoidSampler(pca, level, density)
    y = sampler.sample_components(jax.random.key(k), 20_000)
    square = square_distance(sampler, y)
    assert square.max() <= level**2
    assert square.max() > (1 - 1e-3) * level**2
    assert (sampler._gauge(y) <= 1).all()
    assert not (sampler._gauge(1.01 * level / jnp.sqrt(jnp.float32(square.max())) * y) <= 1).all()


def test_contains(identity_pca):
    sampler = EllipsoidSampler(identity_pca(2), 2.0)
    y = jnp.array([[0.0, 0.0], [2.0, 0.0], [1.4, 1.4], [1.5, 1.4], [jnp.nan, 0.0]])
    np.testing.assert_array_equal(sampler._gauge(y) <= 1, [True, True, True, False, False])


@pytest.mark.parametrize("density", DENSITIES)
def test_log_prob_integrates_to_one(make_z, density):
    sampler = EllipsoidSampler.fit(make_z(500, 2), level=1.7, density=density)
    reach = 1.75 * np.sqrt(np.asarray(sampler.pca.explained_variance))
    x, y = (np.linspace(-r, r, 1001) for r in reach)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)
    mass = np.exp(np.asarray(sampler.log_prob_components(grid), np.float64)).sum() * np.prod(
        [x[1] - x[0], y[1] - y[0]]
    )
    assert abs(mass - 1) < 2e-3


@pytest.mark.parametrize("k", [1, 12])
def test_log_prob_has_the_constants_of_scipy(make_z, key, k):
    z, confidence = make_z(300, 12), 0.9
    normal = EllipsoidSampler.fit(z, n_components=k, confidence=confidence, density="normal")
    uniform = EllipsoidSampler.fit(z, n_components=k, confidence=confidence)
    variance = np.asarray(normal.pca.explained_variance, np.float64)
    y = normal.sample_components(key, 50)
    expected = stats.norm.logpdf(np.asarray(y, np.float64), scale=np.sqrt(variance)).sum(axis=1) - np.log(
        confidence
    )
    np.testing.assert_allclose(normal.log_prob_components(y), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(normal.log_prob(normal.sample(key, 50)), expected, rtol=1e-4, atol=1e-3)
    unit_ball = k / 2 * np.log(np.pi) - special.gammaln(k / 2 + 1)
    volume = unit_ball + k * np.log(uniform.level) + np.log(variance).sum() / 2
    np.testing.assert_allclose(uniform.log_volume(), volume, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        uniform.log_prob_components(y), -uniform.log_volume() * jnp.ones(50), rtol=1e-6
    )
    assert (
        uniform.log_prob_components(3 * y + 9 * np.sqrt(variance, dtype=np.float32) * uniform.level)
        == -jnp.inf
    ).all()


def test_log_prob_where_the_gaussian_mass_underflows(identity_pca, key):
    """A small ball, of nearly uniform density; the Gaussian gives it less than the least float64."""
    normal, uniform = (EllipsoidSampler(identity_pca(256), 0.1, density) for density in DENSITIES[::-1])
    y = uniform.sample_components(key, 100)
    np.testing.assert_allclose(
        normal.log_prob_components(y), uniform.log_prob_components(y), rtol=1e-5, atol=0.01
    )


def test_fit_takes_the_level_from_the_confidence(make_z, key):
    z = make_z(20_000, 6)
    sampler = EllipsoidSampler.fit(z, confidence=0.8)
    np.testing.assert_allclose(sampler.level**2, stats.chi2.ppf(0.8, 6), rtol=1e-12)
    inside = float(jnp.mean(sampler.contains(z)))
    assert abs(inside - 0.8) < 5 * math.sqrt(0.8 * 0.2 / len(z))
    assert EllipsoidSampler.fit(z).level ** 2 == pytest.approx(stats.chi2.ppf(0.95, 6))
    assert EllipsoidSampler.fit(z, level=1.5, n_components=2).level == 1.5


def test_fit_leaves_out_components_without_variance(key):
    z = np.random.default_rng(0).standard_normal((500, 5)).astype(np.float32)
    z[:, 2] = 4.0
    sampler = EllipsoidSampler.fit(z)
    assert sampler.pca.n_components == 4
    np.testing.assert_allclose(sampler.sample(key, 9)[:, 2], 4.0, rtol=1e-6)


def test_fit_on_some_of_the_points(make_z):
    z = make_z(2000, 4)
    mask = np.asarray(z[:, 0] > jnp.median(z[:, 0]))
    pca = EllipsoidSampler.fit(z, where=mask).pca
    expected = jl.PCA.fit(z, where=mask)
    np.testing.assert_array_equal(pca.components, expected.components)
    np.testing.assert_array_equal(pca.mean, expected.mean)
    trimmed = EllipsoidSampler.fit(z, within_sigma=1.0).pca
    assert (trimmed.explained_variance < jl.PCA.fit(z).explained_variance).all()


@pytest.mark.parametrize("density", DENSITIES)
def test_contract(make_z, key, density, tmp_path):
    sampler = EllipsoidSampler.fit(make_z(300, 5), density=density)
    whole = np.asarray(sampler.sample(key, 400))
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(sampler.sample(key, 300, start=90), whole[90:390])
    jl.save(tmp_path / "sampler.npz", sampler)
    np.testing.assert_array_equal(jl.load(tmp_path / "sampler.npz").sample(key, 400), whole)
    with jax.enable_x64(True):
        wide = sampler.sample(key, 400)
        assert wide.dtype == jnp.float32
        assert sampler.log_prob(wide).dtype == jnp.float32
        assert sampler.contains(wide).mean() > 0.99
    np.testing.assert_allclose(wide, whole, rtol=1e-5, atol=1e-6)


def test_the_level_is_a_leaf(identity_pca, key):
    first, second = (EllipsoidSampler(identity_pca(3), level) for level in (1.0, 2.0))
    np.testing.assert_allclose(2 * first.sample(key, 50), second.sample(key, 50), rtol=1e-6)
    before = _draw_tiles._cache_size()
    EllipsoidSampler(identity_pca(3), 3.0).sample(key, 50)
    assert _draw_tiles._cache_size() == before
    volume = jax.jit(lambda level: EllipsoidSampler(identity_pca(3), level).log_volume())(1.0)
    np.testing.assert_allclose(volume, math.log(4 / 3 * math.pi), rtol=1e-6)


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize("density", DENSITIES)
def test_placeholders_pass_unflattening(identity_pca, density):
    sampler = EllipsoidSampler(identity_pca(3), 2.0, density)
    axes = jax.tree.map(lambda _: 0, sampler)
    assert jax.tree.structure(axes) == jax.tree.structure(sampler)


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 0.0}, "level: expected a positive, finite number, got 0.0"),
        ({"level": math.inf}, "level"),
        ({"level": math.nan}, "level"),
        ({"confidence": 1.0}, r"confidence: expected a probability in \(0, 1\), got 1.0"),
        ({"confidence": 95}, "confidence"),
        ({"confidence": 0.5, "level": 2.0}, "give one of them"),
        ({"density": "flat"}, "density: expected one of uniform, normal"),
        ({"n_components": 5}, "at most 4"),
        ({"n_components": 4}, "pca: component 3 has no variance .*keep fewer"),
    ],
)
def test_errors(options, message):
    z = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    z[:, 1] = 1
    with pytest.raises(ValueError, match=message):
        EllipsoidSampler.fit(z, **options)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors_of_vectors(identity_pca):
    sampler = EllipsoidSampler(identity_pca(3), 1)
    assert isinstance(sampler.level, float)
    for method in (sampler.contains, sampler.log_prob_components, sampler.log_prob):
        with pytest.raises(ValueError, match=r"\(n, 3\)"):
            method(jnp.zeros((4, 2)))
        with pytest.raises(TypeError, match="int32"):
            method(jnp.zeros((4, 3), jnp.int32))
