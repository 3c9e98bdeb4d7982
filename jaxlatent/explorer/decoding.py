"""Decoding one vector, or a grid of them, with any decoder."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from jaxlatent.generation.decoder import Decoder, to_numpy, to_uint8

# Vectors of a grid that are decoded at once.
_BLOCK = 16


class BlockDecoder:
    """Decodes one at a time, or in blocks of a fixed size: two programs, whatever is asked for.

    Args:
        decode: see `jaxlatent.generate_to`.
        latent_shape: of a vector.
    """

    def __init__(self, decode: Any, latent_shape: tuple[int, ...]):
        self._decoder, self._latent_shape = Decoder.of(decode, latent_shape), latent_shape
        #: (h, w, c) of an image.
        self.shape = self._decoder.shape

    def __call__(self, z: Float[np.ndarray, "..."]) -> UInt8[np.ndarray, "n h w c"]:
        """Images of vectors (n, d), or of one vector."""
        z = np.asarray(z, np.float32).reshape(-1, *self._latent_shape)
        size = 1 if len(z) == 1 else _BLOCK
        blocks = []
        for begin in range(0, len(z), size):
            block = z[begin : begin + size]
            filled = np.concatenate([block, np.repeat(block[-1:], size - len(block), axis=0)])
            blocks.append(self._decode(filled)[: len(block)])
        return np.concatenate(blocks)

    def _decode(self, z: np.ndarray) -> np.ndarray:
        call, params = self._decoder.call, self._decoder.params
        if self._decoder.host:
            return to_uint8(to_numpy(call(params, jnp.asarray(z))), np)
        return np.asarray(_decoded(call, params, z))


@partial(jax.jit, static_argnums=0)
def _decoded(
    call: Callable[[Any, Any], Any], params: Any, z: Float[Array | np.ndarray, "..."]
) -> UInt8[Array, "b h w c"]:
    return to_uint8(call(params, z))
