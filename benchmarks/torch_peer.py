"""The network in PyTorch: the same architecture, loss and optimizer, as a peer; imported where PyTorch is."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from jaxlatent.autoencoder.config import AutoencoderConfig


def network(config: AutoencoderConfig) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder; images are (n, c, h, w) in [0, 1], h and w multiples of 2^filters."""
    k, channels, stages = config.kernel_size, (config.channels, *config.filters), len(config.filters)
    pad, out_pad = (k - 1) // 2, k % 2
    act = functools.partial(nn.LeakyReLU, 0.1, inplace=True)
    down: list = []
    for i in range(stages):
        down += [nn.Conv2d(channels[i], channels[i + 1], k, 2, pad), act()]
    inner = (channels[-1], *config.innermost)
    flat = math.prod(inner)
    down += [nn.Flatten(), nn.Linear(flat, config.latent_dim)]
    up: list = [nn.Linear(config.latent_dim, flat), act(), nn.Unflatten(1, inner)]
    for i in reversed(range(stages)):
        up.append(nn.ConvTranspose2d(channels[i + 1], channels[i], k, 2, pad, out_pad))
        up.append(act() if i else nn.Sigmoid())
    return nn.Sequential(*down), nn.Sequential(*up)


def train_step(
    config: AutoencoderConfig,
    images: np.ndarray,
    learning_rate: float,
    *,
    device: str = "cpu",
    tuned: bool = False,
    compiled: bool = False,
) -> Callable[[], Any]:
    """What takes one step of Adam on a batch of uint8 images and gives the loss, which it does not wait for.

    `tuned` is what one does on a GPU: channels last and a fused optimizer. bfloat16 is autocast.
    """
    torch.manual_seed(0)
    whole = nn.Sequential(*network(config)).to(device)
    if tuned:
        whole = whole.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(whole.parameters(), learning_rate, fused=tuned)
    batch, dtype = torch.from_numpy(images).to(device), getattr(torch, config.dtype)

    def loss_of(batch: Any) -> Any:
        x = batch.permute(0, 3, 1, 2).float().div_(255)
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            y = whole(x)
        return nn.functional.mse_loss(y.float(), x)

    forward = torch.compile(loss_of) if compiled else loss_of

    def step() -> Any:
        optimizer.zero_grad()
        loss = forward(batch)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def decode(
    config: AutoencoderConfig, *, device: str = "cpu", tuned: bool = False, compiled: bool = False
) -> Callable[[Any], Any]:
    """What maps vectors (n, d) to uint8 images (n, h, w, 3) on the device."""
    torch.manual_seed(0)
    dtype = getattr(torch, config.dtype)
    decoder = network(config)[1].to(device, dtype).eval()
    if tuned:
        decoder = decoder.to(memory_format=torch.channels_last)

    def images_of(z: Any) -> Any:
        y = decoder(z.to(dtype)).float()
        return y.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)

    function = torch.compile(images_of) if compiled else images_of
    return torch.inference_mode()(function)
