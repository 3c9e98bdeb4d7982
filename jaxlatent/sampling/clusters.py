"""Clusters of z-points that lie together and spread alike, each with an ellipse body of its own."""

import math
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from jaxlatent._checks import check_count, check_vectors
from jaxlatent._pytree import pytree
from jaxlatent.latent.coverage import largest_two
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.subset import subset_mask
from jaxlatent.sampling.body import LIMIT
from jaxlatent.sampling.k_means import k_means
from jaxlatent.sampling.region import fit_frame

# Smaller clusters are dissolved: their own points would be too large a part of all that is drawn from them.
_FEWEST = 30
# Components of the first block of which a spread is taken; each further block doubles their number.
_FIRST_BLOCK = 8
# Points by which the spread of a cluster is drawn towards that of all clusters.
_SPREAD_PRIOR = 20
_BLOCK = 4096


@pytree
class BodyUnion:
    """The vectors inside any of c ellipse bodies, each about a centre of its own.

    Body j is { y : (u_a / s_ja)^2 + (u_b / s_jb)^2 <= 1 for all a < b, u = y - m_j }.

    Attributes:
        centres: m, (c, k) float32.
        semi_axes: s, (c, k) float32, positive.

    Raises:
        ValueError: if the shapes differ, or the semi-axes are not positive and finite.
    """

    centres: Float[Array | np.ndarray, "c k"]
    semi_axes: Float[Array | np.ndarray, "c k"]

    def __post_init__(self) -> None:
        arrays = (self.centres, self.semi_axes)
        if any(isinstance(x, jax.core.Tracer) or not isinstance(x, (jax.Array, np.ndarray)) for x in arrays):
            return
        shapes = [np.shape(x) for x in arrays]
        if len(shapes[0]) != 2 or shapes[0] != shapes[1]:
            raise ValueError(
                f"semi_axes: expected the shape of centres, (c, k), got {shapes[1]} for {shapes[0]}"
            )
        axes = np.asarray(self.semi_axes)
        if not (np.isfinite(axes) & (axes > 0)).all():
            raise ValueError("semi_axes: expected positive, finite numbers; keep fewer components")
        for name in ("centres", "semi_axes"):
            object.__setattr__(self, name, jnp.asarray(getattr(self, name), jnp.float32))

    @property
    def n_components(self) -> int:
        """The number of components k."""
        return self.centres.shape[1]

    def contains(self, y: Float[Array | np.ndarray, "n k"]) -> Bool[Array, " n"]:
        """Whether each vector lies inside one of the bodies at least.

        Args:
            y: vectors in the frame and units of the semi-axes, (n, k).

        Raises:
            TypeError, ValueError: if `y` is not a floating-point array of shape (n, k).
        """
        check_vectors("y", y, self.n_components)
        blocks = [_inside(self, jnp.asarray(y[i : i + _BLOCK])) for i in range(0, len(y), _BLOCK)]
        return jnp.concatenate([jnp.zeros(0, bool), *blocks])

    def coverage(self, y: Float[Array | np.ndarray, "n k"]) -> float:
        """The fraction of vectors inside; arguments and errors as for `contains`."""
        return float(jnp.mean(self.contains(y)))

    def confine(
        self, y: Float[Array, "b k"], own: Int[Array, " b"] | UInt32[Array, " b"]
    ) -> Float[Array, "b k"]:
        """Draws vectors that lie outside body `own` straight towards its centre, to its boundary."""
        centre = self.centres[own]
        away = y - centre
        gauge = jnp.sqrt(largest_two(jnp.square(away / self.semi_axes[own])))
        inside = centre + away * jnp.minimum(1.0, jnp.float32(LIMIT) / jnp.maximum(gauge, 0.5))[:, None]
        return jnp.where((gauge > LIMIT)[:, None], inside, y)


@jax.jit
def _inside(body: BodyUnion, y: jax.Array) -> jax.Array:
    def one(found: jax.Array, cluster: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        centre, axes = cluster
        return found | (largest_two(jnp.square((y - centre) / axes)) <= 1), None

    return jax.lax.scan(
        one, jnp.zeros(y.shape[0], bool), (jnp.asarray(body.centres), jnp.asarray(body.semi_axes))
    )[0]


@dataclass(frozen=True, eq=False)
class Clusters:
    """z-points sorted by the cluster that they belong to.

    Attributes:
        pca: the frame, with k components of positive variance.
        y: the z-points in it, those of a cluster together, (n, k) float32.
        bounds: cluster j has the rows bounds[j] to bounds[j + 1] - 1, (c + 1,) int64.
        deviations: of each cluster's components, drawn a little towards those of all clusters, (c, k).
        body: one body for each cluster, about its mean.
    """

    pca: PCA
    y: Float[np.ndarray, "n k"]
    bounds: Int[np.ndarray, " bounds"]
    deviations: Float[np.ndarray, "c k"]
    body: BodyUnion

    @property
    def sizes(self) -> Int[np.ndarray, " c"]:
        """Numbers of points."""
        return np.diff(self.bounds)

    def of(self, j: int) -> Float[np.ndarray, "m k"]:
        """The points of cluster j about their mean, float64."""
        points = self.y[self.bounds[j] : self.bounds[j + 1]].astype(np.float64)
        return points - points.mean(axis=0)


def fit_clusters(
    z: Float[Array | np.ndarray, "n d"],
    n_clusters: int,
    *,
    coverage: float,
    n_components: int | None = None,
    key: jax.Array | None = None,
    where: Bool[Array | np.ndarray, " n"] | None = None,
) -> Clusters:
    """Groups z-points by k-means on where they lie and how far they spread.

    What one Gaussian misses in the z-points of images is mostly that their components vary together, few or
    many of them at once. So k-means sees two kinds of numbers: the leading half of the components,
    whitened, and the logarithm of the root mean square of blocks of 8, 8, 16, 32, ... components, times the
    root of the block's size, which gives noise of the same extent to every block. Clusters of fewer than 30
    points are dissolved into the others.

    Args:
        z: z-points, floating point (n, d), n >= 2.
        n_clusters: the most clusters, at least 1.
        coverage: share of the z-points that lie inside their own cluster's body, in (0, 1]. Its semi-axes
            are the same multiple of the cluster's standard deviations in all clusters.
        n_components: k, from 1 to d; all that have a positive variance where not given.
        key: of the start of k-means; `jax.random.key(0)` where not given.
        where: mask of a subset of the z-points, the only ones grouped.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
    """
    check_count("n_clusters", n_clusters, 1)
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage: expected a share in (0, 1], got {coverage}")
    pca = fit_frame(z, n_components, where=where)
    # Components that are kept on request although constant have no spread to compare.
    pca = pca.keep(max(1, int(jnp.sum(pca.explained_variance > 0))))
    y = np.asarray(pca.transform(z if where is None else z[subset_mask(z, where)]))
    seen = _place_and_spread(pca, jnp.asarray(y))
    own = _membership(jax.random.key(0) if key is None else key, seen, min(n_clusters, len(y)))
    order = np.argsort(own, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(own))])
    y = y[order]
    parts = [y[a:b].astype(np.float64) for a, b in pairwise(bounds)]
    means = np.stack([part.mean(axis=0) for part in parts])
    squares = np.stack([np.square(part - mean).sum(axis=0) for part, mean in zip(parts, means, strict=True)])
    within = squares.sum(axis=0) / max(len(y) - len(parts), 1)
    sizes = np.diff(bounds)[:, None]
    deviations = np.sqrt((squares + _SPREAD_PRIOR * within) / (sizes - 1 + _SPREAD_PRIOR))
    # Where all points of a component agree but for rounding, any small number is a semi-axis.
    deviations = np.maximum(deviations, 1e-6 * math.sqrt(float(np.square(y[:, 0]).mean())) + 1e-30)
    gauges = np.concatenate(
        [
            np.sqrt(np.asarray(largest_two(jnp.asarray(np.square((part - mean) / deviation)))))
            for part, mean, deviation in zip(parts, means, deviations, strict=True)
        ]
    )
    # A little more, so that the point that sets the level is inside whatever the rounding.
    level = np.sort(gauges)[math.ceil(coverage * len(y)) - 1] * (1 + 2**-18)
    body = BodyUnion(jnp.asarray(means, jnp.float32), jnp.asarray(level * deviations, jnp.float32))
    return Clusters(pca, y, bounds, deviations, body)


@jax.jit
def _place_and_spread(pca: PCA, y: jax.Array) -> jax.Array:
    white = y / jnp.sqrt(pca.explained_variance)
    k = white.shape[1]
    columns, first, last = [white[:, : -(-k // 2)]], 0, min(_FIRST_BLOCK, k)
    while first < last:
        square = jnp.mean(jnp.square(white[:, first:last]), axis=1, keepdims=True)
        columns.append(jnp.log(square + 1e-6) * (math.sqrt(last - first) / 2))
        first, last = last, min(2 * last, k)
    seen = jnp.concatenate(columns, axis=1)
    return seen - jnp.mean(seen, axis=0)


def _membership(key: jax.Array, seen: jax.Array, n_clusters: int) -> Int[np.ndarray, " n"]:
    """The number of each point's cluster, 0 to c - 1; all c have points enough."""
    centres, member = k_means(key, seen, n_clusters)
    size = np.asarray(jnp.sum(member, axis=1))
    kept = np.flatnonzero(size >= min(_FEWEST, size.max()))
    distance = jnp.sum(jnp.square(centres[kept]), axis=1) - 2 * jnp.matmul(
        seen, centres[kept].T, precision="highest"
    )
    return np.unique(np.asarray(jnp.argmin(distance, axis=1)), return_inverse=True)[1]
