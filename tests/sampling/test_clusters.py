import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.sampling.bodies.union import BodyUnion
from jaxlatent.sampling.fitting.clusters import MOST, fit_clusters
from jaxlatent.sampling.fitting.k_means import k_means, padded


def brute_force(body, y):
    u = (y[:, None] - np.asarray(body.centres)) / np.asarray(body.semi_axes)
    pairs = u[..., :, None] ** 2 + u[..., None, :] ** 2
    k = y.shape[1]
    pairs[..., np.arange(k), np.arange(k)] = 0
    return (pairs.max(axis=(2, 3)) <= 1).any(axis=1)


@pytest.fixture
def body():
    rng = np.random.default_rng(3)
    return BodyUnion(
        rng.standard_normal((4, 5)).astype(np.float32), rng.uniform(0.5, 2, (4, 5)).astype(np.float32)
    )


def test_contains_is_every_pair_of_any_body(body):
    y = 1.5 * np.random.default_rng(4).standard_normal((5000, 5)).astype(np.float32)
    expected = brute_force(body, y)
    assert 0.02 < expected.mean() < 0.98
    np.testing.assert_array_equal(body.contains(y), expected)
    assert body.coverage(y) == pytest.approx(expected.mean())


def test_of_one_body_it_is_the_ellipse_body():
    axes = jnp.asarray([1.0, 2.0, 0.5])
    y = 0.7 * np.random.default_rng(5).standard_normal((2000, 3)).astype(np.float32)
    union = BodyUnion(jnp.zeros((1, 3)), axes[None])
    np.testing.assert_array_equal(union.contains(y), jl.EllipseBody(axes).contains(y))


def test_nothing_is_in_it_of_no_vectors(body):
    assert body.contains(np.empty((0, 5), np.float32)).shape == (0,)


def test_confined_vectors_keep_their_direction_and_lie_inside(body):
    rng = np.random.default_rng(6)
    own = rng.integers(0, 4, 3000).astype(np.int32)
    centre, axes = np.asarray(body.centres)[own], np.asarray(body.semi_axes)[own]
    y = (centre + 0.6 * axes * rng.standard_normal((3000, 5))).astype(np.float32)
    confined = np.asarray(body.confine(jnp.asarray(y), jnp.asarray(own), jnp.zeros(5)))
    assert brute_force(body, confined).all()
    u = np.sort(((y - centre) / axes) ** 2, axis=1)
    gauge = np.sqrt(u[:, -1] + u[:, -2])
    assert 0.1 < (gauge > 1).mean() < 0.9
    np.testing.assert_array_equal(confined[gauge < 0.999], y[gauge < 0.999])
    expected = centre + (y - centre) / np.maximum(gauge, 1)[:, None]
    np.testing.assert_allclose(confined, expected, atol=2e-5)


@pytest.mark.parametrize("axes", [-1.0, 0.0, np.inf, np.nan])
def test_bad_semi_axes(axes):
    with pytest.raises(ValueError, match="semi_axes: expected positive, finite numbers"):
        BodyUnion(jnp.zeros((2, 3)), jnp.full((2, 3), axes))


@pytest.mark.usefixtures("as_without_type_checks")
def test_bad_shapes(body):
    with pytest.raises(ValueError, match=r"semi_axes: expected shape \(2, 3\), got \(3, 2\)"):
        BodyUnion(jnp.zeros((2, 3)), jnp.ones((3, 2)))
    with pytest.raises(ValueError, match=r"y: expected an array of shape \(n, 5\)"):
        body.contains(jnp.zeros((2, 4)))


def test_k_means_finds_groups(key, groups):
    x, own = groups([100, 200, 50, 150])
    x -= x.mean(axis=0)
    centres, member = k_means(key, jnp.asarray(x), 500, 4)
    found = np.asarray(member).argmax(axis=0)
    assert len(np.unique(np.stack([found, own], axis=1), axis=0)) == 4
    for j in range(4):
        np.testing.assert_allclose(centres[j], x[found == j].mean(axis=0), atol=1e-4)


def test_padding_has_no_part_in_k_means(key, groups):
    x, _ = groups([100, 30], apart=0.3)
    centres, member = k_means(key, jnp.asarray(x), 130, 5)
    wide = np.concatenate([padded(x), np.full((20, 6), 50, np.float32)])
    assert len(wide) == 144 + 20
    same_centres, same_member = k_means(key, jnp.asarray(wide), 130, 5)
    np.testing.assert_allclose(same_centres, centres, atol=1e-5)
    np.testing.assert_array_equal(same_member[:, :130], member)
    assert not same_member[:, 130:].any()


def test_few_numbers_of_rows_after_padding():
    sizes = {len(padded(np.zeros((n, 1), np.float32))) for n in range(1025, 2049)}
    assert sizes == set(range(1152, 2049, 128))
    assert [len(padded(np.zeros((n, 1), np.float32))) for n in (0, 1, 16, 17)] == [0, 1, 16, 18]


def test_groups_are_found(key, groups):
    z, own = groups([100, 200, 60, 140])
    found = fit_clusters(z, 4, coverage=1.0, key=key)
    assert sorted(found.sizes) == [60, 100, 140, 200]
    assert found.bounds[-1] == len(z)
    for j, size in enumerate(found.sizes):
        points = z[own == [100, 200, 60, 140].index(size)]
        centre = found.pca.inverse_transform(found.body.centres[j : j + 1])[0]
        np.testing.assert_allclose(centre, points.mean(axis=0), atol=1e-3)
        np.testing.assert_allclose(found.of(j).mean(axis=0), 0, atol=1e-9)


def test_points_that_spread_differently_about_one_mean_are_told_apart(key):
    """Two concentric clouds, one three times as wide in the second half of its components."""
    rng = np.random.default_rng(7)
    wide = np.arange(2000) < 800
    scale = np.where(wide[:, None] & (np.arange(32) >= 16), 3.0, 1.0)
    z = (scale * rng.standard_normal((2000, 32))).astype(np.float32)
    found = fit_clusters(z, 2, coverage=1.0, key=key)
    spread = [float(np.square(found.of(j)).sum(axis=1).mean()) for j in range(2)]
    assert max(spread) > 3 * min(spread)
    assert found.sizes[int(np.argmax(spread))] == pytest.approx(800, abs=40)


def test_small_clusters_are_dissolved(key, groups):
    z, _ = groups([300, 10, 200])
    found = fit_clusters(z, 3, coverage=1.0, key=key)
    assert found.sizes.min() >= 30
    assert found.sizes.sum() == 510
    few = fit_clusters(z[:20], 5, coverage=1.0, key=key)
    assert few.sizes.tolist() == [20]
    # As many clusters as there are tens of points, and none is smaller.
    assert fit_clusters(z, 100, coverage=1.0, key=key, fewest=200).sizes.min() >= 200


def test_copies_are_no_cluster(key, groups):
    """A place of many copies, far from all else, goes to the others; a body about it would be a point."""
    z, _ = groups([100, 100])
    z = np.concatenate([z, np.full((60, 6), 90, np.float32)])
    found = fit_clusters(z, 3, coverage=1.0, key=key)
    assert sorted(found.sizes) == [100, 160]


def test_no_spread_at_the_level_asked_for(key):
    """Half of the points are the mean, so that a body of no extent would hold them."""
    z = np.zeros((80, 3), np.float32)
    z[:20] = np.random.default_rng(0).standard_normal((20, 3))
    z[20:40] = -z[:20]
    found = fit_clusters(z, 5, coverage=0.5, key=key)
    np.testing.assert_allclose(found.body.semi_axes, 1e-6 * found.deviations, rtol=1e-6)


@pytest.mark.parametrize("coverage", [0.5, 0.9, 1.0])
def test_coverage_is_that_of_each_points_own_body(coverage, key, groups):
    z, _ = groups([400, 300, 300])
    found = fit_clusters(z, 3, coverage=coverage, key=key)
    # The groups lie far apart, so no point lies in the body of another.
    assert found.body.coverage(found.pca.transform(z)) == pytest.approx(coverage, abs=2e-3)
    levels = np.asarray(found.body.semi_axes) / found.deviations
    np.testing.assert_allclose(levels, levels[0, 0], rtol=1e-5)


def test_same_key_same_clusters(key, groups):
    z, _ = groups([300, 300], apart=1.0)
    first, again = (fit_clusters(z, 8, coverage=0.9, key=key) for _ in range(2))
    np.testing.assert_array_equal(first.y, again.y)
    other = fit_clusters(z, 8, coverage=0.9, key=jax.random.key(9))
    assert not np.array_equal(first.bounds, other.bounds)


def test_the_usual_number_of_clusters_follows_that_of_the_points(key, groups):
    z, _ = groups([600, 400], apart=1.0)
    found = fit_clusters(z, None, size=250, coverage=0.9, key=key)
    np.testing.assert_array_equal(found.y, fit_clusters(z, 4, coverage=0.9, key=key).y)
    assert len(fit_clusters(z[:20], None, coverage=0.9, key=key).sizes) == 1
    found = fit_clusters(np.tile(z, (10, 1)), None, size=1, fewest=1, coverage=0.9, key=key)
    assert 200 < len(found.sizes) <= MOST


@pytest.mark.usefixtures("as_without_type_checks")
def test_bad_options(key, groups):
    z, _ = groups([100])
    with pytest.raises(ValueError, match="n_clusters: expected at least 1, got 0"):
        fit_clusters(z, 0, coverage=0.9, key=key)
    for coverage in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"coverage: expected a share in \(0, 1\]"):
            fit_clusters(z, 2, coverage=coverage, key=key)
    with pytest.raises(TypeError, match="key: expected a typed key"):
        fit_clusters(z, 2, coverage=0.9, key=jax.random.PRNGKey(0))
    equal = np.full((50, 3), 7.3, np.float32)
    with pytest.raises(ValueError, match="z: all vectors are equal"):
        fit_clusters(equal, 2, coverage=0.9, key=key)
    with pytest.raises(ValueError, match="z: all 60 vectors are equal"):
        fit_clusters(np.concatenate([z, 0 * z]), 2, coverage=0.9, where=np.arange(200) >= 140)
