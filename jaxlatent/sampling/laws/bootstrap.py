"""New vectors about the z-points, with the mean and the covariance of all of them."""

import math
from typing import Any, Unpack

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float16, UInt32

from jaxlatent._boundary import as_positive_leaf
from jaxlatent._pytree import positive_field, pytree
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.fitting.parents import check_parents, fit_parents, log_mean_kernel
from jaxlatent.sampling.fitting.region import FitOptions
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed, index_below, normals, words


@pytree
class BootstrapSampler(Sampler):
    """Draws (x_i + h e) / sqrt(1 + h^2) of a random z-point x_i in the whitened PCA frame, e standard normal.

    That is the smoothed bootstrap: a draw from the kernel density of the z-points, whose Gaussian kernel has
    h^2 times their covariance, shrunk towards the mean to keep both moments. For E x_i = 0 and Cov x_i = I
    the vectors have mean 0 and covariance (I + h^2 I) / (1 + h^2) = I, and y = sigma * that has
    diag(explained_variance); exactly, 1 - 1 / (n (1 + h^2)) times the unbiased covariance of n z-points.
    Skewness is (1 + h^2)^(-3/2) of the z-points', excess kurtosis (1 + h^2)^-2: a large h gives a Gaussian.

    Its vectors are variations of single z-points. In the whitened frame, a vector is some
    h sqrt(k / (1 + h^2)) from its parent, 0.45 sqrt(k) for h = 0.5, where independent Gaussian points are
    sqrt(2 k) apart: on CelebA (docs/study.md) its images are clearly closer to the training images than
    unseen images are. Where copies matter, raise h, or take `ClusterRecombinationSampler`, and test with
    `jaxlatent.evaluation.copies`.

    Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979;
    B. W. Silverman, "Density estimation for statistics and data analysis", Chapman and Hall, 1986, section
    6.4.1.

    Attributes:
        pca: the frame, with k components.
        parents: whitened z-points, (n, k) float16, n >= 2, see `jaxlatent.sampling.fitting.parents`.
        bandwidth: h, standard deviation of the kernel in those of the z-points, > 0. A leaf of the pytree,
            so that another value compiles nothing anew.

    Raises:
        ValueError: if `parents` and `pca` differ in k, or the bandwidth is not a positive, finite number.
    """

    pca: PCA
    parents: Float16[Array | np.ndarray, "n k"]
    bandwidth: float | Float[Array, ""] = positive_field(default=0.5)

    def __post_init__(self) -> None:
        check_parents(self.parents)

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        bandwidth: float | Float[Array, ""] = 0.5,
        **options: Unpack[FitOptions],
    ) -> "BootstrapSampler":
        """Finds the frame from z-points and keeps these, whitened.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            bandwidth: see the class.
            **options: `n_components` and which z-points are described, see `jaxlatent.sampling.FitOptions`.
                They are the parents; of a subset, the frame's mean and the kernel's covariance are shrunk
                towards the whole.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        bandwidth = as_positive_leaf("bandwidth", bandwidth)
        pca, parents = fit_parents(z, **options)
        return cls(pca, parents, bandwidth)

    def _kept(self, k: int) -> dict[str, Any]:
        return super()._kept(k) | {"parents": self.parents[:, :k]}

    def _log_density(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        """The kernel density of the components that have a variance."""
        h, variance = jnp.asarray(self.bandwidth, jnp.float32), self.pca.explained_variance
        varies = variance > 0
        scale = jnp.sqrt(jnp.where(varies, (1 + jnp.square(h)) / variance, 0.0))
        log_scale = jnp.sum(jnp.log(jnp.where(varies, scale / h, 1.0)))
        log_kernel = log_scale - 0.5 * math.log(2 * math.pi) * jnp.sum(varies, dtype=jnp.float32)
        return log_kernel + log_mean_kernel(y * scale / h, jnp.asarray(self.parents), h)

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        n, k = self.parents.shape
        bandwidth = jnp.asarray(self.bandwidth, jnp.float32)
        chosen = index_below(words(seed, index, 0, 1)[0][0], n)
        parents = jnp.asarray(self.parents)[chosen].astype(jnp.float32)
        drawn = parents + bandwidth * normals(seed, index, 1, k).T
        return drawn * jnp.sqrt(self.pca.explained_variance / (1 + jnp.square(bandwidth)))
