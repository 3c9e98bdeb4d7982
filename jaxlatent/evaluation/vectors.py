"""Latent vectors that another program has drawn, in the place of a sampler."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jaxlatent._boundary import as_count, as_vectors
from jaxlatent.data.fingerprint import fingerprint
from jaxlatent.latent.files import load_latents


@dataclass(frozen=True, eq=False)
class GivenVectors:
    """Vectors as they are.

    Attributes:
        z: (n, d).
        source: the file that they are from, if they are from one.
    """

    z: Float32[np.ndarray, "n d"]
    source: str | None = None

    @classmethod
    def of(
        cls, title: str, given: Float[Array | np.ndarray, "n d"] | str | os.PathLike[str], width: int
    ) -> "GivenVectors":
        """Takes an array, or reads a file as `jaxlatent.latent.files.load_latents` does.

        Raises:
            OSError, TypeError, ValueError: if they are no finite floating-point vectors (n, width), n >= 1.
        """
        source = None
        if isinstance(given, (str, os.PathLike)):
            source = str(Path(given).expanduser().resolve())
            given = load_latents(source)
        z = np.asarray(as_vectors(f"vectors: {title}", given, width, least=1), np.float32)
        if not np.isfinite(z).all():
            raise ValueError(f"vectors: {title} has numbers that are not finite; leave those vectors out")
        return cls(z, source)

    @property
    def digest(self) -> str:
        """The SHA-256 digest of the numbers."""
        return fingerprint(self.z)

    def sample(self, key: jax.Array, n: int) -> Float[Array, "{n} d"]:
        """The first n; no key changes them.

        Raises:
            ValueError: if there are fewer.
        """
        n = as_count("n", n)
        if n > len(self.z):
            raise ValueError(
                f"vectors: expected at least {n}, as many as of each sampler, got {len(self.z)}; give more, "
                f"or compare {len(self.z)} (count)"
            )
        return jnp.asarray(self.z[:n])


def given_vectors(
    vectors: Mapping[str, Float[Array | np.ndarray, "n d"] | str | os.PathLike[str]] | None, width: int
) -> dict[str, GivenVectors]:
    """All of them by their titles; errors as of `GivenVectors.of`."""
    return {title: GivenVectors.of(title, given, width) for title, given in (vectors or {}).items()}
