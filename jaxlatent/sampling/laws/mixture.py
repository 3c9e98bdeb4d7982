"""A mixture of Gaussians: for z-points that one Gaussian or one ellipse body describes badly."""

from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from jaxlatent._boundary import (
    as_positive,
    is_traced,
    on_device,
)
from jaxlatent._pytree import positive_field, pytree
from jaxlatent.latent.moments import Moments
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.fitting.classes import by_class, clusters_of
from jaxlatent.sampling.fitting.em import fit_mixture
from jaxlatent.sampling.fitting.region import FitOptions, fit_points
from jaxlatent.sampling.laws.factors import by_cluster
from jaxlatent.sampling.laws.gaussian import inverse_factor, log_normal
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed, normals, unit_uniform, words


@pytree
class GaussianMixtureSampler(Sampler):
    """Draws from a mixture of normal distributions with full covariances, fitted in a PCA frame.

    A vector first gets a cluster, by the weights, then is the cluster's mean plus temperature times its
    Cholesky factor times standard normal numbers.

    Attributes:
        pca: the frame, with k components.
        weights: shares of the clusters, (c,) float32, >= 0, sum 1.
        means: of the clusters, in the PCA frame, (c, k) float32.
        cholesky: lower triangular factors L of their covariances L L^T, (c, k, k) float32.
        temperature: factor of the standard deviations within each cluster, > 0; the means stay. A leaf of
            the pytree, so that another value compiles nothing anew.
        labels: the class that each cluster belongs to, (c,) int32; none where it was fitted without.

    Raises:
        ValueError: if shapes do not fit, the weights are no shares, or the temperature is not positive.
    """

    pca: PCA
    weights: Float[Array, " c"]
    means: Float[Array, "c k"]
    cholesky: Float[Array, "c k k"]
    temperature: float | Float[Array, ""] = positive_field(default=1.0)
    labels: Int[Array | np.ndarray, " c"] | None = None

    def __post_init__(self) -> None:
        if is_traced(self.weights):
            return
        weights = np.asarray(self.weights)
        if not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-3:
            raise ValueError(f"weights: expected shares >= 0 of sum 1, got the sum {weights.sum():g}")

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        n_clusters: int = 10,
        temperature: float = 1.0,
        max_iter: int = 100,
        tol: float = 1e-3,
        covariance_floor: float = 1e-6,
        labels: Int[Array | np.ndarray, " n"] | None = None,
        **options: Unpack[FitOptions],
    ) -> "GaussianMixtureSampler":
        """Fits the mixture by expectation-maximisation, see `jaxlatent.sampling.fitting.em.fit_mixture`.

        Args:
            z: z-points, floating point (n, d), n >= 2 and n >= n_clusters. Each cluster has
                k (k + 3) / 2 + 1 parameters, and wants several times k vectors.
            n_clusters: c, at least 1.
            temperature: see the class.
            max_iter: the most iterations, >= 1; a `UserWarning` says so if they were not enough.
            tol: stop once an iteration raises the mean log-density by less, in nats.
            covariance_floor: added to the variances of each cluster, > 0, as a share of them.
            labels: the class of each z-point, an integer. The clusters are shared out among the classes by
                their sizes, and each is fitted to points of one class: `condition(label=...)` draws from it.
            **options: `n_components` and which z-points are described, see `jaxlatent.sampling.FitOptions`.
                Of a subset, only the frame is shrunk towards that of all. The start is random: of several
                keys, take the one of highest mean `log_prob`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        temperature = as_positive("temperature", temperature)
        pca, choice = fit_points(z, **options)
        y = np.asarray(pca.transform(choice.points))
        parts = by_class(labels, choice, n_clusters)
        key = options.get("key")
        fits = [
            fit_mixture(
                jax.random.key(0) if key is None else key,
                y[part.rows],
                part.n_clusters,
                max_iter=max_iter,
                tol=tol,
                covariance_floor=covariance_floor,
            )
            for part in parts
        ]
        shares = [np.float32(len(part.rows) / len(y)) for part in parts]
        weights = [share * np.asarray(fit.weights) for share, fit in zip(shares, fits, strict=True)]
        classes = np.repeat([part.label for part in parts], [len(share) for share in weights])
        return cls(
            pca,
            on_device(np.concatenate(weights)),
            on_device(np.concatenate([fit.means for fit in fits])),
            on_device(np.concatenate([fit.cholesky for fit in fits])),
            temperature,
            None if labels is None else classes,
        )

    @classmethod
    def from_sklearn(cls, mixture: Any, *, temperature: float = 1.0) -> "GaussianMixtureSampler":
        """Takes over a fitted mixture of scikit-learn, in the PCA frame of its own covariance.

        Args:
            mixture: a fitted `sklearn.mixture.GaussianMixture` or `BayesianGaussianMixture`, of any
                `covariance_type`.
            temperature: see the class.

        Raises:
            TypeError: if `mixture` is not such an object.
            ValueError: if it is not fitted, or the temperature is not positive.
        """
        if not hasattr(mixture, "covariance_type"):
            raise TypeError(
                f"mixture: expected a sklearn.mixture.GaussianMixture, got {type(mixture).__name__}"
            )
        if not hasattr(mixture, "covariances_"):
            raise ValueError("mixture: not fitted yet; call mixture.fit(z) first")
        weights, means = (np.asarray(x, np.float64) for x in (mixture.weights_, mixture.means_))
        covariances = _full_covariances(mixture)
        d = means.shape[1]
        mean = weights @ means
        between = (weights[:, None] * (means - mean)).T @ (means - mean)
        covariance = np.einsum("c,cij->ij", weights, covariances) + between
        # Of a count of d + 1 points, all d components are kept.
        pca = PCA.from_moments(Moments(d + 1, mean, d * covariance))
        axes = np.asarray(pca.components, np.float64)
        return cls(
            pca,
            jnp.asarray(weights, jnp.float32),
            jnp.asarray((means - np.asarray(pca.mean, np.float64)) @ axes.T, jnp.float32),
            jnp.asarray(np.linalg.cholesky(axes @ covariances @ axes.T), jnp.float32),
            temperature,
        )

    @property
    def n_clusters(self) -> int:
        """The number of clusters c."""
        return self.weights.shape[0]

    def log_densities(self, y: Float[Array, "n k"]) -> Float[Array, "c n"]:
        """Log of each cluster's weight times its density, for use inside `jax.jit`."""
        inverses = inverse_factor(self.cholesky) / self._temperature

        def cluster(cluster: tuple[jax.Array, ...]) -> jax.Array:
            weight, *law = cluster
            return jnp.log(weight) + log_normal(y, *law)

        return jax.lax.map(cluster, (self.weights, self.means, inverses))

    def _log_density(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        return jax.nn.logsumexp(self.log_densities(y), axis=0)

    def _kept(self, k: int) -> dict[str, Any]:
        # The leading block of a Cholesky factor is the factor of the leading block of the covariance.
        return super()._kept(k) | {"means": self.means[:, :k], "cholesky": self.cholesky[:, :k, :k]}

    def _of_class(self, label: int) -> dict[str, Any]:
        chosen = clusters_of(self.labels, label)
        weights = self.weights[chosen]
        return {
            "weights": weights / jnp.sum(weights),
            "means": self.means[chosen],
            "cholesky": self.cholesky[chosen],
            "labels": None if self.labels is None else self.labels[chosen],
        }

    def _conditioned(
        self, at: Int[np.ndarray, " g"], values: Float[Array, " g"], rest: Int[np.ndarray, " r"]
    ) -> dict[str, Any]:
        order = np.concatenate([at, rest])
        log_weights, means, cholesky = _given(self, order, values)
        weights = jax.nn.softmax(log_weights)
        return {"pca": self.pca.through(at, values, rest)} | {
            "weights": weights,
            "means": means,
            "cholesky": cholesky,
        }

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        return self.draw_clusters(seed, index)[1]

    def draw_clusters(
        self, seed: Seed, index: UInt32[Array, " b"]
    ) -> tuple[Int[Array, " b"], Float[Array, "b k"]]:
        """The clusters of the vectors `index` and these in the PCA frame, for use inside `jax.jit`."""
        bounds = jnp.cumsum(self.weights)
        u = unit_uniform(words(seed, index, 0, 1)[0][0])
        own = jnp.sum(u * bounds[-1] > bounds[:-1, None], axis=0)
        unit = self._temperature * normals(seed, index, 1, self.pca.n_components)
        return own, by_cluster(own, unit, self.means, self.cholesky)

    @property
    def _temperature(self) -> Float[Array, ""]:
        return jnp.asarray(self.temperature, jnp.float32)


@jax.jit
def _given(
    sampler: GaussianMixtureSampler, order: Int[Array, " k"], values: Float[Array, " g"]
) -> tuple[Float[Array, " c"], Float[Array, "c r"], Float[Array, "c r r"]]:
    """Log weights, not normalised, means and Cholesky factors of what is left; the given ones come first.

    With the components in this order, a factor is [[A, 0], [B, C]]: A A^T is the covariance of those that are
    given, B A^-1 the regression of the others on them, and C C^T what is left of their covariance.
    """
    g = values.shape[0]
    triangle = jnp.matrix_transpose(jnp.linalg.qr(jnp.matrix_transpose(sampler.cholesky[:, order]), mode="r"))
    diagonal = jnp.diagonal(triangle, axis1=1, axis2=2)
    factor = jnp.tril(triangle * jnp.where(diagonal < 0, -1, 1)[:, None, :])
    inverse = inverse_factor(factor[:, :g, :g])
    means = sampler.means[:, order]
    white = jnp.einsum("cij,cj->ci", inverse, values - means[:, :g], precision="highest")
    moved = jnp.einsum("cij,cj->ci", factor[:, g:, :g], white, precision="highest")
    densities = jax.vmap(log_normal, (None, 0, 0))(values, means[:, :g], inverse / sampler._temperature)
    return jnp.log(sampler.weights) + densities, means[:, g:] + moved, factor[:, g:, g:]


def _full_covariances(mixture: Any) -> np.ndarray:
    """The covariances (c, d, d) of scikit-learn's four kinds."""
    c, d = mixture.means_.shape
    found = np.asarray(mixture.covariances_, np.float64)
    if mixture.covariance_type == "tied":
        return np.broadcast_to(found, (c, d, d))
    if mixture.covariance_type == "diag":
        return found[:, :, None] * np.eye(d)
    if mixture.covariance_type == "spherical":
        return found[:, None, None] * np.eye(d)
    return found
