import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxlatent.autoencoder import TrainConfig
from jaxlatent.autoencoder.losses import cross_entropy, reconstruction_losses, squared_error, ssim

KEYS = jax.random.split(jax.random.key(0), 2)
IMAGES = jax.random.uniform(KEYS[0], (3, 16, 20, 3))
LOGITS = 3 * jax.random.normal(KEYS[1], (3, 16, 20, 3))


def ssim_by_windows(a, b):
    """The definition, window by window, in float64."""
    g = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(g, g) / np.outer(g, g).sum()
    values = []
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            m, k = (window * p).sum(), (window * q).sum()
            v, w = (window * (p - m) ** 2).sum(), (window * (q - k) ** 2).sum()
            c = (window * (p - m) * (q - k)).sum()
            values.append((2 * m * k + 1e-4) * (2 * c + 9e-4) / ((m**2 + k**2 + 1e-4) * (v + w + 9e-4)))
    return np.mean(values)


def test_ssim_equals_its_definition():
    noisy = jnp.clip(IMAGES + 0.1 * LOGITS, 0, 1)
    a, b = np.asarray(IMAGES, np.float64), np.asarray(noisy, np.float64)
    expected = [
        np.mean([ssim_by_windows(p[..., c], q[..., c]) for c in range(3)]) for p, q in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(ssim(IMAGES, noisy), expected, atol=1e-5)


def test_ssim_of_an_image_with_itself_is_one():
    np.testing.assert_allclose(ssim(IMAGES, IMAGES), 1, atol=1e-5)


def test_cross_entropy_equals_optax_and_bears_large_logits():
    expected = optax.sigmoid_binary_cross_entropy(LOGITS, IMAGES).mean((1, 2, 3))
    np.testing.assert_allclose(cross_entropy(IMAGES, LOGITS), expected, rtol=1e-6)
    assert jnp.isfinite(cross_entropy(IMAGES, 1000 * LOGITS)).all()


@pytest.mark.parametrize("loss", ["mse", "bce", "mse+ssim"])
def test_the_configured_loss_is_used_and_mse_always_given(loss):
    output = jax.nn.sigmoid(LOGITS)
    mse = squared_error(IMAGES, output)
    expected = {
        "mse": mse,
        "bce": cross_entropy(IMAGES, LOGITS),
        "mse+ssim": mse + 0.3 * (1 - ssim(IMAGES, output)) / 2,
    }[loss]
    losses, errors = reconstruction_losses(IMAGES, LOGITS, TrainConfig(loss=loss, ssim_weight=0.3))
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    np.testing.assert_allclose(errors, np.mean((IMAGES - output) ** 2, (1, 2, 3)), rtol=1e-5)
