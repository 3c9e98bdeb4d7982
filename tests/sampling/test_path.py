import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxlatent as jl
from jaxlatent.sampling.laws.path import PathSampler

KINDS = ["ellipse", "circle", "line"]


@pytest.fixture(scope="module")
def pca(make_z):
    return jl.PCA.fit(make_z(800, 6), n_components=5)


def in_units_of_sigma(sampler, y, plane):
    return np.asarray(y)[:, plane] / np.sqrt(np.asarray(sampler.pca.explained_variance))[list(plane)]


def test_ellipse_is_the_contour_at_its_level(pca):
    sampler = PathSampler.in_plane(pca, plane=(3, 1), level=1.5)
    y = sampler.path_components(8)
    u = in_units_of_sigma(sampler, y, (3, 1))
    angle = np.arange(8) * math.pi / 4
    np.testing.assert_allclose(u, 1.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1), atol=1e-5)
    assert not np.asarray(y)[:, [0, 2, 4]].any()


def test_circle_has_one_radius_and_the_area_of_the_ellipse(pca):
    y = np.asarray(PathSampler.in_plane(pca, kind="circle", level=2.0).path_components(40))
    sigma = np.sqrt(np.asarray(pca.explained_variance))
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 2 * math.sqrt(sigma[0] * sigma[1]), rtol=1e-5)


def test_line_goes_through_the_mean_from_level_to_level(pca):
    sampler = PathSampler.in_plane(pca, plane=(0, 2), kind="line", level=2.0, angle=30.0)
    u = in_units_of_sigma(sampler, sampler.path_components(5), (0, 2))
    direction = np.array([math.cos(math.pi / 6), 0.5])
    np.testing.assert_allclose(u, np.array([-2, -1, 0, 1, 2])[:, None] * direction, atol=1e-5)


def test_a_closed_path_begins_at_its_angle(pca):
    sampler = PathSampler.in_plane(pca, level=1.0, angle=90.0)
    u = in_units_of_sigma(sampler, sampler.path_components(4), (0, 1))
    np.testing.assert_allclose(u, [[0, 1], [-1, 0], [0, -1], [1, 0]], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_equal_in_the_parameter(identity_pca, kind):
    y = np.asarray(PathSampler.in_plane(identity_pca(3), kind=kind).path_components(50))
    steps = np.linalg.norm(np.diff(y, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-4)
    if kind != "line":
        np.testing.assert_allclose(np.linalg.norm(y[-1] - y[0]), steps[0], rtol=1e-4)


def test_other_components_are_those_of_the_base(pca, make_z):
    base = make_z(1, 6, seed=5)[0]
    y = np.asarray(PathSampler.in_plane(pca, plane=(1, 2), base=base).path_components(7))
    expected = np.asarray(pca.transform(base[None]))[0]
    np.testing.assert_allclose(y[:, [0, 3, 4]], np.tile(expected[[0, 3, 4]], (7, 1)), rtol=1e-6)
    np.testing.assert_allclose(y[:, [1, 2]].mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_places_are_uniform_on_the_path(identity_pca, key, kind):
    y = np.asarray(PathSampler.in_plane(identity_pca(2), kind=kind, level=2.0).sample_components(key, 20_000))
    if kind == "line":
        assert not y[:, 1].any()
        assert stats.kstest(y[:, 0], "uniform", (-2, 4)).pvalue > 1e-4
    else:
        np.testing.assert_allclose(np.linalg.norm(y, axis=1), 2, rtol=1e-6)
        angle = np.arctan2(y[:, 1], y[:, 0])
        assert stats.kstest(angle, "uniform", (-math.pi, 2 * math.pi)).pvalue > 1e-4


def test_fit_finds_the_frame(make_z):
    z = make_z(500, 4)
    sampler = PathSampler.fit(z, plane=(1, 0), n_components=3)
    np.testing.assert_array_equal(sampler.pca.components, jl.PCA.fit(z, n_components=3).components)
    path = sampler.path(12)
    assert path.shape == (12, 4)
    np.testing.assert_allclose(path, sampler.pca.inverse_transform(sampler.path_components(12)))
    level = in_units_of_sigma(sampler, sampler.pca.transform(path), (1, 0))
    np.testing.assert_allclose(np.linalg.norm(level, axis=1), 2.35482, rtol=1e-4)
    mask = np.asarray(z[:, 0] > 0)
    np.testing.assert_array_equal(PathSampler.fit(z, where=mask).pca.mean, jl.PCA.fit(z, where=mask).mean)


@pytest.mark.parametrize("kind", KINDS)
def test_contract(make_z, key, kind, tmp_path):
    sampler = PathSampler.fit(make_z(300, 5), kind=kind)
    whole = np.asarray(sampler.sample(key, 400))
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(sampler.sample(key, 300, start=90), whole[90:390])
    jl.save(tmp_path / "sampler.npz", sampler)
    again = jl.load(tmp_path / "sampler.npz")
    np.testing.assert_array_equal(again.sample(key, 400), whole)
    np.testing.assert_array_equal(again.path(9), sampler.path(9))
    with jax.enable_x64(True):
        wide, path = sampler.sample(key, 400), sampler.path(9)
        assert wide.dtype == path.dtype == jnp.float32
    np.testing.assert_allclose(wide, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"plane": (0, 4)},
            ValueError,
            r"plane: expected two different components from 0 to 3, got \(0, 4\)",
        ),
        ({"plane": (1, 1)}, ValueError, "two different"),
        ({"plane": (0, 1, 2)}, ValueError, "two different"),
        ({"plane": (-1, 0)}, ValueError, "plane: expected at least 0, got -1"),
        ({"plane": (0.0, 1)}, TypeError, "plane: expected an integer"),
        ({"kind": "spiral"}, ValueError, "kind: expected one of ellipse, circle, line"),
        ({"level": -1.0}, ValueError, "level: expected a positive, finite number, got -1.0"),
        (
            {"base": np.zeros(3, np.float32)},
            ValueError,
            r"base: expected shape \(4,\), got \(3,\)",
        ),
        ({"n_components": 1}, ValueError, "two different components from 0 to 0"),
    ],
)
def test_errors(make_z, options, error, message):
    with pytest.raises(error, match=message):
        PathSampler.fit(make_z(50, 4), **options)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors_of_the_path(identity_pca):
    sampler = PathSampler.in_plane(identity_pca(2))
    with pytest.raises(ValueError, match="n: expected at least 1, got 0"):
        sampler.path(0)
    with pytest.raises(TypeError, match="n: expected an integer"):
        sampler.path(2.5)
    with pytest.raises(ValueError, match=r"centre: expected shape \(2,\), got \(3,\)"):
        PathSampler(identity_pca(2), jnp.zeros(3), jnp.zeros((2, 3)))
