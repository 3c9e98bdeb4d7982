"""Whether the density of each component is about its mean, where a half-width places it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from jaxlatent._boundary import as_vectors
from jaxlatent.latent.half_width import half_width
from jaxlatent.latent.sharded import Vectors

_POINTS = 4096
# Of an exponential density 0.5, of a Gaussian or a uniform one 1.
_EMPTY = 0.25
_STANDARD_ERRORS = 3


@dataclass(frozen=True, eq=False)
class MiddleShares:
    """How much of each component's density lies about its mean.

    Attributes:
        middle: share of the points within half a half-width (FWHM) of the mean, (k,).
        densest: the largest share within any interval as long, (k,).
        points: the number of points looked at.
    """

    middle: Float64[np.ndarray, " k"]
    densest: Float64[np.ndarray, " k"]
    points: int

    @property
    def empty(self) -> Bool[np.ndarray, " k"]:
        """Where the middle surely holds less than a quarter of the densest interval's share.

        Of densities with one peak, a uniform or a Gaussian one has a ratio of 1, an exponential one of 0.5.
        """
        count = self.middle * self.points
        most = count + _STANDARD_ERRORS * (1 + np.sqrt(count))
        return most < _EMPTY * self.densest * self.points


def middle_shares(y: Float[Vectors, "n k"]) -> MiddleShares:
    """Measures it on up to 4,096 of the points.

    Args:
        y: components about their mean, floating point (n, k), n >= 2.

    Raises:
        TypeError, ValueError: if `y` is not such an array, or is not finite.
    """
    y = as_vectors("y", y, least=2)
    values = np.sort(np.asarray(y[:: -(-y.shape[0] // _POINTS)], np.float64), axis=0)
    width = np.asarray(half_width(values), np.float64)
    middle = np.mean(np.abs(values) <= width / 2, axis=0)
    starts = np.arange(len(values))
    within = [np.searchsorted(x, x + w, side="right") - starts for x, w in zip(values.T, width, strict=True)]
    return MiddleShares(middle, np.max(within, axis=1) / len(values), len(values))
