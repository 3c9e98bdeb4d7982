import numpy as np
import pytest

from jaxlatent.latent import GAUSSIAN_FWHM, half_width
from jaxlatent.latent.fixed_interval import fixed_interval_half_width

SIGMA = np.array([10.0, 1.0, 0.3, 0.01])


@pytest.fixture(scope="module")
def y():
    return (np.random.default_rng(0).standard_normal((100_000, 4)) * SIGMA).astype(np.float32)


def test_equals_a_histogram_by_hand():
    values = np.array([-1.2, -0.9, -0.4, 0.1, 0.2, 0.4, 0.8, 1.1, 3.0], np.float32)
    # Bins about -1, 0, 1, 3: counts 2, 4, 2, 1; half of the highest is crossed at the neighbours.
    assert float(fixed_interval_half_width(values[:, None], 1.0)[0]) == pytest.approx(2.0)
    assert float(fixed_interval_half_width(values[:, None], 1.0, "hwhm")[0]) == pytest.approx(1.0)


def test_right_where_the_interval_suits(y):
    found = np.asarray(fixed_interval_half_width(y, 0.5))
    assert found[1] == pytest.approx(GAUSSIAN_FWHM, rel=0.1)


def test_narrow_components_come_out_as_wide_as_the_interval(y):
    interval = 0.5
    found = np.asarray(fixed_interval_half_width(y, interval))
    # All points lie in one bin, and the crossings are half-way to the empty neighbours.
    assert found[3] == pytest.approx(interval)
    assert found[3] > 20 * float(half_width(y)[3])
    fine = fixed_interval_half_width(y[:, 3:], 0.001)
    assert float(fine[0]) == pytest.approx(GAUSSIAN_FWHM * SIGMA[3], rel=0.1)


def test_noise_makes_wide_components_too_narrow(y):
    found = np.asarray(fixed_interval_half_width(y[:2000], 0.01))
    assert found[0] < 0.2 * GAUSSIAN_FWHM * SIGMA[0]


def test_components_do_not_depend_on_each_other(y):
    together = np.asarray(fixed_interval_half_width(y[:, :2], 0.25))
    alone = [float(fixed_interval_half_width(y[:, i : i + 1], 0.25)[0]) for i in (0, 1)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"interval": 0.0}, "interval: expected a positive"),
        ({"interval": 1e-9}, "interval: 1e-09 makes .* take at least"),
        ({"kind": "sigma"}, "kind: expected one of fwhm, hwhm"),
        ({"y": np.full((3, 2), np.nan, np.float32)}, "y: NaN"),
        ({"y": np.zeros((0, 2), np.float32)}, "y: expected at least 1"),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(change, message, y):
    with pytest.raises(ValueError, match=message):
        fixed_interval_half_width(**{"y": y[:100], "interval": 0.5} | change)


@pytest.mark.usefixtures("as_without_type_checks")
def test_the_least_interval_named_in_the_error_is_accepted(y):
    with pytest.raises(ValueError, match="take at least") as caught:
        fixed_interval_half_width(y[:100], 1e-9)
    least = float(str(caught.value).split()[-1])
    assert np.isfinite(np.asarray(fixed_interval_half_width(y[:100], least))).all()
