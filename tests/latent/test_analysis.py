"""Distributions, spectrum, contours, core, coverage, normality: each against an independent reference."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.covariance import MinCovDet

from jaxlatent import EllipseBody
from jaxlatent.latent import moments
from jaxlatent.latent.contours import HALF_MAXIMUM, contour_fits, fit_ellipse, plane_density
from jaxlatent.latent.core import robust_core, squared_radii
from jaxlatent.latent.coverage import coverage_curves
from jaxlatent.latent.distribution import number_distribution
from jaxlatent.latent.normality import component_tests, mardia, radius_law
from jaxlatent.latent.spectrum import correlation, spectrum


def gaussian(n, d, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((d, d)) / np.sqrt(d)
    return (rng.standard_normal((n, d)) @ mixing + 3).astype(np.float32)


def test_each_component_has_its_own_resolution():
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 1e-4, 50.0])
    y = (rng.standard_normal((50_000, 3)) * scale + [0, 5, -3]).astype(np.float32)
    found = number_distribution(y)
    widths = np.diff(found.edges, axis=1)
    np.testing.assert_allclose(widths[:, 0] / scale, widths[0, 0], rtol=0.05)
    np.testing.assert_allclose((found.density * widths).sum(axis=1) + found.outside, 1)
    assert found.outside.max() < 1e-4
    np.testing.assert_allclose(found.sigma / scale, 1, rtol=0.02)
    peak = 1 / (scale * math.sqrt(2 * math.pi))
    assert (np.abs(found.density - found.gaussian).max(axis=1) < 0.12 * peak).all()
    counts = np.histogram(y[:, 0].astype(float), found.edges[0])[0]
    np.testing.assert_allclose(found.density[0] * widths[0] * 50_000, counts, atol=1e-6)


def test_distribution_of_a_constant_component():
    found = number_distribution(np.ones((50, 2), np.float32))
    assert np.isfinite(found.density).all()
    assert (found.gaussian == 0).all()
    with pytest.raises(ValueError, match="at least 2"):
        number_distribution(np.ones((1, 2), np.float32))


def test_spectrum_and_correlation_equal_numpy():
    z = gaussian(3000, 8)
    found = spectrum(z)
    reference = np.linalg.eigvalsh(np.cov(z.astype(float).T))[::-1]
    np.testing.assert_allclose(found.eigenvalues, reference, rtol=1e-4)
    assert found.cumulative[-1] == pytest.approx(1)
    for share in (0.01, 0.5, 0.9, 1.0):
        k = found.components_for(share)
        assert found.cumulative[k - 1] >= share - 1e-9
        assert k == 1 or found.cumulative[k - 2] < share
    assert 1 < found.effective_dimension < 8
    np.testing.assert_allclose(correlation(z), np.corrcoef(z.astype(float).T), atol=1e-5)
    constant = np.pad(z, ((0, 0), (0, 1)), constant_values=2)
    assert (correlation(constant)[-1] == np.eye(9)[-1]).all()
    with pytest.raises(ValueError, match="share"):
        found.components_for(0.0)


@pytest.mark.parametrize("angle", [0.0, 30.0, -75.0])
def test_fit_of_an_exact_ellipse(angle):
    t = np.linspace(0, 2 * np.pi, 200)
    turn = np.radians(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    line = np.stack([3 * np.cos(t), 0.5 * np.sin(t)], axis=1) @ rotation.T + [100, -7]
    centre, matrix = fit_ellipse(line)
    np.testing.assert_allclose(centre, [100, -7], rtol=1e-8)
    np.testing.assert_allclose(matrix, rotation @ np.diag([9, 0.25]) @ rotation.T, atol=1e-7)


@pytest.mark.parametrize("correlation_of_pair", [0.0, 0.6, -0.9])
def test_contours_of_a_gaussian_are_its_confidence_ellipses(correlation_of_pair):
    rng = np.random.default_rng(1)
    covariance = np.array([[4.0, 2 * correlation_of_pair], [2 * correlation_of_pair, 1.0]])
    points = rng.multivariate_normal([5, -2], covariance, 400_000).astype(np.float32)
    fits = contour_fits(points)
    assert [fit.level for fit in fits] == [1.0, HALF_MAXIMUM, 2.0, 2.2, 2.35, 3.0]
    for fit in fits:
        np.testing.assert_allclose(fit.fitted.semi_axes, fit.gaussian.semi_axes, rtol=0.02)
        assert fit.axis_ratio == pytest.approx(1, abs=0.02)
        assert fit.size_ratio == pytest.approx(1, abs=0.02)
        assert fit.angle_difference < 1.5
        assert fit.residual < 0.02


def test_contours_tell_other_shapes_from_ellipses():
    rng = np.random.default_rng(2)
    square = rng.uniform(-1, 1, (200_000, 2)).astype(np.float32)
    fits = contour_fits(square, [HALF_MAXIMUM])
    assert fits[0].residual > 0.04
    core = rng.standard_normal((200_000, 2)) * np.where(rng.random(200_000) < 0.7, 0.3, 2)[:, None]
    assert contour_fits(core.astype(np.float32), [1.0])[0].size_ratio < 0.5  # a core narrower than its tails
    with pytest.raises(ValueError, match="constant"):
        plane_density(np.ones((20, 2), np.float32))
    with pytest.raises(ValueError, match="levels"):
        contour_fits(square, [0.0])


def test_core_of_clean_points_is_the_plain_estimate():
    z = gaussian(40_000, 10)
    core, plain = robust_core(z).moments, moments(z)
    scale = np.sqrt(np.diag(plain.covariance))
    assert np.abs((core.mean - plain.mean) / scale).max() < 5 / math.sqrt(40_000)
    assert np.abs((core.covariance - plain.covariance) / np.outer(scale, scale)).max() < 5 * math.sqrt(
        2 / 40_000
    )


def test_core_is_right_among_gross_outliers():
    z = gaussian(20_000, 10)
    clean = moments(z)
    z = z.copy()
    rng = np.random.default_rng(3)
    z[:2000] = rng.standard_normal((2000, 10)) + 40
    core = robust_core(z)
    scale = np.sqrt(np.diag(clean.covariance))
    np.testing.assert_allclose(np.sqrt(np.diag(core.moments.covariance)), scale, rtol=0.05)
    assert np.abs((core.moments.mean - clean.mean) / scale).max() < 0.05
    assert not core.inside[:2000].any()
    reference = MinCovDet(random_state=0).fit(z[::4]).covariance_
    np.testing.assert_allclose(core.moments.covariance, reference, atol=0.12 * scale.max() ** 2)


def test_errors_of_the_core():
    with pytest.raises(ValueError, match="more than 20"):
        robust_core(gaussian(20, 10))
    with pytest.raises(ValueError, match="keep"):
        robust_core(gaussian(100, 2), keep=0.3)
    with pytest.raises(ValueError, match="coordinate 1 is constant"):
        robust_core(gaussian(100, 2) * np.array([1, 0], np.float32))


def test_coverage_equals_the_body():
    y = gaussian(2000, 12)
    y -= y.mean(axis=0)
    sigma = y.std(axis=0)
    levels, components = [1.5, 2.35, 4.0], [12, 2, 7]
    found = coverage_curves(y, sigma, levels, components)
    for i, k in enumerate(components):
        for j, level in enumerate(levels):
            body = EllipseBody(jnp.asarray(np.float32(level) * sigma[:k]))
            assert found[i, j] == pytest.approx(body.coverage(y[:, :k]), abs=1 / 2000)
    with pytest.raises(ValueError, match="components"):
        coverage_curves(y, sigma, levels, [13])


def test_mardia_equals_the_direct_computation():
    z = gaussian(700, 6) ** 2
    found = mardia(z)
    x = z.astype(float) - z.astype(float).mean(axis=0)
    product = x @ np.linalg.inv(x.T @ x / 700) @ x.T
    assert found.skewness == pytest.approx((product**3).mean(), rel=1e-4)
    assert found.kurtosis == pytest.approx((np.diag(product) ** 2).mean(), rel=1e-4)
    assert found.skewness_p < 1e-6
    assert (found.points, found.components) == (700, 6)
    several_blocks = mardia(gaussian(5000, 6) ** 2)
    assert several_blocks.skewness == pytest.approx(mardia(gaussian(5000, 6) ** 2 * 3 - 1).skewness, rel=1e-3)


def test_mardia_of_a_gaussian():
    found = mardia(gaussian(4000, 20, seed=5))
    assert found.skewness_p > 1e-4
    assert abs(found.kurtosis_z) < 5
    assert mardia(gaussian(4000, 20), max_points=500).points == 500


def henze_zirkler(z):
    """N. Henze, B. Zirkler, Communications in Statistics 19, 1990; p by their lognormal approximation."""
    n, d = z.shape
    x = z - z.mean(axis=0)
    product = x @ np.linalg.pinv(x.T @ x / n) @ x.T
    own = np.diag(product)
    distance = own[:, None] + own - 2 * product
    b2 = ((n * (2 * d + 1) / 4) ** (1 / (d + 4)) / math.sqrt(2)) ** 2
    statistic = (
        np.exp(-b2 * distance / 2).sum() / n
        - 2 * (1 + b2) ** (-d / 2) * np.exp(-b2 * own / (2 * (1 + b2))).sum()
        + n * (1 + 2 * b2) ** (-d / 2)
    )
    a, w = 1 + 2 * b2, (1 + b2) * (1 + 3 * b2)
    mean = 1 - a ** (-d / 2) * (1 + d * b2 / a + d * (d + 2) * b2**2 / (2 * a**2))
    variance = (
        2 * (1 + 4 * b2) ** (-d / 2)
        + 2 * a ** (-d) * (1 + 2 * d * b2**2 / a**2 + 3 * d * (d + 2) * b2**4 / (4 * a**4))
        - 4 * w ** (-d / 2) * (1 + 3 * d * b2**2 / (2 * w) + d * (d + 2) * b2**4 / (2 * w**2))
    )
    spread = math.sqrt(math.log1p(variance / mean**2))
    location = math.log(mean) - spread**2 / 2
    return stats.lognorm.sf(statistic, spread, scale=math.exp(location))


def test_henze_zirkler_has_no_power_at_256_dimensions():
    """Every coordinate is exponential, and it sees nothing; Mardia's measures do."""
    z = np.random.default_rng(6).exponential(size=(1500, 256)).astype(np.float32)
    assert henze_zirkler(z.astype(float)) == pytest.approx(0.5, abs=0.01)
    assert henze_zirkler(z[:, :2].astype(float)) < 1e-6
    assert mardia(z).skewness_p < 1e-12
    assert component_tests(z).rejected.all()


def test_radii_more_widely_spread_than_a_gaussians():
    rng = np.random.default_rng(6)
    radius = np.sqrt(rng.gamma(3, 1 / 3, (1500, 1)))
    z = (rng.standard_normal((1500, 256)) * radius).astype(np.float32)
    law = radius_law(z)
    assert law.gaussian_deviation == pytest.approx(22.6, abs=0.1)
    assert law.deviation > 3 * law.gaussian_deviation
    assert mardia(z).kurtosis_p < 1e-12


def test_radii_of_a_gaussian_follow_the_chi_square_law():
    z = gaussian(20_000, 10)
    law = radius_law(z)
    assert law.degrees == 10
    assert stats.kstest(law.squared_radii, stats.chi2(10).cdf).pvalue > 1e-4
    assert law.deviation == pytest.approx(law.gaussian_deviation, rel=0.05)
    x = z.astype(float) - z.astype(float).mean(axis=0)
    direct = np.einsum("ni,ij,nj->n", x, np.linalg.inv(np.cov(z.astype(float).T)), x)
    np.testing.assert_allclose(np.sort(direct), law.squared_radii, rtol=1e-3)
    flat = np.concatenate([z, z[:, :2]], axis=1)
    assert radius_law(flat).degrees == 10
    assert squared_radii(z, moments(z)).shape == (20_000,)


def test_component_tests():
    rng = np.random.default_rng(7)
    y = rng.standard_normal((3000, 40)).astype(np.float32)
    y[:, 3] = rng.uniform(-1, 1, 3000)
    y[:, 8] = rng.gamma(8, 1, 3000)
    found = component_tests(y)
    assert np.flatnonzero(found.rejected).tolist() == [3, 8]
    assert found.skewness[8] == pytest.approx(stats.skew(y[:, 8]), rel=1e-4)
    assert found.excess_kurtosis[3] == pytest.approx(stats.kurtosis(y[:, 3]), rel=1e-4)
    standard = (y[:, 0] - y[:, 0].mean()) / y[:, 0].std(ddof=1)
    assert found.kolmogorov_smirnov[0] == pytest.approx(stats.kstest(standard, "norm").statistic, abs=1e-5)
    n = 3000
    x = np.sort(standard.astype(float))
    i = np.arange(1, n + 1)
    a2 = -n - ((2 * i - 1) / n * (stats.norm.logcdf(x) + stats.norm.logsf(x[::-1]))).sum()
    assert found.anderson_darling[0] == pytest.approx(a2 * (1 + 0.75 / n + 2.25 / n**2), rel=1e-3)


def test_p_values_are_uniform_for_normal_components():
    p = component_tests(np.random.default_rng(8).standard_normal((400, 600)).astype(np.float32)).p
    assert stats.kstest(p, "uniform").pvalue > 1e-4


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors_of_normality():
    with pytest.raises(ValueError, match="at least 3"):
        mardia(gaussian(2, 1))
    with pytest.raises(ValueError, match="all vectors are equal"):
        mardia(np.ones((10, 2), np.float32))
    with pytest.raises(ValueError, match="component 0 is constant"):
        component_tests(np.ones((10, 2), np.float32))
    with pytest.raises(ValueError, match="alpha"):
        component_tests(gaussian(20, 2), alpha=1.0)
