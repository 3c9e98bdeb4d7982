"""Principal component analysis of z-points by the eigenvectors of their covariance."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent._checks import check_count, check_vectors
from jaxlatent._pytree import pytree
from jaxlatent.latent.moments import Moments, moments
from jaxlatent.latent.sharded import ShardedVectors, Vectors
from jaxlatent.latent.subset import subset_moments
from jaxlatent.latent.trim import trim


@pytree
class PCA:
    """A centred, rotated frame, its axes in the order of falling variance.

    Attributes:
        mean: (d,) float32.
        components: orthonormal eigenvectors in rows, (k, d) float32; the entry of largest absolute value
            of each is positive, so that results repeat.
        explained_variance: eigenvalues of the unbiased covariance, falling, >= 0, (k,) float32.
        explained_variance_ratio: their shares of the total variance of all d components, (k,) float32.
    """

    mean: Float[Array, " d"]
    components: Float[Array, "k d"]
    explained_variance: Float[Array, " k"]
    explained_variance_ratio: Float[Array, " k"]

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, "n d"],
        n_components: int | None = None,
        *,
        where: Bool[Array | np.ndarray, " n"] | None = None,
        max_points: int | None = None,
        within_sigma: float | None = None,
        key: jax.Array | None = None,
        distributed: bool = False,
    ) -> "PCA":
        """Fits the frame in one pass over z-points; a memory map, or shards, are read batch by batch.

        Args:
            z: z-points, floating point (n, d), n >= 2. Fewer points than dimensions leave n - 1 components
                of positive variance; constant dimensions get variance 0.
            n_components: k, from 1 to d; d where not given.
            where: mask of a subset, whose frame is fitted, shrunk towards that of all points where it is
                small: see `jaxlatent.latent.subset`. It excludes the options below.
            max_points: fit on at most this many random points, see `jaxlatent.latent.trim`.
            within_sigma: fit on points within this many standard deviations only, see there.
            key: for the random choice of points.
            distributed: `z` is the part of this process, n >= 0, and the frame is that of all parts together;
                see `jaxlatent.latent.moments`. It excludes the options above.

        Raises:
            TypeError: if `z` is not floating point.
            ValueError: if `z` is not (n, d) with n >= 2, or not finite, or an option is out of range.
            RuntimeError: if it was distributed and another process failed or was lost.
        """
        trimmed = max_points is not None or within_sigma is not None
        if where is None and not trimmed:
            return cls.from_moments(moments(z, distributed=distributed), n_components)
        if distributed:
            raise ValueError("distributed: excludes where, max_points and within_sigma; leave them out")
        if isinstance(z, ShardedVectors):
            z = np.asarray(z)
        check_vectors("z", z)
        if where is not None:
            if trimmed:
                raise ValueError("where: excludes max_points and within_sigma; choose by the mask alone")
            return cls.from_moments(subset_moments(z, where), n_components)
        z = trim(z, max_points=max_points, within_sigma=within_sigma, key=key)
        return cls.from_moments(moments(z), n_components)

    @classmethod
    def from_moments(cls, found: Moments, n_components: int | None = None) -> "PCA":
        """The frame that belongs to a mean and a covariance; arguments and errors as for `fit`."""
        if found.count < 2:
            raise ValueError(f"z: expected at least 2 vectors, got {found.count}")
        dim = found.mean.shape[0]
        k = dim if n_components is None else n_components
        check_count("n_components", k, 1)
        if k > dim:
            raise ValueError(f"n_components: expected at most {dim}, the dimension of z, got {k}")
        # In float64 and on the CPU, which every installation has: rounding to float32 would drown
        # components whose variance is 1e-7 of the largest.
        with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
            values, vectors = jax.tree.map(np.asarray, jnp.linalg.eigh(jnp.asarray(found.covariance)))
        values, vectors = values[::-1], vectors[:, ::-1].T
        noise = dim * np.finfo(np.float64).eps * max(values[0], 0.0)
        possible = np.arange(dim) < found.count - 1
        values = np.where(possible & (values > noise), values, 0.0)
        largest = np.argmax(np.abs(vectors), axis=1)
        vectors = vectors * np.where(vectors[np.arange(dim), largest] < 0, -1.0, 1.0)[:, None]
        ratio = values / values.sum() if values.sum() > 0 else values
        return cls(*(jnp.asarray(x, jnp.float32) for x in (found.mean, vectors[:k], values[:k], ratio[:k])))

    @property
    def n_components(self) -> int:
        """The number of components k."""
        return self.components.shape[0]

    def keep(self, n_components: int) -> "PCA":
        """The frame of the first `n_components` components.

        Raises:
            ValueError: if there are fewer.
        """
        check_count("n_components", n_components, 1)
        if n_components > self.n_components:
            raise ValueError(f"n_components: expected at most {self.n_components}, got {n_components}")
        k = n_components
        return type(self)(
            self.mean,
            self.components[:k],
            self.explained_variance[:k],
            self.explained_variance_ratio[:k],
        )

    def transform(self, z: Float[Array | np.ndarray, "n d"]) -> Float[Array, "n k"]:
        """From the latent frame (n, d) to the components (n, k), float32.

        Raises:
            TypeError, ValueError: if `z` is not a floating-point array (n, d).
        """
        check_vectors("z", z, self.mean.shape[0])
        return _transform(self, jnp.asarray(z))

    def inverse_transform(self, y: Float[Array | np.ndarray, "n k"]) -> Float[Array, "n d"]:
        """From components (n, k) back to the latent frame (n, d), float32; missing components are 0.

        Raises:
            TypeError, ValueError: if `y` is not a floating-point array (n, k).
        """
        check_vectors("y", y, self.n_components)
        return _inverse_transform(self, jnp.asarray(y))


@jax.jit
def _transform(pca: PCA, z: jax.Array) -> jax.Array:
    centred = z.astype(jnp.float32) - pca.mean
    return jnp.matmul(centred, pca.components.T, precision="highest")


@jax.jit
def _inverse_transform(pca: PCA, y: jax.Array) -> jax.Array:
    return jnp.matmul(y.astype(jnp.float32), pca.components, precision="highest") + pca.mean
