import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxlatent.autoencoder import conv

DIMENSIONS = ("NHWC", "HWIO", "NHWC")
SHAPES = [(3, 8, 8, 3, 16), (5, 16, 12, 9, 10), (2, 4, 4, 12, 20), (1, 2, 2, 2, 3)]


def strided_reference(x, kernel):
    return lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=DIMENSIONS)


def transposed_reference(y, kernel):
    return lax.conv_transpose(y, kernel, (2, 2), "SAME", dimension_numbers=DIMENSIONS, transpose_kernel=True)


def draw(size, shape):
    n, height, width, c, o = shape
    keys = jax.random.split(jax.random.key(size), 3)
    x = jax.random.normal(keys[0], (n, height, width, c))
    kernel = jax.random.normal(keys[1], (size, size, c, o))
    y = jax.random.normal(keys[2], (n, height // 2, width // 2, o))
    return x, kernel, y


def assert_close(found, expected):
    assert found.dtype == expected.dtype
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [3, 4, 5])
def test_strided_conv_and_its_gradients_equal_lax(size, shape):
    x, kernel, g = draw(size, shape)
    found, pull = jax.vjp(conv.strided_conv, x, kernel)
    expected, pull_reference = jax.vjp(strided_reference, x, kernel)
    assert_close(found, expected)
    for a, b in zip(pull(g), pull_reference(g), strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [3, 4, 5])
def test_transposed_conv_and_its_gradients_equal_lax(size, shape):
    g, kernel, y = draw(size, shape)
    found, pull = jax.vjp(conv.transposed_conv, y, kernel)
    expected, pull_reference = jax.vjp(transposed_reference, y, kernel)
    assert_close(found, expected)
    for a, b in zip(pull(g), pull_reference(g), strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_the_maps_for_other_platforms_equal_those_for_the_cpu(size):
    x, kernel, y = draw(size, SHAPES[1])
    assert_close(conv._down_cpu(x, kernel), conv._down_xla(x, kernel))
    assert_close(conv._up_cpu(y, kernel), conv._up_xla(y, kernel))
    assert_close(conv._correlate_cpu(x, y, kernel), conv._correlate_xla(x, y, kernel))


@pytest.mark.parametrize("images", [1, 31, 32, 33, 70])
def test_weight_gradient_covers_every_image_whatever_the_blocks(images):
    # 64 output pixels an image: blocks of 32 images.
    x, kernel, y = draw(3, (images, 16, 16, 4, 5))
    assert_close(conv._correlate_cpu(x, y, kernel), conv._correlate_xla(x, y, kernel))


def test_bfloat16_stays_bfloat16_and_close():
    x, kernel, y = draw(4, SHAPES[1])
    halves = [a.astype(jnp.bfloat16) for a in (x, kernel, y)]
    found, pull = jax.vjp(conv.strided_conv, halves[0], halves[1])
    expected, pull_reference = jax.vjp(strided_reference, x, kernel)
    gradients = pull(halves[2])
    for a, b in zip((found, *gradients), (expected, *pull_reference(y)), strict=True):
        assert a.dtype == jnp.bfloat16
        scale = float(jnp.abs(b).max())
        np.testing.assert_allclose(a.astype(jnp.float32), b, rtol=0, atol=0.03 * scale)


def test_lowers_for_other_platforms_to_one_plain_convolution():
    x, kernel, _ = draw(3, SHAPES[0])
    exported = jax.export.export(jax.jit(conv.strided_conv), platforms=["cuda"])(x, kernel)
    text = exported.mlir_module()
    assert text.count("stablehlo.convolution") == 1
    assert "stride = [2, 2]" in text
