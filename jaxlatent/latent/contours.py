"""Contour lines of the density in a plane of two coordinates, and the ellipses that fit them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Float64

from jaxlatent._boundary import as_numbers, as_vectors
from jaxlatent.latent.ellipses import Ellipse, confidence_ellipse
from jaxlatent.latent.moments import moments

#: Of a Gaussian, the density falls to half its maximum at this many standard deviations, sqrt(2 ln 2).
HALF_MAXIMUM = math.sqrt(2 * math.log(2))

LEVELS = (1.0, HALF_MAXIMUM, 2.0, 2.2, 2.35, 3.0)

_BINS = 160
_REACH = 4.5


@dataclass(frozen=True, eq=False)
class PlaneDensity:
    """The smoothed density of points in a plane.

    Attributes:
        x: places along the first coordinate, (b,), in its unit.
        y: along the second, (b,).
        density: share of the points a unit of area, (b, b); rows follow y.
        bandwidth: the smoothing kernel's covariance, (2, 2).
        mean: of the points, (2,).
        covariance: of the points, (2, 2).
    """

    x: Float64[np.ndarray, " b"]
    y: Float64[np.ndarray, " b"]
    density: Float64[np.ndarray, "b b"]
    bandwidth: Float64[np.ndarray, "2 2"]
    mean: Float64[np.ndarray, "2"]
    covariance: Float64[np.ndarray, "2 2"]


def plane_density(points: Float[Array | np.ndarray, "n 2"]) -> PlaneDensity:
    """Measures the density by a histogram smoothed with a Gaussian kernel.

    160 x 160 bins over 4.5 standard deviations of each coordinate to each side of its mean, smoothed with a
    kernel of n^(-1/6) standard deviations of each, Scott's rule for two dimensions (D. W. Scott,
    "Multivariate density estimation", 1992, section 6.3).

    Args:
        points: floating point (n, 2), n >= 10.

    Raises:
        TypeError, ValueError: if `points` is not such an array, or a coordinate is constant.
    """
    from scipy import ndimage

    points = as_vectors("points", points, 2, least=10)
    found = moments(points)
    sigma = np.sqrt(np.diag(found.covariance))
    if not (sigma > 0).all():
        raise ValueError(f"points: coordinate {int(np.argmin(sigma))} is constant")
    edges = [
        np.linspace(m - _REACH * s, m + _REACH * s, _BINS + 1) for m, s in zip(found.mean, sigma, strict=True)
    ]
    values = np.asarray(points, np.float64)
    counts, *_ = np.histogram2d(values[:, 1], values[:, 0], bins=[edges[1], edges[0]])
    width = 2 * _REACH / _BINS * sigma
    bandwidth = points.shape[0] ** (-1 / 6) * sigma
    smooth = ndimage.gaussian_filter(counts, bandwidth[::-1] / width[::-1], mode="constant", truncate=5)
    # The bins widen the density like a kernel of their own.
    kernel = np.diag(bandwidth**2 + width**2 / 12)
    return PlaneDensity(
        (edges[0][1:] + edges[0][:-1]) / 2,
        (edges[1][1:] + edges[1][:-1]) / 2,
        smooth / (points.shape[0] * width.prod()),
        kernel,
        found.mean,
        found.covariance,
    )


@dataclass(frozen=True, eq=False)
class ContourFit:
    """A contour line, the ellipse fitted to it, and that of the covariance at the same level.

    Attributes:
        level: in standard deviations: the line where a Gaussian's density is exp(-level^2 / 2) of its
            maximum.
        line: the contour around the maximum, (p, 2), closed.
        fitted: the ellipse with the least squared error to the line, freed from the smoothing.
        gaussian: the confidence ellipse of the covariance at this level.
        residual: root mean square distance of the line from its ellipse, as a share of the ellipse's size;
            0 for a perfect ellipse.
    """

    level: float
    line: Float64[np.ndarray, "p 2"]
    fitted: Ellipse
    gaussian: Ellipse
    residual: float

    @property
    def size_ratio(self) -> float:
        """Size (root of the product of the semi-axes) of the fitted ellipse over that of the Gaussian's."""
        return math.sqrt(math.prod(self.fitted.semi_axes) / math.prod(self.gaussian.semi_axes))

    @property
    def axis_ratio(self) -> float:
        """Elongation (major over minor) of the fitted ellipse over that of the Gaussian's."""
        fitted, gaussian = self.fitted.semi_axes, self.gaussian.semi_axes
        return (fitted[0] / fitted[1]) / (gaussian[0] / gaussian[1])

    @property
    def angle_difference(self) -> float:
        """Between the major axes, in degrees, in [0, 90]; means little for nearly round ellipses."""
        difference = abs(self.fitted.angle - self.gaussian.angle) % 180
        return min(difference, 180 - difference)


def contour_fits(
    points: Float[Array | np.ndarray, "n 2"] | PlaneDensity, levels: Sequence[float] = LEVELS
) -> list[ContourFit]:
    """Fits ellipses to the contour lines around the density's maximum.

    The algebraic fit under the constraint of an ellipse: A. Fitzgibbon, M. Pilu, R. B. Fisher, "Direct least
    square fitting of ellipses", IEEE PAMI 21, 1999, in the stable form of R. Halir, J. Flusser, WSCG 1998.
    A Gaussian kernel of covariance H turns a Gaussian of covariance S into one of S + H, whose contour at
    level c is that of c^2 (S + H); so c^2 H is taken off the fitted ellipse's matrix.

    Args:
        points: floating point (n, 2), or their density.
        levels: in standard deviations, > 0. Where the points do not reach so far, or no line encloses the
            maximum, a level is left out.

    Returns:
        A fit for each level that has a closed line.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """
    levels = as_numbers("levels", levels)
    plane = points if isinstance(points, PlaneDensity) else plane_density(points)
    fits = []
    for level in levels:
        line = _line_around_maximum(plane, level)
        if line is None:
            continue
        centre, matrix = fit_ellipse(line)
        freed = matrix - level**2 * plane.bandwidth
        if np.linalg.eigvalsh(freed)[0] <= 0:
            continue
        radius = np.sqrt(np.einsum("pi,ij,pj->p", line - centre, np.linalg.inv(matrix), line - centre))
        fits.append(
            ContourFit(
                level,
                line,
                confidence_ellipse(centre, freed, 1.0),
                confidence_ellipse(plane.mean, plane.covariance, level),
                float(np.sqrt(np.square(radius - 1).mean())),
            )
        )
    return fits


def _line_around_maximum(plane: PlaneDensity, level: float) -> np.ndarray | None:
    from contourpy import contour_generator

    density = plane.density
    row, column = np.unravel_index(np.argmax(density), density.shape)
    peak = np.array([plane.x[column], plane.y[row]])
    threshold = density.max() * math.exp(-(level**2) / 2)
    lines = [np.asarray(line) for line in contour_generator(plane.x, plane.y, density).lines(threshold)]
    closed = [line for line in lines if len(line) > 8 and np.allclose(line[0], line[-1])]
    around = [line for line in closed if _encloses(line, peak)]
    return max(around, key=len) if around else None


def _encloses(line: np.ndarray, point: np.ndarray) -> bool:
    """By the winding of the line around the point."""
    angle = np.unwrap(np.arctan2(*(line - point).T[::-1]))
    return bool(abs(angle[-1] - angle[0]) > math.pi)


def fit_ellipse(line: Float64[np.ndarray, "p 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Centre c (2,) and matrix A (2, 2) of the ellipse (x - c)^T A^-1 (x - c) = 1 nearest to points.

    Args:
        line: at least 5 points, not on one straight line.

    Raises:
        ValueError: if no ellipse fits.
    """
    # Scaled to unit size first: the fit squares the squares.
    shift, scale = line.mean(axis=0), line.std()
    x, y = ((line - shift) / scale).T
    quadratic = np.stack([x * x, x * y, y * y], axis=1)
    linear = np.stack([x, y, np.ones_like(x)], axis=1)
    s1, s2, s3 = quadratic.T @ quadratic, quadratic.T @ linear, linear.T @ linear
    t = -np.linalg.solve(s3, s2.T)
    m = s1 + s2 @ t
    m = np.stack([m[2] / 2, -m[1], m[0] / 2])
    _, vectors = np.linalg.eig(m)
    vectors = vectors.real
    is_ellipse = 4 * vectors[0] * vectors[2] - vectors[1] ** 2 > 0
    if not is_ellipse.any():
        raise ValueError("line: no ellipse fits these points")
    a = vectors[:, np.argmax(is_ellipse)]
    d = t @ a
    form = np.array([[a[0], a[1] / 2], [a[1] / 2, a[2]]])
    centre = -np.linalg.solve(form, d[:2]) / 2
    size = centre @ form @ centre - d[2]
    return shift + scale * centre, scale**2 * np.linalg.inv(form / size)
