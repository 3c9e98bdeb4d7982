"""The convolutional autoencoder: strided convolutions down, as many transposed ones up."""

import math
from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key, Shaped

from jaxlatent._boundary import is_traced, on_device
from jaxlatent._random import numpy_generator
from jaxlatent.autoencoder.config import AutoencoderConfig
from jaxlatent.autoencoder.conv import strided_conv, transposed_conv
from jaxlatent.autoencoder.padding import cropped, padded


def to_unit_range(images: Shaped[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Maps images to float32 in [0, 1]: uint8 by a factor, floating point as they are."""
    pixels = images.astype(jnp.float32)
    return pixels * jnp.float32(1 / 255) if images.dtype == jnp.uint8 else pixels


def _normal(key: Key[Array, ""], shape: Sequence[int], deviation: float) -> Float[Array, "..."]:
    """Normal weights, drawn by NumPy where the key is known, as JAX would compile for seconds."""
    # The dtype is said: JAX's default depends on jax_enable_x64, and a checkpoint must not.
    if is_traced(key):
        return deviation * jax.random.normal(key, shape, jnp.float32)
    numbers = numpy_generator(key).standard_normal(shape, np.float32)
    return on_device(np.float32(deviation) * numbers)


def _add_bias(x: Array, bias: Array) -> Array:
    """In float32: a bias's gradient is a sum over the pixels of a batch, too many numbers for bfloat16."""
    return (x.astype(jnp.float32) + bias).astype(x.dtype)


class _Linear(nnx.Module):
    """Product with a matrix, and a bias."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        # The second key, the bias's, is not needed; but a seed's first weights are to stay what they were.
        key, _ = rngs.params(), rngs.params()
        self.kernel = nnx.Param(_normal(key, (inputs, outputs), 1 / math.sqrt(inputs)))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(self, x: Array) -> Array:
        return _add_bias(x @ self.kernel[...].astype(x.dtype), self.bias[...])


class _Conv(nnx.Module):
    """Strided or transposed convolution with a bias; kernel (s, s, channels of x, channels of y)."""

    def __init__(
        self, inputs: int, outputs: int, size: int, *, transposed: bool, gain: float, rngs: nnx.Rngs
    ):
        self.transposed = transposed
        # Of a transposed kernel's taps, only every second row and column reaches a given pixel.
        fan_in = inputs * size**2 / (4 if transposed else 1)
        shape = (size, size, outputs, inputs) if transposed else (size, size, inputs, outputs)
        self.kernel = nnx.Param(_normal(rngs.params(), shape, gain / math.sqrt(fan_in)))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(self, x: Array) -> Array:
        conv = transposed_conv if self.transposed else strided_conv
        return _add_bias(conv(x, self.kernel[...].astype(x.dtype)), self.bias[...])


class _Block(nnx.Module):
    """Convolution, norm, activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        config: AutoencoderConfig,
        *,
        transposed: bool,
        rngs: nnx.Rngs,
    ):
        self.activation = config.activation
        self.conv = _Conv(
            inputs,
            outputs,
            config.kernel_size,
            transposed=transposed,
            gain=math.sqrt(2),
            rngs=rngs,
        )
        dtype = jnp.dtype(config.dtype)
        norm: nnx.BatchNorm | nnx.GroupNorm | None = None
        if config.norm == "batch":
            norm = nnx.BatchNorm(outputs, momentum=0.9, dtype=dtype, rngs=rngs)
        elif config.norm == "group":
            groups = outputs // math.gcd(outputs, 8)
            norm = nnx.GroupNorm(outputs, num_groups=groups, dtype=dtype, rngs=rngs)
        self.norm = norm

    def __call__(self, x: Array, *, train: bool) -> Array:
        x = self.conv(x)
        with jax.numpy_dtype_promotion("standard"):  # Flax takes the moments of bfloat16 in float32
            if isinstance(self.norm, nnx.BatchNorm):
                x = self.norm(x, use_running_average=not train)
            elif self.norm is not None:
                x = self.norm(x)
        return _activate(x, self.activation)


SLOPE = 0.1


@jax.custom_vjp
def _leaky_relu(x: Array) -> Array:
    """Keeps its result for the gradient, not its argument: the next layer keeps that in any case."""
    return jax.nn.leaky_relu(x, SLOPE)


_leaky_relu.defvjp(
    lambda x: (_leaky_relu(x),) * 2,
    lambda y, g: (jnp.where(y >= 0, g, SLOPE * g),),
)


def _activate(x: Array, name: str) -> Array:
    if name == "leaky_relu":
        return _leaky_relu(x)
    return {"relu": jax.nn.relu, "gelu": jax.nn.gelu, "silu": jax.nn.silu, "elu": jax.nn.elu}[name](x)


class Autoencoder(nnx.Module):
    """The network. `jaxlatent.encode` and `jaxlatent.decode` run it over any number of images.

    Attributes:
        config: its shape.
    """

    def __init__(self, config: AutoencoderConfig, *, rngs: nnx.Rngs):
        """Draws the weights: normal, of variance 2 / fan-in in front of an activation, else 1 / fan-in."""
        self.config = config
        widths = (config.channels, *config.filters)
        size = math.prod(config.innermost) * widths[-1]
        # By name, as lists of layers do not go through jax.export.
        for i, (fewer, more) in enumerate(pairwise(widths), 1):
            setattr(self, f"down{i}", _Block(fewer, more, config, transposed=False, rngs=rngs))
        self.to_latent = _Linear(size, config.latent_dim, rngs=rngs)
        if config.variational:
            self.to_log_variance = _Linear(size, config.latent_dim, rngs=rngs)
        self.from_latent = _Linear(config.latent_dim, size, rngs=rngs)
        for i in range(len(config.filters), 1, -1):
            block = _Block(widths[i], widths[i - 1], config, transposed=True, rngs=rngs)
            setattr(self, f"up{i}", block)
        self.up1 = _Conv(widths[1], widths[0], config.kernel_size, transposed=True, gain=1.0, rngs=rngs)

    @property
    def up_names(self) -> list[str]:
        """The names of the decoder's convolutions, from the innermost out."""
        return [f"up{i}" for i in range(len(self.config.filters), 0, -1)]

    def encode(self, images: Shaped[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n d"]:
        """Maps images, uint8 or float32 in [0, 1], to latent vectors, float32."""
        return self.to_latent(self._code(images, train)).astype(jnp.float32)

    def posterior(
        self, images: Shaped[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
        """Maps images to the means, as `encode`, and log variances of a VAE's latent vectors, float32."""
        code = self._code(images, train)
        mean, log_variance = self.to_latent(code), self.to_log_variance(code)
        return mean.astype(jnp.float32), log_variance.astype(jnp.float32)

    def _code(self, images: Shaped[Array, "n h w c"], train: bool) -> Float[Array, "n f"]:
        x = padded(to_unit_range(images), len(self.config.filters)).astype(self.config.dtype)
        for i in range(1, len(self.config.filters) + 1):
            x = getattr(self, f"down{i}")(x, train=train)
        return x.reshape(x.shape[0], -1)

    def decode_logits(self, z: Float[Array, " n *latent"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Maps latent vectors to images before the sigmoid, float32."""
        config = self.config
        x = self.from_latent(z.astype(config.dtype))
        x = _activate(x, config.activation).reshape(-1, *config.innermost, config.filters[-1])
        for name in self.up_names[:-1]:
            x = getattr(self, name)(x, train=train)
        height, width, _ = config.image_shape
        return cropped(self.up1(x).astype(jnp.float32), height, width)

    def decode(self, z: Float[Array, " n *latent"]) -> Float[Array, "n h w c"]:
        """Maps latent vectors to images, float32 in [0, 1]."""
        return jax.nn.sigmoid(self.decode_logits(z))


def make_autoencoder(key: Key[Array, ""], config: AutoencoderConfig) -> Autoencoder:
    """Draws an untrained network."""
    return Autoencoder(config, rngs=nnx.Rngs(params=key))
