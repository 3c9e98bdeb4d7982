"""Images a second of a training step beside the network in PyTorch, and of whole epochs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import numpy as np
from train_step import LEARNING_RATE, STEPS, our_steps

import jaxlatent as jl
from gpu.device import torch_device, wait_for_torch
from gpu.networks import beside_torch, network, networks
from gpu.rows import Contestant, Row, arguments, emit, quartiles


def some_images(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Noise, uint8 (count, h, w, c)."""
    return np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)


def peer(batch: int, config: jl.AutoencoderConfig, *, compiled: bool) -> Callable[[], None]:
    """As many steps of PyTorch's as ours takes in a call, waited for once."""
    from torch_peer import train_step

    images = some_images(batch, config.image_shape)
    step = train_step(config, images, LEARNING_RATE, device=torch_device(), tuned=True, compiled=compiled)

    def run() -> None:
        for _ in range(STEPS):
            step()
        wait_for_torch()

    return run


def compiled_steps(batch: int, config: jl.AutoencoderConfig) -> Callable[[], None]:
    """Our steps, taken once."""
    steps = our_steps(config, some_images(batch, config.image_shape))
    steps()
    return steps


def epochs(config: jl.AutoencoderConfig, count: int, batch: int) -> None:
    """Emits the images a second of `fit_autoencoder` after the first epoch, in which it compiles."""
    images = some_images(count, config.image_shape)
    train = jl.TrainConfig(epochs=5, batch_size=batch)
    _, history = jl.fit_autoencoder(jax.random.key(0), images, config, train)
    low, middle, high = quartiles(np.array(history.column("images_per_s")[1:]))
    note = f"epochs 2 to 5 of {count:,} images in the host's memory, batches of {batch:,}"
    title = f"fit_autoencoder, {config.image_size} px, {config.dtype}"
    emit(Row(title, middle, "images/s", (low, high), note=note))


def main() -> None:
    options = arguments(__doc__)
    batch, rounds = (8, 2) if options.small else (512, 5)
    configs = networks(small=options.small)
    with ThreadPoolExecutor() as pool:
        steps = list(pool.map(partial(compiled_steps, batch), configs))
    ours = [Contestant(step, batch * STEPS, f"batches of {batch:,} on the device") for step in steps]

    def between(_: bool) -> None:
        sizes = (64, 16) if options.small else (18_000, 512)
        epochs(network(64, "bfloat16", small=options.small), *sizes)

    beside_torch("training step", configs, ours, partial(peer, batch), rounds, between)


if __name__ == "__main__":
    main()
