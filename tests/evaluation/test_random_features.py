"""Features of random convolutions."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from jaxlatent.evaluation import random_features
from jaxlatent.evaluation.random_features import _kernels


def test_as_convolved_by_scipy():
    images = np.random.default_rng(0).integers(0, 256, (2, 17, 24, 3), np.uint8)
    found = np.asarray(random_features(images))
    assert found.shape == (2, 192)
    for image, responses in zip(images, found, strict=True):
        x, means = image / 255, []
        for kernel in _kernels(3):
            convolved = [
                signal.correlate(x, each, "valid")[::2, ::2, 0] for each in np.moveaxis(kernel, 3, 0)
            ]
            x = np.maximum(np.stack(convolved, axis=-1), 0)
            means.append(x.mean(axis=(0, 1)))
        np.testing.assert_allclose(responses, np.concatenate(means), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_alone_counts_for_nothing(channels):
    even = np.full((1, 64, 64, channels), 100, np.uint8)
    noise = np.random.default_rng(0).integers(0, 200, even.shape, np.uint8)
    assert np.asarray(random_features(even)).max() < 1e-5
    assert np.asarray(random_features(noise)).mean() > 0.01


def test_of_floats_and_of_bytes_alike():
    images = np.random.default_rng(0).integers(0, 256, (3, 17, 33, 1), np.uint8)
    floats = jnp.asarray(images, jnp.float32) / 255
    np.testing.assert_allclose(random_features(images), random_features(floats), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("as_without_type_checks")
def test_no_images():
    with pytest.raises(ValueError, match="images: expected shape"):
        random_features(np.zeros((3, 8, 8), np.uint8))
    for height, width in ((14, 20), (20, 14)):
        with pytest.raises(ValueError, match=f"sides of at least 15 pixels, got {height} x {width}"):
            random_features(np.zeros((3, height, width, 1), np.uint8))
    assert np.isfinite(random_features(np.zeros((3, 15, 15, 1), np.uint8))).all()
