"""The joint confidence ellipsoid of all components: the ball of Mahalanobis distances up to a level."""

import math
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt32
from scipy import special

from jaxlatent._checks import check_choice, check_vectors
from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.pca import PCA
from jaxlatent.sampling.base import ComponentSampler
from jaxlatent.sampling.region import fit_frame
from jaxlatent.sampling.words import directions, unit_uniform, words

Density = Literal["uniform", "normal"]

_COVERAGE = 0.95
_CELLS = 2**14
# What lies exp(-45) below the mode is left out of the table: 3e-20 of it.
_DEPTH = 45.0


@pytree
class RadiusTable:
    """The law of the radius r of a standard normal vector of k components, given that r <= level.

    Its density is proportional to r^(k-1) exp(-r^2 / 2): r^2 follows the truncated chi-square law. It is
    tabulated in float64 on the host and taken as constant within each of 16,384 cells, which is wrong by
    less than 1e-5 in the distribution function.

    Attributes:
        low: lower edge of the first cell, float32.
        step: width of a cell, float32.
        upper: the words below which a cell or one before it is drawn: cumulated mass times 2^32, (c,) uint32.
        log_mass: log of the integral of r^(k-1) exp(-r^2 / 2) from 0 to the level, float32.
    """

    low: Float[Array, ""]
    step: Float[Array, ""]
    upper: UInt32[Array, " c"]
    log_mass: Float[Array, ""]

    @classmethod
    def of(cls, k: int, level: float) -> "RadiusTable":
        """Integrates the density by the midpoint rule, over the radii where it is not negligible."""
        # A radius above sqrt(k) + t has a probability below exp(-t^2 / 2), as the norm is a Lipschitz
        # function of normal numbers.
        edges = np.linspace(0, min(level, math.sqrt(k) + math.sqrt(2 * _DEPTH)), _CELLS + 1)
        for _ in range(3):
            r = (edges[1:] + edges[:-1]) / 2
            log_density = (k - 1) * np.log(r) - r**2 / 2
            top = log_density.max()
            kept = np.flatnonzero(log_density > top - _DEPTH)
            step = edges[1] - edges[0]
            edges = np.linspace(edges[kept[0]], edges[kept[-1] + 1], _CELLS + 1)
        mass = np.cumsum(np.exp(log_density - top))
        upper = np.minimum(np.round(mass / mass[-1] * 2**32), 2**32 - 1)
        return cls(
            jnp.asarray(r[0] - step / 2, jnp.float32),
            jnp.asarray(step, jnp.float32),
            jnp.asarray(upper.astype(np.uint32)),
            jnp.asarray(top + math.log(mass[-1] * step), jnp.float32),
        )

    def draw(self, word: UInt32[Array, " b"], place: Float[Array, " b"]) -> Float[Array, " b"]:
        """A radius: its cell by a word, its place within by a uniform number."""
        last = self.upper.shape[0] - 1
        cell = jnp.minimum(jnp.searchsorted(self.upper, word, side="right"), last)
        return self.low + (cell.astype(jnp.float32) + place) * self.step


@pytree
class EllipsoidSampler(ComponentSampler):
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
        table: of "normal", the law of the radius; made from `pca` and `level` where not given.

    Raises:
        ValueError: if `level` is not positive and finite, `density` is unknown, or a component has no
            variance.
    """

    pca: PCA
    level: float | Float[Array, ""]
    density: Density = static_field(default="uniform")
    table: RadiusTable | None = None

    def __post_init__(self) -> None:
        check_choice("density", self.density, get_args(Density))
        if not isinstance(self.pca, PCA):
            return
        variance = self.pca.explained_variance
        if not isinstance(variance, (jax.Array, np.ndarray)) or any(
            isinstance(x, jax.core.Tracer) for x in (variance, self.level)
        ):
            return
        if not 0 < self.level < math.inf:
            raise ValueError(f"level: expected a positive number of standard deviations, got {self.level}")
        if not isinstance(self.level, jax.Array):
            object.__setattr__(self, "level", float(self.level))
        bad = np.flatnonzero(~(np.asarray(variance) > 0))
        if bad.size:
            raise ValueError(
                f"pca: component {bad[0]} has no variance ({bad.size} such); keep fewer components"
            )
        if self.density == "normal" and self.table is None:
            object.__setattr__(self, "table", RadiusTable.of(self.pca.n_components, float(self.level)))

    @classmethod
    def fit(
        cls,
        z: Float[Array | np.ndarray, "n d"],
        *,
        n_components: int | None = None,
        level: float | None = None,
        coverage: float | None = None,
        density: Density = "uniform",
        where: Bool[Array | np.ndarray, " n"] | None = None,
        **trimming: Any,
    ) -> "EllipsoidSampler":
        """Finds the frame from z-points.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            n_components: k, from 1 to d; all that have a positive variance where not given.
            level: see the class; it excludes `coverage`.
            coverage: the probability, in (0, 1), that a Gaussian with the z-points' covariance gives to the
                ellipsoid; level^2 is that quantile of the chi-square law of k degrees. 0.95 where neither
                is given. Of z-points with heavier tails than a Gaussian, a smaller fraction is inside.
            density: see the class.
            where: mask of a subset of the z-points, of whose region is drawn, see `PCA.fit`.
            **trimming: `max_points`, `within_sigma` and `key` of `PCA.fit`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        if level is not None and coverage is not None:
            raise ValueError(f"coverage: got {coverage} beside level {level}; give one of them")
        coverage = _COVERAGE if coverage is None else coverage
        if not 0 < coverage < 1:
            raise ValueError(f"coverage: expected a probability in (0, 1), got {coverage}")
        pca = fit_frame(z, n_components, where=where, **trimming)
        if level is None:
            level = math.sqrt(2 * special.gammaincinv(pca.n_components / 2, coverage))
        return cls(pca, level, density)

    def contains(self, y: Float[Array | np.ndarray, "n k"]) -> Bool[Array, " n"]:
        """Whether each vector of the PCA frame lies in the ellipsoid; one with a NaN does not.

        Raises:
            TypeError, ValueError: if `y` is not a floating-point array of shape (n, k).
        """
        check_vectors("y", y, self.pca.n_components)
        return _square_distance(self, jnp.asarray(y)) <= jnp.square(self.level)

    def log_volume(self) -> Float[Array, ""]:
        """The natural log of the k-dimensional volume, pi^(k/2) / Gamma(k/2 + 1) prod_i (level sigma_i)."""
        k = self.pca.n_components
        unit_ball = k / 2 * math.log(math.pi) - math.lgamma(k / 2 + 1)
        return k * jnp.log(jnp.float32(self.level)) + (_log_sigmas(self) + unit_ball)

    def log_prob(self, z: Float[Array | np.ndarray, "n d"]) -> Float[Array, " n"]:
        """The log density of vectors in the latent frame.

        With k < d the vectors drawn fill a k-dimensional plane; the density is that on the plane, in the
        coordinates of the PCA frame, and of z only its components count.

        Args:
            z: vectors, floating point (n, d).

        Returns:
            float32 (n,), minus infinity outside the ellipsoid; its integral over the plane is 1.

        Raises:
            TypeError, ValueError: if `z` is not a floating-point array (n, d).
        """
        return self.log_prob_components(self.pca.transform(z))

    def log_prob_components(self, y: Float[Array | np.ndarray, "n k"]) -> Float[Array, " n"]:
        """The same for vectors in the PCA frame, (n, k); arguments and errors as for `log_prob`."""
        check_vectors("y", y, self.pca.n_components)
        square = _square_distance(self, jnp.asarray(y))
        if self.table is None:
            inside = jnp.broadcast_to(-self.log_volume(), square.shape)
        else:
            k = self.pca.n_components
            unit_sphere = math.log(2) + k / 2 * math.log(math.pi) - math.lgamma(k / 2)
            inside = -square / 2 - (_log_sigmas(self) + self.table.log_mass + unit_sphere)
        return jnp.where(square <= jnp.square(self.level), inside, -jnp.inf)

    def _draw(self, seed: UInt32[Array, "2"], index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        k = self.pca.n_components
        word, place = (w[0] for w in words(seed, index, 0, 1))
        if self.table is None:
            radius = self.level * unit_uniform(word) ** jnp.float32(1 / k)
        else:
            radius = self.table.draw(word, unit_uniform(place))
        # Rounding of a sum of k squares grows as sqrt(k); the 16 is for the steps after it.
        short = jnp.float32(1 - (16 + math.sqrt(k)) * 2**-24)
        return (directions(seed, index, 1, k) * (radius * short)).T * jnp.sqrt(self.pca.explained_variance)


def _log_sigmas(sampler: EllipsoidSampler) -> jax.Array:
    return jnp.sum(jnp.log(sampler.pca.explained_variance)) / 2


@jax.jit
def _square_distance(sampler: EllipsoidSampler, y: jax.Array) -> jax.Array:
    sigma = jnp.sqrt(sampler.pca.explained_variance)
    return jnp.sum(jnp.square(y.astype(jnp.float32) / sigma), axis=1)
