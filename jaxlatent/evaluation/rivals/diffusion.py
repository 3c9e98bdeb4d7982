"""A diffusion prior over latent vectors, as latent diffusion has it, with a small network."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

from jaxlatent._random import as_seed, numpy_generator, seed_key
from jaxlatent.evaluation.rivals.rival import Rival, split_off, whiten
from jaxlatent.evaluation.rivals.training import Budget, train
from jaxlatent.latent.sharded import Vectors

_WIDTH, _FREQUENCIES = 1024, 32
_LEARNING_RATE, _BATCH = 1e-3, 256
# Noise is log-normal in the training, in units of the z-points' root mean variance; in the draws it falls
# over this range, in so many steps of Heun's method, by EDM's rule.
_NOISE_MEAN, _NOISE_DEVIATION = 0.7, 1.2
_MOST_NOISE, _LEAST_NOISE, _STEPS, _RHO = 100.0, 0.01, 16, 7.0


class DiffusionRival(Rival):
    """The probability-flow ODE of a denoising network, from normal vectors to z-points.

    The pattern is EDM's (T. Karras et al., "Elucidating the design space of diffusion-based generative
    models", NeurIPS 2022): log-normal noise of equal variance in all directions of the latent space, so that
    the directions of large variance come forth first; preconditioning; Heun's method; and averaged weights.
    It differs in the frame: as the variance s_i^2 of each PCA component is known, each is preconditioned by
    its own. With t_i = arctan(sigma / s_i), the noisy component in units of its deviation is
    u_i = cos(t_i) y_i + sin(t_i) e_i, the network gives v_i = cos(t_i) e_i - sin(t_i) y_i, the loss weights
    it by (s_i sin t_i)^2, which is the squared error of the denoised latent vector, and the ODE is
    du_i = v_i dt_i (as the angles of C. Lu, Y. Song, "Simplifying, stabilizing and scaling continuous-time
    consistency models", ICLR 2025). A network that gives 0 draws the Gaussian of the z-points, exactly.

    `held_out` is the mean weighted squared error of the held-out z-points less that of the Gaussian, in parts
    of it; below 0 where it is better.
    """

    @classmethod
    def fit(
        cls, z: Float[Vectors, "n d"], *, budget: float = 60.0, steps: int | None = None, seed: int = 0
    ) -> "DiffusionRival":
        """Fits it to z-points.

        Args:
            z: floating point (n, d), n >= 20.
            budget: seconds of wall clock, compilation included, > 0. What is reached depends on the machine.
            steps: in place of the budget, for a fit that can be repeated, up to rounding.
            seed: of the weights, the batches and their noise.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        limits, seed = Budget(budget, steps), as_seed(seed)
        pca, y = whiten(z)
        data, held_out = split_off(y, np.random.default_rng(seed))
        deviation = np.sqrt(np.asarray(pca.explained_variance))
        deviation = jnp.asarray(deviation / np.sqrt(np.mean(np.square(deviation))))
        weights_key, key = jax.random.split(seed_key(seed))
        network = _Network(pca.n_components, rngs=nnx.Rngs(weights_key))
        structure, params = nnx.split(network)

        def velocity(params: Any, u: Array, sigma: Array) -> Array:
            angle = jnp.arctan(sigma[:, None] / deviation)
            # The mean of a component given its noisy value, were it normal: what is noise alone fades.
            return nnx.merge(structure, params)(jnp.cos(angle) * u, jnp.log(sigma))

        def error(params: Any, y: Array, key: jax.Array, level: Array) -> tuple[Array, Array]:
            """Weighted squared errors of the network and of the Gaussian, for noise of quantiles `level`."""
            sigma = jnp.exp(_NOISE_MEAN + _NOISE_DEVIATION * jax.scipy.special.ndtri(level))
            angle = jnp.arctan(sigma[:, None] / deviation)
            cos, sin = jnp.cos(angle), jnp.sin(angle)
            e = jax.random.normal(key, y.shape, jnp.float32)
            weight = jnp.square(deviation * sin)
            weight = weight / jnp.mean(weight, axis=1, keepdims=True)
            v = cos * e - sin * y
            off = velocity(params, cos * y + sin * e, sigma) - v
            return jnp.mean(weight * jnp.square(off)), jnp.mean(weight * jnp.square(v))

        def levels(y: Array) -> Array:
            return (jnp.arange(len(y), dtype=jnp.float32) + 0.5) / len(y)

        def loss(params: Any, y: Array, key: jax.Array) -> Array:
            # Evenly spread, which varies less than independent ones.
            shift, noise = jax.random.split(key)
            moved = levels(y) + jax.random.uniform(shift, (), jnp.float32)
            return error(params, y, noise, jnp.clip(moved % 1, 1e-4, 1 - 1e-4))[0]

        def held_out_loss(params: Any, y: Array, key: jax.Array) -> Array:
            reached, gaussian = error(params, y, key, levels(y))
            return reached - gaussian

        found = train(
            loss,
            held_out_loss,
            params,
            data,
            held_out,
            limits,
            key,
            learning_rate=_LEARNING_RATE,
            batch_size=_BATCH,
        )

        @jax.jit
        def push(params: Any, u: Array) -> Array:
            def step(u: Array, noise: tuple[Array, Array]) -> tuple[Array, None]:
                before, after = (jnp.full(len(u), each) for each in noise)
                turn = jnp.arctan(after[:, None] / deviation) - jnp.arctan(before[:, None] / deviation)
                v = velocity(params, u, before)
                ahead = velocity(params, u + turn * v, jnp.maximum(after, _LEAST_NOISE / 2))
                return u + turn * (v + ahead) / 2, None

            return jax.lax.scan(step, u, (jnp.asarray(_NOISES[:-1]), jnp.asarray(_NOISES[1:])))[0]

        return cls(pca, lambda normal: push(found.params, normal), found.loss)


def _noises() -> Float[np.ndarray, " s"]:
    ends = _MOST_NOISE ** (1 / _RHO), _LEAST_NOISE ** (1 / _RHO)
    return np.append(np.linspace(*ends, _STEPS) ** _RHO, 0.0).astype(np.float32)


_NOISES = _noises()


def _normal(key: Key[Array, ""], shape: Sequence[int], dtype: Any = np.float32) -> Array:
    """Of variance 1 / fan-in; drawn by NumPy, as JAX would compile a program for each shape."""
    return jnp.asarray(numpy_generator(key).standard_normal(shape, dtype) / np.float32(math.sqrt(shape[0])))


class _Network(nnx.Module):
    """One wide residual block: deeper ones learn nothing in the first minute on a CPU.

    There is no layer norm either, which would hide the length of a vector.
    """

    def __init__(self, k: int, *, rngs: nnx.Rngs):
        def linear(inputs: int, outputs: int, init: Any = _normal) -> nnx.Linear:
            return nnx.Linear(inputs, outputs, kernel_init=init, rngs=rngs)

        self.enter = linear(k, _WIDTH)
        self.inner = linear(_WIDTH, _WIDTH)
        self.noise = linear(2 * _FREQUENCIES, _WIDTH)
        self.outer = linear(_WIDTH, _WIDTH)
        self.leave = linear(_WIDTH, k, nnx.initializers.zeros_init())

    def __call__(self, x: Float[Array, "b k"], noise: Float[Array, " b"]) -> Float[Array, "b k"]:
        frequency = np.geomspace(0.25, 16, _FREQUENCIES).astype(np.float32)
        phase = noise[:, None] * frequency
        waves = jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], axis=1)
        x = self.enter(x)
        x = x + self.outer(nnx.silu(self.inner(x) + self.noise(waves)))
        return self.leave(nnx.silu(x))
