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
    mean1, mean2 = _blur(images), _blur(others)
    variance1 = _blur(images * images) - mean1 * mean1
    variance2 = _blur(others * others) - mean2 * mean2
    covariance = _blur(images * others) - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean1 * mean2 + c1) * (2 * covariance + c2)) / (
        (mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2)
    )
    return jnp.mean(similarity, axis=(1, 2, 3))


def contrast_error(images: Float[Array, "n h w c"], others: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    """Mean squared difference of the local contrasts of each pair of images, at least 11 x 11 pixels.

    The contrast is the standard deviation in each window of `ssim`, which is where it is compared as one of
    three parts; 0.01^2 is added to the variance, so that the gradient is finite where an image is flat. What
    the squared error cannot place it leaves out, and the image is blurred; this error is small only if as
    much structure is there, wherever in the window it lies. In squared units of the images' range.
    """
    difference = _contrast(images) - _contrast(others)
    return jnp.mean(jnp.square(difference), axis=(1, 2, 3))


def _contrast(images: Float[Array, "n h w c"]) -> Float[Array, "n r s c"]:
    variance = _blur(images * images) - jnp.square(_blur(images))
    return jnp.sqrt(jax.nn.relu(variance) + 0.01**2)


def kl_divergence(mean: Float[Array, "n d"], log_variance: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Kullback-Leibler divergence (nats) of N(mean, variance) from N(0, I), one number a vector.

    D. P. Kingma, M. Welling, Auto-encoding variational Bayes, ICLR 2014, appendix B.
    """
    return jnp.sum(jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance, axis=1) / 2


# Weights of the scales of `detail_error`, the finest first, and the standard deviation of its windows in
# pixels of a scale. The finest details are what a latent vector says least of; with more
# weight they come as a lattice of dots (measured).
_SCALES, _WINDOW = (0.3, 1.0, 1.0), 1.5
# From red, green and blue to brightness and two colour differences, orthonormal: Y. Ohta, T. Kanade,
# T. Sakai, Color information for region segmentation, Computer Graphics and Image Processing 13, 1980.
_OPPONENT = (np.array([[2, 3, 1], [2, 0, -2], [2, -3, 1]]) / np.sqrt([12, 18, 6])).astype(np.float32)


def detail_error(images: Float[Array, "n h w c"], others: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    """Compares how much detail of each kind is where in each pair of images, at least 8 x 8 pixels.

    The details are Haar's: the horizontal, vertical and diagonal difference within every 2 x 2 pixels, of the
    images and of these averaged down to a half and a quarter. In Gaussian windows of sigma 1.5 pixels their
    root mean squares are compared, as textures are by the energies of wavelet coefficients (J. Portilla,
    E. P. Simoncelli, A parametric texture model based on joint statistics of complex wavelet coefficients,
    Int. J. Computer Vision 40, 2000). So texture counts only with its own fineness and direction;
    `contrast_error` takes any, and dots are the cheapest. 0.01^2 is added as there. In colour images the
    brightness and two colour differences are compared: red, green and blue alone would allow coloured dots
    where there are grey ones. In squared units of the images' range, summed over the scales, the finest
    with a weight of 0.3.
    """
    if images.shape[3] == 3:
        images, others = images @ _OPPONENT, others @ _OPPONENT
    total = jnp.zeros(len(images), images.dtype)
    for weight in _SCALES:
        for detail, other in zip(_details(images), _details(others), strict=True):
            difference = _root_mean_square(detail) - _root_mean_square(other)
            total += weight / 3 * jnp.mean(jnp.square(difference), axis=(1, 2, 3))
        images, others = _halved(images), _halved(others)
    return total


def _details(images: Float[Array, "n h w c"]) -> list[Float[Array, "n h-1 w-1 c"]]:
    a, b = images[:, :-1, :-1], images[:, :-1, 1:]
    c, d = images[:, 1:, :-1], images[:, 1:, 1:]
    return [(a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]


def _root_mean_square(detail: Float[Array, "n h w c"]) -> Float[Array, "n r s c"]:
    rows, columns = (jnp.asarray(_window_matrix(side)) for side in detail.shape[1:3])
    mean = jnp.einsum("rh,nhwc,sw->nrsc", rows, jnp.square(detail), columns)
    return jnp.sqrt(mean + 0.01**2)


def _halved(images: Float[Array, "n h w c"]) -> Float[Array, "n h//2 w//2 c"]:
    """Averages of 2 x 2 pixels; an odd last row or column is left out."""
    n, h, w, c = images.shape
    even = images[:, : h // 2 * 2, : w // 2 * 2]
    return jnp.mean(even.reshape(n, h // 2, 2, w // 2, 2, c), axis=(2, 4))


@cache
def _window_matrix(side: int) -> np.ndarray:
    """Gaussian windows about every second place, cut off at the edges, as a matrix (side / 2, side)."""
    places = np.arange(side)
    window = np.exp(-((places[1::2, None] - places) ** 2) / (2 * _WINDOW**2))
    return (window / window.sum(axis=1, keepdims=True)).astype(np.float32)


def _blur(images: Float[Array, "n h w c"]) -> Float[Array, "n r s c"]:
    """Weighted mean in the Gaussian window at all its places within the image."""
    rows, columns = (jnp.asarray(_blur_matrix(side)) for side in images.shape[1:3])
    # Variances are small differences of such means: in TensorFloat-32 little would be left of them.
    return jnp.einsum("rh,nhwc,sw->nrsc", rows, images, columns, precision="highest")


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
        config: its `loss` and the weight of that loss are used.
    """
    output = jax.nn.sigmoid(logits)
    mse = squared_error(images, output)
    if config.loss == "bce":
        return cross_entropy(images, logits), mse
    if config.loss == "mse+ssim":
        return mse + config.ssim_weight * (1 - ssim(images, output)) / 2, mse
    if config.loss == "mse+contrast":
        return mse + config.contrast_weight * contrast_error(images, output), mse
    if config.loss == "mse+detail":
        return mse + config.detail_weight * detail_error(images, output), mse
    return mse, mse
