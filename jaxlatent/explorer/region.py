"""The region that a vector is to stay in, and the interval that it leaves to each component."""

from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.latent.pca import PCA
from jaxlatent.sampling import BodyUnion, EllipseBody, PairwiseSampler, Sampler, edit
from jaxlatent.sampling.bodies.body import Body

# Of the z-points, where a sampler has no region of its own.
_COVERAGE = 0.99


@dataclass(frozen=True)
class Region:
    """A body in the frame of a sampler.

    Attributes:
        sampler: one that has a body.
    """

    sampler: Sampler

    @classmethod
    def around(cls, frame: PCA, y: Float[np.ndarray, "n k"]) -> "Region":
        """The smallest ellipse body that holds 99 % of points (n, k) in the components of a frame."""
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
        """A vector in the components of the body."""
        mean, rows = self._basis
        return jnp.asarray((rows @ (z - mean))[None], jnp.float32)

    def gauge(self, z: Float[np.ndarray, " d"]) -> float:
        """The factor by which the body has to be scaled for the vector to be on its border."""
        return float(self.body.gauge(self.components(z))[0])

    def move(
        self, z: Float[np.ndarray, " d"], direction: Float[np.ndarray, " d"], strength: float
    ) -> Float[np.ndarray, " d"]:
        """The vector moved as far as it stays inside; first pulled inside where it is not, see `edit`."""
        shape = self.sampler.latent_shape
        step = np.asarray(direction, np.float32).reshape(shape)
        moved = edit(np.asarray(z, np.float32)[None], step, strength, sampler=self.sampler)
        return np.asarray(moved, np.float64).reshape(-1)

    def pull(self, z: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
        """The vector, drawn straight to the middle where it is outside."""
        return self.move(z, np.zeros(z.size), 0.0)

    def intervals(
        self, z: Float[np.ndarray, " d"], ways: Float[np.ndarray, "m d"]
    ) -> Float[np.ndarray, "m 2"]:
        """How far z can go along each way, backwards and forwards, inside what its other components leave.

        Each way is looked at from where it is nearest to the body's centre, so that a vector that is outside
        in that direction alone has an interval too. Of a union of bodies, that which reaches z first counts.

        Args:
            z: the vector.
            ways: directions in the latent frame.

        Returns:
            Steps along each way, from z; NaN where all of the line is outside, infinite where the way does
            not lie in the frame, which nothing bounds.
        """
        y = np.asarray(self.components(z), np.float64)[0]
        along = ways @ self._basis[1].T
        length = np.einsum("mk,mk->m", along, along)
        flat = length < 1e-12 * np.einsum("md,md->m", ways, ways)
        centre, axes = self._nearest(y)
        if axes is not None and (np.max(np.square(along), axis=1) > (1 - 1e-9) * length).all():
            found = _of_components((y - centre) / axes, along / axes)
        else:
            back = np.divide(along @ (y - centre), length, out=np.zeros(len(ways)), where=~flat)[:, None]
            start = jnp.asarray(y - back * along, jnp.float32)
            way, exact = jnp.asarray(along, jnp.float32), jnp.zeros((1, y.size), jnp.float32)
            rooms = [sign * np.asarray(self.body.room(start, sign * way, exact)) for sign in (-1, 1)]
            found = np.stack(rooms, axis=1) - back
            found[np.asarray(self.body.gauge(start)) > 1] = np.nan
        found[flat] = -np.inf, np.inf
        return found

    def _nearest(self, y: Float[np.ndarray, " k"]) -> tuple[np.ndarray, np.ndarray | None]:
        """Centre and semi-axes of the ellipse body that reaches the vector first; no axes of another kind."""
        if self._ellipses is None:
            nearest, _ = self.body.nearest(jnp.asarray(y[None], jnp.float32))
            return np.asarray(nearest, np.float64)[0], None
        centres, axes = self._ellipses
        row = 0
        if len(centres) > 1:
            squares = np.partition(np.square((y - centres) / axes), -2, axis=1)[:, -2:].sum(axis=1)
            row = int(np.argmin(squares))
        return centres[row], axes[row]

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


def _of_components(u: Float[np.ndarray, " k"], ways: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m 2"]:
    """Where u + t way is inside the ellipse body of semi-axes 1, for ways that move one component each.

    With m the largest of the others, whose own pairs have to hold, u_j^2 <= 1 - m^2.
    """
    moved = np.argmax(np.abs(ways), axis=1)
    found = np.full((len(ways), 2), np.nan)
    for row, j in enumerate(moved):
        others = np.sort(np.abs(np.delete(u, j)))[-2:]
        if np.sum(np.square(others)) <= 1 and ways[row, j] != 0:
            most = np.sqrt(1 - others[-1] ** 2) * np.array([-1, 1])
            found[row] = np.sort((most - u[j]) / ways[row, j])
    return found
