import functools

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


@functools.partial(jax.jit, static_argnums=0)  # one program instead of dozens
def with_gradients(function, x, kernel, g):
    """The function's value, and its gradients where its own is g."""
    value, pull = jax.vjp(function, x, kernel)
    return value, *pull(g)


def draw(size, shape):
    n, height, width, c, o = shape
    rng = np.random.default_rng(size)
    shapes = (n, height, width, c), (size, size, c, o), (n, height // 2, width // 2, o)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


def assert_close(found, expected):
    assert found.dtype == expected.dtype
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [3, 4, 5])
def test_strided_conv_and_its_gradients_equal_lax(size, shape):
    x, kernel, g = draw(size, shape)
    found = with_gradients(conv.strided_conv, x, kernel, g)
    expected = with_gradients(strided_reference, x, kernel, g)
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [3, 4, 5])
def test_transposed_conv_and_its_gradients_equal_lax(size, shape):
    g, kernel, y = draw(size, shape)
    found = with_gradients(conv.transposed_conv, y, kernel, g)
    expected = with_gradients(transposed_reference, y, kernel, g)
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_the_maps_for_other_platforms_equal_those_for_the_cpu(size):
    x, kernel, y = draw(size, SHAPES[1])
    for name, arguments in (("_down", (x, kernel)), ("_up", (y, kernel)), ("_correlate", (x, y, kernel))):
        cpu, xla = (jax.jit(getattr(conv, name + platform)) for platform in ("_cpu", "_xla"))
        assert_close(cpu(*arguments), xla(*arguments))


@pytest.mark.parametrize("images", [1, 31, 32, 33, 70])
def test_weight_gradient_covers_every_image_whatever_the_blocks(images):
    # 64 output pixels an image: blocks of 32 images.
    x, kernel, y = draw(3, (images, 16, 16, 4, 5))
    cpu, xla = jax.jit(conv._correlate_cpu), jax.jit(conv._correlate_xla)
    assert_close(cpu(x, y, kernel), xla(x, y, kernel))


def test_bfloat16_stays_bfloat16_and_close():
    x, kernel, y = draw(4, SHAPES[1])
    halves = [a.astype(jnp.bfloat16) for a in (x, kernel, y)]
    found = with_gradients(conv.strided_conv, *halves)
    expected = with_gradients(strided_reference, x, kernel, y)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == jnp.bfloat16
        scale = float(np.abs(b).max())
        np.testing.assert_allclose(a.astype(jnp.float32), b, rtol=0, atol=0.03 * scale)


def test_lowers_for_other_platforms_to_one_plain_convolution():
    x, kernel, _ = draw(3, SHAPES[0])
    exported = jax.export.export(jax.jit(conv.strided_conv), platforms=["cuda"])(x, kernel)
    text = exported.mlir_module()
    assert text.count("stablehlo.convolution") == 1
    assert "stride = [2, 2]" in text
