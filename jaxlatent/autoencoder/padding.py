"""Images of any height and width for networks that halve both several times."""

import jax.numpy as jnp
from jaxtyping import Array, Shaped


def padded(images: Shaped[Array, "n h w c"], halvings: int) -> Shaped[Array, "n H W c"]:
    """Continues images beyond their edges until height and width can be halved so often.

    The pixels at the edges are repeated: zeros would be an edge that the images have not.
    """
    factor = 2**halvings
    lacking = [-side % factor for side in images.shape[1:3]]
    pads = [(n // 2, n - n // 2) for n in lacking]
    return jnp.pad(images, ((0, 0), *pads, (0, 0)), mode="edge") if any(lacking) else images


def cropped(images: Shaped[Array, "n H W c"], height: int, width: int) -> Shaped[Array, "n h w c"]:
    """Takes off what `padded` has added to images of this height and width."""
    if images.shape[1:3] == (height, width):
        return images
    top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
    return images[:, top : top + height, left : left + width]
