"""New vectors as combinations of a few z-points of one cluster: the sampler to take for images."""

import math
from typing import Any, ClassVar, Unpack

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float16, Int, UInt32

from jaxlatent._boundary import as_count, as_positive_leaf, convert_fields, is_traced
from jaxlatent._pytree import positive_field, pytree, static_field
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.bodies.union import BodyUnion
from jaxlatent.sampling.draws import tables
from jaxlatent.sampling.fitting.classes import clusters_of
from jaxlatent.sampling.fitting.clusters import FEWEST, fit_clusters
from jaxlatent.sampling.fitting.parents import check_parents, combined
from jaxlatent.sampling.fitting.region import FitOptions
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed, distinct_indices, index_below, words


@pytree
class ClusterRecombinationSampler(Sampler):
    """Draws m_j + temperature / sqrt(m) sum_i (x_i - m_j) of m distinct z-points x_i of a random cluster j.

    As `RecombinationSampler` about the mean of all z-points, this keeps mean and covariance, here of every
    cluster; so it keeps how clusters differ in place, tilt and spread, and leaves room for more parents,
    which take vectors further away from the z-points. Parents are drawn without replacement, so a cluster of
    n points is drawn with temperature^2 (n - m) / n of its covariance. Clusters are drawn by their sizes. A
    vector outside its cluster's ellipse body is drawn straight towards the cluster's mean, onto the boundary:
    every vector lies inside `body`.

    Attributes:
        pca: the frame, with k components.
        body: an ellipse body about the mean of each of c clusters, in the PCA frame.
        parents: z-points about their cluster's mean, whitened by the variances of all, those of a cluster
            together, (n, k) float16.
        bounds: cluster j has the rows bounds[j] to bounds[j + 1] - 1 of `parents`, (c + 1,) int32.
        temperature: factor of the distances from the clusters' means, > 0, before the body confines them. A
            leaf of the pytree, so that another value compiles nothing anew. The default was chosen on
            validation images, see docs/study.md.
        n_parents: m, from 1 to the size of the smallest cluster; 1 gives z-points.
        labels: the class that each cluster belongs to, (c,) int32; none where it was fitted without.

    Raises:
        ValueError: if shapes do not fit, or a number is out of range.
    """

    _INSTEAD: ClassVar[str] = "take ClusterMixtureSampler, which has one for such clusters"

    pca: PCA
    body: BodyUnion
    parents: Float16[Array | np.ndarray, "n k"]
    bounds: Int[Array | np.ndarray, " bounds"]
    temperature: float | Float[Array, ""] = positive_field(default=1.03)
    n_parents: int = static_field(default=3)
    labels: Int[Array | np.ndarray, " c"] | None = None

    def __post_init__(self) -> None:
        convert_fields(self, as_count, "n_parents", minimum=1)
        check_parents(self.parents)
        c = len(self.body.centres)
        if self.bounds.shape != (c + 1,):
            raise ValueError(f"bounds: expected shape ({c + 1},) for {c} clusters, got {self.bounds.shape}")
        if is_traced(self.bounds):
            return
        rows, n = np.asarray(self.bounds), len(self.parents)
        smallest = np.diff(rows).min()
        if rows[0] != 0 or rows[-1] != n or smallest < 1:
            raise ValueError(
                f"bounds: expected {c + 1} row numbers from 0 to {n}, in rising order, "
                f"got {c + 1} from {rows[0]} to {rows[-1]}"
            )
        if self.n_parents > smallest:
            raise ValueError(
                f"n_parents: expected at most {smallest}, the size of the smallest cluster, "
                f"got {self.n_parents}; take fewer parents"
            )

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        n_clusters: int | None = None,
        n_parents: int = 3,
        temperature: float | Float[Array, ""] = 1.03,
        coverage: float = 0.999,
        labels: Int[Array | np.ndarray, " n"] | None = None,
        **options: Unpack[FitOptions],
    ) -> "ClusterRecombinationSampler":
        """Groups z-points, see `jaxlatent.sampling.fitting.clusters.fit_clusters`, and keeps them.

        The numbers were chosen on validation images (docs/study.md): more clusters or fewer parents bring
        the images' law closer to that of reconstructions, and the images closer to those trained on.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            n_clusters: the most clusters, at least 1; one for every 180 z-points, up to 300, where not given.
                Those of fewer than 30 different points, or than 2 n_parents, are dissolved, down to one.
            n_parents: m, from 1 to the number of z-points.
            temperature: see the class.
            coverage: share of the z-points inside their own cluster's body, in (0, 1].
            labels: the class of each z-point, an integer, for `condition(label=...)`; parents then have one
                class.
            **options: `n_components` and which z-points are described, see `jaxlatent.sampling.FitOptions`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        temperature = as_positive_leaf("temperature", temperature)
        n_parents = as_count("n_parents", n_parents, 1)
        clusters = fit_clusters(
            z,
            n_clusters,
            coverage=coverage,
            labels=labels,
            fewest=max(FEWEST, 2 * n_parents),
            **options,
        )
        sigma = np.sqrt(clusters.pca.explained_variance)
        points = [clusters.of(j) / sigma for j in range(len(clusters.sizes))]
        parents = np.concatenate(points).astype(np.float16)
        bounds = clusters.bounds.astype(np.int32)
        return cls(clusters.pca, clusters.body, parents, bounds, temperature, n_parents, clusters.labels)

    def _kept(self, k: int) -> dict[str, Any]:
        return super()._kept(k) | {"parents": self.parents[:, :k]}

    def _of_class(self, label: int) -> dict[str, Any]:
        chosen, bounds = clusters_of(self.labels, label), np.asarray(self.bounds)
        rows = np.concatenate([np.arange(bounds[j], bounds[j + 1]) for j in chosen])
        return {
            "body": self.body.some(chosen),
            "parents": self.parents[rows],
            "bounds": np.concatenate([[0], np.cumsum(np.diff(bounds)[chosen])]),
            "labels": np.asarray(self.labels)[chosen],
        }

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        parents, bounds = jnp.asarray(self.parents), jnp.asarray(self.bounds)
        point = index_below(words(seed, index, 0, 1)[0][0], parents.shape[0]).astype(jnp.int32)
        cluster = jnp.sum(point >= bounds[1:-1, None], axis=0)
        first, size = bounds[cluster], (bounds[cluster + 1] - bounds[cluster]).astype(jnp.uint32)
        rows = first + distinct_indices(seed, index, 1, self.n_parents, size).astype(jnp.int32)
        total = combined(parents, rows, jnp.ones(rows.shape, jnp.float32))
        scale = jnp.asarray(self.temperature, jnp.float32) / jnp.float32(math.sqrt(self.n_parents))
        y = jnp.asarray(self.body.centres)[cluster] + scale * total * jnp.sqrt(self.pca.explained_variance)
        return self.body.confine(y, cluster, tables(self))

    def _derive(self) -> Float[Array, " k"]:
        """How far rounding moves a vector on its way to the latent frame."""
        return self.body.rounding(self.pca)
