"""Training steps: images a second of naive Flax, jaxlatent, and PyTorch where it is installed.

The same architecture, loss (mean squared error), optimizer (Adam) and batch for all three, in rounds that
alternate between them, so that a busy machine slows all alike. Run `python benchmarks/train_step.py`.
"""

import argparse
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from common import alternate, machine, report
from flax import nnx

from jaxlatent._cores import cores
from jaxlatent.autoencoder.config import AutoencoderConfig, TrainConfig
from jaxlatent.autoencoder.feed import Feed, steps_a_call
from jaxlatent.autoencoder.network import Autoencoder
from jaxlatent.autoencoder.train import make_program

LEARNING_RATE = 1e-3
STEPS = steps_a_call(jax.default_backend())


class NaiveAutoencoder(nnx.Module):
    """The same network from Flax's own layers."""

    def __init__(self, config: AutoencoderConfig, *, rngs: nnx.Rngs):
        kernel = (config.kernel_size, config.kernel_size)
        channels = (config.channels, *config.filters)
        self.config = config
        for i in range(len(config.filters)):
            inputs, outputs = channels[i], channels[i + 1]
            setattr(self, f"down{i}", nnx.Conv(inputs, outputs, kernel, strides=2, rngs=rngs))
            setattr(self, f"up{i}", nnx.ConvTranspose(outputs, inputs, kernel, strides=2, rngs=rngs))
        flat = math.prod(config.innermost) * channels[-1]
        self.to_latent = nnx.Linear(flat, config.latent_dim, rngs=rngs)
        self.from_latent = nnx.Linear(config.latent_dim, flat, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Reconstructs images in [0, 1]."""
        act = functools.partial(jax.nn.leaky_relu, negative_slope=0.1)
        stages = len(self.config.filters)
        for i in range(stages):
            x = act(getattr(self, f"down{i}")(x))
        x = act(self.from_latent(self.to_latent(x.reshape(x.shape[0], -1))))
        x = x.reshape(x.shape[0], *self.config.innermost, -1)
        for i in range(stages - 1, 0, -1):
            x = act(getattr(self, f"up{i}")(x))
        return jax.nn.sigmoid(self.up0(x))  # type: ignore[attr-defined]


def naive_step(config: AutoencoderConfig, images: np.ndarray) -> Callable[[], None]:
    """One step of the naive network: uint8 batch in, loss out."""
    graphdef, params = nnx.split(NaiveAutoencoder(config, rngs=nnx.Rngs(0)))
    optimizer = optax.adam(LEARNING_RATE)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: tuple, batch: jax.Array) -> tuple[tuple, jax.Array]:
        params, opt_state = state
        x = batch.astype(jnp.float32) / 255

        def loss_of(params: nnx.State) -> jax.Array:
            return jnp.mean(jnp.square(nnx.merge(graphdef, params)(x) - x))

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss

    state = (params, optimizer.init(params))

    def run() -> None:
        nonlocal state
        state, loss = step(state, jnp.asarray(images))
        loss.block_until_ready()

    return run


def our_steps(config: AutoencoderConfig, images: np.ndarray) -> Callable[[], None]:
    """As many steps as `fit_autoencoder` takes in one call, and their images as it hands them over."""
    train = TrainConfig(learning_rate=LEARNING_RATE, gradient_clip=None, mirror=False)
    program = make_program(config, train, 10_000)
    _, *states = nnx.split(Autoencoder(config, rngs=nnx.Rngs(0)), nnx.Param, ...)
    state = program.steps.start(*states)
    feed, key = Feed((images,), None), jax.random.key(0)
    rows = np.tile(np.arange(len(images), dtype=np.int32), (STEPS, 1))

    def run() -> None:
        nonlocal state
        for call in feed.calls(rows, 0):
            state, losses = program.steps.run(
                state, call.examples, call.rows, key, call.first, call.steps, shapes=feed.shapes
            )
        losses.block_until_ready()

    return run


def torch_step(config: AutoencoderConfig, images: np.ndarray) -> Callable[[], None] | None:
    """One step of the same network in PyTorch, or None where PyTorch is missing."""
    try:
        import torch
        from torch_peer import train_step
    except ImportError:
        return None
    torch.set_num_threads(cores())
    step = train_step(config, images, LEARNING_RATE)
    return lambda: step().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image-size", type=int, default=64, help="pixels (default 64)")
    parser.add_argument("--batch-size", type=int, default=128, help="images a step (default 128)")
    parser.add_argument("--kernel-size", type=int, default=AutoencoderConfig().kernel_size)
    parser.add_argument("--rounds", type=int, default=10, help="rounds (default 10)")
    parser.add_argument("--skip-naive", action="store_true", help="leave the naive network out")
    args = parser.parse_args()
    config = AutoencoderConfig(image_size=args.image_size, kernel_size=args.kernel_size)
    shape = (args.batch_size, args.image_size, args.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    runs: dict[str, Callable[[], None]] = {"jaxlatent": our_steps(config, images)}
    if not args.skip_naive:
        runs["naive Flax"] = naive_step(config, images)
    torch_run = torch_step(config, images)
    if torch_run is None:
        print("PyTorch is not installed: left out")
    else:
        runs["PyTorch"] = torch_run

    steps = {name: 1 if name == "naive Flax" else STEPS for name in runs}
    calls = {name: STEPS if name == "PyTorch" else 1 for name in runs}

    def several(name: str) -> Callable[[], None]:
        def take() -> None:
            for _ in range(calls[name]):
                runs[name]()

        return take

    print(machine())
    print(f"# {args.image_size} px, batch {args.batch_size}, kernel {args.kernel_size}")
    times = alternate({name: several(name) for name in runs}, args.rounds)
    counts = {name: count * args.batch_size for name, count in steps.items()}
    report(times, "jaxlatent", counts=counts, unit="images/s")


if __name__ == "__main__":
    main()
