"""The ellipse body: the vectors of which every pair of components lies inside that pair's ellipse."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent._checks import check_vectors
from jaxlatent._pytree import pytree


@pytree
class EllipseBody:
    """{ y : (y_i / a_i)^2 + (y_j / a_j)^2 <= 1 for all i < j }.

    Attributes:
        semi_axes: a, (k,) float32, k >= 2, positive, in the units of the components.

    Raises:
        ValueError: if the semi-axes are not a vector of at least two positive, finite numbers.
    """

    semi_axes: Float[Array, " k"]

    def __post_init__(self) -> None:
        if not isinstance(self.semi_axes, (jax.Array, np.ndarray)) or isinstance(
            self.semi_axes, jax.core.Tracer
        ):
            return
        axes = np.asarray(self.semi_axes, np.float32)
        if axes.ndim != 1 or axes.size < 2:
            raise ValueError(f"semi_axes: expected a vector of at least 2 numbers, got {axes.shape}")
        bad = np.flatnonzero(~(np.isfinite(axes) & (axes > 0)))
        if bad.size:
            raise ValueError(
                f"semi_axes: expected positive, finite numbers, got {axes[bad[0]]} for component "
                f"{bad[0]} ({bad.size} such); keep fewer components"
            )
        object.__setattr__(self, "semi_axes", jnp.asarray(axes))

    @property
    def n_components(self) -> int:
        """The number of components k."""
        return self.semi_axes.shape[0]

    def contains(self, y: Float[Array, "n k"]) -> Bool[Array, " n"]:
        """Whether each vector fulfils all k (k - 1) / 2 pair conditions.

        All of them hold exactly when the two largest (y_i / a_i)^2 sum to at most 1, so this takes O(k)
        a vector. A vector with a NaN is outside.

        Args:
            y: vectors in the frame and units of the semi-axes, (n, k).

        Raises:
            TypeError, ValueError: if `y` is not a floating-point array of shape (n, k).
        """
        check_vectors("y", y, self.n_components)
        squares = jnp.square(jnp.asarray(y, jnp.float32) / self.semi_axes)
        largest = jnp.argmax(squares, axis=1, keepdims=True)
        position = jnp.arange(self.n_components)
        second = jnp.max(jnp.where(position == largest, 0.0, squares), axis=1)
        return jnp.max(squares, axis=1) + second <= 1
