"""Covariance, correlation, and how the variance spreads over the principal components."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Float64

from jaxlatent.latent.eigen import eigenvectors, significant
from jaxlatent.latent.moments import Moments, moments


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The eigenvalues of a covariance.

    Attributes:
        eigenvalues: falling, >= 0, (d,), in squared latent units.
    """

    eigenvalues: Float64[np.ndarray, " d"]

    @property
    def ratio(self) -> Float64[np.ndarray, " d"]:
        """Each component's share of the total variance; 0 where there is none."""
        total = self.eigenvalues.sum()
        return self.eigenvalues / total if total > 0 else np.zeros_like(self.eigenvalues)

    @property
    def cumulative(self) -> Float64[np.ndarray, " d"]:
        """The share of the total variance in the first 1, 2, ... components."""
        return np.cumsum(self.ratio)

    @property
    def effective_dimension(self) -> float:
        """Participation ratio (sum l)^2 / sum l^2: d for equal eigenvalues l, 1 for one that is not 0."""
        squares = np.square(self.eigenvalues).sum()
        return float(self.eigenvalues.sum() ** 2 / squares) if squares > 0 else 0.0

    def components_for(self, share: float) -> int:
        """The least number of components that hold this share of the variance.

        Raises:
            ValueError: if `share` is not in (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"share: expected a number in (0, 1], got {share}")
        # The rounding of the sum must not ask for a component more.
        return min(int(np.searchsorted(self.cumulative, share - 1e-12)) + 1, self.eigenvalues.size)


def spectrum(z: Float[Array | np.ndarray, " n *latent"] | Moments) -> Spectrum:
    """The eigenvalues of the unbiased covariance, float64.

    Args:
        z: z-points, floating point (n, d), n >= 2, or their moments.

    Raises:
        TypeError, ValueError: if `z` is not such an array, or is not finite.
    """
    found = _moments(z)
    return Spectrum(significant(found, *eigenvectors(found.covariance)))


def correlation(z: Float[Array | np.ndarray, " n *latent"] | Moments) -> Float64[np.ndarray, "d d"]:
    """Pearson's correlation matrix, float64, in [-1, 1]; 0 between a constant coordinate and any other.

    Args:
        z: z-points, floating point (n, d), n >= 2, or their moments.

    Raises:
        TypeError, ValueError: if `z` is not such an array, or is not finite.
    """
    covariance = _moments(z).covariance
    sigma = np.sqrt(np.diag(covariance))
    inverse = np.divide(1.0, sigma, out=np.zeros_like(sigma), where=sigma > 0)
    matrix = np.clip(covariance * np.outer(inverse, inverse), -1, 1)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _moments(z: Float[Array | np.ndarray, " n *latent"] | Moments) -> Moments:
    found = z if isinstance(z, Moments) else moments(z)
    if found.count < 2:
        raise ValueError(f"z: expected at least 2 vectors, got {found.count}")
    return found
