"""The prior of a VAE."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent._boundary import as_count, as_key, as_vectors
from jaxlatent.latent.sharded import Vectors


@dataclass(frozen=True)
class PriorRival:
    """Draws standard normal vectors, the law that a VAE's training draws the latent vectors towards.

    For runs with a variational network; the z-points of others fill some other region.

    Attributes:
        width: length of a vector.
    """

    width: int

    @classmethod
    def fit(cls, z: Float[Vectors, "n d"]) -> "PriorRival":
        """Takes the width of z-points (n, d), and nothing else.

        Raises:
            TypeError, ValueError: if they are no floating-point vectors.
        """
        return cls(as_vectors("z", z).shape[1])

    def sample(self, key: jax.Array, n: int) -> Float[Array, "{n} d"]:
        """Draws n latent vectors, float32 (n, d)."""
        return jax.random.normal(as_key(key), (as_count("n", n), self.width), jnp.float32)
