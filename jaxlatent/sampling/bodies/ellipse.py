"""The ellipse body: the vectors of which every pair of components lies inside that pair's ellipse."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_count, as_floats, as_leaf, as_number, as_vectors, is_traced
from jaxlatent._pytree import pytree
from jaxlatent.latent.coverage import largest_two
from jaxlatent.sampling.bodies.body import LIMIT, MOST_ERROR, Body, largest_pair, room_within
from jaxlatent.sampling.tables.densities import NormalDensity, UniformDensity
from jaxlatent.sampling.tables.largest import largest_angle, mean_square


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

    @property
    def extent(self) -> Float[Array, " k"]:
        """The semi-axes."""
        return self.semi_axes

    def nearest(self, y: Float[Array, "n k"]) -> tuple[Float[Array, "n k"], Float[Array, " n"]]:
        """See `Body`; the square is the largest left side of all pair conditions, 1 at most if all hold."""
        return jnp.zeros_like(y), largest_two(jnp.square(y / self.semi_axes))

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
