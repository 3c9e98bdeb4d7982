import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxlatent.autoencoder import TrainConfig
from jaxlatent.autoencoder.config import LOSSES
from jaxlatent.autoencoder.losses import (
    contrast_error,
    cross_entropy,
    detail_error,
    reconstruction_losses,
    squared_error,
    ssim,
)

KEYS = jax.random.split(jax.random.key(0), 2)
IMAGES = jax.random.uniform(KEYS[0], (3, 16, 20, 3))
LOGITS = 3 * jax.random.normal(KEYS[1], (3, 16, 20, 3))


def ssim_by_definition(m, k, v, w, c):
    return (2 * m * k + 1e-4) * (2 * c + 9e-4) / ((m**2 + k**2 + 1e-4) * (v + w + 9e-4))


def contrast_by_definition(m, k, v, w, c):
    return (np.sqrt(v + 1e-4) - np.sqrt(w + 1e-4)) ** 2


def by_windows(definition, a, b):
    """The mean over windows of what a definition makes of their moments, window by window, in float64."""
    g = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = (np.outer(g, g) / np.outer(g, g).sum())[..., None]
    values = []
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            m, k = (window * p).sum((0, 1)), (window * q).sum((0, 1))
            v, w = (window * (p - m) ** 2).sum((0, 1)), (window * (q - k) ** 2).sum((0, 1))
            c = (window * (p - m) * (q - k)).sum((0, 1))
            values.append(definition(m, k, v, w, c))
    return np.mean(values)


@pytest.mark.parametrize(
    ("measure", "definition"), [(ssim, ssim_by_definition), (contrast_error, contrast_by_definition)]
)
def test_equals_its_definition(measure, definition):
    noisy = jnp.clip(IMAGES + 0.1 * LOGITS, 0, 1)
    a, b = np.asarray(IMAGES, np.float64), np.asarray(noisy, np.float64)
    expected = [by_windows(definition, p, q) for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(measure(IMAGES, noisy), expected, rtol=2e-4, atol=1e-6)


def test_ssim_of_an_image_with_itself_is_one():
    np.testing.assert_allclose(ssim(IMAGES, IMAGES), 1, atol=1e-5)


def test_contrast_does_not_mind_where_structure_lies_but_whether_it_is_there():
    np.testing.assert_array_equal(contrast_error(IMAGES, IMAGES), 0)
    faded = 0.5 + 0.5 * (IMAGES - 0.5)
    inverted = 1 - IMAGES
    assert (contrast_error(IMAGES, faded) > 100 * contrast_error(IMAGES, inverted)).all()
    assert (squared_error(IMAGES, faded) < squared_error(IMAGES, inverted)).all()


def test_gradient_of_contrast_is_finite_where_images_are_flat():
    flat = jnp.full_like(IMAGES, 0.7)
    assert jnp.isfinite(jax.grad(lambda x: contrast_error(IMAGES, x).sum())(flat)).all()


def details_by_definition(image):
    """The details of an image (h, w, c) in float64, one array (h - 1, w - 1, c) for each direction."""
    kernels = np.array([[[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]) / 2
    views = np.lib.stride_tricks.sliding_window_view(image, (2, 2), axis=(0, 1))
    return [np.einsum("hwcij,ij->hwc", views, kernel) for kernel in kernels]


def strength_by_definition(detail):
    """Root mean squares in Gaussian windows about every second place, window by window."""
    h, w, _ = detail.shape
    places = np.mgrid[:h, :w]
    result = []
    for centre in np.ndindex(h // 2, w // 2):
        away = places - (2 * np.array(centre) + 1)[:, None, None]
        window = np.exp(-np.sum(away**2, axis=0) / (2 * 1.5**2))[..., None]
        result.append(np.sqrt((window * detail**2).sum((0, 1)) / window.sum() + 1e-4))
    return np.array(result)


def opponent(image):
    red, green, blue = np.moveaxis(image, 2, 0)
    brightness, difference = (red + green + blue) / 3**0.5, (red - blue) / 2**0.5
    return np.stack([brightness, difference, (red - 2 * green + blue) / 6**0.5], axis=2)


def test_detail_error_equals_its_definition():
    expected = []
    for a, b in zip(
        np.asarray(IMAGES, np.float64), np.asarray(jax.nn.sigmoid(LOGITS), np.float64), strict=True
    ):
        a, b = opponent(a), opponent(b)
        total = 0
        for weight in (0.3, 1, 1):
            strengths = ([strength_by_definition(x) for x in details_by_definition(y)] for y in (a, b))
            total += weight * np.mean(np.square(np.subtract(*strengths)))
            a, b = (x[: len(x) // 2 * 2, : x.shape[1] // 2 * 2] for x in (a, b))
            a, b = ((x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4 for x in (a, b))
        expected.append(total)
    np.testing.assert_allclose(detail_error(IMAGES, jax.nn.sigmoid(LOGITS)), expected, rtol=1e-4)


def test_detail_counts_by_its_direction_and_fineness_where_contrast_does_not():
    noise = np.random.default_rng(0).normal(size=(3, 64, 64, 1))
    across = sum(np.roll(noise, shift, axis=2) for shift in range(4)) / 4
    again, *others = across[1:2], across[:1].swapaxes(1, 2), noise[2:] / 2
    first, again, *others = (jnp.asarray(0.5 + 0.1 * x, jnp.float32) for x in (across[:1], again, *others))
    for other in others:
        assert detail_error(first, other) > 2 * detail_error(first, again)
        assert contrast_error(first, other) < 1.5 * contrast_error(first, again)


@pytest.mark.parametrize("shape", [(2, 17, 30, 1), (2, 16, 16, 3)], ids=str)
def test_detail_error_of_small_and_odd_sizes_is_zero_for_equal_images(shape):
    images = jnp.ones(shape) * jnp.linspace(0, 1, shape[2])[:, None]
    np.testing.assert_array_equal(detail_error(images, images), 0)
    flat = jnp.full(shape, 0.7)
    assert jnp.isfinite(jax.grad(lambda x: detail_error(images, x).sum())(flat)).all()


def test_cross_entropy_equals_optax_and_bears_large_logits():
    expected = optax.sigmoid_binary_cross_entropy(LOGITS, IMAGES).mean((1, 2, 3))
    np.testing.assert_allclose(cross_entropy(IMAGES, LOGITS), expected, rtol=1e-6)
    assert jnp.isfinite(cross_entropy(IMAGES, 1000 * LOGITS)).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_configured_loss_is_used_and_mse_always_given(loss):
    output = jax.nn.sigmoid(LOGITS)
    mse = squared_error(IMAGES, output)
    expected = {
        "mse": mse,
        "bce": cross_entropy(IMAGES, LOGITS),
        "mse+ssim": mse + 0.3 * (1 - ssim(IMAGES, output)) / 2,
        "mse+contrast": mse + 2.0 * contrast_error(IMAGES, output),
        "mse+detail": mse + 4.0 * detail_error(IMAGES, output),
    }[loss]
    train = TrainConfig(loss=loss, ssim_weight=0.3, contrast_weight=2.0, detail_weight=4.0)
    losses, errors = reconstruction_losses(IMAGES, LOGITS, train)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    np.testing.assert_allclose(errors, np.mean((IMAGES - output) ** 2, (1, 2, 3)), rtol=1e-5)
