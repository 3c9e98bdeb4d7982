"""The region that a vector is to stay in, and the interval that it leaves to each component."""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.explorer.intervals import of_components
from jaxlatent.latent.pca import PCA
from jaxlatent.sampling import BodyUnion, EllipseBody, PairwiseSampler, Sampler, edit
from jaxlatent.sampling.bodies.body import LIMIT, Body

# Of the z-points, where a sampler has no region of its own.
_COVERAGE = 0.99
# By a third each, until float32 no longer tells the ends apart.
_NARROWINGS = 48
# Of the way to the border, what float32 can tell from it.
_CLEAR = 1 - 1e-5


@dataclass(frozen=True)
class Region:
    """A body in the frame of a sampler.

    Attributes:
        sampler: one that has a body.
    """

    sampler: Sampler

    @staticmethod
    def is_of(sampler: Sampler) -> bool:
        """Whether a sampler has one."""
        return isinstance(getattr(sampler, "body", None), Body)

    @classmethod
    def stand_in(cls, frame: PCA, y: Float[np.ndarray, "n k"]) -> "Region":
        """The smallest ellipse body that holds 99 % of z-points, given in the components of a frame."""
        return cls(PairwiseSampler(frame, EllipseBody.at_coverage(y, _COVERAGE)))

    @property
    def body(self) -> Body:
        """The body."""
        return self.sampler.body  # type: ignore[attr-defined]

    @cached_property
    def _basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and components in float64; of no frame the latent coordinates."""
        frame = self.sampler.frame
        if frame is None:
            d = self.body.n_components
            return np.zeros(d), np.eye(d)
        return np.asarray(frame.mean, np.float64).reshape(-1), np.asarray(frame.components, np.float64)

    def components(self, z: Float[np.ndarray, " d"]) -> Float[Array, "1 k"]:
        """A vector, in float32, in the components of the body."""
        row, frame = np.asarray(z, np.float32)[None], self.sampler.frame
        return jnp.asarray(row) if frame is None else frame.transform(row)

    def gauge(self, z: Float[np.ndarray, " d"]) -> float:
        """The factor by which the body has to be scaled for the vector to be on its border."""
        return float(self.body.gauge(self.components(z))[0])

    def move(
        self, z: Float[np.ndarray, " d"], direction: Float[np.ndarray, " d"], strength: float
    ) -> Float[np.ndarray, " d"]:
        """The vector moved as far as it stays inside; first pulled inside where it is not, see `edit`."""
        quick = self._slid(z, direction, strength)
        if quick is not None:
            return quick
        shape = self.sampler.latent_shape
        start, step = (np.asarray(each, np.float32).reshape(shape) for each in (z, direction))
        moved = edit(start[None], step, strength, sampler=self.sampler)
        return np.asarray(moved, np.float64).reshape(-1)

    def _slid(
        self, z: Float[np.ndarray, " d"], direction: Float[np.ndarray, " d"], strength: float
    ) -> Float[np.ndarray, " d"] | None:
        """The same of a vector inside along one component of ellipse bodies, in closed form; else None.

        Through a union of bodies, `edit` takes ten times as long, and a slider is dragged.
        """
        along, flat, moved = self._in_components(direction[None])
        if moved is None or flat[0]:
            return None
        low, high = self._of_components(z, along, moved)[0]
        if not low <= 0 <= high:
            return None
        clear = z + min(max(strength, low * _CLEAR), high * _CLEAR) * direction
        clear = clear.astype(np.float32).astype(np.float64)
        return clear if self.gauge(clear) <= 1 else None

    def pull(self, z: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
        """The vector in float32, drawn straight to the middle where it is outside."""
        if self.gauge(z) <= 1:
            return z.astype(np.float32).astype(np.float64)
        return self.move(z, np.zeros(z.size), 0.0)

    def intervals(
        self, z: Float[np.ndarray, " d"], ways: Float[np.ndarray, "m d"]
    ) -> Float[np.ndarray, "m 2"]:
        """How far z can go along each way, backwards and forwards, inside what its other components leave.

        Of a vector outside, each way is looked at from where it is deepest inside, so that one that is
        outside in that direction alone has an interval too. Through a union of bodies an interval goes on
        where they follow each other without a gap.

        Args:
            z: the vector.
            ways: directions in the latent frame.

        Returns:
            Steps along each way, from z; NaN where all of the line is outside, infinite where the way does
            not lie in the frame, which nothing bounds.
        """
        along, flat, moved = self._along(ways)
        found = self._searched(z, along) if moved is None else self._of_components(z, along, moved)
        found[flat] = -np.inf, np.inf
        return found

    def _along(self, ways: Float[np.ndarray, "m d"]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """`_in_components`, kept, as the ways of the sliders are the same at every look."""
        known = self.__dict__.get("_last_ways")
        if known is None or known[0] is not ways:
            known = self.__dict__["_last_ways"] = ways, self._in_components(ways)
        return known[1]

    def _in_components(
        self, ways: Float[np.ndarray, "m d"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Ways in components (m, k); which do not lie in the frame (m,); which single one each moves (m,).

        None in the last place where one moves several, or the body has no closed form.
        """
        along = ways @ self._basis[1].T
        squares = np.square(along)
        length = squares.sum(axis=1)
        flat = length < 1e-12 * np.einsum("md,md->m", ways, ways)
        single = (squares.max(axis=1) >= (1 - 1e-9) * length) | flat
        moved = squares.argmax(axis=1) if single.all() and self._ellipses is not None else None
        return along, flat, moved

    def _of_components(
        self, z: Float[np.ndarray, " d"], along: Float[np.ndarray, "m k"], moved: np.ndarray
    ) -> Float[np.ndarray, "m 2"]:
        assert self._ellipses is not None
        mean, rows = self._basis
        return of_components(rows @ (z - mean), along[np.arange(len(moved)), moved], moved, *self._ellipses)

    def _searched(
        self, z: Float[np.ndarray, " d"], along: Float[np.ndarray, "m k"]
    ) -> Float[np.ndarray, "m 2"]:
        """The intervals of any body along any ways; for a union it takes a hundred times as long."""
        y, way = self.components(z), jnp.asarray(along, jnp.float32)
        begin = jnp.zeros(len(way), jnp.float32)
        if not self.gauge(z) <= LIMIT:
            begin = _deepest(self.body, y, way)
        rooms, gauge = _rooms(self.body, y, way, begin)
        found = np.array(rooms, np.float64)
        found[np.asarray(gauge) > 1] = np.nan
        return found

    @cached_property
    def _ellipses(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Centres and semi-axes (c, k) of the ellipse bodies that it consists of; None of another kind."""
        body = self.body
        if isinstance(body, EllipseBody):
            axes = np.asarray(body.semi_axes, np.float64)[None]
            return np.zeros_like(axes), axes
        if isinstance(body, BodyUnion):
            return np.asarray(body.centres, np.float64), np.asarray(body.semi_axes, np.float64)
        return None


# Compiled as wholes: called one by one, the loops of a body would be compiled anew each time.
@jax.jit
def _rooms(
    body: Body, y: Float[Array, "1 k"], ways: Float[Array, "m k"], begin: Float[Array, " m"]
) -> tuple[Float[Array, "m 2"], Float[Array, " m"]]:
    """From which step to which y stays inside, where it is at the step `begin`; and the gauge there."""
    at = y + begin[:, None] * ways
    both, exact = jnp.concatenate([-ways, ways]), jnp.zeros_like(y)
    back, forth = body.room(jnp.concatenate([at, at]), both, exact).reshape(2, -1)
    return jnp.stack([begin - back, begin + forth], axis=1), body.gauge(at)


@jax.jit
def _deepest(body: Body, y: Float[Array, "1 k"], ways: Float[Array, "m k"]) -> Float[Array, " m"]:
    """The step along each way at which the gauge is least, by ternary search: of one body it is convex."""
    # A norm that is N at y is at most N at the step sought, which is hence at most 2 N / norm(way).
    centre, square = body.nearest(y)
    length = body.gauge(centre + ways)
    most = jnp.where(length > 0, 2 * jnp.sqrt(square) / jnp.where(length > 0, length, 1), 0)

    def narrow(_: int | Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        third = (high - low) / 3
        inner = jnp.stack([low + third, high - third])
        gauge = body.gauge((y + inner[:, :, None] * ways).reshape(-1, y.shape[1])).reshape(2, -1)
        left = gauge[0] <= gauge[1]
        return jnp.where(left, low, inner[0]), jnp.where(left, inner[1], high)

    low, high = jax.lax.fori_loop(0, _NARROWINGS, narrow, (-most, most))
    return (low + high) / 2
