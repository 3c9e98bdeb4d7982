"""The convolutional autoencoder: four strided convolutions down, four transposed ones up."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key, Shaped

from jaxlatent._boundary import is_traced, on_device
from jaxlatent._random import numpy_generator
from jaxlatent.autoencoder.config import AutoencoderConfig
from jaxlatent.autoencoder.conv import strided_conv, transposed_conv


def to_unit_range(images: Shaped[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
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


_SLOPE = 0.1


@jax.custom_vjp
def _leaky_relu(x: Array) -> Array:
    """Keeps its result for the gradient, not its argument: the next layer keeps that in any case."""
    return jax.nn.leaky_relu(x, _SLOPE)


_leaky_relu.defvjp(
    lambda x: (_leaky_relu(x),) * 2,
    lambda y, g: (jnp.where(y >= 0, g, _SLOPE * g),),
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
        a, b, c, d = config.filters
        side = config.image_size // 16
        self.down1 = _Block(3, a, config, transposed=False, rngs=rngs)
        self.down2 = _Block(a, b, config, transposed=False, rngs=rngs)
        self.down3 = _Block(b, c, config, transposed=False, rngs=rngs)
        self.down4 = _Block(c, d, config, transposed=False, rngs=rngs)
        self.to_latent = _Linear(side * side * d, config.latent_dim, rngs=rngs)
        self.from_latent = _Linear(config.latent_dim, side * side * d, rngs=rngs)
        self.up4 = _Block(d, c, config, transposed=True, rngs=rngs)
        self.up3 = _Block(c, b, config, transposed=True, rngs=rngs)
        self.up2 = _Block(b, a, config, transposed=True, rngs=rngs)
        self.up1 = _Conv(a, 3, config.kernel_size, transposed=True, gain=1.0, rngs=rngs)

    def encode(self, images: Shaped[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n d"]:
        """Maps images, uint8 or float32 in [0, 1], to latent vectors, float32."""
        x = to_unit_range(images).astype(self.config.dtype)
        for block in (self.down1, self.down2, self.down3, self.down4):
            x = block(x, train=train)
        return self.to_latent(x.reshape(x.shape[0], -1)).astype(jnp.float32)

    def decode_logits(self, z: Float[Array, " n *latent"], *, train: bool = False) -> Float[Array, "n h w 3"]:
        """Maps latent vectors to images before the sigmoid, float32."""
        side = self.config.image_size // 16
        x = self.from_latent(z.astype(self.config.dtype))
        x = _activate(x, self.config.activation).reshape(-1, side, side, self.config.filters[3])
        for block in (self.up4, self.up3, self.up2):
            x = block(x, train=train)
        return self.up1(x).astype(jnp.float32)

    def decode(self, z: Float[Array, " n *latent"]) -> Float[Array, "n h w 3"]:
        """Maps latent vectors to images, float32 in [0, 1]."""
        return jax.nn.sigmoid(self.decode_logits(z))


def make_autoencoder(key: Key[Array, ""], config: AutoencoderConfig) -> Autoencoder:
    """Draws an untrained network."""
    return Autoencoder(config, rngs=nnx.Rngs(params=key))
