"""The ellipse body: the vectors of which every pair of components lies inside that pair's ellipse."""

import abc
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent._boundary import (
    as_count,
    as_floats,
    as_leaf,
    as_number,
    as_vectors,
    is_traced,
)
from jaxlatent._pytree import pytree
from jaxlatent.latent.coverage import largest_two
from jaxlatent.sampling.densities import NormalDensity, UniformDensity
from jaxlatent.sampling.law import largest_angle, mean_square

# The value of 1 in the pair conditions of what is drawn: 1e-6 inside the body, so that rounding to float32
# components and back cannot lead outside.
LIMIT = 1 - 2**-20
# Where rounding moves a component by more, float32 cannot hold it, and no margin helps.
MOST_ERROR = 0.125
# Of the length of an interval, 2^-32 of which float32 no longer tells apart.
_HALVINGS = 32


class Body(abc.ABC):
    """A region of vectors that grows when it is scaled about its centre."""

    @property
    @abc.abstractmethod
    def n_components(self) -> int:
        """The number of components k, or of latent coordinates d."""

    @abc.abstractmethod
    def _squared_gauge(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        """The squares of `gauge`, traceable."""

    @property
    @abc.abstractmethod
    def extent(self) -> Float[Array, " k"]:
        """How far from 0 a component can be inside, of `EllipseBody` from the centre."""

    @abc.abstractmethod
    def nearest(self, y: Float[Array, "n k"]) -> tuple[Float[Array, "n k"], Float[Array, " n"]]:
        """The centre of the body, of several of the one that each vector reaches first, and the gauge."""

    @abc.abstractmethod
    def room(
        self, y: Float[Array, "n k"], way: Float[Array, "#n k"], rounding: Float[Array, "#n k"]
    ) -> Float[Array, " n"]:
        """The largest t up to which all of y + t way is inside, whatever errors of `rounding` it has.

        0 where no t > 0 is.
        """

    def gauge(self, y: Float[Array | np.ndarray, "n k"]) -> Float[Array, " n"]:
        """The factor by which the body has to be scaled about its centre to have each vector on its border.

        Args:
            y: vectors in the frame and units of the body, floating point (n, k).

        Returns:
            float32 (n,): 0 at the centre, at most 1 inside; NaN for a vector with a NaN.

        Raises:
            TypeError, ValueError: if `y` is not a floating-point array of shape (n, k).
        """
        return jnp.sqrt(self._square(y))

    def contains(self, y: Float[Array | np.ndarray, "n k"]) -> Bool[Array, " n"]:
        """Whether each vector lies inside; one with a NaN does not. Arguments and errors as for `gauge`."""
        return self._square(y) <= 1

    def coverage(self, y: Float[Array | np.ndarray, "n k"]) -> float:
        """The share of n >= 1 vectors that lie inside; arguments and errors as for `gauge`."""
        return float(jnp.mean(self.contains(as_vectors("y", y, self.n_components, least=1))))

    def _square(self, y: Float[Array | np.ndarray, "n k"]) -> Float[Array, " n"]:
        y = as_vectors("y", y, self.n_components)
        return _squared_gauge(self, y.astype(np.float32))


@jax.jit
def _squared_gauge(body: Body, y: jax.Array) -> jax.Array:
    return body._squared_gauge(y)


@pytree
class EllipseBody(Body):
    """{ y : (y_i / a_i)^2 + (y_j / a_j)^2 <= 1 for all i < j }.

    Attributes:
        semi_axes: a, (k,) float32, k >= 2, positive, in the units of the components.

    Raises:
        ValueError: if the semi-axes are not a vector of at least two positive, finite numbers.
    """

    semi_axes: Float[Array, " k"]

    def __post_init__(self) -> None:
        axes = self.semi_axes
        if axes.size < 2:
            raise ValueError(f"semi_axes: expected a vector of at least 2 numbers, got {axes.shape}")
        if is_traced(axes):
            return
        known = np.asarray(axes)
        bad = np.flatnonzero(~(np.isfinite(known) & (known > 0)))
        if bad.size:
            raise ValueError(
                f"semi_axes: expected positive, finite numbers, got {known[bad[0]]} for component "
                f"{bad[0]} ({bad.size} such); keep fewer components"
            )

    @property
    def n_components(self) -> int:
        """The number of components k."""
        return self.semi_axes.shape[0]

    def keep(self, n_components: int) -> "EllipseBody":
        """The body of the first `n_components` components, from 2 to k.

        Raises:
            TypeError, ValueError: if the number is out of range.
        """
        return EllipseBody(self.semi_axes[: as_count("n_components", n_components, 2, self.n_components)])

    def _squared_gauge(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        # The largest left side of all pair conditions: all of them hold exactly when it is at most 1.
        return largest_two(jnp.square(y / self.semi_axes))

    @property
    def extent(self) -> Float[Array, " k"]:
        """The semi-axes."""
        return self.semi_axes

    def nearest(self, y: Float[Array, "n k"]) -> tuple[Float[Array, "n k"], Float[Array, " n"]]:
        """0, and the gauge."""
        return jnp.zeros_like(y), largest_pair(y / self.semi_axes)

    def room(
        self, y: Float[Array, "n k"], way: Float[Array, "#n k"], rounding: Float[Array, "#n k"]
    ) -> Float[Array, " n"]:
        """See `Body`."""
        x, w, error = (v / self.semi_axes for v in (y, way, rounding))
        return room_within(largest_pair, x, w, largest_pair(error))

    def inner_gauge(self, rounding: Float[Array, " k"]) -> Float[Array, ""]:
        """The gauge up to which a vector stays inside when each component is moved by as much as `rounding`.

        The gauge is a norm: with the error e, that of y + e is at most gauge(y) + gauge(e).
        """
        return LIMIT - largest_pair(jnp.minimum(rounding / self.semi_axes, MOST_ERROR)[None])[0]

    @classmethod
    def at_coverage(
        cls,
        y: Float[Array | np.ndarray, "n k"],
        q: float,
        *,
        widths: Float[Array | np.ndarray, " k"] | None = None,
    ) -> "EllipseBody":
        """The smallest body with semi-axes level * widths that holds a fraction `q` of the vectors.

        The level is `body.semi_axes / widths`, the same for all components.

        Args:
            y: z-points in the PCA frame, floating point (n, k), n >= 2.
            q: in (0, 1].
            widths: (k,), positive; the components' root mean squares where not given, so that the level is
                in standard deviations.

        Raises:
            TypeError, ValueError: if an argument is out of range.
        """
        y = as_vectors("y", y)
        if not 0 < as_number("q", q) <= 1:
            raise ValueError(f"q: expected a fraction in (0, 1], got {q}")
        if widths is None:
            widths = jnp.sqrt(jnp.mean(jnp.square(jnp.asarray(y, jnp.float32)), axis=0))
        unit = cls(as_leaf("widths", widths))
        gauge = np.sort(np.asarray(unit.gauge(y)))
        if not gauge.size or not np.isfinite(gauge[-1]):
            raise ValueError("y: expected finite vectors, at least one")
        level = gauge[math.ceil(q * gauge.size) - 1]
        # A little more, so that the vector that sets the level is inside whatever the rounding.
        return cls(unit.semi_axes * jnp.float32(level * (1 + 2**-21)))

    def log_volume(self) -> float:
        """The natural log of the k-dimensional volume."""
        unit = largest_angle(UniformDensity(self.n_components)).log_total
        return float(unit + np.sum(np.log(2 * np.asarray(self.semi_axes, np.float64))))

    def log_mass(self, sigma: Float[Array | np.ndarray, " k"]) -> float:
        """How probable a vector inside is, of independent normal components about 0.

        By quadrature in float64; nothing is drawn. At k = 256 and semi-axes of 2.3548 sigma it is -25.0, a
        probability of 1e-11.

        Args:
            sigma: the components' standard deviations, (k,), positive.

        Returns:
            The natural logarithm of the probability, far below what a float64 could hold too.

        Raises:
            TypeError, ValueError: if `sigma` is not a vector of k positive, finite numbers.
        """
        deviations = np.asarray(as_floats("sigma", sigma, (self.n_components,)), np.float64)
        if not (np.isfinite(deviations) & (deviations > 0)).all():
            raise ValueError("sigma: expected positive, finite numbers")
        density = NormalDensity(deviations / np.asarray(self.semi_axes, np.float64))
        return float(largest_angle(density).log_total)

    def uniform_deviation(self) -> float:
        """Root mean square of a component of vectors uniform on the body, in units of its semi-axis.

        1/2 at k = 2, where the body is an ellipse; it tends to 1 / sqrt(6) = 0.408 for many components,
        where the body is nearly a box.
        """
        k = self.n_components
        return math.sqrt(mean_square(largest_angle(UniformDensity(k)), k))


def room_within(
    norm: Callable[[jax.Array], jax.Array],
    x: Float[Array, "n k"],
    way: Float[Array, "#n k"],
    error: Float[Array, "#n"],
) -> Float[Array, " n"]:
    """The largest t >= 0 with norm(x + t way) <= 1 - error, by bisection; 0 for no way, or an x outside.

    What a norm bounds is convex, so that all of the line up to there is inside. Vectors that differ by t way
    are t norm(way) apart, so that t is at most 2 / norm(way).
    """
    limit = LIMIT - error

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2
        inside = norm(x + middle[:, None] * way) <= limit
        return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

    length = jnp.broadcast_to(norm(way), x.shape[:1])
    most = jnp.where(length > 0, 2 / jnp.where(length > 0, length, 1), 0)
    found = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.zeros_like(most), most))[0]
    # On the boundary, which is where such a way ends and the next begins, rounding may say either.
    return jnp.where(norm(x) <= limit * (1 + 2**-21), found, 0)


def largest_pair(x: Float[Array, "n k"]) -> Float[Array, " n"]:
    """The largest Euclidean norm of a pair of components: the norm whose unit ball is the body of axes 1."""
    return jnp.sqrt(largest_two(jnp.square(x)))


def shrinking(x: Float[Array, "b k"], error: Float[Array, "*#b k"]) -> Float[Array, " b"]:
    """The factor, at most 1, that keeps vectors inside the body of semi-axes 1 whatever errors they have.

    The largest of the pairs' Euclidean norms is itself a norm, N(x), and N(|t x| + e) <= t N(x) + N(e), which
    is at most 1 for t = (1 - N(e)) / N(x).
    """
    norm = largest_pair
    error = jnp.broadcast_to(jnp.minimum(error, MOST_ERROR), x.shape)
    limit = jnp.float32(LIMIT)
    factor = (limit - norm(error)) / jnp.maximum(norm(x), limit / 2)
    return jnp.where(norm(jnp.abs(x) + error) > limit, jnp.minimum(factor, 1), 1)
