"""Confidence ellipses of two coordinates, from their covariance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_floats, as_positive


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in a plane of two coordinates.

    Attributes:
        centre: (2,), in the units of the coordinates.
        semi_axes: major and minor, in these units.
        angle: of the major axis against the first coordinate, in degrees, in (-90, 90].
    """

    centre: tuple[float, float]
    semi_axes: tuple[float, float]
    angle: float


def confidence_ellipse(
    mean: Float[Array | np.ndarray, "2"], covariance: Float[Array | np.ndarray, "2 2"], level: float
) -> Ellipse:
    """The points at Mahalanobis distance `level` from the mean.

    For a Gaussian it holds a share of 1 - exp(-level^2 / 2) of the points: 95 % at 2.4477, 93.75 % at
    2.3548, the half-width of the source.

    Args:
        mean: of the two coordinates, floating point (2,).
        covariance: floating point (2, 2), symmetric, positive semi-definite.
        level: in standard deviations, > 0.

    Raises:
        TypeError: if `mean` or `covariance` is not floating point, or `level` no number.
        ValueError: if one has another shape, `level` is not positive and finite, or the covariance has a
            negative eigenvalue.
    """
    mean = as_floats("mean", mean, (2,))
    covariance = as_floats("covariance", covariance, (2, 2))
    level = as_positive("level", level)
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    if values[0] < -1e-6 * abs(values[1]):
        raise ValueError(f"covariance: expected no negative eigenvalue, got {values[0]:g}")
    minor, major = level * np.sqrt(np.maximum(values, 0))
    x, y = vectors[:, 1]
    angle = float(np.degrees(np.arctan2(y, x)))
    # An axis has no direction: angles that differ by 180 degrees are the same.
    angle = angle - 180 if angle > 90 else angle + 180 if angle <= -90 else angle
    return Ellipse((float(mean[0]), float(mean[1])), (float(major), float(minor)), angle)
