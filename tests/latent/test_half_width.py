import numpy as np
import pytest
from scipy import stats

from jaxlatent.latent import GAUSSIAN_FWHM, half_width


@pytest.mark.parametrize("outliers", [0, 1000])
def test_gaussians_of_any_width_within_3_percent(outliers):
    """100,000 vectors, 256 deviations from 1 to 1e-4; 1 % gross outliers."""
    rng = np.random.default_rng(1)
    sigma = np.geomspace(1, 1e-4, 256).astype(np.float32)
    y = rng.standard_normal((100_000, 256), np.float32) * sigma
    y[:outliers] *= 50
    assert np.abs(np.asarray(half_width(y)) / (GAUSSIAN_FWHM * sigma) - 1).max() < 0.03


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_other_shapes(shift):
    rng = np.random.default_rng(0)
    shapes = [stats.logistic(shift), stats.laplace(shift), stats.t(5, shift), stats.gumbel_r(shift)]
    y = np.stack([s.rvs(200_000, random_state=rng) for s in shapes], axis=1).astype(np.float32)
    for shape, found in zip(shapes, np.asarray(half_width(y)), strict=True):
        # A Laplace density has a cusp, which any smoothing rounds.
        tolerance = 0.3 if shape.dist.name == "laplace" else 0.04
        assert abs(found / exact_fwhm(shape) - 1) < tolerance, shape.dist.name


def exact_fwhm(shape):
    x = np.linspace(shape.ppf(1e-4), shape.ppf(1 - 1e-4), 100_001)
    density = shape.pdf(x)
    above = np.flatnonzero(density >= density.max() / 2)
    return x[above[-1]] - x[above[0]]


def test_kinds():
    y = np.random.default_rng(0).normal(2, [1, 3], (5000, 2)).astype(np.float32)
    np.testing.assert_allclose(half_width(y, "hwhm") * 2, half_width(y, "fwhm"))
    np.testing.assert_allclose(half_width(y, kind="sigma"), y.std(axis=0, ddof=1), rtol=1e-5)


@pytest.mark.parametrize("n", [50, 300, 3000])
def test_few_points(n):
    y = np.random.default_rng(n).standard_normal((n, 100)).astype(np.float32)
    found = np.asarray(half_width(y)) / GAUSSIAN_FWHM
    assert abs(found.mean() - 1) < 0.05 + 1 / np.sqrt(n)
    assert np.abs(found - 1).max() < 0.1 + 5 / np.sqrt(n)


def test_two_points_and_constant_and_mostly_constant():
    assert np.isfinite(half_width(np.array([[0.0], [1.0]], np.float32))).all()
    y = np.zeros((1000, 2), np.float32)
    y[:100, 1] = np.linspace(-1, 1, 100)
    constant, mostly = np.asarray(half_width(y))
    assert constant == 0
    assert 0 < mostly < 1


def test_widths_follow_the_unit():
    y = np.random.default_rng(0).standard_normal((4000, 3)).astype(np.float32)
    np.testing.assert_allclose(half_width(y * 1e-6), half_width(y) * 1e-6, rtol=1e-3)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors():
    with pytest.raises(ValueError, match="kind: expected one of fwhm, hwhm, sigma, got 'full'"):
        half_width(np.zeros((5, 2), np.float32), "full")
    with pytest.raises(ValueError, match="at least 2 vectors"):
        half_width(np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match=r"shape \(n, d\)"):
        half_width(np.zeros(5, np.float32))
    with pytest.raises(ValueError, match="NaN or infinite"):
        half_width(np.full((5, 2), np.nan, np.float32))
