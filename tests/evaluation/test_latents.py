import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxlatent.evaluation.latents import latent_statistics

FIELDS = ["mean_error", "covariance_error", "correlation_error", "radius_ks"]


@pytest.fixture(scope="module")
def draw():
    """Correlated Gaussian points with a mean far from 0: draw(n, seed) -> float32 (n, 6)."""
    mixing = np.random.default_rng(0).standard_normal((6, 6))
    return lambda n, seed: (np.random.default_rng(seed).standard_normal((n, 6)) @ mixing + 9).astype(
        np.float32
    )


def test_equals_float64_definitions(draw):
    real, new = draw(300, 1), draw(200, 2) * np.float32(1.2)
    found = latent_statistics(real, jnp.asarray(new))
    z, x = real.astype(float), new.astype(float)
    mean, covariance = z.mean(axis=0), np.cov(z.T)
    inverse = np.linalg.inv(covariance)
    shift = x.mean(axis=0) - mean
    assert found.mean_error == pytest.approx(np.sqrt(shift @ inverse @ shift), rel=1e-4)
    root = np.linalg.cholesky(inverse)
    white = root.T @ np.cov(x.T) @ root
    assert found.covariance_error == pytest.approx(np.linalg.norm(white - np.eye(6)) / np.sqrt(6), rel=1e-4)
    difference = (np.corrcoef(x.T) - np.corrcoef(z.T))[np.triu_indices(6, 1)]
    assert found.correlation_error == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-4)
    values, vectors = np.linalg.eigh(covariance)
    y = (x - mean) @ vectors[:, ::-1]
    scale = np.sqrt(values[::-1])
    np.testing.assert_allclose(found.spread, y.std(axis=0, ddof=1) / scale, rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.shift), np.abs(y.mean(axis=0) / scale), rtol=1e-3, atol=1e-5)
    radii = np.einsum("ni,ij,nj->n", x - mean, inverse, x - mean)
    others = [np.delete(z, i, axis=0) for i in range(len(z))]
    away = [p - rest.mean(axis=0) for p, rest in zip(z, others, strict=True)]
    own = [a @ np.linalg.solve(np.cov(rest.T), a) for a, rest in zip(away, others, strict=True)]
    np.testing.assert_allclose(found.squared_radii, np.quantile(radii, found.levels), rtol=1e-4)
    np.testing.assert_allclose(found.real_squared_radii, np.quantile(own, found.levels), rtol=1e-4)
    assert found.radius_mean == pytest.approx(np.sqrt(radii).mean(), rel=1e-5)
    assert found.real_radius_deviation == pytest.approx(np.sqrt(own).std(), rel=1e-4)
    expected = stats.ks_2samp(own, radii, method="asymp")
    assert found.radius_ks == pytest.approx(expected.statistic, abs=1e-6)
    assert found.radius_p == pytest.approx(expected.pvalue, rel=1e-3)


def test_points_against_themselves(draw):
    z = draw(5000, 1)
    found = latent_statistics(z, z)
    np.testing.assert_allclose(
        [found.mean_error, found.covariance_error, found.correlation_error], 0, atol=1e-5
    )
    np.testing.assert_allclose(found.spread, 1, rtol=1e-5)
    assert found.radius_ks < 0.01


def test_the_same_law_shows_no_difference_even_for_few_points_of_many_dimensions():
    """Radii by the moments of all points would be 30 % apart here."""
    rng = np.random.default_rng(0)
    real, new = rng.standard_normal((2, 500, 80)).astype(np.float32)
    found = latent_statistics(real, new)
    assert found.radius_p > 0.01
    assert found.radius_mean == pytest.approx(found.real_radius_mean, rel=0.02)
    # Means and covariances as far apart as two sets of this size are by chance, and their inverse adds to.
    inflation = 500 / (500 - 80)
    assert found.mean_error == pytest.approx(np.sqrt(2 * 80 / 500 * inflation), rel=0.25)
    assert found.covariance_error == pytest.approx(np.sqrt(81 * 2 / 500), rel=0.4)


def test_errors_grow_with_the_change(draw):
    real, new = draw(4000, 1), draw(4000, 2)
    changes = {
        "mean_error": lambda t: new + np.float32(t),
        "covariance_error": lambda t: (new - 9) * np.float32(1 + t) + 9,
        "correlation_error": lambda t: new + np.float32(5 * t) * np.roll(new, 1, axis=1),
        "radius_ks": lambda t: (new - 9) * np.float32(1 - t / 2) + 9,
    }
    for name, change in changes.items():
        values = [getattr(latent_statistics(real, change(t)), name) for t in (0, 0.2, 0.4, 0.8)]
        assert np.all(np.diff(values) > 0), name


def test_scaled_vectors_have_that_spread(draw):
    real = draw(20_000, 1)
    mean = real.mean(axis=0)
    found = latent_statistics(real, (real - mean) * np.float32(0.7) + mean)
    np.testing.assert_allclose(found.spread, 0.7, rtol=1e-4)
    assert found.covariance_error == pytest.approx(1 - 0.49, rel=1e-3)
    assert found.correlation_error < 1e-5
    assert found.radius_mean == pytest.approx(0.7 * found.real_radius_mean, rel=2e-3)


def test_constant_coordinates_do_not_count(draw):
    real, new = draw(300, 1), draw(300, 2)
    flat = np.full((300, 2), 3, np.float32)
    padded = latent_statistics(np.hstack([real, flat]), np.hstack([new, flat]))
    plain = latent_statistics(real, new)
    assert padded.spread.shape == (6,)
    for name in FIELDS:
        assert getattr(padded, name) == pytest.approx(getattr(plain, name), rel=1e-4, abs=1e-6)
    one = latent_statistics(real[:, :1], new[:, :1])
    assert one.correlation_error == 0


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(draw):
    z = draw(30, 1)
    with pytest.raises(ValueError, match=r"z_new: expected an array of shape \(n, 6\), got \(30, 5\)"):
        latent_statistics(z, z[:, :5])
    with pytest.raises(TypeError, match="z_real: expected floating-point"):
        latent_statistics(z.astype(int), z)
    with pytest.raises(ValueError, match="z_new: expected at least 2 vectors, got 1"):
        latent_statistics(z, z[:1])
    with pytest.raises(ValueError, match=r"z_real: expected more than 8 vectors, as they vary in 6 .* got 8"):
        latent_statistics(z[:8], z)
    with pytest.raises(ValueError, match="z_real: all vectors are equal"):
        latent_statistics(np.ones_like(z), z)
    bad = z.copy()
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match="z_new: NaN"):
        latent_statistics(z, bad)
