import numpy as np
import pytest

from jaxlatent.latent import confidence_ellipse


@pytest.mark.parametrize("angle", [-89.0, -30.0, 0.0, 45.0, 90.0])
def test_axes_and_angle_of_a_known_ellipse(angle):
    x, y = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    rotation = np.array([[x, -y], [y, x]])
    covariance = rotation @ np.diag([9.0, 4.0]) @ rotation.T
    found = confidence_ellipse(np.array([1.0, 2.0]), covariance, 2.0)
    assert found.centre == (1.0, 2.0)
    np.testing.assert_allclose(found.semi_axes, (6, 4))
    assert abs((found.angle - angle + 90) % 180 - 90) < 1e-6
    assert -90 < found.angle <= 90


def test_share_of_gaussian_points_inside():
    """95 % at 2.4477, as a chi-square law of two degrees of freedom has it."""
    rng = np.random.default_rng(0)
    covariance = np.array([[2.0, 1.5], [1.5, 3.0]])
    points = rng.multivariate_normal([1, -1], covariance, 100_000)
    ellipse = confidence_ellipse(np.array([1.0, -1.0]), covariance, 2.4477)
    turn = np.radians(ellipse.angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    inside = np.square((points - ellipse.centre) @ rotation / ellipse.semi_axes).sum(axis=1) <= 1
    assert abs(inside.mean() - 0.95) < 5 * np.sqrt(0.95 * 0.05 / len(points))


def test_degenerate_and_bad_covariances():
    flat = confidence_ellipse(np.zeros(2), np.diag([4.0, 0.0]), 1.0)
    assert flat.semi_axes == (2.0, 0.0)
    with pytest.raises(ValueError, match="level: expected a positive"):
        confidence_ellipse(np.zeros(2), np.eye(2), 0.0)
    with pytest.raises(ValueError, match="negative eigenvalue"):
        confidence_ellipse(np.zeros(2), np.diag([1.0, -1.0]), 1.0)
