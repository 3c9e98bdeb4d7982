"""Any number of images to latent vectors and back, in batches of one shape."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PyTree, Shaped

from jaxlatent._boundary import as_batch_size, as_images, as_vectors
from jaxlatent._progress import progress_bar
from jaxlatent._rows import Rows
from jaxlatent.autoencoder.network import Autoencoder


def encode(
    model: Autoencoder,
    images: Shaped[Array | np.ndarray | Rows, "n h w c"],
    *,
    batch_size: int | None = None,
    progress: bool = False,
) -> Float[Array, "n d"]:
    """Maps images to latent vectors.

    Every batch has `batch_size` images, the last one padded, so that the network is compiled once
    whatever n is. Memory maps are read a batch at a time.

    Args:
        model: from `fit_autoencoder` or `load_model`.
        images: uint8 in [0, 255] or floating point in [0, 1], (n, h, w, c) of the model's size.
        batch_size: images at once; 256 where not given, of more than 64 x 64 pixels fewer.
        progress: show a bar where standard error is a terminal.

    Returns:
        float32 (n, d).

    Raises:
        ValueError: if the images are not of the model's size, or `batch_size` is below 1.
        TypeError: if they are neither uint8 nor floating point.
    """
    images = as_images("images", images, model.config.image_shape)
    width = (model.config.latent_dim,)
    return _in_batches(_encode, model, images, width, batch_size, "encode", progress)


def decode(
    model: Autoencoder,
    z: Float[Array | np.ndarray, " n *latent"],
    *,
    batch_size: int | None = None,
    progress: bool = False,
) -> Float[Array, "n h w c"]:
    """Maps latent vectors to images, batched as in `encode`; inside `jax.jit`, all at once.

    Args:
        model: from `fit_autoencoder` or `load_model`.
        z: floating point (n, d); converted to float32.
        batch_size: vectors at once, as there.
        progress: show a bar where standard error is a terminal.

    Returns:
        float32 (n, h, w, c) in [0, 1].

    Raises:
        ValueError: if the vectors do not have the model's length, or `batch_size` is below 1.
        TypeError: if they are not floating point.
    """
    z = as_vectors("z", z, model.config.latent_dim)
    if isinstance(z, jax.core.Tracer):
        return decoder(model)(z.astype(jnp.float32))
    return _in_batches(_decode, model, z, model.config.image_shape, batch_size, "decode", progress)


def decoder(model: Autoencoder) -> jax.tree_util.Partial:
    """The decoder as a function of latent vectors (n, d), for use inside `jax.jit`.

    Its weights are leaves of the pytree that it is: an argument to a compiled program, no constants.

    Returns:
        A function from float32 (n, d) to images (n, h, w, c), float32 in [0, 1].
    """
    graphdef, state = nnx.split(model)
    return jax.tree_util.Partial(_Decode(graphdef), state)


@dataclass(frozen=True)
class _Decode:
    """Equal for equal networks, so that a compiled program serves all their weights."""

    graphdef: nnx.GraphDef

    def __call__(self, state: PyTree, z: Array) -> Array:
        return nnx.merge(self.graphdef, state).decode(z)


@partial(jax.jit, static_argnums=0)
def _encode(graphdef: nnx.GraphDef, state: PyTree, images: Array) -> Array:
    # An accelerator's default rounds what it multiplies to 8 or 11 bits: an error of 5.4 % (TPU) or 0.7 %
    # (H100) of the deviation of a small component.
    with jax.default_matmul_precision("highest"):
        return nnx.merge(graphdef, state).encode(images)


@partial(jax.jit, static_argnums=0)
def _decode(graphdef: nnx.GraphDef, state: PyTree, z: Array) -> Array:
    return nnx.merge(graphdef, state).decode(z)


def _in_batches(
    function: Callable[[nnx.GraphDef, PyTree, Array], Array],
    model: Autoencoder,
    rows: Array | np.ndarray | Rows,
    item: tuple[int, ...],
    batch_size: int | None,
    name: str,
    progress: bool,
) -> Array:
    batch_size = as_batch_size(batch_size, model.config.image_shape)
    graphdef, state = nnx.split(model)
    n = rows.shape[0]
    result = np.empty((n, *item), np.float32)
    dtype = np.uint8 if rows.dtype == np.uint8 else np.float32
    with progress_bar(name, n, "images", enabled=progress) as advance:
        for start in range(0, n, batch_size):
            part = np.asarray(rows[start : start + batch_size]).astype(dtype, copy=False)
            count = part.shape[0]
            if count < batch_size:
                part = np.concatenate([part, np.zeros((batch_size - count, *part.shape[1:]), dtype)])
            result[start : start + count] = function(graphdef, state, jnp.asarray(part))[:count]
            advance(count)
    return jnp.asarray(result)
