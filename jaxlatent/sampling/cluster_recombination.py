"""New vectors as combinations of a few z-points of one cluster: the sampler to take for images."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from jaxlatent._checks import check_count
from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.pca import PCA
from jaxlatent.sampling.base import ComponentSampler
from jaxlatent.sampling.clusters import BodyUnion, fit_clusters
from jaxlatent.sampling.gaussian import check_temperature
from jaxlatent.sampling.parents import checked_parents
from jaxlatent.sampling.words import distinct_indices, index_below, words


@pytree
class ClusterRecombinationSampler(ComponentSampler):
    """Draws m_j + temperature / sqrt(m) sum_i (x_i - m_j) of m distinct z-points x_i of a random cluster j.

    As `RecombinationSampler` about the mean of all z-points, this keeps mean and covariance, here of every
    cluster; so it keeps how clusters differ in place, tilt and spread, and leaves room for more parents,
    which take vectors further away from the z-points. Clusters are drawn by their sizes. A vector outside its
    cluster's ellipse body is drawn straight towards the cluster's mean, onto the boundary: every vector lies
    inside `body`.

    Attributes:
        pca: the frame, with k components.
        body: an ellipse body about the mean of each of c clusters, in the PCA frame.
        parents: z-points about their cluster's mean, whitened by the variances of all, those of a cluster
            together, (n, k) float16.
        bounds: cluster j has the rows bounds[j] to bounds[j + 1] - 1 of `parents`, (c + 1,) int32.
        temperature: factor of the distances from the clusters' means, > 0, before the body confines them. A
            leaf of the pytree, so that another value compiles nothing anew.
        n_parents: m, from 1 to the size of the smallest cluster; 1 gives z-points.

    Raises:
        ValueError: if shapes do not fit, or a number is out of range.
    """

    pca: PCA
    body: BodyUnion
    parents: Float[Array | np.ndarray, "n k"]
    bounds: Int[Array | np.ndarray, " bounds"]
    temperature: float | Float[Array, ""] = 1.03
    n_parents: int = static_field(default=4)

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        check_count("n_parents", self.n_parents, 1)
        arrays = (self.parents, self.bounds)
        if any(isinstance(x, jax.core.Tracer) or not isinstance(x, (jax.Array, np.ndarray)) for x in arrays):
            return
        bounds = np.asarray(self.bounds)
        sizes = np.diff(bounds)
        if bounds[0] != 0 or bounds[-1] != len(self.parents) or len(sizes) != len(self.body.centres):
            raise ValueError(
                f"bounds: expected {len(self.body.centres) + 1} row numbers from 0 to {len(self.parents)}, "
                f"got {len(bounds)} from {bounds[0]} to {bounds[-1]}"
            )
        if self.n_parents > sizes.min():
            raise ValueError(
                f"n_parents: expected at most {sizes.min()}, the size of the smallest cluster, "
                f"got {self.n_parents}; take fewer parents or clusters"
            )
        object.__setattr__(self, "parents", checked_parents(self.parents, self.pca.n_components))
        object.__setattr__(self, "bounds", jnp.asarray(bounds, jnp.int32))

    @classmethod
    def fit(
        cls,
        z: Float[Array | np.ndarray, "n d"],
        *,
        n_clusters: int = 100,
        n_parents: int = 4,
        temperature: float = 1.03,
        coverage: float = 0.999,
        n_components: int | None = None,
        key: jax.Array | None = None,
        where: Bool[Array | np.ndarray, " n"] | None = None,
    ) -> "ClusterRecombinationSampler":
        """Groups z-points, see `jaxlatent.sampling.clusters.fit_clusters`, and keeps them.

        The defaults were chosen on CelebA (docs/study.md): more clusters or fewer parents bring the images'
        law closer to that of reconstructions, and the images closer to those that were trained on.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            n_clusters: the most clusters, at least 1; those of fewer than 30 points are dissolved.
            n_parents: see the class.
            temperature: see the class.
            coverage: share of the z-points inside their own cluster's body, in (0, 1].
            n_components: k, from 1 to d; all that have a positive variance where not given.
            key: of the start of k-means; `jax.random.key(0)` where not given.
            where: mask of a subset of the z-points, the only ones that are combined.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        check_temperature(temperature)
        check_count("n_parents", n_parents, 1)
        found = fit_clusters(
            z, n_clusters, coverage=coverage, n_components=n_components, key=key, where=where
        )
        sigma = np.sqrt(np.asarray(found.pca.explained_variance))
        parents = np.concatenate([(found.of(j) / sigma).astype(np.float16) for j in range(len(found.sizes))])
        return cls(found.pca, found.body, parents, found.bounds.astype(np.int32), temperature, n_parents)

    def _draw(self, seed: UInt32[Array, "2"], index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        parents, bounds = jnp.asarray(self.parents), jnp.asarray(self.bounds)
        any_point = index_below(words(seed, index, 0, 1)[0][0], parents.shape[0]).astype(jnp.int32)
        own = jnp.sum(any_point >= bounds[1:-1, None], axis=0)
        first, size = bounds[own], (bounds[own + 1] - bounds[own]).astype(jnp.uint32)
        total = jnp.float32(0)
        for chosen in distinct_indices(seed, index, 1, self.n_parents, size):
            total = total + parents[first + chosen.astype(jnp.int32)].astype(jnp.float32)
        scale = jnp.asarray(self.temperature, jnp.float32) / jnp.float32(math.sqrt(self.n_parents))
        y = self.body.centres[own] + scale * total * jnp.sqrt(self.pca.explained_variance)
        return self.body.confine(y, own)
