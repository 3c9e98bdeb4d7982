"""Losses of a reconstruction, one number an image."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.autoencoder.config import TrainConfig


def squared_error(images: Float[Array, "n h w c"], others: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    """Mean squared difference of each pair of images, in squared units of their range."""
    return jnp.mean(jnp.square(images - others), axis=(1, 2, 3))


def cross_entropy(images: Float[Array, "n h w c"], logits: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    """Mean binary cross-entropy (nats a value) of sigmoid(logits) against images in [0, 1]."""
    # max(x, 0) - x y + log(1 + exp(-|x|)) overflows for no logit.
    values = jax.nn.relu(logits) - logits * images + jnp.log1p(jnp.exp(-jnp.abs(logits)))
    return jnp.mean(values, axis=(1, 2, 3))


def ssim(images: Float[Array, "n h w c"], others: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    """Structural similarity of each pair of images in [0, 1], at least 11 x 11 pixels: 1 if equal.

    Gaussian window of 11 x 11 pixels with sigma 1.5, K1 = 0.01, K2 = 0.03, averaged over all places of
    the window within the image and over the channels: Z. Wang, A. C. Bovik, H. R. Sheikh and
    E. P. Simoncelli, Image quality assessment: from error visibility to structural similarity, IEEE
    Trans. Image Processing 13(4), 2004, section III-B.
    """
    rows, columns = (jnp.asarray(_blur_matrix(side)) for side in images.shape[1:3])

    def blur(a: Array) -> Array:
        return jnp.einsum("rh,nhwc,sw->nrsc", rows, a, columns)

    mean1, mean2 = blur(images), blur(others)
    variance1 = blur(images * images) - mean1 * mean1
    variance2 = blur(others * others) - mean2 * mean2
    covariance = blur(images * others) - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean1 * mean2 + c1) * (2 * covariance + c2)) / (
        (mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2)
    )
    return jnp.mean(similarity, axis=(1, 2, 3))


@cache
def _blur_matrix(side: int) -> np.ndarray:
    """The Gaussian window as a banded matrix (side - 10, side): a product is a blur along one axis."""
    window = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    matrix = np.zeros((side - 10, side), np.float32)
    for i in range(side - 10):
        matrix[i, i : i + 11] = window
    return matrix


def reconstruction_losses(
    images: Float[Array, "n h w c"], logits: Float[Array, "n h w c"], config: TrainConfig
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Gives each image's loss of `config`, and its mean squared error whatever the loss.

    Args:
        images: in [0, 1].
        logits: the reconstructions before their sigmoid.
        config: its `loss` and `ssim_weight` are used.
    """
    output = jax.nn.sigmoid(logits)
    mse = squared_error(images, output)
    if config.loss == "bce":
        return cross_entropy(images, logits), mse
    if config.loss == "mse+ssim":
        return mse + config.ssim_weight * (1 - ssim(images, output)) / 2, mse
    return mse, mse
