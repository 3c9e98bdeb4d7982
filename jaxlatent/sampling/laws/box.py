"""The naive baseline: independent uniform coordinates in a box, which is what fails."""

import math
from typing import Any, Unpack

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from jaxlatent._boundary import (
    as_count,
    as_nonnegative,
    as_vectors,
    is_traced,
)
from jaxlatent._pytree import pytree
from jaxlatent.latent.sharded import Vectors
from jaxlatent.latent.trim import PointOptions, choose
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed, uniforms

_ROWS = 8192


@pytree
class BoxSampler(Sampler):
    """Draws every latent coordinate uniformly between its bounds, independently of the others.

    Attributes:
        low: lower bounds in the latent frame, float32 in the shape of a latent vector, (d,) or (c, h, w).
        high: upper bounds, of the same shape, each above `low` or equal to it.

    Raises:
        ValueError: if the bounds are not two finite arrays of one shape with low <= high.
    """

    low: Float[Array, "*latent"]
    high: Float[Array, "*latent"]

    def __post_init__(self) -> None:
        if is_traced(self):
            return
        low, high = np.asarray(self.low), np.asarray(self.high)
        if not (np.isfinite(low) & np.isfinite(high) & (low <= high)).all():
            raise ValueError("low, high: expected finite bounds with low <= high")

    @classmethod
    def cube(cls, b: float, dim: int) -> "BoxSampler":
        """The cube [-b, b]^dim; the source tried b = 1.5, without regard to the z-points.

        Raises:
            ValueError: if `b` is negative or not finite, or `dim` is not positive.
        """
        dim, b = as_count("dim", dim, 1), as_nonnegative("b", b)
        return cls(jnp.full(dim, -b, jnp.float32), jnp.full(dim, b, jnp.float32))

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        b: float | None = None,
        **points: Unpack[PointOptions],
    ) -> "BoxSampler":
        """The range of each latent coordinate over the z-points or, with `b`, the cube [-b, b]^d.

        Args:
            z: z-points, floating point (n, d), n >= 1.
            b: half the edge of the cube, >= 0, in latent units.
            **points: which z-points are described, see `jaxlatent.latent.PointOptions`.

        Raises:
            TypeError, ValueError: if `z` is not such an array, is not finite, or `b` is negative.
        """
        z = choose(z, **points).points
        as_vectors("z", z, least=1)
        if b is not None:
            cube = cls.cube(b, math.prod(z.shape[1:]))
            return cls(cube.low.reshape(z.shape[1:]), cube.high.reshape(z.shape[1:]))
        blocks = [np.asarray(z[i : i + _ROWS], np.float32) for i in range(0, z.shape[0], _ROWS)]
        low = np.min([block.min(axis=0) for block in blocks], axis=0)
        high = np.max([block.max(axis=0) for block in blocks], axis=0)
        if not (np.isfinite(low) & np.isfinite(high)).all():
            raise ValueError("z: NaN or infinite values; remove those vectors")
        return cls(jnp.asarray(low), jnp.asarray(high))

    @property
    def n_components(self) -> int:
        """The number of latent coordinates d."""
        return self.low.size

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Of a vector that is drawn."""
        return self.low.shape

    @property
    def _bounds(self) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        return self.low.reshape(-1), self.high.reshape(-1)

    def _log_density(self, y: Float[Array, "n d"]) -> Float[Array, " n"]:
        """On the coordinates whose bounds differ."""
        low, high = self._bounds
        inside = jnp.all((y >= low) & (y <= high), axis=1)
        width = high - low
        return jnp.where(inside, -jnp.sum(jnp.log(jnp.where(width > 0, width, 1.0))), -jnp.inf)

    def _gauge(self, y: Float[Array, "n d"]) -> Float[Array, " n"]:
        low, high = self._bounds
        middle, half = (low + high) / 2, (high - low) / 2
        away = jnp.abs(y - middle)
        return jnp.max(
            jnp.where(half > 0, away / jnp.where(half > 0, half, 1), away * jnp.inf),
            axis=1,
            where=away > 0,
            initial=0,
        )

    def _conditioned(
        self, at: Int[np.ndarray, " g"], values: Float[Array, " g"], rest: Int[np.ndarray, " r"]
    ) -> dict[str, Any]:
        low, high = (np.asarray(bound)[at] for bound in self._bounds)
        if not is_traced(values) and not ((low <= values) & (values <= high)).all():
            raise ValueError(f"given: {values} lies outside the box, from {low} to {high}")
        shape = self.latent_shape
        return {
            name: bound.at[at].set(values).reshape(shape)
            for name, bound in zip(("low", "high"), self._bounds, strict=True)
        }

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b d"]:
        low, high = self._bounds
        w = uniforms(seed, index, 0, len(low)).T
        # Rounding alone could lead beyond.
        return jnp.clip(low + (high - low) * w, low, high)
