"""The joint confidence ellipsoid of all components: the ball of Mahalanobis distances up to a level."""

import math
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32
from scipy import special

from jaxlatent._boundary import as_number, is_traced
from jaxlatent._pytree import positive_field, pytree, static_field
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.rounding import inverse_rounding
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.draws import tables
from jaxlatent.sampling.fitting.region import FitOptions, check_variance, fit_frame
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.tables.densities import TINY, ParametricDensity
from jaxlatent.sampling.tables.table import Cells, Table, integrate, tabulate
from jaxlatent.sampling.words import Seed, directions, unit_uniform, words

_CONFIDENCE = 0.95
_FAR = 9.5  # standard deviations, beyond which a normal number lies once in 5e20 times


def radius_law(k: int, level: Any, xp: Any = np) -> Cells:
    """The law of the radius r of a standard normal vector of k components, given that r <= level.

    Its density is proportional to r^(k-1) exp(-r^2 / 2): r^2 follows the truncated chi-square law.

    Args:
        k: at least 1.
        level: the largest radius, > 0.
        xp: `numpy`, or `jax.numpy` where the level is traced.
    """
    # A radius above sqrt(k) + t has a probability below exp(-t^2 / 2), as the norm is a Lipschitz function of
    # normal numbers.
    most = xp.minimum(level, math.sqrt(k) + _FAR)

    def log_density(r: Any) -> Any:
        return (k - 1) * xp.log(xp.maximum(r, TINY)) - r * r / 2

    return integrate(log_density, [(0, most)], xp=xp)


class _Tables(NamedTuple):
    """The law of the radius, of density "normal", and what rounding may add to a standardised component."""

    radius: Table | None
    error: Float[Array, " k"]


@pytree
class EllipsoidSampler(Sampler):
    """Draws from the ellipsoid { y : sum_i (y_i / sigma_i)^2 <= level^2 }, sigma_i^2 = explained_variance_i.

    The contour of a Gaussian with the z-points' covariance. It binds all k components jointly, where
    `EllipseBody` binds every two of them. Both laws are drawn without rejection, as a direction, uniform on
    the sphere, times an independent radius.

    Of uniform vectors, nearly all lie near the surface where k is large (the radius is level * u^(1/k) with
    u uniform), each component with a standard deviation of level / sqrt(k + 2) sigma.

    Source of the uniform law: M. E. Muller, "A note on a method for generating points uniformly on
    n-dimensional spheres", Communications of the ACM 2, 1959. Radii are taken short by (16 + sqrt(k)) 2^-24
    of them, 2e-6 at k = 256, so that rounding cannot lead outside.

    Attributes:
        pca: the frame, with k components, all of positive variance.
        level: the Mahalanobis distance of the surface, in standard deviations, > 0.
        density: "uniform" in volume, or "normal", the Gaussian itself, truncated at the surface.

    Raises:
        ValueError: if `level` is not positive and finite, `density` is unknown, or a component has no
            variance.
    """

    pca: PCA
    level: float | Float[Array, ""] = positive_field()
    density: ParametricDensity = static_field(default="uniform")

    def __post_init__(self) -> None:
        check_variance(self.pca)

    def _derive(self) -> "_Tables":
        xp: Any = jnp if is_traced(self) else np
        # A Python number and an array of float32 give the same table.
        level = self.level if is_traced(self) else float(np.float32(self.level))

        sigma = jnp.sqrt(self.pca.explained_variance)
        # Of a vector on the surface, a component has a root mean square of level / sqrt(k).
        size = level * sigma / math.sqrt(self.pca.n_components)
        error = inverse_rounding(self.pca, size) / sigma
        normal = self.density == "normal"
        law = tabulate(radius_law(self.pca.n_components, level, xp)) if normal else None
        return _Tables(law, error)

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        level: float | None = None,
        confidence: float | None = None,
        density: ParametricDensity = "uniform",
        **options: Unpack[FitOptions],
    ) -> "EllipsoidSampler":
        """Finds the frame from z-points.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            level: see the class; it excludes `confidence`.
            confidence: the probability, in (0, 1), that a Gaussian with the z-points' covariance gives to the
                ellipsoid; level^2 is that quantile of the chi-square law of k degrees. 0.95 where neither
                is given. Of z-points with heavier tails than a Gaussian, a smaller fraction is inside.
            density: see the class.
            **options: `n_components` and which z-points are described, see `jaxlatent.sampling.FitOptions`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        if level is not None and confidence is not None:
            raise ValueError(f"confidence: got {confidence} beside level {level}; give one of them")
        confidence = _CONFIDENCE if confidence is None else as_number("confidence", confidence)
        if not 0 < confidence < 1:
            raise ValueError(f"confidence: expected a probability in (0, 1), got {confidence}")
        pca = fit_frame(z, **options)
        if level is None:
            level = math.sqrt(2 * special.gammaincinv(pca.n_components / 2, confidence))
        return cls(pca, level, density)

    def log_volume(self) -> Float[Array, ""]:
        """The natural log of the k-dimensional volume, pi^(k/2) / Gamma(k/2 + 1) prod_i (level sigma_i)."""
        k = self.pca.n_components
        unit_ball = k / 2 * math.log(math.pi) - math.lgamma(k / 2 + 1)
        return k * jnp.log(jnp.float32(self.level)) + (_log_sigmas(self) + unit_ball)

    def _gauge(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        return jnp.sqrt(self._square(y)) / self.level

    def _square(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        """The squared Mahalanobis distance."""
        return jnp.sum(jnp.square(y) / self.pca.explained_variance, axis=1)

    def _log_density(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        square, radius = self._square(y), tables(self).radius
        if radius is None:
            inside = jnp.broadcast_to(-self.log_volume(), square.shape)
        else:
            k = self.n_components
            unit_sphere = math.log(2) + k / 2 * math.log(math.pi) - math.lgamma(k / 2)
            inside = -square / 2 - (_log_sigmas(self) + radius.log_total + unit_sphere)
        return jnp.where(square <= jnp.square(self.level), inside, -jnp.inf)

    def _conditioned(
        self, at: Int[np.ndarray, " g"], values: Float[Array, " g"], rest: Int[np.ndarray, " r"]
    ) -> dict[str, Any]:
        left = jnp.square(self.level) - jnp.sum(jnp.square(values) / self.pca.explained_variance[at])
        if not is_traced(left) and not left > 0:
            raise ValueError(f"given: {values} lies outside the ellipsoid of level {self.level:g}")
        return {"pca": self.pca.through(at, values, rest), "level": jnp.sqrt(left)}

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        k = self.pca.n_components
        law, error = tables(self)
        word, place = (w[0] for w in words(seed, index, 0, 1))
        if law is None:
            radius = self.level * unit_uniform(word) ** jnp.float32(1 / k)
        else:
            radius = law.draw(word, unit_uniform(place))
        # Rounding of a sum of k squares grows as sqrt(k); the 16 is for the steps after it.
        short = jnp.float32(1 - (16 + math.sqrt(k)) * 2**-24)
        unit = directions(seed, index, 1, k)
        # |t r u + e| <= t r + |e|, at most the level for t r = level - |e|.
        error = jnp.minimum(error, 0.125 * self.level / math.sqrt(k))[:, None]
        reach = jnp.linalg.norm(jnp.abs(radius * unit) + error, axis=0)
        most = self.level - jnp.linalg.norm(error)
        radius = jnp.where(reach > self.level * short, jnp.minimum(radius, most), radius) * short
        return (unit * radius).T * jnp.sqrt(self.pca.explained_variance)


def _log_sigmas(sampler: EllipsoidSampler) -> jax.Array:
    return jnp.sum(jnp.log(sampler.pca.explained_variance)) / 2
