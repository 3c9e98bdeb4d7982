"""The Gaussian with the mean and the covariance of the z-points, and what mixtures of Gaussians need."""

import math
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from jaxlatent._boundary import as_positive
from jaxlatent._pytree import positive_field, pytree
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.fitting.region import FitOptions, fit_frame
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed, normals


def inverse_factor(cholesky: Float[Array, "*c d d"]) -> Float[Array, "*c d d"]:
    """Inverses of lower triangular matrices."""
    eye = jnp.broadcast_to(jnp.eye(cholesky.shape[-1], dtype=jnp.float32), cholesky.shape)
    return jax.lax.linalg.triangular_solve(cholesky, eye, left_side=True, lower=True)


def log_normal(
    x: Float[Array, "*b d"], mean: Float[Array, " d"], inverse: Float[Array, "d d"]
) -> Float[Array, "*b"]:
    """Log-density of the normal distribution whose covariance has the `inverse` of its Cholesky factor."""
    # A product with the inverse runs at several times the speed of a triangular solve.
    white = jnp.matmul(x - mean, inverse.T, precision="highest")
    scale = jnp.sum(jnp.log(jnp.diagonal(inverse))) - 0.5 * math.log(2 * math.pi) * mean.shape[0]
    return scale - 0.5 * jnp.sum(jnp.square(white), axis=-1)


@pytree
class GaussianSampler(Sampler):
    """Draws from the multivariate normal distribution of the z-points, full covariance included.

    In the PCA frame the components are uncorrelated, so component i is
    temperature * sqrt(explained_variance_i) times a standard normal number.

    Attributes:
        pca: the frame, with k components; those left out are 0 in every vector.
        temperature: factor of the standard deviations, > 0; 1 is the fitted distribution. A leaf of the
            pytree, so that another value compiles nothing anew.

    Raises:
        ValueError: if the temperature is not a positive, finite number.
    """

    pca: PCA
    temperature: float | Float[Array, ""] = positive_field(default=1.0)

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        temperature: float = 1.0,
        **options: Unpack[FitOptions],
    ) -> "GaussianSampler":
        """Finds mean and covariance of z-points.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            temperature: see the class.
            **options: `n_components` and which z-points are described, see `jaxlatent.sampling.FitOptions`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        temperature = as_positive("temperature", temperature)
        return cls(fit_frame(z, **options), temperature)

    def _log_density(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        """Of the components that have a variance."""
        deviations = self._deviations
        drawn = deviations > 0
        unit = jnp.where(drawn, deviations, 1.0)
        terms = jnp.square(y / unit) + 2 * jnp.log(unit) + math.log(2 * math.pi)
        return -0.5 * jnp.sum(jnp.where(drawn, terms, 0.0), axis=1)

    def _conditioned(
        self, at: Int[np.ndarray, " g"], values: Float[Array, " g"], rest: Int[np.ndarray, " r"]
    ) -> dict[str, Any]:
        # In this frame, components do not depend on each other.
        return {"pca": self.pca.through(at, values, rest)}

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        return (self._deviations[:, None] * normals(seed, index, 0, self.pca.n_components)).T

    @property
    def _deviations(self) -> Float[Array, " k"]:
        return jnp.asarray(self.temperature, jnp.float32) * jnp.sqrt(self.pca.explained_variance)
