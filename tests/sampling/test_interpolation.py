import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.spatial import geometric_slerp

import jaxlatent as jl
from jaxlatent.sampling.laws.interpolation import InterpolationSampler, interpolate_directions

KINDS = ["linear", "spherical"]
interpolate = jax.jit(interpolate_directions)


def test_linear_places_are_uniform_between_two_points(key):
    """Two points at the ends of a unit of length: the first coordinate is the place."""
    sampler = InterpolationSampler(jnp.array([[0.0, 5.0], [1.0, 7.0]]))
    z = np.asarray(sampler.sample(key, 20_000))
    assert stats.kstest(z[:, 0], "uniform").pvalue > 1e-4
    np.testing.assert_allclose(z[:, 1], 5 + 2 * z[:, 0], rtol=1e-6)


def test_every_pair_is_taken_alike(key):
    """Three points in the plane: each draw lies on one side of the triangle, at a uniform place."""
    points = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], np.float32)
    z = np.asarray(InterpolationSampler(points).sample(key, 9000), np.float64)
    on_side = np.stack([z[:, 1] == 0, z[:, 0] == 0, np.abs(z.sum(axis=1) - 4) < 1e-5])
    assert (on_side.sum(axis=0) == 1).all()
    assert stats.chisquare(on_side.sum(axis=1)).pvalue > 1e-4
    assert stats.kstest(z[on_side[2], 0], "uniform", (0, 4)).pvalue > 1e-4


def test_linear_covariance_is_two_thirds(make_z, key):
    z = np.asarray(make_z(500, 3), np.float64)
    drawn = np.asarray(InterpolationSampler.fit(jnp.asarray(z, jnp.float32)).sample(key, 40_000), np.float64)
    centred = drawn - z.mean(axis=0)
    products = centred[:, :, None] * centred[:, None, :]
    # Distinct points are negatively correlated by 1 / (n - 1): E[2 t (1 - t)] = 1/3 of it is lost.
    expected = (2 / 3 - 1 / 3 / (len(z) - 1)) * np.cov(z.T, ddof=0)
    error = products.std(axis=0) / math.sqrt(len(drawn))
    assert (np.abs(products.mean(axis=0) - expected) < 5 * error).all()
    assert (np.abs(centred.mean(axis=0)) < 5 * centred.std(axis=0) / math.sqrt(len(drawn))).all()


@pytest.mark.parametrize("d", [2, 3, 50])
def test_directions_equal_geometric_slerp(d):
    rng = np.random.default_rng(d)
    a, b = rng.standard_normal((2, 40, d))
    place = rng.uniform(size=(40, 1))
    found = interpolate(*(jnp.asarray(x, jnp.float32) for x in (a, b, place)))
    for x, y, t, result in zip(a, b, place[:, 0], found, strict=True):
        length = (1 - t) * np.linalg.norm(x) + t * np.linalg.norm(y)
        unit = geometric_slerp(x / np.linalg.norm(x), y / np.linalg.norm(y), t)
        np.testing.assert_allclose(np.linalg.norm(result), length, rtol=1e-5)
        np.testing.assert_allclose(result, length * unit, rtol=0, atol=1e-4 * length)


def test_ends_parallel_opposite_and_zero_vectors():
    def at(a, b, t):
        vectors = (jnp.array([x], jnp.float32) for x in (a, b, [t]))
        return np.asarray(interpolate(*vectors))[0]

    np.testing.assert_allclose(at([1, 0], [0, 3], 0), [1, 0], atol=1e-6)
    np.testing.assert_allclose(at([1, 0], [0, 3], 1), [0, 3], atol=1e-6)
    np.testing.assert_allclose(at([1, 1], [3, 3], 0.25), [1.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(at([1, 0], [-3, 0], 0), [1, 0], atol=1e-6)
    np.testing.assert_allclose(at([1, 0], [-3, 0], 0.5), [0, 0], atol=1e-6)
    np.testing.assert_allclose(at([0, 0], [0, 2], 0.5), [0, 1], atol=1e-6)
    np.testing.assert_array_equal(at([0, 0], [0, 0], 0.5), 0)
    for gap in (1e-2, 1e-4, 1e-6):
        for end in (1, -1):
            near = at([1, 0], [3 * end, gap], 0.5)
            np.testing.assert_allclose(np.linalg.norm(near), (1 + math.hypot(3, gap)) / 2, rtol=1e-6)


def test_spherical_turns_about_the_mean(key):
    """Points on a sphere off the origin: everything between them is on it as well."""
    rng = np.random.default_rng(0)
    unit = rng.standard_normal((200, 6))
    unit = np.concatenate([unit, -unit])
    points = (10 + 2 * unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.float32)
    sampler = InterpolationSampler.fit(points, kind="spherical")
    np.testing.assert_allclose(sampler._derive(), 10, rtol=1e-6)
    distance = np.linalg.norm(np.asarray(sampler.sample(key, 5000)) - 10, axis=1)
    # Opposite points, one pair in 400, are joined through the mean.
    assert np.mean(np.abs(distance - 2) < 1e-4) > 0.99
    linear = InterpolationSampler.fit(points).sample(key, 5000)
    assert np.mean(np.linalg.norm(np.asarray(linear) - 10, axis=1) < 1.9) > 0.5


def test_points_of_a_subset_and_at_most_some(make_z, key):
    z = np.asarray(make_z(400, 3))
    mask = z[:, 1] > z[:, 1].mean()
    np.testing.assert_array_equal(InterpolationSampler.fit(z, where=mask).points, z[mask])
    some = np.asarray(InterpolationSampler.fit(z, max_points=20, where=mask).points)
    assert 0 < len(some) < 20
    assert {tuple(p) for p in some} <= {tuple(p) for p in z[mask]}
    drawn = InterpolationSampler.fit(z, where=mask).sample(key, 500)
    assert (np.asarray(drawn)[:, 1] > z[:, 1].mean()).all()


@pytest.mark.parametrize("kind", KINDS)
def test_contract(make_z, key, kind, tmp_path):
    sampler = InterpolationSampler.fit(make_z(300, 5), kind=kind)
    whole = np.asarray(sampler.sample(key, 400))
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(sampler.sample(key, 300, start=90), whole[90:390])
    jl.save(tmp_path / "sampler.npz", sampler)
    np.testing.assert_array_equal(jl.load(tmp_path / "sampler.npz").sample(key, 400), whole)
    with jax.enable_x64(True):
        wide = sampler.sample(key, 400)
        assert wide.dtype == jnp.float32
        assert InterpolationSampler(np.zeros((3, 2)), kind).points.dtype == jnp.float32
    np.testing.assert_allclose(wide, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(
    ("fit", "error", "message"),
    [
        (
            lambda z: InterpolationSampler.fit(z, kind="cubic"),
            ValueError,
            "kind: expected one of linear, sph",
        ),
        (lambda z: InterpolationSampler.fit(z[:1]), ValueError, "expected at least 2 vectors, got 1"),
        (lambda z: InterpolationSampler.fit(z[0]), ValueError, r"z: expected an array of shape \(n, d\)"),
        (lambda z: InterpolationSampler.fit(z.astype(int)), TypeError, "floating-point"),
        (lambda z: InterpolationSampler.fit(z * np.nan), ValueError, "points: NaN or infinite values"),
        (lambda z: InterpolationSampler.fit(z, max_points=1), ValueError, "max_points"),
        (lambda z: InterpolationSampler.fit(z, where=np.ones(3, bool)), ValueError, "where"),
    ],
)
def test_errors(fit, error, message):
    with pytest.raises(error, match=message):
        fit(np.random.default_rng(0).standard_normal((9, 4)))
