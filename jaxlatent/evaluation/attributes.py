"""Whether z-points lie in clusters, by attribute or at all, or in one cloud that attributes only shift."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Float64

from jaxlatent._boundary import as_array, as_count, as_key, as_vectors
from jaxlatent.latent.directions import DirectionKind, attribute_direction
from jaxlatent.latent.moments import moments
from jaxlatent.sampling import GaussianSampler

_STARTS = 3


@dataclass(frozen=True, eq=False)
class AttributeShares:
    """How far the z-points with and without each of m attributes lie apart.

    Attributes:
        prevalence: share of the z-points that have the attribute, in (0, 1), (m,).
        variance: share of the z-points' variance that lies between the two means, in [0, 1], (m,).
        whitened: the same of the one whitened direction in which the means differ: the squared multiple
            correlation of attribute and z-point, in [0, 1], (m,). Of attributes that have nothing to do with
            n points of d dimensions it is about d / n.
        separation: d', the distance of the means along their connecting line in standard deviations within
            the classes (root of the mean variance), of held-out points, (m,). Two equally frequent normal
            classes show two peaks from d' = 2 on.
        discriminant: the same along Fisher's linear discriminant, the direction that separates best, (m,).
    """

    prevalence: Float64[np.ndarray, " m"]
    variance: Float64[np.ndarray, " m"]
    whitened: Float64[np.ndarray, " m"]
    separation: Float64[np.ndarray, " m"]
    discriminant: Float64[np.ndarray, " m"]


@dataclass(frozen=True, eq=False)
class ClusterShares:
    """What k-means clusters of z-points tell.

    Attributes:
        variance: share of the z-points' variance that lies between the clusters, in [0, 1].
        gaussian_variance: the same of as many normal vectors of the same mean and covariance, which have no
            clusters.
        information: adjusted mutual information of clusters and each attribute; about 0 by chance, 1 where
            they tell the same, (m,).
        gain: how much oftener an attribute is guessed rightly from the cluster, as what is commoner in it,
            than without, in [0, 0.5], (m,).
    """

    variance: float
    gaussian_variance: float
    information: Float64[np.ndarray, " m"]
    gain: Float64[np.ndarray, " m"]


def attribute_shares(
    z: Float[Array | np.ndarray, " n *latent"], present: Bool[np.ndarray, "n m"]
) -> AttributeShares:
    """Measures how much of the latent variance attributes explain.

    Args:
        z: z-points, floating point (n, d), n > d.
        present: which of the attributes each has; of each some have it and some do not.

    Raises:
        TypeError, ValueError: if an argument is out of range or not finite; the message names it.
    """
    z = as_vectors("z", z)
    present = np.asarray(as_array("present", present))
    n, d = z.shape
    if n <= d:
        raise ValueError(f"z: expected more than {d} vectors, as they have {d} dimensions, got {n}")
    kinds: tuple[DirectionKind, ...] = ("mean", "linear")
    joining, separating = (attribute_direction(z, present, kind=kind).separation for kind in kinds)
    joint = moments(np.column_stack([np.asarray(z, np.float32), present.astype(np.float32)]))
    within, across = joint.scatter[:d, :d], joint.scatter[:d, d:]
    spread = np.diag(joint.scatter)[d:]
    return AttributeShares(
        joint.mean[d:],
        np.square(across).sum(axis=0) / spread / np.trace(within),
        (across * np.linalg.lstsq(within, across, rcond=1e-12)[0]).sum(axis=0) / spread,
        np.asarray(joining, np.float64),
        np.asarray(separating, np.float64),
    )


def attribute_clusters(
    z: Float[Array | np.ndarray, " n *latent"],
    present: Bool[np.ndarray, "n m"],
    key: jax.Array,
    *,
    n_clusters: int = 10,
) -> ClusterShares:
    """Divides z-points by k-means, and normal vectors too; compares the clusters with attributes.

    k-means divides any cloud. That there are clusters shows in a share of the variance between them that is
    clearly above that of the normal vectors. Information: N. X. Vinh, J. Epps, J. Bailey, "Information
    theoretic measures for clusterings comparison", J. Machine Learning Research 11, 2010.

    Args:
        z: z-points, floating point (n, d), n >= `n_clusters`.
        present: which of the attributes each has.
        key: a typed key, of the normal vectors and of where k-means starts.
        n_clusters: at least 2.

    Raises:
        TypeError, ValueError: if an argument is out of range or not finite; the message names it.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    key, n_clusters = as_key(key), as_count("n_clusters", n_clusters, 2)
    z = as_vectors("z", z, least=n_clusters)
    present = np.asarray(as_array("present", present))
    if len(present) != len(z):
        raise ValueError(f"present: expected a row for each of {len(z)} vectors, got {len(present)}")
    draw, start = jax.random.split(key)
    seed = int(jax.random.bits(start))
    found, variance = _k_means(np.asarray(z, np.float32), n_clusters, seed)
    normal = np.asarray(GaussianSampler.fit(z).sample(draw, len(z)))
    _, expected = _k_means(normal, n_clusters, seed)
    sizes = np.bincount(found, minlength=n_clusters)
    having = np.stack([np.bincount(found, each, n_clusters) for each in present.T], axis=1)
    right = np.maximum(having, sizes[:, None] - having).sum(axis=0) / len(z)
    share = present.mean(axis=0)
    return ClusterShares(
        variance,
        expected,
        np.array([adjusted_mutual_info_score(each, found) for each in present.T], np.float64),
        right - np.maximum(share, 1 - share),
    )


def _k_means(z: np.ndarray, n_clusters: int, seed: int) -> tuple[np.ndarray, float]:
    """Cluster of each vector, and the share of their variance that lies between the clusters."""
    from sklearn.cluster import KMeans

    centred = z - z.mean(axis=0)
    found = KMeans(n_clusters, n_init=_STARTS, random_state=seed).fit(centred)
    return found.labels_, float(1 - found.inertia_ / np.square(centred, dtype=np.float64).sum())
