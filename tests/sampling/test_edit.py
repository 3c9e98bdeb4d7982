import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.latent.directions import attribute_direction
from jaxlatent.sampling.edit import _edit, edit


@pytest.fixture
def unit_sampler(identity_pca):
    """unit_sampler(k, axes): components are coordinates."""

    def make(k, axes=1.0):
        return jl.PairwiseSampler(identity_pca(k), jl.EllipseBody(jnp.full(k, axes)))

    return make


def tilted(n, d, *, mean=0.0, least=0.3, seed=0):
    """Z-points with deviations from 1 to `least` along tilted axes."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.geomspace(1, least, d)[:, None]
    return (rng.standard_normal((n, d)) @ axes + mean * rng.uniform(-1, 1, d)).astype(np.float32)


def sampler_of(z, k, deviations=2.0):
    pca = jl.PCA.fit(z, k)
    return jl.PairwiseSampler(pca, jl.EllipseBody(deviations * jnp.sqrt(pca.explained_variance)))


def vectors_inside(sampler, n, seed=0):
    """Some of all sizes up to the boundary."""
    u = np.random.default_rng(seed).standard_normal((n, sampler.pca.n_components))
    largest = np.sort(np.square(u), axis=1)[:, -2:].sum(axis=1, keepdims=True)
    u *= np.linspace(0, 0.999, n)[:, None] / np.sqrt(largest)
    return sampler.pca.inverse_transform(u.astype(np.float32) * sampler.body.semi_axes)


def longest_step(u, w, most):
    """By bisection in float64: the largest t up to `most` with u + t w in the body of semi-axes 1."""

    def inside(t):
        largest = np.sort(np.square(u + t[:, None] * w), axis=1)[:, -2:]
        return largest.sum(axis=1) <= 1

    low, high = np.zeros(len(u)), np.full(len(u), most)
    low = np.where(inside(high), high, low)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = np.where(inside(middle), (middle, high), (low, middle))
    return low


@pytest.mark.parametrize("k", [2, 4, 64])
def test_longest_step_equals_bisection(unit_sampler, k):
    sampler = unit_sampler(k)
    z = vectors_inside(sampler, 2000)
    w = jax.random.normal(jax.random.key(k), (k,))
    for strength in (0.2, -0.5, 10.0, -jnp.inf):
        moved = np.asarray(edit(z, w, strength, sampler=sampler) - z, np.float64)
        found = moved @ np.asarray(w) / np.sum(np.square(w))
        most = min(abs(strength), 1e3)
        expected = longest_step(
            np.asarray(z, np.float64), np.sign(strength) * np.asarray(w, np.float64), most
        )
        # Near a tangent, what is kept clear of the boundary shortens the step by its root.
        np.testing.assert_allclose(found * np.sign(strength), expected, atol=3e-3)
        assert np.median(np.abs(np.abs(found) - expected)) < 2e-5


@pytest.mark.parametrize(("d", "k"), [(6, 4), (24, 24), (96, 40)])
@pytest.mark.parametrize("mean", [0.0, 5.0, 300.0])
@pytest.mark.parametrize("least", [0.3, 1e-3])
def test_every_vector_is_inside_after_the_round_trip(d, k, mean, least):
    z = tilted(2000, d, mean=mean, least=least)
    sampler = sampler_of(z, k)
    direction = np.random.default_rng(1).standard_normal(d).astype(np.float32)
    centre = np.asarray(sampler.pca.mean)
    for start in (z, centre + 1000 * (z - centre), vectors_inside(sampler, 2000)):
        for strength in (0.0, 0.5, -jnp.inf):
            edited = edit(start, direction, strength, sampler=sampler)
            assert sampler.body.contains(sampler.pca.transform(edited)).all()


def test_strength_0_leaves_vectors_inside_and_pulls_others_to_the_boundary():
    z = tilted(2000, 6, mean=3)
    sampler = sampler_of(z, 4)
    y = sampler.pca.transform(z)
    inside = np.asarray(sampler.body.contains(y))
    assert 100 < inside.sum() < 1900
    edited = edit(z, np.ones(6, np.float32), 0.0, sampler=sampler)
    np.testing.assert_array_equal(edited[inside], z[inside])
    offset = z - np.asarray(sampler.pca.mean)
    pulled = sampler.pca.mean + offset / sampler.body.gauge(y)[:, None]
    np.testing.assert_allclose(edited[~inside], pulled[~inside], atol=1e-4)
    reached = np.asarray(sampler.body.gauge(sampler.pca.transform(edited)))
    np.testing.assert_allclose(reached[~inside], 1, atol=1e-4)


def test_goes_further_with_strength_and_stops_at_the_boundary():
    sampler = sampler_of(tilted(2000, 6, mean=2), 4)
    z = vectors_inside(sampler, 2000)
    direction = jnp.asarray(np.random.default_rng(2).standard_normal(6), jnp.float32)
    along = direction @ sampler.pca.components.T @ sampler.pca.components
    strengths = np.linspace(0, 9, 31)
    steps = np.stack([edit(z, direction, float(s), sampler=sampler) - z for s in strengths])
    gone = steps @ np.asarray(along / (along @ along))
    most = gone[-1]
    np.testing.assert_allclose(gone, np.minimum(strengths[:, None], most), atol=2e-5)
    assert (np.diff(gone, axis=0) > -2e-6).all()
    at_the_end = sampler.body.gauge(sampler.pca.transform(z + steps[-1]))
    assert (most < 9).all()
    np.testing.assert_allclose(at_the_end, 1, atol=1e-4)
    np.testing.assert_array_equal(edit(z, direction, jnp.inf, sampler=sampler), z + steps[-1])


def test_one_strength_a_vector(unit_sampler):
    sampler = unit_sampler(4, axes=2.0)
    z = vectors_inside(sampler, 40)
    direction = jnp.arange(1.0, 5.0)
    strength = np.linspace(-1, 1, 40, dtype=np.float32)
    together = edit(z, direction, strength, sampler=sampler)
    for i in (0, 11, 39):
        alone = edit(z, direction, float(strength[i]), sampler=sampler)[i]
        np.testing.assert_array_equal(together[i], alone)


def test_what_lies_outside_the_frame():
    """Of the direction it is dropped, of the vectors it is kept."""
    z = tilted(2000, 6, mean=1)
    sampler = sampler_of(z, 4, deviations=4.0)
    whole = jl.PCA.fit(z)
    edited = edit(z, whole.components[0] + whole.components[5], 0.1, sampler=sampler)
    inside = np.asarray(sampler.body.contains(sampler.pca.transform(z)))
    assert inside.sum() > 1000
    moved = np.asarray(whole.transform(edited) - whole.transform(z))[inside]
    np.testing.assert_allclose(moved[:, 1:], 0, atol=1e-5)
    assert np.median(moved[:, 0]) == pytest.approx(0.1, abs=1e-5)
    outside = edit(z, whole.components[5], 100.0, sampler=sampler)
    np.testing.assert_allclose(outside[inside], z[inside], atol=1e-5)


def test_no_direction_and_vectors_on_the_boundary(unit_sampler):
    sampler = unit_sampler(4)
    z = jnp.zeros((40, 4)).at[:3].set(jnp.array([[1.0, 0, 0, 0], [0.6, 0.8, 0, 0], [0.1, -0.2, 0.3, 0]]))
    for strength in (1.0, np.inf):
        np.testing.assert_array_equal(edit(z, jnp.zeros(4), strength, sampler=sampler), z)
    axis = jnp.eye(4)[0]
    np.testing.assert_allclose(edit(z, axis, 1.0, sampler=sampler)[0], z[0], atol=1e-5)
    np.testing.assert_allclose(edit(z, -axis, 9.0, sampler=sampler)[0], -axis, atol=1e-4)
    assert edit(z[:0], axis, 1.0, sampler=sampler).shape == (0, 4)


def test_far_too_large_vectors(unit_sampler):
    sampler = unit_sampler(4)
    z = jnp.zeros((40, 4)).at[0, 0].set(1e6).at[1].set(1e30).at[2].set(3e38)
    edited = edit(z, jnp.ones(4), 0.0, sampler=sampler)
    assert sampler.body.contains(edited).all()
    np.testing.assert_allclose(edited[0], jnp.eye(4)[0], atol=1e-4)


@pytest.mark.parametrize("kind", ["mean", "linear"])
def test_an_attribute_found_in_z_points_is_given_and_taken(kind):
    """What moves is the score of the attribute; no vector leaves the body."""
    z = tilted(8000, 6, mean=2)
    rng = np.random.default_rng(0)
    normal = rng.standard_normal(6)
    score = (z - z.mean(axis=0)) @ normal
    has = score + 0.3 * score.std() * rng.standard_normal(len(z)) > 0
    sampler = sampler_of(z, 4)
    found = attribute_direction(z, has, kind=kind, pca=sampler.pca)
    start = vectors_inside(sampler, 2000)
    before = np.asarray(start - sampler.pca.mean) @ normal
    shares = []
    for strength in (-1.0, 0.0, 0.5, 1.0):
        edited = edit(start, found.vector, strength, sampler=sampler)
        assert sampler.body.contains(sampler.pca.transform(edited)).all()
        after = np.asarray(edited - sampler.pca.mean) @ normal
        assert (np.sign(strength) * (after - before) >= -1e-4).all()
        shares.append((after > 0).mean())
    assert shares[0] < 0.2
    assert abs(shares[1] - 0.5) < 5 * 0.5 / np.sqrt(2000)
    assert shares[1] < shares[2] < shares[3]
    assert shares[3] > 0.8


BODIES = {
    "exact": lambda z: jl.ExactSampler.fit(z, density="normal", fact=1.0),
    "cluster-mixture": lambda z: jl.ClusterMixtureSampler.fit(z, n_clusters=5, coverage=0.9),
    "cluster-recombination": lambda z: jl.ClusterRecombinationSampler.fit(z, n_clusters=5, coverage=0.9),
    "fewer-components": lambda z: jl.ClusterMixtureSampler.fit(z, n_clusters=5, n_components=3, coverage=0.9),
    "tilted": jl.TiltedSampler.fit,
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("mean", [0.0, 300.0])
def test_every_sampler_with_a_body(name, mean, skewed):
    z = np.asarray(skewed(3000, 6)) + np.float32(mean)
    sampler = BODIES[name](z)
    direction = np.random.default_rng(1).standard_normal(6).astype(np.float32)
    inside = np.asarray(sampler.contains(z))
    assert 0.02 < inside.mean() < 0.99
    for strength in (0.0, 0.3, -np.inf):
        edited = edit(z, direction, strength, sampler=sampler)
        assert sampler.contains(edited).all()
        if strength == 0:
            np.testing.assert_array_equal(np.asarray(edited)[inside], z[inside])
    at_the_end = np.asarray(sampler.score(edited).gauge)
    np.testing.assert_allclose(at_the_end, 1, atol=1e-3 + 1e-4 * mean)
    # As far as possible: a little further would be outside.
    along = (
        direction
        if sampler.frame is None
        else direction @ np.asarray(sampler.frame.components.T @ sampler.frame.components)
    )
    beyond = np.asarray(edited) - (2e-3 + 3e-4 * mean) * along
    assert np.asarray(sampler.contains(beyond)).mean() < (0.1 if mean else 0.02)


def test_through_bodies_that_overlap_and_not_across_a_gap(identity_pca):
    centres = np.array([[0, 0], [1.5, 0], [3, 0], [8, 0]], np.float32)
    body = jl.BodyUnion(centres, np.ones((4, 2), np.float32))
    mixture = jl.GaussianMixtureSampler(
        identity_pca(2),
        jnp.full(4, 0.25),
        jnp.asarray(centres),
        jnp.broadcast_to(jnp.eye(2), (4, 2, 2)) + jnp.zeros((4, 2, 2)),
    )
    sampler = jl.ClusterMixtureSampler(mixture, body)
    z, right = jnp.array([[0.0, 0.0], [-0.5, 0.5], [7.5, 0.1], [5.2, 0.0]]), jnp.array([1.0, 0.0])
    edited = np.asarray(edit(z, right, np.inf, sampler=sampler))
    np.testing.assert_allclose(edited[0], [4, 0], atol=1e-4)
    np.testing.assert_allclose(edited[1], [3 + np.sqrt(0.75), 0.5], atol=1e-4)
    np.testing.assert_allclose(edited[2], [8 + np.sqrt(0.99), 0.1], atol=1e-4)
    # From outside, to the body that is reached first.
    np.testing.assert_allclose(edit(z, right, 0.0, sampler=sampler)[3], [4, 0], atol=1e-4)
    high = jnp.array([[0.0, 0.9]])
    np.testing.assert_allclose(edit(high, right, np.inf, sampler=sampler)[0], [np.sqrt(0.19), 0.9], atol=1e-4)


def test_vectors_of_any_shape(make_z):
    z = np.asarray(make_z(400, 12))
    shaped = z.reshape(400, 3, 2, 2)
    direction = np.ones((3, 2, 2), np.float32)
    found = edit(shaped, direction, 0.5, sampler=jl.ExactSampler.fit(shaped))
    expected = edit(z, direction.ravel(), 0.5, sampler=jl.ExactSampler.fit(z))
    np.testing.assert_array_equal(np.asarray(found).reshape(400, 12), expected)


def test_dtypes_tracing_and_compilation(unit_sampler):
    sampler = unit_sampler(4)
    z = vectors_inside(sampler, 40)
    expected = edit(z, jnp.ones(4), 0.3, sampler=sampler)
    assert expected.dtype == jnp.float32
    before = _edit._cache_size()
    for strength in (1, -2.5, jnp.float32(3), np.linspace(0, 1, 40, dtype=np.float32)):
        edit(z, jnp.arange(4.0), strength, sampler=sampler)
    assert _edit._cache_size() == before
    traced = jax.jit(lambda s, z, v, t: edit(z, v, t, sampler=s))(sampler, z, jnp.ones(4), jnp.float32(0.3))
    np.testing.assert_allclose(traced, expected, rtol=1e-6)
    with jax.enable_x64(True):
        wide = edit(np.asarray(z, np.float64), np.ones(4), np.full(40, 0.3), sampler=sampler)
        assert wide.dtype == jnp.float32
        np.testing.assert_allclose(wide, expected, rtol=1e-6)
    assert edit(z.astype(jnp.float16), jnp.ones(4, jnp.float16), 0.3, sampler=sampler).dtype == jnp.float32


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(make_z, unit_sampler):
    sampler, z, v = unit_sampler(4), jnp.zeros((5, 4)), jnp.ones(4)
    box = jl.BoxSampler.fit(make_z(50, 4))
    with pytest.raises(
        TypeError, match="sampler: expected one with a body, as PairwiseSampler, got BoxSampler"
    ):
        edit(z, v, 1.0, sampler=box)
    with pytest.raises(ValueError, match=r"z: .*\(n, 4\), got \(5, 3\)"):
        edit(z[:, :3], v, 1.0, sampler=sampler)
    with pytest.raises(TypeError, match="z: expected floating-point"):
        edit(z.astype(jnp.int32), v, 1.0, sampler=sampler)
    for bad in (v[:3], v[None], 1.0):
        with pytest.raises(ValueError, match=r"direction: expected shape \(4,\)"):
            edit(z, bad, 1.0, sampler=sampler)
    for bad in (np.ones(4), np.ones((5, 1))):
        with pytest.raises(ValueError, match=r"strength: expected one number or \(5,\)"):
            edit(z, v, bad, sampler=sampler)
    with pytest.raises(ValueError, match="strength: expected numbers, got NaN"):
        edit(z, v, float("nan"), sampler=sampler)
    with pytest.raises(ValueError, match="direction: expected numbers, got NaN"):
        edit(z, v.at[1].set(jnp.nan), 1.0, sampler=sampler)
