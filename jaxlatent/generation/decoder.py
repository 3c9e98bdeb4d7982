"""What `decode` may be, and 8-bit images from whatever it gives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from jaxlatent._boundary import detached

# Errors of functions that want numbers and not JAX's tracers: NumPy's, PyTorch's, Python's own.
_NOT_TRACEABLE = (TypeError, ValueError, AttributeError, RuntimeError, NotImplementedError)


@dataclass(frozen=True)
class Decoder:
    """A decoder as the batches use it.

    Attributes:
        call: maps (params, z) to images, z of shape (b, d), or (b, c, h, w).
        params: a pytree of arrays, given to the compiled program as an argument; () if the function
            holds its own.
        shape: (h, w, c) of an image.
        host: whether `call` runs outside the compiled program, on concrete arrays, because JAX cannot
            trace it: a PyTorch module, say.
    """

    call: Callable[[Any, Any], Any]
    params: Any
    shape: tuple[int, int, int]
    host: bool

    @classmethod
    def of(cls, decode: Any, latent_shape: tuple[int, ...]) -> "Decoder":
        """Finds out what `decode` is.

        Args:
            decode: an `Autoencoder`; or a function from latent vectors (b, d) to images (b, h, w, c): of
                JAX, a `jax.tree_util.Partial` keeping its arrays out of the compiled program's constants;
                or any other, which gets a `jax.Array` and gives what NumPy can convert, by DLPack too.
            latent_shape: of a latent vector, (d,) or (c, h, w).

        Raises:
            TypeError: if it is neither.
            ValueError: if it does not give images (b, h, w, c) in [0, 1] or uint8.
        """
        if not callable(decode):
            decode = _of_model(decode)
        is_tree = isinstance(decode, jax.tree_util.Partial)
        call: Callable[[Any, Any], Any] = _call_tree if is_tree else lambda _, z: decode(z)
        params = decode if is_tree else ()
        z = jax.ShapeDtypeStruct((2, *latent_shape), jnp.float32)
        try:
            images = jax.eval_shape(call, params, z)
            host = False
        except _NOT_TRACEABLE:
            # If the function itself is at fault, it fails here once more, now in plain sight.
            images = to_numpy(call(params, jnp.zeros(z.shape, z.dtype)))
            host = True
        shape: Any = getattr(images, "shape", None)
        dtype: Any = getattr(images, "dtype", None)
        if shape is None or len(shape) != 4 or shape[0] != 2 or 0 in shape:
            found = type(images).__name__ if shape is None else shape
            raise ValueError(f"decode: expected images (2, h, w, c) for 2 vectors, got {found}")
        if shape[1] in (1, 3, 4) and shape[3] > 4:
            raise ValueError(
                f"decode: expected images (2, h, w, c) for 2 vectors, got {tuple(shape)}, which looks like "
                "(2, c, h, w); move the channels last, in PyTorch by images.permute(0, 2, 3, 1)"
            )
        if dtype != np.uint8 and not jnp.issubdtype(dtype, jnp.floating):
            raise ValueError(f"decode: expected floating-point images in [0, 1] or uint8, got {dtype}")
        return cls(call, params, tuple(shape[1:]), host)


def _call_tree(function: Callable[[Any], Any], z: Any) -> Any:
    return function(z)


def _of_model(model: Any) -> jax.tree_util.Partial:
    from jaxlatent.autoencoder import Autoencoder, decoder

    if not isinstance(model, Autoencoder):
        raise TypeError(
            f"decode: expected an Autoencoder or a function of latent vectors, got {type(model).__name__}"
        )
    return decoder(model)


def to_uint8(images: Any, xp: Any = jnp) -> Any:
    """Images (b, h, w, c) in [0, 1] as 8-bit numbers, rounded and clipped; uint8 passes.

    Args:
        images: an array of `xp`.
        xp: `jax.numpy` or `numpy`.
    """
    if images.dtype == xp.uint8:
        return images
    images = images.astype(xp.float32)
    return xp.rint(xp.clip(images, 0, 1) * xp.float32(255)).astype(xp.uint8)


def to_numpy(array: Any) -> Shaped[np.ndarray, "..."]:
    """What a foreign decoder gives, as a NumPy array on the host."""
    return np.asarray(detached(array))
