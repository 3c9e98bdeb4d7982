"""A mixture of ellipse bodies over clusters: the sampler to take where no z-points may be kept."""

from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from jaxlatent._boundary import as_positive, as_positive_leaf
from jaxlatent._pytree import pytree
from jaxlatent.latent.coverage import largest_two
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.bodies.union import BodyUnion
from jaxlatent.sampling.draws import tables
from jaxlatent.sampling.fitting.classes import clusters_of
from jaxlatent.sampling.fitting.clusters import Clusters, fit_clusters
from jaxlatent.sampling.fitting.region import FitOptions
from jaxlatent.sampling.laws.mixture import GaussianMixtureSampler
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed

# z-points of a cluster in the mean.
_CLUSTER_SIZE = 120
# Added to the correlation matrices, so that a factor exists whatever the rounding.
_FLOOR = 1e-6


@pytree
class ClusterMixtureSampler(Sampler):
    """Draws from a Gaussian of one of many clusters, by their sizes, each confined to its own ellipse body.

    The log density is that inside the bodies, and integrates to the share of vectors that a cluster's
    Gaussian draws there, about `coverage` of `fit`: the others end on the boundary, where there is none.

    Attributes:
        mixture: weights, means and Cholesky factors of c clusters in a PCA frame of k components.
        body: an ellipse body about each cluster's mean, in that frame. A vector outside its own is drawn
            straight towards the mean, onto the boundary: every vector lies inside `body`.

    Raises:
        ValueError: if mixture and body differ in clusters or components.
    """

    mixture: GaussianMixtureSampler
    body: BodyUnion

    def __post_init__(self) -> None:
        means, centres = self.mixture.means.shape, self.body.centres.shape
        if means != centres:
            raise ValueError(f"body: expected {means} centres, one for each mean, got {centres}")

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        n_clusters: int | None = None,
        prior_count: float = 30.0,
        temperature: float | Float[Array, ""] = 1.0,
        coverage: float = 0.999,
        labels: Int[Array | np.ndarray, " n"] | None = None,
        **options: Unpack[FitOptions],
    ) -> "ClusterMixtureSampler":
        """Groups z-points, see `jaxlatent.sampling.fitting.clusters`, and keeps the moments of the clusters.

        A cluster has fewer points than its covariance has numbers. So its correlations are drawn towards
        those within all clusters: (n_j R_j + prior_count R) / (n_j + prior_count), the posterior mean under
        an inverse Wishart law about R (C. Fraley, A. E. Raftery, "Bayesian regularization for normal mixture
        estimation and model-based clustering", Journal of Classification 24, 2007).

        Args:
            z: z-points, floating point (n, d), n >= 2.
            n_clusters: the most clusters, at least 1; one for every 120 z-points, up to 300, where not given.
                Those of fewer than 30 different points are dissolved, down to one. Each takes k^2 numbers,
                79 MB for 300 of 256 components.
            prior_count: how many points the correlations within all clusters count for, > 0.
            temperature: factor of the standard deviations within each cluster, > 0.
            coverage: share of the z-points inside their own cluster's body, in (0, 1].
            labels: the class of each z-point, an integer, for `condition(label=...)`; no cluster then has
                points of two classes.
            **options: `n_components` and which z-points are described, see `jaxlatent.sampling.FitOptions`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        temperature = as_positive_leaf("temperature", temperature)
        prior_count = as_positive("prior_count", prior_count)
        clusters = fit_clusters(
            z, n_clusters, size=_CLUSTER_SIZE, coverage=coverage, labels=labels, **options
        )
        shares = (clusters.sizes / clusters.sizes.sum()).astype(np.float32)
        # Unlike jnp.asarray, device_put compiles nothing for another number of clusters.
        weights, factors = jax.device_put((shares, _factors(clusters, prior_count)))
        mixture = GaussianMixtureSampler(
            clusters.pca,
            weights,
            jnp.asarray(clusters.body.centres),
            factors,
            temperature,
            clusters.labels,
        )
        return cls(mixture, clusters.body)

    @property
    def pca(self) -> PCA:
        """The frame."""
        return self.mixture.pca

    @property
    def n_clusters(self) -> int:
        """The number of clusters c."""
        return self.mixture.n_clusters

    def _kept(self, k: int) -> dict[str, Any]:
        return {"mixture": self.mixture.keep(k), "body": self.body.keep(k)}

    def _of_class(self, label: int) -> dict[str, Any]:
        chosen = clusters_of(self.mixture.labels, label)
        return {"mixture": self.mixture.condition(label=label), "body": self.body.some(chosen)}

    def _log_density(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        """Of each cluster only where its own body is."""

        def inside(body: tuple[jax.Array, jax.Array]) -> jax.Array:
            centre, axes = body
            return largest_two(jnp.square((y - centre) / axes)) <= 1

        own = jax.lax.map(inside, (jnp.asarray(self.body.centres), jnp.asarray(self.body.semi_axes)))
        return jax.nn.logsumexp(jnp.where(own, self.mixture.log_densities(y), -jnp.inf), axis=0)

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        cluster, y = self.mixture.draw_clusters(seed, index)
        return self.body.confine(y, cluster, tables(self))

    def _derive(self) -> Float[Array, " k"]:
        """How far rounding moves a vector on its way to the latent frame."""
        return self.body.rounding(self.pca)


def _factors(clusters: Clusters, prior_count: float) -> Float[np.ndarray, "c k k"]:
    """Cholesky factors of the clusters' covariances."""
    c, k = clusters.deviations.shape

    def products(j: int) -> np.ndarray:
        unit = clusters.of(j) / clusters.deviations[j]
        return unit.T @ unit

    total = sum((products(j) for j in range(c)), np.zeros((k, k)))
    common = total / max(len(clusters.y) - c, 1) + _FLOOR * np.eye(k)
    factors = np.empty((c, k, k), np.float32)
    for j, size in enumerate(clusters.sizes):
        shrunk = (products(j) + prior_count * common) / (size + prior_count)
        factors[j] = clusters.deviations[j][:, None] * np.linalg.cholesky(shrunk)
    return factors
