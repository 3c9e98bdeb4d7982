"""First weights that make the network nearly the principal component analysis of the images.

From random weights, Adam needs many epochs for what PCA has at once: the directions in which images differ
least have the smallest gradients. So the network starts as a linear map close to PCA, and learns what a
linear map cannot do.

Two channels with opposite weights carry one value through the activation a: a(x) - a(-x) = g x, with a gain g
of 1 for relu, gelu and silu, and of 1.1 for leaky_relu. So a convolution of stride 2 can be the PCA of the
blocks of 2 x 2 pixels of its input, with half as many components as it has channels, and the transposed one
the way back. The linear layer is the PCA of what the last convolution gives. The way back is fitted, by least
squares, to the logits of the images, as a sigmoid follows.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32, Shaped
from scipy.linalg import eigh

from jaxlatent._boundary import on_device
from jaxlatent._rows import Rows
from jaxlatent.autoencoder.conv import same_padding
from jaxlatent.autoencoder.network import SLOPE, Autoencoder, to_unit_range
from jaxlatent.autoencoder.padding import padded

# Images that are looked at, and those of them that the PCA of blocks is made of, which are many blocks.
_IMAGES, _IMAGES_OF_BLOCKS = 4096, 256
# The logits of black and white are infinite, and near them they count for little after the sigmoid.
_BLACK = 0.05
# Standard deviation of a component, in units of the pixels' range, below which it is only rounding.
_INVISIBLE = 1e-3


class _Blocks(NamedTuple):
    """The PCA of blocks of 2 x 2 pixels."""

    mean: Float32[np.ndarray, " c"]
    components: Float32[np.ndarray, "2 2 c k"]

    @classmethod
    def fit(cls, x: Float32[np.ndarray, "n h w c"], most: int) -> "_Blocks":
        """Of at most so many components."""
        mean = x.mean(axis=(0, 1, 2))
        blocks = _cut(x - mean).reshape(-1, 4 * len(mean))
        components = eigh(blocks.T @ blocks)[1][:, ::-1][:, :most]
        return cls(mean, components.reshape(2, 2, len(mean), -1))

    def transform(self, x: Float32[np.ndarray, "n h w c"]) -> Float32[np.ndarray, "n h//2 w//2 k"]:
        """Gives each block's components."""
        return _cut(x - self.mean) @ self.components.reshape(-1, self.components.shape[3])


def _cut(x: np.ndarray) -> np.ndarray:
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def start_as_pca(
    model: Autoencoder, images: Shaped[Array | np.ndarray | Rows, "n h w c"], rng: np.random.Generator
) -> None:
    """Changes a network's weights, so that it reconstructs images about as well as PCA does.

    Channels that are not needed for it keep the weights that they have.

    Args:
        model: with norm none and another activation than elu.
        images: uint8 or in [0, 1]; 4,096 are looked at, evenly taken.
        rng: for a rotation of the latent vectors, so that each number of them has a share in all components.

    Raises:
        ValueError: if the network has a norm, or elu.
    """
    config = model.config
    if config.norm != "none" or config.activation == "elu":
        raise ValueError(
            "init: pca needs a network without norm and with another activation than elu, got "
            f"{config.norm} and {config.activation}; take init random"
        )
    filters = config.filters
    gain = 1 + SLOPE if config.activation == "leaky_relu" else 1.0
    numbers = np.linspace(0, len(images) - 1, min(len(images), _IMAGES)).astype(np.int64)
    parts = [images[rows] for rows in np.array_split(numbers, -(-len(numbers) // _IMAGES_OF_BLOCKS))]
    pixels, logits = _as_numbers(parts[0], len(filters))
    down, up = _stages(pixels, filters), _stages(logits, filters)
    for i, (stage, back) in enumerate(zip(down, up, strict=True), 1):
        inner = i > 1  # what is outside of the network comes in no pairs
        kernel = _pairs(stage.components / gain, 2) if inner else stage.components
        bias = -np.einsum("c,hwck->k", stage.mean, stage.components)
        _set_conv(getattr(model, f"down{i}").conv, _pairs(kernel, 3), _pairs(bias, 0))
        kernel = _pairs(back.components / gain, 3)
        layer = getattr(model, f"up{i}")
        if inner:
            _set_conv(layer.conv, _pairs(kernel, 2), _pairs(back.mean, 0))
        else:
            _set_conv(layer, kernel, back.mean)
    coded = [_code(part, down, up) for part in parts]
    code, wanted = (np.concatenate(both) for both in zip(*coded, strict=True))
    _set_linear(model, code, wanted, gain, rng)


def _as_numbers(images: Any, halvings: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in [0, 1], and their logits."""
    pixels = np.asarray(padded(to_unit_range(jnp.asarray(images)), halvings))
    inner = np.clip(pixels, _BLACK, 1 - _BLACK)
    return pixels, np.log(inner / (1 - inner))


def _stages(x: np.ndarray, filters: Sequence[int]) -> list[_Blocks]:
    stages = []
    for channels in filters:
        stages.append(_Blocks.fit(x, channels // 2))
        x = stages[-1].transform(x)
    return stages


def _code(images: Any, down: Iterable[_Blocks], up: Sequence[_Blocks]) -> tuple[np.ndarray, np.ndarray]:
    """What the convolutions give, and what the transposed ones are to be given, (n, h, w, k) each."""
    code, wanted = _as_numbers(images, len(up))
    for stage, back in zip(down, up, strict=True):
        code, wanted = stage.transform(code), back.transform(wanted)
    return code, wanted


def _set_linear(
    model: Autoencoder, code: np.ndarray, wanted: np.ndarray, gain: float, rng: np.random.Generator
) -> None:
    """Fits the linear layers."""
    d, n = model.config.latent_dim, len(code)
    mean, offset = code.mean(axis=0), wanted.mean(axis=0)
    code, wanted = (code - mean).reshape(n, -1), (wanted - offset).reshape(n, -1)
    size = code.shape[1]
    values, axes = eigh(code.T @ code / n, subset_by_index=(max(0, size - d), size - 1))
    deviations = np.sqrt(np.maximum(values, _INVISIBLE**2))
    # Half-way to equal deviations: the first does not outweigh all others, nor are the last blown up.
    scale = np.sqrt(deviations.mean() / deviations)
    rotation = np.linalg.qr(rng.standard_normal((d, len(scale))))[0].T
    into = (axes * scale) @ rotation
    back = rotation.T @ ((code @ axes / (n * deviations**2 * scale)).T @ wanted)
    kernel = _pairs(into.reshape(*mean.shape, d) / gain, 2)
    inner = (*mean.shape[:2], model.config.filters[-1])
    _put(model.to_latent.kernel, kernel, 3, (*inner, d))
    _put(model.to_latent.bias, -mean.reshape(-1) @ into, 0)
    _put(model.from_latent.kernel, _pairs(back.reshape(d, *offset.shape), 3), 3, (d, *inner))
    _put(model.from_latent.bias, _pairs(offset, 2), 2, inner)


def _pairs(values: np.ndarray, axis: int) -> np.ndarray:
    """Each value, and after it the opposite one, along an axis."""
    shape = (*values.shape[:axis], -1, *values.shape[axis + 1 :])
    return np.stack([values, -values], axis=axis + 1).reshape(shape)


def _set_conv(layer: Any, kernel: Float32[np.ndarray, "2 2 c k"], bias: np.ndarray) -> None:
    """Sets the taps that see a block."""
    size = layer.kernel.shape[0]
    before, after = same_padding(size)[0], size - 2 - same_padding(size)[0]
    whole = np.pad(kernel, ((before, after), (before, after), (0, 0), (0, 0)))
    _put(layer.kernel, whole, 2 if layer.transposed else 3)
    _put(layer.bias, bias, 0)


def _put(parameter: nnx.Param, part: np.ndarray, axis: int, shape: tuple[int, ...] | None = None) -> None:
    """Writes the first values of a parameter of this shape; others of the same outputs (`axis`) become 0."""
    values = np.array(parameter[...]).reshape(shape or parameter.shape)
    values[(slice(None),) * axis + (slice(part.shape[axis]),)] = 0
    values[tuple(slice(length) for length in part.shape)] = part
    parameter[...] = on_device(values.reshape(parameter.shape))
