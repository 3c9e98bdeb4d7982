"""Convolutions of stride 2 and their transposes, with gradients that are quick on a CPU too.

Three linear maps make up both layers and all their gradients. For an image x (n, 2h, 2w, c), a kernel
k (s, s, c, o) and a map y (n, h, w, o) of half the size:

    down(x, k) -> y     the convolution of stride 2
    up(y, k) -> x       its adjoint in x: the transposed convolution
    correlate(x, y) -> k  its adjoint in k

The strided layer is `down`, with the gradients `up` and `correlate`; the transposed layer is `up`, with
the gradients `down` and `correlate`. XLA's own gradients of `lax.conv_transpose`, and to a lesser degree
of the strided convolution, are many times slower than a matrix product of the same size on CPUs, so there
each map is written for what XLA does well: plain convolutions of stride 1 and matrix products. On other
platforms XLA's convolution and its transposes are used. Kernels have the same layout everywhere.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

# Rows of the matrix products in `_correlate_cpu`: the operands of one product then stay in the cache,
# and its memory is not mapped afresh (measured: 512 to 8192 on AVX-512 cores, 2048 being quickest).
_ROWS = 2048

# Up to this many channels a pixel is too short a vector for the inner loop of a convolution.
_FEW_CHANNELS = 8

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


@jax.custom_vjp
def strided_conv(x: Float[Array, "n H W c"], kernel: Float[Array, "s s c o"]) -> Float[Array, "n h w o"]:
    """Convolves with stride 2 and padding SAME; H and W are even, h = H / 2, w = W / 2.

    Equals `lax.conv_general_dilated(x, kernel, (2, 2), "SAME")` for channels-last arrays.
    """
    return _down(x, kernel)


strided_conv.defvjp(
    lambda x, kernel: (_down(x, kernel), (x, kernel)),
    lambda saved, g: (_up(g, saved[1]), _correlate(saved[0], g, saved[1])),
)


@jax.custom_vjp
def transposed_conv(y: Float[Array, "n h w o"], kernel: Float[Array, "s s c o"]) -> Float[Array, "n H W c"]:
    """Applies the adjoint of `strided_conv`: H = 2 h, W = 2 w.

    Equals `lax.conv_transpose(y, kernel, (2, 2), "SAME", transpose_kernel=True)`. The kernel has the
    layout of the strided convolution that it transposes, (s, s, channels out, channels in).
    """
    return _up(y, kernel)


transposed_conv.defvjp(
    lambda y, kernel: (_up(y, kernel), (y, kernel)),
    lambda saved, g: (_down(g, saved[1]), _correlate(g, saved[0], saved[1])),
)


def _down(x: Array, kernel: Array) -> Array:
    return lax.platform_dependent(x, kernel, cpu=_down_cpu, default=_down_xla)


def _up(y: Array, kernel: Array) -> Array:
    return lax.platform_dependent(y, kernel, cpu=_up_cpu, default=_up_xla)


def _correlate(x: Array, y: Array, kernel: Array) -> Array:
    return lax.platform_dependent(x, y, kernel, cpu=_correlate_cpu, default=_correlate_xla)


def _padding(size: int) -> tuple[int, int]:
    """Padding SAME of a kernel of `size` at stride 2 for even sides: before, after."""
    return (size - 2) // 2, (size - 1) // 2


def _down_xla(x: Array, kernel: Array) -> Array:
    pads = (_padding(kernel.shape[0]),) * 2
    return lax.conv_general_dilated(x, kernel, (2, 2), pads, dimension_numbers=_DIMENSIONS)


def _up_xla(y: Array, kernel: Array) -> Array:
    n, h, w, _ = y.shape
    x = jax.ShapeDtypeStruct((n, 2 * h, 2 * w, kernel.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: _down_xla(x, kernel), x)(y)[0]


def _correlate_xla(x: Array, y: Array, kernel: Array) -> Array:
    return jax.linear_transpose(lambda k: _down_xla(x, k), kernel)(y)[0]


def _down_cpu(x: Array, kernel: Array) -> Array:
    if x.shape[-1] > _FEW_CHANNELS:
        return _down_xla(x, kernel)
    # Two neighbouring pixels become one of twice the channels, which is a reshape without a copy.
    n, H, W, c = x.shape
    size = kernel.shape[0]
    before, after = _padding(size)
    pairs = -(-size // 2)
    if before:
        x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (0, 0, 0), (before, before, 0), (0, 0, 0)))
    x = x.reshape(n, H, W // 2 + before, 2 * c)
    kernel = jnp.pad(kernel, ((0, 0), (0, 2 * pairs - size), (0, 0), (0, 0)))
    kernel = kernel.reshape(size, pairs, 2 * c, -1)
    pads = ((before, after), (0, pairs - 1 - before))
    return lax.conv_general_dilated(x, kernel, (2, 1), pads, dimension_numbers=_DIMENSIONS)


def _up_cpu(y: Array, kernel: Array) -> Array:
    """Sorts the pixels of x by the parity of row and column: each class is a plain convolution of y."""
    n, h, w, _ = y.shape
    c = kernel.shape[2]
    if c <= _FEW_CHANNELS:
        x = _up_merged(y, kernel).reshape(n, h, w, 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    else:
        rows = [jnp.stack([_up_class(y, kernel, p, q) for q in (0, 1)], axis=3) for p in (0, 1)]
        x = jnp.stack(rows, axis=2)
    return x.reshape(n, 2 * h, 2 * w, c)


def _up_class(y: Array, kernel: Array, p: int, q: int) -> Array:
    """Gives the pixels x[2i + p, 2j + q], (n, h, w, c).

    With b rows of padding before, y[i] reads x[2i + s - b] through tap s, so x[2i + p] gathers
    y[i + (p + b - s) / 2] over the taps s with an even numerator.
    """
    size = kernel.shape[0]
    before, _ = _padding(size)
    pads = []
    for parity in (p, q):
        first = (before + parity) % 2
        last = size - 1 - (size - 1 - first) % 2
        pads.append(((last - before - parity) // 2, (parity + before - first) // 2))
    taps = kernel[(before + p) % 2 :: 2, (before + q) % 2 :: 2][::-1, ::-1].swapaxes(2, 3)
    return lax.conv_general_dilated(y, taps, (1, 1), pads, dimension_numbers=_DIMENSIONS)


def _up_merged(y: Array, kernel: Array) -> Array:
    """Gives all four classes at once, (n, h, w, 4c): wasteful in products, but with longer vectors."""
    size, _, c, o = kernel.shape
    before, _ = _padding(size)
    window = -(-(size + before) // 2)
    fill = (before, 2 * window - size - before)
    taps = jnp.pad(kernel, (fill, fill, (0, 0), (0, 0))).reshape(window, 2, window, 2, c, o)
    taps = taps[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4).reshape(window, window, o, 4 * c)
    pads = ((window - 1 - before, before),) * 2
    return lax.conv_general_dilated(y, taps, (1, 1), pads, dimension_numbers=_DIMENSIONS)


def _correlate_cpu(x: Array, y: Array, kernel: Array) -> Array:
    """One matrix product a tap, over blocks of images whose rows fit the cache."""
    size, _, c, o = kernel.shape
    n, h, w, _ = y.shape
    x = x.reshape(n, h, 2, w, 2, c)
    block = max(1, _ROWS // (h * w))
    whole = n // block * block

    def add(total: Array, xy: tuple[Array, Array]) -> tuple[Array, None]:
        return total + _correlate_block(*xy, size), None

    total = jnp.zeros((size, size, o, c), jnp.float32)
    if whole:
        blocks = [a[:whole].reshape(-1, block, *a.shape[1:]) for a in (x, y)]
        total, _ = lax.scan(add, total, (blocks[0], blocks[1]))
    if whole < n:
        total, _ = add(total, (x[whole:], y[whole:]))
    return total.swapaxes(2, 3).astype(kernel.dtype)


def _correlate_block(x: Array, y: Array, size: int) -> Array:
    c, o = x.shape[-1], y.shape[-1]
    products = []
    for x_rows, y_rows, p in _overlaps(size, y.shape[1]):
        for x_columns, y_columns, q in _overlaps(size, y.shape[2]):
            a = y[:, y_rows, y_columns].reshape(-1, o)
            b = x[:, x_rows, p, x_columns, q].reshape(-1, c)
            dot = lax.dot_general(a, b, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)
            products.append(dot)
    return jnp.stack(products).reshape(size, size, o, c)


def _overlaps(size: int, side: int) -> Iterator[tuple[slice, slice, int]]:
    """For each tap: the pixel pairs of x and the pixels of y that meet, and the pixel within its pair.

    Cutting both to where they overlap spares a padded copy of x.
    """
    before, _ = _padding(size)
    for tap in range(size):
        shift, parity = divmod(tap - before, 2)
        yield (
            slice(max(shift, 0), side + min(shift, 0)),
            slice(max(-shift, 0), side - max(shift, 0)),
            parity,
        )
