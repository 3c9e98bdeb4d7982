"""Conditional laws against rejection, quadrature and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxlatent as jl

MANY, DRAWN = 1_000_000, 150_000
# What two samples of one law of the sizes below exceed once in 20,000 times.
KOLMOGOROV = 2.3


@pytest.fixture(scope="module")
def z(make_z):
    return np.asarray(make_z(4000, 3))


def exact(density):
    return lambda z: jl.ExactSampler.fit(z, density=density, fact=1.0)


SAMPLERS = {
    "gaussian": jl.GaussianSampler.fit,
    "mixture": lambda z: jl.GaussianMixtureSampler.fit(z, n_clusters=4, temperature=0.9),
    "uniform": exact("uniform"),
    "normal": exact("normal"),
    "empirical": exact("empirical"),
    "ellipsoid": jl.EllipsoidSampler.fit,
    "ellipsoid-normal": lambda z: jl.EllipsoidSampler.fit(z, density="normal", confidence=0.8),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_are_those_of_rejection(name, z, key):
    sampler = SAMPLERS[name](z)
    y = np.asarray(sampler.sample_components(key, MANY))
    at, share = (0, 0.3) if name == "ellipsoid" else (1, -0.85)
    value = share * np.quantile(np.abs(y[:, at]), 0.98)
    near = y[np.abs(y[:, at] - value) < 0.02 * y[:, at].std()]
    assert len(near) > 1_500
    conditional = sampler.condition({at: value})
    drawn = np.asarray(conditional.sample_components(jax.random.key(1), DRAWN))
    limit = KOLMOGOROV * np.sqrt(1 / len(near) + 1 / DRAWN)
    rest = np.delete(near, at, axis=1)
    # The two components, and what they have to do with each other.
    for found, expected in [
        *zip(drawn.T, rest.T, strict=True),
        (drawn @ [1, 1], rest @ [1, 1]),
        (np.square(drawn).max(axis=1), np.square(rest).max(axis=1)),
    ]:
        assert stats.ks_2samp(found, expected).statistic < limit
    # In the latent frame, they have the value that was given.
    latent = sampler.pca.transform(conditional.sample(key, 1000))
    np.testing.assert_allclose(latent[:, at], value, atol=1e-5 * float(np.abs(y).max()))


@pytest.mark.parametrize("name", SAMPLERS)
def test_densities_integrate_to_one_and_are_that_of_the_whole(name, z):
    sampler = SAMPLERS[name](z)
    sigma = np.sqrt(np.asarray(sampler.pca.explained_variance))
    value = np.float32(0.6 * sigma[1])
    conditional = sampler.condition({1: value})
    side = 700
    steps = ((np.arange(side) + 0.5) / side * 2 - 1) * 6
    grid = (np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2) * sigma[[0, 2]]).astype(np.float32)
    found = np.exp(np.asarray(conditional.log_prob_components(grid), np.float64))
    cell = (12 / side) ** 2 * sigma[0] * sigma[2]
    assert found.sum() * cell == pytest.approx(1, abs=0.01)
    joint = np.exp(np.asarray(sampler.log_prob_components(np.insert(grid, 1, value, axis=1)), np.float64))
    inside = (found > 0) & (joint > 1e-30)
    ratio = joint[inside] / found[inside]
    assert inside.sum() > 1000
    # The density of the given component, the same everywhere.
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=2e-3)
    assert ratio.mean() == pytest.approx(joint.sum() * cell, rel=0.01)
    # At the latent vectors, too.
    drawn = conditional.sample(jax.random.key(3), 200)
    rest = conditional.pca.transform(drawn)
    np.testing.assert_allclose(
        conditional.log_prob(drawn), conditional.log_prob_components(rest), rtol=1e-5, atol=1e-5
    )


def test_conditions_follow_each_other(z):
    wide = np.concatenate([z, z[::-1] ** 2], axis=1)
    for make in (SAMPLERS["mixture"], SAMPLERS["normal"], SAMPLERS["ellipsoid"]):
        sampler = make(wide)
        a, b = (0.4 * np.sqrt(np.asarray(sampler.pca.explained_variance))[i] for i in (0, 3))
        both = sampler.condition({3: b, 0: a})
        # Without component 0, component 3 is number 2.
        twice = sampler.condition({0: a}).condition({2: b})
        y = both.sample_components(jax.random.key(0), 300)
        np.testing.assert_allclose(
            both.log_prob_components(y), twice.log_prob_components(y), rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(
            both.sample(jax.random.key(1), 5), twice.sample(jax.random.key(1), 5), atol=2e-4
        )


def test_a_box_keeps_its_coordinates(key):
    box = jl.BoxSampler.cube(2.0, 3).condition({1: 0.5})
    z = np.asarray(box.sample(key, 1000))
    assert (z[:, 1] == 0.5).all()
    assert np.abs(z[:, [0, 2]]).max() > 1.9
    np.testing.assert_allclose(box.log_prob(z), -2 * np.log(4), rtol=1e-6)
    assert np.isneginf(box.log_prob(z + np.float32([0, 0.1, 0]))).all()


@pytest.mark.parametrize("name", ["mixture", "normal", "ellipsoid"])
def test_values_may_be_traced(name, z, key):
    sampler = SAMPLERS[name](z)
    value = 0.5 * np.sqrt(np.asarray(sampler.pca.explained_variance))[0]

    @jax.jit
    def drawn(value):
        conditional = sampler.condition({0: value})
        return conditional.sample(key, 20), conditional.log_prob(conditional.sample(key, 20))

    expected = sampler.condition({0: value})
    for found, wanted in zip(
        drawn(value), (expected.sample(key, 20), expected.log_prob(expected.sample(key, 20))), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)
    many = jax.vmap(lambda x: sampler.condition({0: x}).sample(key, 4))(value * jnp.array([-1.0, 0.0, 1.0]))
    assert many.shape == (3, 4, 3)
    slope = jax.grad(lambda x: sampler.condition({0: x}).sample(key, 4).sum())(value)
    assert np.isfinite(slope)


def test_every_vector_is_inside_the_whole_body(z, key):
    sampler = SAMPLERS["uniform"](z)
    y = np.zeros((1, 3), np.float32)
    for share in (0.2, 0.7, 0.72, 0.999):
        value = share * float(sampler.body.semi_axes[0])
        drawn = sampler.condition({0: value}).sample_components(key, 50_000)
        y = np.insert(np.asarray(drawn), 0, value, axis=1)
        assert sampler.body.contains(y).all()
        assert sampler.body.gauge(y).max() > 0.98 * max(1, share)


def test_score_counts_what_is_not_as_given(z, key):
    sampler = SAMPLERS["gaussian"](z)
    conditional = sampler.condition({0: 0.3})
    drawn = conditional.sample(key, 50)
    assert conditional.score(drawn).distance.max() < 1e-5
    moved = drawn + 0.25 * sampler.pca.components[0]
    np.testing.assert_allclose(conditional.score(moved).distance, 0.25, rtol=1e-4)


def test_files(z, key, tmp_path):
    sampler = SAMPLERS["normal"](z).condition({0: 0.2})
    jl.save(tmp_path / "s.npz", sampler)
    assert (jl.load(tmp_path / "s.npz").sample(key, 9) == sampler.sample(key, 9)).all()


@pytest.mark.usefixtures("as_without_type_checks")
class TestErrors:
    @pytest.mark.parametrize(
        ("given", "error", "message"),
        [
            ({3: 0.0}, ValueError, "given: expected at most 2, got 3"),
            ({-1: 0.0}, ValueError, "given: expected at least 0"),
            ({"a": 0.0}, TypeError, "given: expected an integer"),
            ({0: np.nan}, ValueError, "given: expected finite numbers"),
            ({0: 1e3}, ValueError, "given: .* outside the body"),
            ({0: 0.0, 1: 0.0, 2: 0.0}, ValueError, "nothing is left"),
            ({0: 0.0, 1: 0.0}, ValueError, "at least two components"),
        ],
    )
    def test_of_values(self, given, error, message, z):
        with pytest.raises(error, match=message):
            SAMPLERS["uniform"](z).condition(given)

    def test_other_supports(self, z):
        with pytest.raises(ValueError, match="outside the ellipsoid"):
            SAMPLERS["ellipsoid"](z).condition({0: 1e3})
        with pytest.raises(ValueError, match="outside the box"):
            jl.BoxSampler.cube(1.0, 2).condition({0: 1.5})

    @pytest.mark.parametrize("law", [jl.PairwiseSampler, jl.BootstrapSampler, jl.TiltedSampler])
    def test_laws_without(self, law, z):
        with pytest.raises(NotImplementedError, match="take ExactSampler or GaussianMixtureSampler"):
            law.fit(z).condition({0: 0.1})


def separate(n):
    """Points of three classes that hardly overlap, 60, 30 and 10 % of them."""
    rng = np.random.default_rng(0)
    labels = rng.choice([5, 7, -2], n, p=[0.6, 0.3, 0.1])
    centres = {5: [0, 0, 0, 0], 7: [8, 0, 0, 0], -2: [0, 8, 0, 0]}
    z = np.stack([centres[label] for label in labels]) + rng.standard_normal((n, 4))
    return z.astype(np.float32), labels


class TestClasses:
    @pytest.mark.parametrize(
        "law", [jl.GaussianMixtureSampler, jl.ClusterMixtureSampler, jl.ClusterRecombinationSampler]
    )
    def test_drawn_from_the_class(self, law, key):
        z, labels = separate(3000)
        sampler = law.fit(z, n_clusters=10, labels=labels)
        for label in (5, 7, -2):
            sampled = sampler.condition(label=label)
            drawn, points = np.asarray(sampled.sample(key, 20_000)), z[labels == label]
            error = 5 * points.std(axis=0) * np.sqrt(1 / 20_000 + 1 / len(points))
            assert (np.abs(drawn.mean(axis=0) - points.mean(axis=0)) < error).all()
            np.testing.assert_allclose(drawn.std(axis=0), points.std(axis=0), rtol=0.08)
        shares = [
            (np.linalg.norm(np.asarray(sampler.sample(key, 20_000)) - [c, 0, 0, 0], axis=1) < 4).mean()
            for c in (0, 8)
        ]
        np.testing.assert_allclose(shares, [(labels == 5).mean(), (labels == 7).mean()], atol=0.02)

    def test_the_density_is_the_sum_of_those_of_the_classes(self):
        z, labels = separate(2000)
        for law in (jl.GaussianMixtureSampler, jl.ClusterMixtureSampler):
            sampler = law.fit(z, n_clusters=6, labels=labels)
            parts = [
                np.log((labels == label).mean()) + sampler.condition(label=label).log_prob(z)
                for label in (5, 7, -2)
            ]
            expected = np.logaddexp.reduce(np.stack(parts).astype(np.float64))
            np.testing.assert_allclose(sampler.log_prob(z), expected, rtol=1e-4, atol=1e-4)

    def test_components_too(self, key):
        z, labels = separate(2000)
        sampler = jl.GaussianMixtureSampler.fit(z, n_clusters=6, labels=labels)
        found = sampler.condition({3: 0.1}, label=7)
        expected = sampler.condition(label=7).condition({3: 0.1})
        assert (found.sample(key, 9) == expected.sample(key, 9)).all()
        assert set(np.asarray(found.labels)) == {7}

    def test_of_a_subset(self, key):
        z, labels = separate(2000)
        where = labels != 5
        sampler = jl.ClusterMixtureSampler.fit(z, n_clusters=6, labels=labels, where=where)
        assert set(np.asarray(sampler.mixture.labels)) == {7, -2}

    def test_files(self, key, tmp_path):
        z, labels = separate(500)
        sampler = jl.ClusterRecombinationSampler.fit(z, n_clusters=4, labels=labels)
        jl.save(tmp_path / "s.npz", sampler)
        read = jl.load(tmp_path / "s.npz").condition(label=7)
        assert (read.sample(key, 9) == sampler.condition(label=7).sample(key, 9)).all()

    @pytest.mark.usefixtures("as_without_type_checks")
    def test_errors(self):
        z, labels = separate(500)
        sampler = jl.GaussianMixtureSampler.fit(z, n_clusters=4, labels=labels)
        with pytest.raises(ValueError, match="label: expected one of -2, 5, 7, got 4"):
            sampler.condition(label=4)
        with pytest.raises(TypeError, match="fitted without classes"):
            jl.GaussianMixtureSampler.fit(z, n_clusters=4).condition(label=4)
        with pytest.raises(TypeError, match="knows no classes"):
            jl.GaussianSampler.fit(z).condition(label=4)
        with pytest.raises(TypeError, match="labels: expected integers"):
            jl.GaussianMixtureSampler.fit(z, labels=labels / 2)
        with pytest.raises(ValueError, match=r"labels: expected shape \(500,\)"):
            jl.ClusterMixtureSampler.fit(z, labels=labels[1:])
