"""New vectors between two z-points."""

import math
from typing import Any, ClassVar, Literal, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jaxlatent._boundary import as_vectors, is_traced, on_device
from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.sharded import Vectors
from jaxlatent.latent.trim import PointOptions, choose
from jaxlatent.sampling.draws import tables
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed, distinct_indices, uniforms

Kind = Literal["linear", "spherical"]


@pytree
class InterpolationSampler(Sampler):
    """Draws vectors at a uniformly random place between two distinct, random z-points.

    "linear" takes the straight line. In many dimensions its middle is nearer to the mean than any z-point:
    the covariance of vectors is 2/3 of the z-points'. "spherical" turns about the mean instead, at an even
    pace along the great circle from the one direction to the other, while the distance from the mean
    changes linearly. Exactly opposite directions, which no one great circle joins, go through the mean.

    Source of "spherical": K. Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985, for unit
    vectors; T. White, "Sampling generative networks", arXiv:1609.04468, 2016, for latent vectors. Here it
    turns the directions alone: applied to vectors of different lengths, the formula diverges at opposite
    ones.

    Attributes:
        points: z-points, (n, d) or (n, c, h, w) float32, n >= 2.
        kind: "linear" or "spherical".
        centre: what "spherical" turns about, float32 (d,), or as the points are; their mean where not given.

    Raises:
        ValueError: if `points` are not two or more finite vectors, or `kind` is unknown.
    """

    _INSTEAD: ClassVar[str] = "take BootstrapSampler, which has one about the same points"

    points: Float[Array | np.ndarray, " n *latent"]
    kind: Kind = static_field(default="linear")
    centre: Float[Array, "*latent"] | None = None

    def __post_init__(self) -> None:
        as_vectors("points", self.points, least=2)
        if not is_traced(self.points) and not np.isfinite(np.asarray(self.points)).all():
            raise ValueError("points: NaN or infinite values; remove those vectors")

    def _derive(self) -> Any:
        """The centre of "spherical"."""
        if self.kind == "linear" or self.centre is not None:
            return self.centre
        if is_traced(self):
            return jnp.mean(self.points, axis=0)
        # In float64, whose rounding no number of points makes seen.
        return on_device(np.mean(np.asarray(self.points), 0, np.float64))

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        kind: Kind = "linear",
        **points: Unpack[PointOptions],
    ) -> "InterpolationSampler":
        """Keeps the z-points.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            kind: see the class.
            **points: which z-points are kept, see `jaxlatent.latent.PointOptions`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        kept = choose(z, **points).points
        as_vectors("z", kept, least=2)
        return cls(kept if isinstance(kept, jax.Array) else np.asarray(kept), kind)

    @property
    def n_components(self) -> int:
        """The number of latent coordinates d."""
        return math.prod(self.latent_shape)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Of a vector that is drawn."""
        return self.points.shape[1:]

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b d"]:
        points = jnp.asarray(self.points).reshape(-1, self.n_components)
        first, second = distinct_indices(seed, index, 0, 2, points.shape[0])
        place = uniforms(seed, index, 1, 1)[0][:, None]
        a, b = points[first], points[second]
        if self.kind == "linear":
            return a + place * (b - a)
        centre = tables(self).reshape(-1)
        return centre + interpolate_directions(a - centre, b - centre, place)


def interpolate_directions(
    a: Float[Array, "b d"], b: Float[Array, "b d"], place: Float[Array, "b 1"]
) -> Float[Array, "b d"]:
    """From `a` (place 0) to `b` (place 1): direction along the great circle, length linearly.

    From or to a vector of length 0, a straight line.
    """
    a_length, b_length = _length(a), _length(b)
    tiny = jnp.finfo(jnp.float32).tiny
    a_unit, b_unit = a / jnp.maximum(a_length, tiny), b / jnp.maximum(b_length, tiny)
    # Shoemake's formula in the orthogonal frame of the directions' sum and difference, 2 cos and 2 sin of
    # half the angle long: this form has no pole at opposite directions, and its result is a unit vector.
    middle, across = a_unit + b_unit, b_unit - a_unit
    cosine, sine = _length(middle), _length(across)
    turn = (2 * place - 1) * jnp.atan2(sine, cosine)
    unit = (
        jnp.cos(turn) / jnp.maximum(cosine, tiny) * middle + jnp.sin(turn) / jnp.maximum(sine, tiny) * across
    )
    directed = jnp.minimum(a_length, b_length) > 0
    return jnp.where(directed, (a_length + place * (b_length - a_length)) * unit, a + place * (b - a))


def _length(x: Float[Array, "b d"]) -> Float[Array, "b 1"]:
    return jnp.sqrt(jnp.sum(jnp.square(x), axis=1, keepdims=True))
