"""Features of random convolutions: a second space beside a trained one, in which nothing was learned."""

import math
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32, Shaped

from jaxlatent._boundary import as_images
from jaxlatent.autoencoder.network import to_unit_range

_FILTERS = (32, 64, 96)
# Of which three layers leave one pixel.
_SHORTEST = 15


def random_features(images: Shaped[Array | np.ndarray, "b h w c"]) -> Float[Array, "b f"]:
    """Gives the mean responses of three layers of random convolutions (3 x 3, stride 2), float32 (b, 192).

    An order of samplers that holds in the features of a trained network and in these does not hang on what
    that network has learned. Convolutions that were never trained tell images apart by their edges and
    textures, and serve where pretrained features know nothing of the data: M. F. Naeem et al., "Reliable
    fidelity and diversity metrics for generative models", ICML 2020, section 5. The filters of the first
    layer sum to zero and nothing is padded, so that an even area gives no response, however bright. The
    weights are always the same. Sides of 15 pixels are the shortest.

    Raises:
        ValueError, TypeError: if the images are not (b, h, w, c), uint8 or floating point in [0, 1]; or
            smaller.
    """
    images = as_images("images", images)
    if min(images.shape[1:3]) < _SHORTEST:
        height, width = images.shape[1:3]
        raise ValueError(f"images: expected sides of at least {_SHORTEST} pixels, got {height} x {width}")
    return _responses(_kernels(images.shape[3]), jnp.asarray(images))


@cache
def _kernels(channels: int) -> list[Float32[np.ndarray, "3 3 c o"]]:
    rng, kernels = np.random.default_rng(0), []
    for inputs, outputs in pairwise((channels, *_FILTERS)):
        kernel = rng.normal(scale=math.sqrt(2 / (9 * inputs)), size=(3, 3, inputs, outputs))
        kernels.append(kernel.astype(np.float32))
    kernels[0] -= kernels[0].mean(axis=(0, 1))
    return kernels


@jax.jit
def _responses(kernels: list[Array], images: Shaped[Array, "b h w c"]) -> Float[Array, "b f"]:
    x, means = to_unit_range(images), []
    for kernel in kernels:
        x = lax.conv_general_dilated(x, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x)
        means.append(jnp.mean(x, axis=(1, 2)))
    return jnp.concatenate(means, axis=1)
