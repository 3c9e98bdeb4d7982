"""The naive baseline: independent uniform coordinates in a box, which is what fails."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt32

from jaxlatent._checks import check_vectors
from jaxlatent._pytree import pytree
from jaxlatent.latent.subset import subset_mask
from jaxlatent.sampling.base import Sampler
from jaxlatent.sampling.words import uniforms


@pytree
class BoxSampler(Sampler):
    """Draws every latent coordinate uniformly between its bounds, independently of the others.

    Attributes:
        low: lower bounds in the latent frame, (d,) float32.
        high: upper bounds, (d,) float32, each above `low` or equal to it.

    Raises:
        ValueError: if the bounds are not two finite vectors of one length with low <= high.
    """

    low: Float[Array, " d"]
    high: Float[Array, " d"]

    def __post_init__(self) -> None:
        if not all(isinstance(x, (jax.Array, np.ndarray)) for x in (self.low, self.high)) or any(
            isinstance(x, jax.core.Tracer) for x in (self.low, self.high)
        ):
            return
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        if low.ndim != 1 or low.shape != high.shape:
            raise ValueError(f"low, high: expected two vectors of one length, got {low.shape}, {high.shape}")
        if not (np.isfinite(low) & np.isfinite(high) & (low <= high)).all():
            raise ValueError("low, high: expected finite bounds with low <= high")
        object.__setattr__(self, "low", jnp.asarray(low))
        object.__setattr__(self, "high", jnp.asarray(high))

    @classmethod
    def cube(cls, b: float, dim: int) -> "BoxSampler":
        """The cube [-b, b]^dim; the source tried b = 1.5, without regard to the z-points.

        Raises:
            ValueError: if `b` is negative or not finite, or `dim` is not positive.
        """
        if dim < 1:
            raise ValueError(f"dim: expected at least 1, got {dim}")
        return cls(jnp.full(dim, -b, jnp.float32), jnp.full(dim, b, jnp.float32))

    @classmethod
    def fit(
        cls,
        z: Float[Array | np.ndarray, "n d"],
        *,
        b: float | None = None,
        where: Bool[Array | np.ndarray, " n"] | None = None,
    ) -> "BoxSampler":
        """The range of each latent coordinate over the z-points or, with `b`, the cube [-b, b]^d.

        Args:
            z: z-points, floating point (n, d), n >= 1.
            b: half the edge of the cube, >= 0, in latent units.
            where: mask of a subset of the z-points, of which the ranges are taken.

        Raises:
            TypeError, ValueError: if `z` is not such an array, is not finite, or `b` is negative.
        """
        check_vectors("z", z)
        if where is not None:
            z = z[subset_mask(z, where)]
        if b is not None:
            return cls.cube(b, z.shape[1])
        if z.shape[0] < 1:
            raise ValueError("z: expected at least 1 vector, got 0")
        return cls(jnp.min(z, axis=0).astype(jnp.float32), jnp.max(z, axis=0).astype(jnp.float32))

    def _draw(self, seed: UInt32[Array, "2"], index: UInt32[Array, " b"]) -> Float[Array, "b d"]:
        dim = self.low.shape[0]
        w = uniforms(seed, index, 0, dim).T
        return self.low + (self.high - self.low) * w
