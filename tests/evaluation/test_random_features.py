"""Features of random convolutions."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from jaxlatent.evaluation import random_features
from jaxlatent.evaluation.random_features import _kernels


def test_as_convolved_by_scipy():
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 8, 3), np.uint8)
    found = np.asarray(random_features(images))
    for image, responses in zip(images, found, strict=True):
        x, means = image / 255, []
        for kernel in _kernels(3):
            # SAME of a stride of 2 over an even side pads the end alone: correlate, then take every second.
            padded = np.pad(x, ((0, x.shape[0] % 2 + 1), (0, x.shape[1] % 2 + 1), (0, 0)))
            if x.shape[0] % 2:
                padded = np.pad(x, ((1, 1), (0, 0), (0, 0)))
                padded = np.pad(padded, ((0, 0), (0 + x.shape[1] % 2, 1), (0, 0)))
            full = [
                sum(
                    signal.correlate2d(padded[..., c], kernel[..., c, o], "valid")
                    for c in range(kernel.shape[2])
                )
                for o in range(kernel.shape[3])
            ]
            x = np.maximum(np.stack(full, axis=-1)[::2, ::2], 0)
            means.append(x.mean(axis=(0, 1)))
        np.testing.assert_allclose(responses, np.concatenate(means), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_alone_counts_for_nothing_inside(channels):
    """Only the border, which the padding makes, answers to an even image."""
    shape = (1, 64, 64, channels)
    grey = np.asarray(random_features(np.full(shape, 100, np.uint8)))[:, :32]
    noise = np.random.default_rng(0).integers(0, 200, shape, np.uint8)
    assert grey.mean() < 0.05 * np.asarray(random_features(noise))[:, :32].mean()


def test_of_floats_and_of_bytes_alike():
    images = np.random.default_rng(0).integers(0, 256, (3, 17, 33, 1), np.uint8)
    floats = jnp.asarray(images, jnp.float32) / 255
    np.testing.assert_allclose(random_features(images), random_features(floats), rtol=1e-5, atol=1e-6)


def test_no_images():
    with pytest.raises(ValueError, match="images: expected shape"):
        random_features(np.zeros((3, 8, 8), np.uint8))
