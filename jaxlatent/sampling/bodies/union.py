"""Several ellipse bodies, each about a centre of its own."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from jaxlatent._boundary import as_count, is_traced
from jaxlatent._pytree import pytree
from jaxlatent.latent.coverage import largest_two
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.rounding import inverse_rounding
from jaxlatent.sampling.bodies.body import Body, shrinking
from jaxlatent.sampling.bodies.ellipse import EllipseBody

# A step from one body into the next that is shorter, relative to the way so far, is rounding.
_GAIN = 1e-5


@pytree
class BodyUnion(Body):
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
        axes = self.semi_axes
        if not is_traced(axes) and not ((np.asarray(axes) > 0) & np.isfinite(axes)).all():
            raise ValueError(
                "semi_axes: expected positive, finite numbers; leave out components in which no points differ"
            )

    @property
    def n_components(self) -> int:
        """The number of components k."""
        return self.centres.shape[1]

    def keep(self, n_components: int) -> "BodyUnion":
        """The bodies of the first `n_components` components, from 2 to k.

        Raises:
            TypeError, ValueError: if the number is out of range.
        """
        k = as_count("n_components", n_components, 2, self.n_components)
        return BodyUnion(self.centres[:, :k], self.semi_axes[:, :k])

    def some(self, chosen: Int[np.ndarray, " m"]) -> "BodyUnion":
        """The union of only some of the bodies."""
        return BodyUnion(self.centres[chosen], self.semi_axes[chosen])

    @property
    def extent(self) -> Float[Array, " k"]:
        """See `Body`."""
        return jnp.max(jnp.abs(jnp.asarray(self.centres)) + jnp.asarray(self.semi_axes), axis=0)

    def nearest(self, y: Float[Array, "n k"]) -> tuple[Float[Array, "n k"], Float[Array, " n"]]:
        """See `Body`."""

        def closer(
            best: tuple[jax.Array, jax.Array], part: tuple[jax.Array, jax.Array]
        ) -> tuple[tuple[jax.Array, jax.Array], None]:
            (nearest, least), (centre, axes) = best, part
            square = largest_two(jnp.square((y - centre) / axes))
            return (jnp.where((square < least)[:, None], centre, nearest), jnp.minimum(square, least)), None

        start = jnp.zeros_like(y), jnp.full(y.shape[0], jnp.inf, y.dtype)
        return jax.lax.scan(closer, start, self._parts)[0]

    def room(
        self, y: Float[Array, "n k"], way: Float[Array, "#n k"], rounding: Float[Array, "#n k"]
    ) -> Float[Array, " n"]:
        """See `Body`; through all bodies that follow each other without a gap."""

        def further(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            t = state[0]
            here = y + t[:, None] * way

            def through(most: jax.Array, part: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
                centre, axes = part
                more = EllipseBody(axes).room(here - centre, way, rounding)
                return jnp.maximum(most, t + more), None

            most, _ = jax.lax.scan(through, t, self._parts)
            return most, (most > t * (1 + _GAIN)) & jnp.isfinite(most)

        start = jnp.zeros(y.shape[0], jnp.float32), jnp.ones(y.shape[0], bool)
        return jax.lax.while_loop(lambda state: jnp.any(state[1]), further, start)[0]

    @property
    def _parts(self) -> tuple[Float[Array, "c k"], Float[Array, "c k"]]:
        return jnp.asarray(self.centres), jnp.asarray(self.semi_axes)

    def confine(
        self,
        y: Float[Array, "b k"],
        cluster: Int[Array, " b"] | UInt32[Array, " b"],
        rounding: Float[Array, " k"],
    ) -> Float[Array, "b k"]:
        """Draws vectors outside the body of their cluster straight to its boundary.

        So that they stay inside when each component is moved by as much as `rounding`, in the units of the
        semi-axes; see `jaxlatent.sampling.bodies.body.shrinking`.
        """
        centre, axes = jnp.asarray(self.centres)[cluster], jnp.asarray(self.semi_axes)[cluster]
        away = y - centre
        factor = shrinking(away / axes, rounding / axes)[:, None]
        return jnp.where(factor < 1, centre + factor * away, y)

    def rounding(self, pca: PCA) -> Float[Array, " k"]:
        """How far float32 moves the components of a vector on its way to the latent frame; see there."""
        return inverse_rounding(pca, self.extent)
