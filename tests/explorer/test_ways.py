import numpy as np
import pytest

from jaxlatent.explorer.ways import way


@pytest.fixture(scope="module")
def ends():
    return np.random.default_rng(0).standard_normal((2, 6)) * 3


def test_a_straight_line(ends):
    first, second = ends
    found = way(first, second, 9, mean=np.ones(6))
    place = np.linspace(0, 1, 9)[:, None]
    np.testing.assert_array_equal(found, (first + place * (second - first)).astype(np.float32))
    assert found.dtype == np.float32


def test_a_turn_about_the_mean(ends):
    """Even steps of the angle, and of the length, in the plane of both ends."""
    mean = np.full(6, 0.5)
    found = way(*ends, 9, kind="spherical", mean=mean)
    np.testing.assert_array_equal(found[[0, -1]], ends.astype(np.float32))
    offset = np.asarray(found, np.float64) - mean
    length = np.linalg.norm(offset, axis=1)
    np.testing.assert_allclose(length, np.linspace(length[0], length[-1], 9), rtol=1e-5)
    unit = offset / length[:, None]
    whole = np.arccos(unit[0] @ unit[-1])
    np.testing.assert_allclose(np.arccos((unit[1:] * unit[:-1]).sum(axis=1)), whole / 8, rtol=1e-4)
    assert np.linalg.matrix_rank(offset, tol=1e-4) == 2


@pytest.mark.parametrize("kind", ["linear", "spherical"])
@pytest.mark.parametrize("name", ["pairwise", "groups", "box"])
def test_all_of_it_is_inside_where_that_is_asked_for(space, kind, name):
    region = space.law(name).region
    first, second = (space.mean + factor * (space.z[i] - space.mean) for i, factor in ((0, 0.2), (1, 9)))
    free, kept = (way(first, second, 12, kind=kind, mean=space.mean, region=each) for each in (None, region))
    inside = np.asarray(region.sampler.contains(free))
    assert 0 < inside.sum() < 12
    assert region.sampler.contains(kept).all()
    np.testing.assert_array_equal(kept[inside], free[inside])


def test_two_vectors_are_the_ends(ends):
    for kind in ("linear", "spherical"):
        np.testing.assert_array_equal(way(*ends, 2, kind=kind, mean=np.zeros(6)), ends.astype(np.float32))
        same = way(ends[0], ends[0], 4, kind=kind, mean=np.zeros(6))
        np.testing.assert_allclose(same, np.tile(ends[0], (4, 1)), rtol=1e-5)
