"""The networks that are measured, and the turns that they take with the same in PyTorch."""

from collections.abc import Callable, Sequence

import jaxlatent as jl
from gpu.device import prepare_torch
from gpu.rows import Contestant, compare


def network(size: int, dtype: str = "float32", *, small: bool) -> jl.AutoencoderConfig:
    """The default network for images of some pixels; a tiny one to try things out."""
    if small:
        return jl.AutoencoderConfig(image_size=32, latent_dim=8, filters=(4, 4, 4, 4), dtype=dtype)
    return jl.AutoencoderConfig(image_size=size, dtype=dtype)


def networks(*, small: bool) -> list[jl.AutoencoderConfig]:
    """Those of 64 and 128 pixels in both types, the most important first."""
    if small:
        return [network(32, "bfloat16", small=True)]
    return [network(size, dtype, small=False) for size in (64, 128) for dtype in ("bfloat16", "float32")]


def beside_torch(
    what: str,
    configs: Sequence[jl.AutoencoderConfig],
    ours: Sequence[Contestant],
    peer: Callable[..., Callable[[], None]],
    rounds: int,
    between: Callable[[bool], None],
) -> None:
    """Emits the images a second of each network here and in PyTorch, where that is installed.

    Args:
        what: is measured.
        configs: the networks.
        ours: one for each of them.
        peer: of (config, compiled=): the same of PyTorch.
        rounds: in which they take turns.
        between: called with whether PyTorch is here, before its compiled networks, which take the longest.
    """
    has_torch = prepare_torch()
    titles = [f"{what}, {config.image_size} px, {config.dtype}: " for config in configs]
    for config, title, each in zip(configs, titles, ours, strict=True):
        runs = {"jaxlatent": each}
        if has_torch:
            runs["PyTorch"] = Contestant(peer(config, compiled=False), each.items)
        compare(runs, "images/s", rounds, title=title)
    between(has_torch)
    for config, title, each in zip(configs, titles, ours, strict=True) if has_torch else ():
        runs = {"jaxlatent": each, "PyTorch, compiled": Contestant(peer(config, compiled=True), each.items)}
        compare(runs, "images/s", rounds, title=title, known=True)
