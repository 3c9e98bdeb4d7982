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

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

# Numbers in the patches of one matrix product in `_correlate_cpu`: two megabytes, as the cache holds
# (measured: 2^16 to 2^20 on AVX-512 cores).
_PATCH_NUMBERS = 2**19

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


def same_padding(size: int) -> tuple[int, int]:
    """Padding SAME of a kernel of `size` at stride 2 for even sides: before, after."""
    return (size - 2) // 2, (size - 1) // 2


def _down_xla(x: Array, kernel: Array) -> Array:
    pads = (same_padding(kernel.shape[0]),) * 2
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
    before, after = same_padding(size)
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
    before, _ = same_padding(size)
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
    before, _ = same_padding(size)
    window = -(-(size + before) // 2)
    fill = (before, 2 * window - size - before)
    taps = jnp.pad(kernel, (fill, fill, (0, 0), (0, 0))).reshape(window, 2, window, 2, c, o)
    taps = taps[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4).reshape(window, window, o, 4 * c)
    pads = ((window - 1 - before, before),) * 2
    return lax.conv_general_dilated(y, taps, (1, 1), pads, dimension_numbers=_DIMENSIONS)


def _correlate_cpu(x: Array, y: Array, kernel: Array) -> Array:
    """One matrix product of all taps' pixels with y, over blocks of images that fit the cache."""
    size, _, c, o = kernel.shape
    n, h, w, _ = y.shape
    most = max(1, _PATCH_NUMBERS // (h * w * size**2 * c))
    # A divisor, as cutting off a remainder would copy both arrays.
    block = next(b for b in range(min(n, most), 0, -1) if n % b == 0)

    def add(total: Array, xy: tuple[Array, Array]) -> tuple[Array, None]:
        x, y = xy
        pixels = _patches(x, size).reshape(-1, size**2 * c)
        rows = (((0,), (0,)), ((), ()))
        product = lax.dot_general(y.reshape(-1, o), pixels, rows, preferred_element_type=jnp.float32)
        return total + product, None

    blocks = (x.reshape(-1, block, *x.shape[1:]), y.reshape(-1, block, *y.shape[1:]))
    total, _ = lax.scan(add, jnp.zeros((o, size**2 * c), jnp.float32), blocks)
    return total.reshape(o, size, size, c).transpose(1, 2, 3, 0).astype(kernel.dtype)


def _patches(x: Array, size: int) -> Array:
    """The pixels that the taps see at each place of y, (n, h, w, size * size * c), rows of taps first.

    Neighbouring pixels are kept together as pairs, so that what is copied comes in longer pieces.
    """
    n, H, W, c = x.shape
    h, w = H // 2, W // 2
    before, _ = same_padding(size)
    front = before + before % 2
    windows = -(-(front - before + size) // 2)
    pads = (front, 2 * (windows - 1) - front, 0)
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), pads, pads, (0, 0, 0)))
    x = x.reshape(n, h + windows - 1, 2, w + windows - 1, 2 * c)
    pieces = []
    for tap in range(size):
        row, parity = divmod(tap + front - before, 2)
        for pair in range(windows):
            first = max(0, front - before - 2 * pair)
            last = min(2, front - before + size - 2 * pair)
            pieces.append(x[:, row : row + h, parity, pair : pair + w, first * c : last * c])
    return jnp.concatenate(pieces, axis=-1)
