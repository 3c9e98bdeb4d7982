"""What a rival is: normal vectors pushed through a fitted map, in the whitened frame of the latents."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jaxlatent._boundary import as_count, as_key, as_vectors
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.fitting.region import fit_frame

#: What installs all packages that rivals need.
REMEDY = 'pip install "jaxlatent[rivals]"'

_NEEDS = {"flow": "flowjax", "copula": "pyvinecopulib"}
# Vectors that are pushed at once.
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Rival:
    """Draws y = push(e), e standard normal, in the whitened PCA frame; a subclass has a class method `fit`.

    Unlike a sampler of `jaxlatent.sampling` it belongs to no run and to no file, and what it draws is not
    promised to depend on (key, i) alone.

    Attributes:
        pca: the frame, with k components, all of which vary.
        push: maps normal vectors (b, k) to whitened components (b, k), compiled.
        held_out: what was reached on the held-out z-points, see the subclass.
    """

    pca: PCA
    push: Callable[[Float[Array, "b k"]], Float[Array, "b k"]]
    held_out: float

    def sample(self, key: jax.Array, n: int) -> Float[Array, "{n} d"]:
        """Draws n latent vectors, float32 (n, d).

        Args:
            key: a typed key, `jax.random.key(seed)`.
            n: at least 0.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        key, n = as_key(key), as_count("n", n)
        blocks = -(-n // _BLOCK)
        normal = jax.random.normal(key, (blocks, _BLOCK, self.pca.n_components), jnp.float32)
        whitened = [self.push(block) for block in normal]
        y = jnp.concatenate([*whitened, normal[:0, 0]])[:n]
        return self.pca.inverse_transform(y * jnp.sqrt(self.pca.explained_variance))


def whiten(z: Float[Vectors, "n d"]) -> tuple[PCA, Float32[np.ndarray, "n k"]]:
    """The frame of all components that vary, and the z-points in it, each component of variance 1.

    Raises:
        TypeError, ValueError: if `z` is no floating-point array (n, d), n >= 20, or not finite.
    """
    z = as_vectors("z", z, least=20)
    pca = fit_frame(z)
    return pca, np.asarray(pca.transform(z) / jnp.sqrt(pca.explained_variance))


def split_off(
    y: Float32[np.ndarray, "n k"], rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "t k"], Float32[np.ndarray, "m k"]]:
    """Points to train on, and a twentieth, at most 2,000, to stop by."""
    order = rng.permutation(len(y))
    held_out = min(2000, len(y) // 20)
    return y[order[held_out:]], y[order[:held_out]]


def missing(rival: str) -> str | None:
    """The package that a rival needs and that cannot be imported here."""
    package = _NEEDS.get(rival)
    return package if package and not importlib.util.find_spec(package) else None


def require(rival: str) -> None:
    """Accepts an environment that has what a rival needs.

    Raises:
        ImportError: otherwise.
    """
    if package := missing(rival):
        raise ImportError(f"{rival}: needs {package}; install with {REMEDY}")
