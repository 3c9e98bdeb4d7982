"""What is inside, and the intervals of the sliders, against a scan of the gauge in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.explorer import Recipe
from jaxlatent.explorer.region import Region, _deepest, _rooms

NAMES = ["pairwise", "exact", "groups", "tilted", "few", "gaussian"]


def pairs(u):
    """The root of the largest sum of two squares, of rows u."""
    return np.sqrt(np.sort(np.square(u), axis=-1)[..., -2:].sum(axis=-1))


def gauge(region, z):
    """Of vectors (n, d), in float64, from the bodies' definitions."""
    body, frame = region.body, region.sampler.frame
    y = np.asarray(z, np.float64)
    if frame is not None:
        y = (y - np.asarray(frame.mean, np.float64)) @ np.asarray(frame.components, np.float64).T
    if isinstance(body, jl.EllipseBody):
        return pairs(y / np.asarray(body.semi_axes, np.float64))
    if isinstance(body, jl.BodyUnion):
        centres, axes = (np.asarray(each, np.float64) for each in (body.centres, body.semi_axes))
        return pairs((y[:, None] - centres) / axes).min(axis=1)
    scale = np.asarray(body.sigma, np.float64) * body.level
    t, rho = (y - np.asarray(body.mean, np.float64)) / scale, np.asarray(body.correlation, np.float64)
    squares = [
        (t[:, i] ** 2 - 2 * rho[i, j] * t[:, i] * t[:, j] + t[:, j] ** 2) / (1 - rho[i, j] ** 2)
        for i in range(len(scale))
        for j in range(i)
    ]
    return np.sqrt(np.max(squares, axis=0))


def scanned(region, z, way, reach, count=4001):
    """The steps that stay inside, around z or, where that is outside, where the way is deepest inside."""
    steps = np.linspace(-reach, reach, count)
    found = gauge(region, z + steps[:, None] * way)
    begin = count // 2 if found[count // 2] <= 1 else int(np.argmin(found))
    if found[begin] > 1:
        return np.nan, np.nan
    ends = []
    for sign in (-1, 1):
        place = begin
        while 0 <= place + sign < count and found[place + sign] <= 1:
            place += sign
        low, high = steps[place], steps[place] + sign * 2 * reach / (count - 1)
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if gauge(region, (z + middle * way)[None])[0] <= 1 else (low, middle)
        ends.append(low)
    return tuple(ends)


@pytest.fixture(scope="module")
def some(space):
    """Inside, at the border, outside in one direction, and far away."""
    rng = np.random.default_rng(1)
    spread = (space.z - space.mean)[rng.choice(len(space.z), 8, replace=False)]
    return [
        space.mean + factor * row for factor, row in zip([0.3, 0.6, 1, 1, 1.5, 2, 3, 20], spread, strict=True)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_intervals_equal_a_scan_of_the_gauge(space, some, name):
    region = space.law(name).region
    ways = np.asarray(space.frame.components, np.float64) * space.sigma[:, None]
    few = 3 if name == "few" else 6
    errors, outside = [], 0
    for z in [*some, *(np.asarray(space.vector(Recipe(name, 0, i)), np.float64) for i in range(4))]:
        found = region.intervals(z, ways)
        np.testing.assert_array_equal(found[few:], np.tile([-np.inf, np.inf], (6 - few, 1)))
        for way, ends in zip(ways[:few], found[:few], strict=True):
            expected = scanned(region, z, way, 70)
            if np.isnan(ends).any() or np.isnan(expected).any():
                # The line may touch the body between two steps of the scan.
                assert np.isnan(ends).all()
                assert np.isnan(expected).all()
                outside += 1
            else:
                # What is kept clear of the boundary counts by its root where the line only touches the body.
                np.testing.assert_allclose(ends, expected, atol=5e-3)
                errors.append(np.abs(np.subtract(ends, expected)))
    assert outside > 0
    assert np.median(errors) < 2e-5


@pytest.mark.parametrize("name", ["few", "groups", "pairwise"])
def test_intervals_along_ways_that_move_many_components(space, some, name):
    region, rng = space.law(name).region, np.random.default_rng(3)
    ways = rng.standard_normal((4, 6))
    vectors = [*some[:3], *(np.asarray(space.vector(Recipe(name, 0, i)), np.float64) for i in range(3))]
    inside = [z for z in vectors if region.gauge(z) <= 1]
    assert len(inside) >= 3
    # Of a single body also from outside.
    for z in inside if name == "groups" else [*inside, some[-2]]:
        expected = [scanned(region, z, way, 70) for way in ways]
        np.testing.assert_allclose(region.intervals(z, ways), expected, atol=5e-3)


def test_an_interval_goes_through_bodies_that_overlap_and_not_across_a_gap(space):
    centres = np.array([[0, 0], [1.5, 0], [8, 0]], np.float32)
    mixture = jl.GaussianMixtureSampler(
        jl.PCA(*(jnp.asarray(leaf, jnp.float32) for leaf in ([0, 0], np.eye(2), [1, 1], [0.5, 0.5]))),
        jnp.full(3, 1 / 3),
        jnp.asarray(centres),
        jnp.broadcast_to(jnp.eye(2), (3, 2, 2)) + jnp.zeros((3, 2, 2)),
    )
    body = jl.BodyUnion(centres, np.ones((3, 2), np.float32))
    region = Region(jl.ClusterMixtureSampler(mixture, body))
    for z, expected in [
        ([0.0, 0.0], [[-1, 2.5], [-1, 1]]),
        ([1.0, 0.0], [[-2, 1.5], [-np.sqrt(0.75), np.sqrt(0.75)]]),
        ([7.5, 0.0], [[-0.5, 1.5], [-np.sqrt(0.75), np.sqrt(0.75)]]),
        ([0.0, 2.0], [[np.nan, np.nan], [-3, -1]]),
    ]:
        found = region.intervals(np.array(z), np.eye(2))
        np.testing.assert_allclose(found, expected, atol=1e-8)
        searched = region._searched(np.array(z), np.eye(2))
        np.testing.assert_allclose(searched, expected, atol=1e-4)


def test_one_program_for_all_vectors(space, some):
    ways = np.eye(6)
    for name in ("groups", "tilted", "few"):
        region = space.law(name).region
        region.intervals(some[0], ways)
        region.intervals(some[-1], ways)
        before = _rooms._cache_size(), _deepest._cache_size()
        for z in some:
            region.intervals(z, ways)
        assert (_rooms._cache_size(), _deepest._cache_size()) == before


@pytest.mark.parametrize("name", [*NAMES, "box"])
def test_inside_always_ends_inside_and_leaves_vectors_inside_alone(space, some, name):
    region, n_inside = space.law(name).region, 0
    far = [space.mean + factor * np.ones(6) for factor in (1e3, 1e10, 1e30)]
    for z in [*some, *far, *(space.vector(Recipe("box", 0, i)) for i in range(6))]:
        recipe = Recipe.of_vector(z, name)
        alone, pulled = (space.look(Recipe.parse(f"{recipe}{more}")) for more in ("", "&inside=1"))
        assert region.sampler.contains(pulled.vector[None])[0]
        assert pulled.inside
        assert pulled.gauge <= 1
        if region.sampler.contains(alone.vector[None])[0]:
            np.testing.assert_array_equal(pulled.vector, alone.vector)
            n_inside += 1
        for edits in ("c1=9", "z1=-30&c2=4", "a.smile=50", "c1=1&c2=1&c3=-1&a.hat=-7&z4=1e30"):
            edited = space.look(Recipe.parse(f"{recipe}&{edits}&inside=1"))
            assert region.sampler.contains(edited.vector[None])[0]
            assert edited.inside
    assert n_inside >= 2


@pytest.mark.parametrize("name", ["pairwise", "exact", "groups", "tilted", "few"])
def test_what_a_sampler_draws_is_inside_its_region(space, samplers, name):
    for i in range(100):
        z = np.asarray(space.vector(Recipe(name, 1, i)), np.float64)
        assert space.law(name).region.gauge(z) <= 1
        assert gauge(space.law(name).region, z[None])[0] <= 1 + 1e-6


def test_the_gauge_of_any_vector(space, some):
    for name in NAMES:
        region = space.law(name).region
        for z in some:
            assert region.gauge(z) == pytest.approx(gauge(region, z[None])[0], rel=1e-4)
