"""Images a second of the decoder, and of sampler and decoder to the host, beside the network in PyTorch."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
from constructed import samplers
from generate import pipeline

import jaxlatent as jl
from gpu.device import torch_device, wait_for_torch
from gpu.networks import beside_torch, networks
from gpu.rows import Contestant, arguments, compare
from jaxlatent.autoencoder import decoder
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.generation.decoder import to_uint8


def ours(batch: int, config: jl.AutoencoderConfig) -> Callable[[], jax.Array]:
    """What decodes a batch to 8-bit images on the device; compiled, but not run."""
    function = decoder(make_autoencoder(jax.random.key(0), config))
    z = jax.random.normal(jax.random.key(1), (batch, config.latent_dim))
    step = jax.jit(lambda function, z: to_uint8(function(z))).lower(function, z).compile()
    return lambda: step(function, z)


def peer(batch: int, config: jl.AutoencoderConfig, *, compiled: bool) -> Callable[[], None]:
    """The same of PyTorch."""
    import torch
    from torch_peer import decode

    device = torch_device()
    z = torch.randn(batch, config.latent_dim, device=device)
    function = decode(config, device=device, tuned=True, compiled=compiled)

    def run() -> None:
        function(z)
        wait_for_torch()

    return run


def to_the_host(batch: int, count: int, config: jl.AutoencoderConfig) -> Callable[[], None]:
    """PyTorch's images of vectors from a box, as NumPy arrays."""
    import torch
    from torch_peer import decode

    device = torch_device()
    function = decode(config, device=device, tuned=True)

    def run() -> None:
        for _ in range(count // batch):
            z = torch.rand(batch, config.latent_dim, device=device).mul_(3).sub_(1.5)
            function(z).cpu().numpy()

    return run


def generated(batch: int, count: int, rounds: int, config: jl.AutoencoderConfig, has_torch: bool) -> None:
    """Emits the images a second of sampler and decoder, to the host."""
    sampler = samplers(config.latent_dim, config.latent_dim)["Pairwise"]()
    run = pipeline(sampler, make_autoencoder(jax.random.key(0), config), count)
    runs = {"jaxlatent": Contestant(run, count, "pairwise sampler and decoder, to the host")}
    if has_torch:
        runs["PyTorch, box"] = Contestant(to_the_host(batch, count, config), count)
    compare(runs, "images/s", rounds, title=f"generate, {config.image_size} px, {config.dtype}: ")


def main() -> None:
    options = arguments(__doc__)
    batch, count, rounds = (8, 16, 2) if options.small else (1024, 16_384, 7)
    configs = networks(small=options.small)
    with ThreadPoolExecutor() as pool:
        steps = list(pool.map(partial(ours, batch), configs))
    decoders = [Contestant(step, batch, f"batches of {batch:,}, on the device") for step in steps]

    def between(has_torch: bool) -> None:
        for config in configs:
            if config.dtype == "bfloat16":
                generated(batch, count, 2 if options.small else 3, config, has_torch)

    beside_torch("decode", configs, decoders, partial(peer, batch), rounds, between)


if __name__ == "__main__":
    main()
