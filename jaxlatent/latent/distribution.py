"""The number distribution of each component, with a resolution of its own, beside a Gaussian's."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Float64

from jaxlatent._boundary import as_vectors
from jaxlatent.latent.histogram import component_counts
from jaxlatent.latent.moments import moments

# To each side of the median, in robust standard deviations; what is farther away is counted, not shown.
_REACH = 6.0
_IQR = 1.349  # interquartile range of a standard normal
_QUARTILE_POINTS = 8192


@dataclass(frozen=True, eq=False)
class NumberDistribution:
    """Histograms of k components, one a row, and the Gaussian fitted to each by its moments.

    Attributes:
        edges: of the bins, in the component's unit, (k, bins + 1); the same number for each component, but
            each of its own width.
        density: share of the points a unit, (k, bins).
        outside: share of the points beyond the outer edges, (k,).
        mean: (k,), in the component's unit.
        sigma: standard deviation (divisor n - 1), (k,), in the component's unit.
    """

    edges: Float64[np.ndarray, "k edges"]
    density: Float64[np.ndarray, "k bins"]
    outside: Float64[np.ndarray, " k"]
    mean: Float64[np.ndarray, " k"]
    sigma: Float64[np.ndarray, " k"]

    @property
    def centres(self) -> Float64[np.ndarray, "k bins"]:
        """The middles of the bins."""
        return (self.edges[:, 1:] + self.edges[:, :-1]) / 2

    @property
    def gaussian(self) -> Float64[np.ndarray, "k bins"]:
        """Density of the fitted Gaussian at the middles of the bins; 0 for a constant component."""
        sigma = np.where(self.sigma > 0, self.sigma, 1.0)[:, None]
        standard = (self.centres - self.mean[:, None]) / sigma
        density = np.exp(-0.5 * standard**2) / (sigma * np.sqrt(2 * np.pi))
        return np.where(self.sigma[:, None] > 0, density, 0.0)


def number_distribution(y: Float[Array | np.ndarray, "n k"]) -> NumberDistribution:
    """Measures how the values of each component are distributed.

    Bins of width 2 IQR n^(-1/3), with the component's own interquartile range IQR (from up to 8,192 of the
    points): D. Freedman, P. Diaconis, "On the histogram as a density estimator: L2 theory", Z.
    Wahrscheinlichkeitstheorie verw. Gebiete 57, 1981. They span 6 robust standard deviations (IQR / 1.349)
    to each side of the median.

    Args:
        y: components or coordinates of z-points, floating point (n, k), n >= 2; a memory map is read in
            batches.

    Raises:
        TypeError, ValueError: if `y` is not such an array, or is not finite.
    """
    y = as_vectors("y", y, least=2)
    n = y.shape[0]
    found = moments(y)
    sigma = np.sqrt(np.diag(found.covariance))
    some = np.asarray(y[:: -(-n // _QUARTILE_POINTS)], np.float64)
    low, median, high = np.quantile(some, [0.25, 0.5, 0.75], axis=0)
    robust = (high - low) / _IQR
    # More than half of the values equal: the quartiles say nothing.
    scale = np.where(robust > 0, robust, np.where(sigma > 0, sigma, 1.0))
    bins = 2 * int(np.ceil(_REACH / (2 * _IQR * n ** (-1 / 3))))
    width = 2 * _REACH * scale / bins
    start = median - _REACH * scale
    rows = component_counts(y, start, width, bins)
    edges = start[:, None] + width[:, None] * np.arange(bins + 1)
    density = rows[:, 1:-1] / (n * width[:, None])
    return NumberDistribution(edges, density, (rows[:, 0] + rows[:, -1]) / n, found.mean, sigma)
