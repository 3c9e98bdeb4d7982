"""Principal component analysis of z-points by the eigenvectors of their covariance."""

import warnings
from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent._boundary import as_array, as_count, as_vectors, on_device
from jaxlatent._pytree import pytree
from jaxlatent.latent.centred import centred
from jaxlatent.latent.eigen import eigenvectors, rounding_variance, significant
from jaxlatent.latent.moments import Moments, float32_moments, moments
from jaxlatent.latent.sharded import Vectors
from jaxlatent.latent.subset import subset_moments
from jaxlatent.latent.trim import Choice, PointOptions, choose

# From here on float32 products save more time than a second attempt in float64 would cost.
_MANY_POINTS = 16_384
# Relative error of an eigenvalue that float32 products may leave.
_TOLERANCE = 1e-4


@pytree
class PCA:
    """A centred, rotated frame, its axes in the order of falling variance.

    Attributes:
        mean: (d,) float32; in the shape of a latent vector, (c, h, w) say, if it was fitted to such.
        components: orthonormal eigenvectors in rows, (k, d) float32; the entry of largest absolute value
            of each is positive, so that results repeat.
        explained_variance: eigenvalues of the unbiased covariance, falling, >= 0, (k,) float32.
        explained_variance_ratio: their shares of the total variance of all d components, (k,) float32.
        mean_rest: what float32 leaves out of the mean, of its shape, float32; none where not given.

    Raises:
        TypeError: if one is no floating-point array.
        ValueError: if one has another shape.
    """

    mean: Float[Array, "*latent"]
    components: Float[Array, "k d"]
    explained_variance: Float[Array, " k"]
    explained_variance_ratio: Float[Array, " k"]
    mean_rest: Float[Array, "*latent"] | None = None

    def __post_init__(self) -> None:
        d = self.components.shape[1]
        if self.mean.size != d:
            raise ValueError(f"mean: expected {d} numbers, as components have, got {self.mean.shape}")

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        n_components: int | None = None,
        *,
        distributed: bool = False,
        **points: Unpack[PointOptions],
    ) -> "PCA":
        """Fits the frame in one pass over z-points; a memory map, or shards, are read batch by batch.

        What only rounding can have made is no variance: a component gets 0 where its eigenvalue is below
        e^2 times the mean square of z's coordinates about 0, weighted by the component's squared entries,
        with e the spacing of z's numbers (2^-23 for float32, and for float64 arrays of numbers that float32
        holds; 2^-52 otherwise), and (1 + sqrt(d / n))^2 times that for n points; or below d 2^-52 of the
        largest eigenvalue. A mean of m deviations thus hides components below 1.2e-7 m deviations in
        float32. What is above is exact to 1e-4 from 25 e m deviations on, and over twelve decades of variance
        in any rotation. float64 numbers are centred before anything is rounded.

        Large float32 data are multiplied in float32 first, and a second time, in float64, where that leaves
        an error above 1e-4 in one of the k eigenvalues.

        Args:
            z: z-points, floating point (n, d) or (n, c, h, w), n >= 2. Fewer points than dimensions leave
                n - 1 components of positive variance; constant dimensions get variance 0.
            n_components: k, from 1 to d; d where not given.
            distributed: `z` is the part of this process, n >= 0, and the frame is that of all parts together;
                see `jaxlatent.latent.moments`. It excludes the options below.
            **points: `where`, `max_points`, `within_sigma` and `key`: which z-points are described, see
                `jaxlatent.latent.PointOptions`.

        Raises:
            TypeError: if `z` is not floating point.
            ValueError: if `z` is not (n, d) with n >= 2, or not finite, or an option is out of range.
            RuntimeError: if it was distributed and another process failed or was lost.

        Warns:
            UserWarning: if float32 vectors, as `inverse_transform` makes them, cannot hold the spread of a
                component beside its mean.
        """
        if distributed:
            if any(option is not None for option in points.values()):
                raise ValueError("distributed: excludes where, max_points and within_sigma; leave them out")
            z = as_array("z", z)
            return cls.from_moments(moments(z, distributed=True), n_components, shape=z.shape[1:])
        return cls.of_points(choose(z, **points), n_components)

    @classmethod
    def of_points(cls, choice: Choice, n_components: int | None = None) -> "PCA":
        """The frame of z-points that were chosen already; arguments and errors as for `fit`."""
        z, shape = as_vectors("z", choice.z), choice.z.shape[1:]
        if choice.mask is not None:
            return cls.from_moments(subset_moments(z, choice.mask), n_components, shape=shape)
        if z.dtype == np.float32 and z.shape[0] >= _MANY_POINTS:
            found, error = float32_moments(z)
            if np.isfinite(found.scatter).all():
                values, vectors = eigenvectors(found.covariance)
                k = _count(n_components, found)
                if (_TOLERANCE * values[:k] > np.square(vectors[:k]) @ error).all():
                    return cls._of(found, values, vectors, k, shape)
        return cls.from_moments(moments(z), n_components, shape=shape)

    @classmethod
    def from_moments(
        cls, found: Moments, n_components: int | None = None, *, shape: tuple[int, ...] | None = None
    ) -> "PCA":
        """The frame that belongs to a mean and a covariance; arguments and errors as for `fit`.

        Args:
            found: of vectors of d numbers.
            n_components: k, from 1 to d; d where not given.
            shape: of a latent vector, d numbers; (d,) where not given.
        """
        if found.count < 2:
            raise ValueError(f"z: expected at least 2 vectors, got {found.count}")
        return cls._of(found, *eigenvectors(found.covariance), _count(n_components, found), shape)

    @classmethod
    def _of(
        cls,
        found: Moments,
        values: np.ndarray,
        vectors: np.ndarray,
        k: int,
        shape: tuple[int, ...] | None,
    ) -> "PCA":
        values = significant(found, values, vectors)
        total, limits = values.sum(), np.finfo(np.float32)
        if total > 0 and not limits.tiny <= values[values > 0][-1] <= values[0] <= limits.max:
            raise ValueError(
                f"z: variances from {values[values > 0][-1]:.2g} to {values[0]:.2g} do not fit float32; "
                "scale z"
            )
        _warn_of_rounding(found, values[:k], vectors[:k])
        mean = found.mean.astype(np.float32)
        mean, rest = (x.reshape(shape or x.shape) for x in (mean, found.mean - mean))
        leaves = (mean, vectors[:k], values[:k], values[:k] / (total or 1.0), rest)
        return cls(*map(on_device, leaves))

    @property
    def n_components(self) -> int:
        """The number of components k."""
        return self.components.shape[0]

    @property
    def n_features(self) -> int:
        """The number of latent coordinates d."""
        return self.components.shape[1]

    def keep(self, n_components: int) -> "PCA":
        """The frame of the first `n_components` components.

        Raises:
            ValueError: if there are fewer.
        """
        k = as_count("n_components", n_components, 1, self.n_components)
        return self._of_components(slice(k))

    def through(
        self,
        at: Int[np.ndarray, " g"],
        values: Float[Array, " g"],
        rest: Int[np.ndarray, " k"],
    ) -> "PCA":
        """The frame of the components `rest`, moved so that its plane goes through `values` of those `at`."""
        shift = jnp.matmul(values, self.components[at], precision="highest")
        return self._of_components(rest, self.mean + shift.reshape(self.mean.shape))

    def _of_components(
        self, rows: slice | Int[np.ndarray, " k"], mean: Float[Array, "*latent"] | None = None
    ) -> "PCA":
        """The frame of some of the components, about the same mean where no other is given."""
        return type(self)(
            self.mean if mean is None else mean,
            self.components[rows],
            self.explained_variance[rows],
            self.explained_variance_ratio[rows],
            self.mean_rest,
        )

    def transform(self, z: Float[Vectors, " n *latent"]) -> Float[Array, "n k"]:
        """From the latent frame, (n, d) or (n, c, h, w), to the components (n, k), float32.

        Numbers of float64 are centred in float64.

        Raises:
            TypeError, ValueError: if `z` is not a floating-point array (n, d).
        """
        return _transform(self, self._centred(z))

    def inverse_transform(self, y: Float[Vectors, "n k"]) -> Float[Array, " n *latent"]:
        """From components (n, k) back to latent vectors in the shape of `mean`, float32.

        Raises:
            TypeError, ValueError: if `y` is not a floating-point array (n, k).
        """
        y = as_vectors("y", y, self.n_components)
        return _inverse_transform(self, centred(y))

    def distance(self, z: Float[Vectors, " n *latent"]) -> Float[Array, " n"]:
        """Euclidean distance of each vector from the frame's plane, in latent units, float32 (n,).

        The plane is the mean and all that the k components span, that is, all that `inverse_transform` can
        give; with k = d it is the whole space. Distances below about 1e-6 of the distance from the mean are
        rounding.

        Raises:
            TypeError, ValueError: if `z` is not a floating-point array (n, d).
        """
        return _distance(self, self._centred(z))

    def _centred(self, z: Float[Vectors, " n *latent"]) -> Float[Array, "n d"]:
        means = (None if mean is None else mean.reshape(-1) for mean in (self.mean, self.mean_rest))
        return centred(as_vectors("z", z, self.n_features), *means)


def _count(n_components: int | None, found: Moments) -> int:
    dim = found.mean.size
    return dim if n_components is None else as_count("n_components", n_components, 1, dim)


def _warn_of_rounding(found: Moments, values: np.ndarray, vectors: np.ndarray) -> None:
    """Says it where float32 vectors hold a component in steps of more than about its deviation."""
    epsilon = float(np.finfo(np.float32).eps)
    # A third of it is the variance of rounding by steps of twice the deviation.
    lost = np.flatnonzero((values > 0) & (values < rounding_variance(found, vectors, epsilon) / 3))
    if lost.size:
        first = lost[0]
        coordinate = int(np.argmax(np.abs(vectors[first] * found.mean)))
        mean = float(found.mean[coordinate])
        step = np.spacing(np.float32(abs(mean)))
        warnings.warn(
            f"z: float32 vectors cannot hold the spread of component {first} ({lost.size} such): its "
            f"deviation is {np.sqrt(values[first]):.2g}, and coordinate {coordinate} has a mean of "
            f"{mean:.3g}, where float32 has steps of {step:.2g}; subtract the mean from z first",
            stacklevel=6,
        )


@jax.jit
def _transform(pca: PCA, centred_z: jax.Array) -> jax.Array:
    return jnp.matmul(centred_z, pca.components.T, precision="highest")


@jax.jit
def _inverse_transform(pca: PCA, y: jax.Array) -> jax.Array:
    offset = jnp.matmul(y, pca.components, precision="highest").reshape(-1, *pca.mean.shape)
    return (offset if pca.mean_rest is None else offset + pca.mean_rest) + pca.mean


@jax.jit
def _distance(pca: PCA, rest: jax.Array) -> jax.Array:
    # Twice: what the first time leaves in the plane is rounding of the whole length.
    for _ in range(2):
        y = jnp.matmul(rest, pca.components.T, precision="highest")
        rest = rest - jnp.matmul(y, pca.components, precision="highest")
    return jnp.linalg.norm(rest, axis=1)
