import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.latent.subset import subset_weight
from jaxlatent.sampling.fitting.region import fit_frame, fit_region

AXES = {
    "fwhm": {"half_width": "fwhm"},
    "hwhm": {"half_width": "hwhm"},
    "sigma": {"half_width": "sigma"},
    "matched": {"fact": "matched"},
}


@pytest.mark.parametrize("axes", ["fwhm", "hwhm", "sigma"])
@pytest.mark.parametrize("k", [None, 4])
def test_semi_axes_are_fact_times_the_width(make_z, axes, k):
    z = make_z(3000, 6)
    pca, body, _ = fit_region(z, n_components=k, **AXES[axes])
    assert pca.n_components == body.n_components == (k or 6)
    width = jl.half_width(pca.transform(z), axes)
    np.testing.assert_allclose(body.semi_axes, 0.7 * width, rtol=1e-6)
    twice = fit_region(z, n_components=k, **AXES[axes] | {"fact": 1.4})[1]
    np.testing.assert_allclose(twice.semi_axes, 2 * body.semi_axes, rtol=1e-6)


@pytest.mark.parametrize(("k", "deviations"), [(2, 2.0), (6, None)])
def test_matched_semi_axes_scale_the_standard_deviations(make_z, k, deviations):
    pca, body, _ = fit_region(make_z(500, 6), n_components=k, fact="matched")
    level = body.semi_axes / jnp.sqrt(pca.explained_variance)
    np.testing.assert_allclose(level, level[0], rtol=1e-6)
    assert 2 - 1e-4 < level[0] < np.sqrt(6)
    assert deviations is None or abs(level[0] - deviations) < 1e-4


def test_frame_leaves_out_components_without_variance(make_z):
    z = np.array(make_z(200, 5))
    z[:, 1] = 4
    assert fit_frame(z).n_components == 4
    assert fit_frame(z, 5).n_components == 5
    np.testing.assert_array_equal(fit_frame(z, 3).components, jl.PCA.fit(z, 3).components)


def test_trimming_reaches_the_frame(make_z):
    z = make_z(2000, 4)
    pca, _, _ = fit_region(z, within_sigma=1.5)
    np.testing.assert_array_equal(pca.mean, jl.PCA.fit(z, within_sigma=1.5).mean)


@pytest.mark.parametrize("axes", ["fwhm", "sigma", "matched"])
def test_region_of_a_small_random_subset_is_nearly_that_of_all(make_z, axes):
    z = make_z(4000, 32)
    mask = np.zeros(4000, bool)
    mask[np.random.default_rng(0).choice(4000, 5, replace=False)] = True
    pca, body, _ = fit_region(z, **AXES[axes], where=mask)
    whole, whole_body, _ = fit_region(z, **AXES[axes])
    deviation = jnp.sqrt(whole.explained_variance)
    shift = (pca.mean - whole.mean) @ whole.components.T / deviation
    # Of a plain mean it would be 32 / 5 on average; the estimator's risk for no shift is 2 / 5 at most.
    assert jnp.sum(jnp.square(shift)) < 3 * 2 / 5
    # A weight of 5 / 37 for the 5 points, of which the 4 directions between them get most.
    ratio = np.asarray(body.semi_axes / whole_body.semi_axes)
    assert np.median(np.abs(ratio - 1)) < subset_weight(5, 32)


@pytest.mark.parametrize("axes", ["fwhm", "sigma", "matched"])
@pytest.mark.parametrize("kind", ["numpy", "jax"])
def test_region_of_a_large_distant_subset_is_its_own(make_z, axes, kind):
    z = np.array(make_z(12_000, 6))
    mask = np.arange(12_000) % 2 == 0
    z[mask] = z[mask] * np.linspace(0.3, 2, 6, dtype=np.float32) + 50
    if kind == "jax":
        z, mask = jnp.asarray(z), jnp.asarray(mask)
    pca, body, _ = fit_region(z, **AXES[axes], where=mask)
    own, own_body, _ = fit_region(z[mask], **AXES[axes])
    np.testing.assert_allclose(pca.mean, own.mean, rtol=1e-4)
    np.testing.assert_allclose(jnp.abs(pca.components @ own.components.T), np.eye(6), atol=0.03)
    np.testing.assert_allclose(body.semi_axes, own_body.semi_axes, rtol=0.01)


@pytest.mark.parametrize("axes", ["fwhm", "hwhm", "sigma"])
def test_a_distance_to_the_rest_is_no_width(make_z, axes):
    """As many chosen points as dimensions, so that half of the widths comes from all points."""
    z = np.array(make_z(4000, 6)) * np.float32(0.1)
    z[6:] += 100
    mask = np.arange(4000) < 6
    deviation = z[6:].std(axis=0).max() * 6
    assert (fit_region(z, **AXES[axes] | {"fact": 1.0}, where=mask)[1].semi_axes < deviation).all()


def test_all_points_as_a_subset(make_z):
    z = make_z(1000, 5)
    for ours, theirs in zip(fit_region(z, where=np.ones(1000, bool))[:2], fit_region(z)[:2], strict=True):
        assert type(ours) is type(theirs)
    _, body, _ = fit_region(z, where=np.ones(1000, bool))
    np.testing.assert_allclose(body.semi_axes, fit_region(z)[1].semi_axes, rtol=1e-4)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(make_z):
    z = make_z(100, 4)
    for fact in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="fact: expected a positive, finite number"):
            fit_region(z, fact=fact)
    with pytest.raises(ValueError, match="half_width: expected one of fwhm, hwhm, sigma, got"):
        fit_region(z, half_width="full")
    with pytest.raises(ValueError, match=r"where: expected shape \(100,\)"):
        fit_region(z, where=np.ones(99, bool))
    with pytest.raises(ValueError, match="n_components: expected at least 2, got 1"):
        fit_region(z, n_components=1)
    constant = z.at[:, 2].set(1.0)
    for axes in ("fwhm", "matched"):
        with pytest.raises(
            ValueError, match="n_components: z varies in 3 directions only, got 4; keep fewer"
        ):
            fit_region(constant, n_components=4, **AXES[axes])


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_without_a_region(dtype):
    same = np.full((200, 3), 0.1, dtype)
    line = np.linspace(0.1, 1, 200, dtype=dtype)[:, None] * np.array([1, 2, 3], dtype)
    for axes in ("fwhm", "matched"):
        with pytest.raises(ValueError, match=r"^z: all vectors are equal"):
            fit_region(same, **AXES[axes])
        for z in (line, line[:, :1]):
            with pytest.raises(ValueError, match=r"^z: varies in one direction only.* GaussianSampler"):
                fit_region(z, **AXES[axes])


@pytest.mark.parametrize("axes", ["fwhm", "sigma", "matched"])
def test_trimming_reaches_the_widths(make_z, axes):
    """1 % outliers at 50 deviations."""
    z = np.array(make_z(5000, 3))
    _, clean, _ = fit_region(z, **AXES[axes])
    z[:50] *= 50
    trimmed = fit_region(z, **AXES[axes], within_sigma=3.0)[1]
    np.testing.assert_allclose(trimmed.semi_axes, clean.semi_axes, rtol=0.15)


def humps(n, d):
    rng = np.random.default_rng(0)
    z = rng.normal(0, 0.72, (n, d))
    z[:, 0] += rng.choice([-3, 3], n)
    return z.astype(np.float32)


@pytest.mark.parametrize("axes", ["fwhm", "sigma", "matched"])
def test_a_body_about_an_empty_middle_is_told(axes):
    for options in ({}, {"where": np.arange(2000) < 1500}):
        with pytest.warns(
            UserWarning, match=r"z: the density of component 0 .1 such. is not about its mean: 0.* %"
        ):
            fit_region(humps(2000, 3), **AXES[axes], **options)


@pytest.mark.parametrize("n", [50, 300, 20_000])
@pytest.mark.parametrize("d", [2, 40])
def test_densities_with_one_peak_are_not(n, d):
    """Warnings are errors here."""
    rng = np.random.default_rng(n + d)
    for draw in (
        rng.standard_normal,
        rng.random,
        rng.standard_exponential,
        lambda size: rng.standard_t(3, size),
    ):
        fit_region(draw((n, d)).astype(np.float32))
        fit_region(draw((n, d)) * np.geomspace(1, 0.1, d) @ np.linalg.qr(rng.standard_normal((d, d)))[0])


def test_shards_and_memory_maps(tmp_path, make_z):
    z = np.asarray(make_z(900, 3))
    np.save(tmp_path / "z.npy", z)
    (tmp_path / "shards").mkdir()
    for number in range(3):
        np.save(tmp_path / "shards" / f"latents-{number:05d}.npy", z[300 * number : 300 * number + 300])
    options = [{}, {"within_sigma": 2.0}, {"max_points": 200}, {"where": z[:, 0] > z[:, 0].mean()}]
    for name in ("z.npy", "shards"):
        opened = jl.open_latents(tmp_path / name)
        for chosen in options:
            ours, expected = fit_region(opened, **chosen), fit_region(z, **chosen)
            np.testing.assert_allclose(ours[1].semi_axes, expected[1].semi_axes, rtol=1e-5)
        np.testing.assert_allclose(jl.half_width(opened), jl.half_width(z), rtol=1e-5)
        np.testing.assert_allclose(ours[0].distance(opened), ours[0].distance(z), atol=1e-5)
