"""Clusters of z-points that lie together and spread alike, each with an ellipse body of its own."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent._boundary import (
    as_count,
    as_key,
    as_share,
    as_vectors,
    on_device,
)
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.bodies.union import BodyUnion
from jaxlatent.sampling.fitting.classes import by_class
from jaxlatent.sampling.fitting.k_means import k_means, padded
from jaxlatent.sampling.fitting.parents import check_differ
from jaxlatent.sampling.fitting.region import FitOptions, fit_points

#: Smaller clusters are dissolved: their points would be too large a part of all that is drawn from them.
FEWEST = 30
#: Where no number of clusters is asked for, there are no more: k-means takes time and memory for each.
MOST = 300
# Components of the first block of which a spread is taken; each further block doubles their number.
_FIRST_BLOCK = 8
# Points by which the spread of a cluster is drawn towards that of all clusters.
_SPREAD_PRIOR = 20
# What is smaller is the rounding of float32: a deviation beside that of the first component, and a level.
_RESOLUTION = 1e-6
# By how much more than the level asked for, so that the point that sets it is inside whatever the rounding.
_SLACK = 2**-18


@dataclass(frozen=True, eq=False)
class Clusters:
    """z-points sorted by the cluster that they belong to.

    Attributes:
        pca: the frame, with k components of positive variance.
        y: the z-points in it, those of a cluster together, (n, k) float32.
        bounds: cluster j has the rows bounds[j] to bounds[j + 1] - 1, (c + 1,) int64.
        deviations: of each cluster's components, drawn a little towards those of all clusters, (c, k).
        body: one body for each cluster, about its mean.
        labels: the class of each cluster, (c,) int32; none where there are no classes.
    """

    pca: PCA
    y: Float[np.ndarray, "n k"]
    bounds: Int[np.ndarray, " bounds"]
    deviations: Float[np.ndarray, "c k"]
    body: BodyUnion
    labels: Int[np.ndarray, " c"] | None

    @property
    def sizes(self) -> Int[np.ndarray, " c"]:
        """Numbers of points."""
        return np.diff(self.bounds)

    def of(self, j: int) -> Float[np.ndarray, "m k"]:
        """The points of cluster j about their mean, float64."""
        points = self.y[self.bounds[j] : self.bounds[j + 1]].astype(np.float64)
        return points - points.mean(axis=0)


def fit_clusters(
    z: Float[Vectors, " n *latent"],
    n_clusters: int | None,
    *,
    size: int = 180,
    coverage: float,
    labels: Int[Array | np.ndarray, " n"] | None = None,
    fewest: int = FEWEST,
    **options: Unpack[FitOptions],
) -> Clusters:
    """Groups z-points by k-means on where they lie and how far they spread.

    What one Gaussian misses in the z-points of images is mostly that their components vary together, few or
    many of them at once. So k-means sees two kinds of numbers: the leading half of the components,
    whitened, and the logarithm of the root mean square of blocks of 8, 8, 16, 32, ... components, times the
    root of the block's size, which gives noise of the same extent to every block. Clusters of fewer than
    `fewest` different points are dissolved into the others.

    Args:
        z: z-points, floating point (n, d), n >= 2.
        n_clusters: the most clusters, at least 1; None for one for every `size` z-points, up to 300. Of m
            different points, there are m / `fewest` at most, and always one.
        size: see there, at least 1.
        coverage: share of the z-points that lie inside their own cluster's body, in (0, 1]. Its semi-axes
            are the same multiple of the cluster's standard deviations in all clusters.
        labels: the class of each z-point, an integer: the clusters are shared out among the classes by their
            sizes, at least one each, and no cluster has points of two.
        fewest: different points of a cluster, at least 1.
        **options: see `FitOptions`; the start of k-means is random.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the points to group are all equal; the
            message names it.
    """
    if n_clusters is not None:
        n_clusters = as_count("n_clusters", n_clusters, 1)
    coverage = as_share("coverage", coverage)
    key = options.get("key")
    key = as_key(jax.random.key(0) if key is None else key)
    pca, choice = fit_points(z, **options)
    points = np.asarray(as_vectors("z", choice.points))
    check_differ(pca, points)
    # Components that are kept on request although constant have no spread to compare.
    pca = pca.keep(int(np.count_nonzero(pca.explained_variance)))
    # What is compiled has padded shapes, and so serves the next data set too. What hangs on the sizes of the
    # clusters is left to NumPy.
    components = pca.transform(padded(points))
    features = _place_and_spread(pca, components, len(points))
    if n_clusters is None:
        n_clusters = min(max(round(len(points) / size), 1), MOST)
    cluster, classes = np.empty(len(points), np.int64), list[int]()
    for part in by_class(labels, choice, n_clusters):
        rows, seen = part.rows, features
        if labels is not None:
            seen = on_device(padded(np.asarray(features)[rows]))
        cluster[rows] = len(classes) + _membership(
            key, seen, _different(points[rows]), len(rows), part.n_clusters, fewest
        )
        classes += [part.label] * (cluster[rows].max() + 1 - len(classes))
    order = np.argsort(cluster, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(cluster))])
    y = np.asarray(components)[order]
    parts = [y[a:b].astype(np.float64) for a, b in pairwise(bounds)]
    means = np.stack([part.mean(axis=0) for part in parts])
    squares = np.stack([np.square(part - mean).sum(axis=0) for part, mean in zip(parts, means, strict=True)])
    within = squares.sum(axis=0) / max(len(y) - len(parts), 1)
    sizes = np.diff(bounds)[:, None]
    deviations = np.sqrt((squares + _SPREAD_PRIOR * within) / (sizes - 1 + _SPREAD_PRIOR))
    first = np.sqrt(np.square(y[:, 0], dtype=np.float64).mean())
    deviations = np.maximum(deviations, _RESOLUTION * first + np.finfo(np.float32).tiny)
    gauges = np.concatenate(
        [
            _gauges((part - mean) / deviation)
            for part, mean, deviation in zip(parts, means, deviations, strict=True)
        ]
    )
    level = np.sort(gauges)[math.ceil(coverage * len(y)) - 1] * (1 + _SLACK)
    # Where so many points lie at the means, any body will do for them.
    level = max(level, _RESOLUTION)
    body = BodyUnion(means.astype(np.float32), (level * deviations).astype(np.float32))
    return Clusters(pca, y, bounds, deviations, body, None if labels is None else np.array(classes, np.int32))


@jax.jit
def _place_and_spread(pca: PCA, y: jax.Array, count: int | jax.Array) -> jax.Array:
    """What k-means sees of the first `count` vectors, about their mean; 0 for the others."""
    white = y / jnp.sqrt(pca.explained_variance)
    k = white.shape[1]
    columns, first, last = [white[:, : -(-k // 2)]], 0, min(_FIRST_BLOCK, k)
    while first < last:
        square = jnp.mean(jnp.square(white[:, first:last]), axis=1, keepdims=True)
        columns.append(jnp.log(square + 1e-6) * (math.sqrt(last - first) / 2))
        first, last = last, min(2 * last, k)
    features = jnp.concatenate(columns, axis=1)
    real = (jnp.arange(len(y)) < count)[:, None]
    return jnp.where(real, features - jnp.mean(features, axis=0, where=real), 0.0)


def _different(points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " m"]:
    """The row numbers of different points, one of each."""
    rows = np.ascontiguousarray(points + points.dtype.type(0))  # of 0 and -0, makes the same bytes
    return np.unique(rows.view(f"V{rows.itemsize * rows.shape[1]}"), return_index=True)[1]


def _membership(
    key: jax.Array,
    features: Float[Array, "n f"],
    different: Int[np.ndarray, " m"],
    count: int,
    n_clusters: int,
    fewest: int,
) -> Int[np.ndarray, " count"]:
    """The number of each point's cluster, 0 to c - 1; all c have points enough."""
    n_clusters = min(n_clusters, max(1, len(different) // fewest))
    centres, member = (np.asarray(x) for x in k_means(key, features, count, n_clusters))
    cluster = member[:, :count].argmax(axis=0)
    # Copies do not count: a cluster of nothing else would give nothing else.
    size = np.bincount(cluster[different], minlength=n_clusters)
    # Only a single cluster can be smaller, as there are no more clusters than `fewest` allows.
    large = np.flatnonzero(size >= min(fewest, size.max()))
    dissolved = ~np.isin(cluster, large)
    distance = np.square(centres[large]).sum(axis=1) - 2 * (
        np.asarray(features)[:count][dissolved] @ centres[large].T
    )
    cluster[dissolved] = large[distance.argmin(axis=1)]
    return np.unique(cluster, return_inverse=True)[1]


def _gauges(offsets: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """The root of the sum of the two largest squares of each row."""
    squares = np.square(offsets)
    largest = squares.argmax(axis=1)[:, None]
    first = squares.max(axis=1)
    np.put_along_axis(squares, largest, 0, axis=1)
    return np.sqrt(first + squares.max(axis=1))
