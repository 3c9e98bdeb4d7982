"""The decoder as the page runs it: its layers in words, its weights in one array of half floats.

`page/network.js` is the other half. Batch norm's running averages are part of the kernels here, as they do
not depend on the image.
"""

from typing import Any

import numpy as np
from flax import nnx
from jaxtyping import Float16

from jaxlatent.autoencoder.network import Autoencoder


def describe_decoder(model: Autoencoder) -> tuple[dict[str, Any], Float16[np.ndarray, " n"]]:
    """Gives what `page/network.js` needs to decode as the model does, up to rounding.

    Kernels are half floats, which moves a pixel of a trained network by 0.1 / 255 or less. One whose weights
    are too large or too small for that, and all vectors, are 32-bit floats: the bits of one number take two
    elements of the array.

    Args:
        model: of any configuration. The page computes in 32-bit floats for one of bfloat16, too.

    Returns:
        The description, of plain values, and the array, float16 (n,), little-endian. The description has
        what there is to know of the configuration, and `layers`, from the latent vector to the image. A layer
        has its `name`; the `channels` of its result; `kernel`, of shape (d, h * w * channels) or
        (s, s, channels in, channels out); `bias`; and with group norm a `norm` of `groups`, `epsilon`,
        `scale` and `bias`. For each of these there are its `shape`, its `dtype` (float16 or float32) and its
        `offset` in the array.

    Raises:
        ValueError: if a weight is not finite.
    """
    weights = _Weights()
    layers = []
    for name in ("from_latent", *model.up_names):
        layer = getattr(model, name)
        norm = getattr(layer, "norm", None)
        kernel, bias = _affine(getattr(layer, "conv", layer))
        if isinstance(norm, nnx.BatchNorm):
            kernel, bias = _with_averages(kernel, bias, norm)
        described = {
            "name": name,
            "channels": model.config.filters[-1] if name == "from_latent" else bias.size,
            "kernel": weights.add(f"{name}.kernel", kernel),
            "bias": weights.add(f"{name}.bias", bias),
        }
        if isinstance(norm, nnx.GroupNorm):
            described["norm"] = {
                "groups": norm.num_groups,
                "epsilon": float(norm.epsilon),
                "scale": weights.add(f"{name}.norm.scale", _float64(norm.scale)),
                "bias": weights.add(f"{name}.norm.bias", _float64(norm.bias)),
            }
        layers.append(described)
    config = model.config
    description = {
        "image_shape": list(config.image_shape),
        "innermost": list(config.innermost),
        "latent_dim": config.latent_dim,
        "kernel_size": config.kernel_size,
        "activation": config.activation,
        "layers": layers,
    }
    return description, np.concatenate(weights.parts)


def _float64(parameter: Any) -> np.ndarray:
    return np.asarray(parameter[...], np.float64)


def _affine(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (..., inputs, outputs) and bias."""
    kernel = _float64(layer.kernel)
    # A transposed convolution's has the layout of the strided one.
    return kernel.swapaxes(-1, -2) if kernel.ndim == 4 else kernel, _float64(layer.bias)


def _with_averages(
    kernel: np.ndarray, bias: np.ndarray, norm: nnx.BatchNorm
) -> tuple[np.ndarray, np.ndarray]:
    """What batch norm by its running averages makes of a convolution, as a convolution."""
    mean, variance, scale, shift = map(_float64, (norm.mean, norm.var, norm.scale, norm.bias))
    with np.errstate(invalid="ignore"):  # found out below
        factor = scale / np.sqrt(variance + norm.epsilon)
        return kernel * factor, (bias - mean) * factor + shift


class _Weights:
    """Arrays one after the other, in elements of 16 bits."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []

    def add(self, name: str, array: np.ndarray) -> dict[str, Any]:
        """Adds an array in the shortest dtype that does, and says where it is."""
        if not (np.abs(array) <= np.finfo(np.float32).max).all():
            raise ValueError(f"model: expected finite weights, {name} has NaN or infinity; train it again")
        short = array.ndim > 1 and _fits_half(array)
        stored = array.astype("<f2" if short else "<f4")
        place = {
            "shape": list(array.shape),
            "dtype": "float16" if short else "float32",
            "offset": sum(part.size for part in self.parts),
        }
        self.parts.append(stored.reshape(-1).view("<f2"))
        return place


def _fits_half(kernel: np.ndarray) -> bool:
    """Whether all weights of each input, and of each output, keep the 11 bits of a half float on average.

    Half floats below 2^-14 have fewer, which matters only where there are no larger ones beside them.
    """
    with np.errstate(over="ignore"):
        error = np.abs(kernel.astype(np.float16) - kernel).reshape(-1, kernel.shape[-1])
    size = np.abs(kernel).reshape(error.shape)
    return all((error.sum(axis) <= 2**-11 * size.sum(axis)).all() for axis in (0, 1))
