"""New images from a PyTorch autoencoder: its latents in, its decoder out.

    pip install torch
    python scripts/foreign_decoder.py --out runs/foreign

Trains a small convolutional autoencoder on jaxlatent's procedural faces, unless OUT holds its weights
already; fits two samplers to its latent vectors; writes new faces of each as PNGs to OUT/pairwise and
OUT/exact, and some of them to OUT/contact-sheet.png, in half a minute on two CPU cores. Needs no files. A run
that was stopped goes on when the same command is given again. docs/guides/own-latents.md explains each step.
"""

import argparse
import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

import jaxlatent as jl
from jaxlatent.report import plot_comparison, save_figure

SIZE, LATENT, CHANNELS = 32, 64, (3, 24, 48, 96)
SAMPLERS: dict[str, Any] = {"pairwise": jl.PairwiseSampler, "exact": jl.ExactSampler}


class Autoencoder(nn.Module):
    """Images (b, 3, 32, 32) in [0, 1] to latent vectors (b, 64) and back."""

    def __init__(self) -> None:
        super().__init__()
        inner = (CHANNELS[-1], SIZE // 8, SIZE // 8)
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for few, many in pairwise(CHANNELS):
            down += [nn.Conv2d(few, many, 4, 2, 1), nn.BatchNorm2d(many), nn.SiLU()]
            up = [nn.ConvTranspose2d(many, few, 4, 2, 1), nn.BatchNorm2d(few), nn.SiLU(), *up]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(int(np.prod(inner)), LATENT))
        up[-2:] = [nn.Sigmoid()]
        self.decoder = nn.Sequential(nn.Linear(LATENT, int(np.prod(inner))), nn.Unflatten(1, inner), *up)


def train(model: Autoencoder, x: torch.Tensor, epochs: int) -> None:
    """Minimises the mean squared error, in batches of 64."""
    steps = len(x) // 64
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * steps)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x))[: steps * 64].split(64):
            loss = nn.functional.mse_loss(model.decoder(model.encoder(x[rows])), x[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1} of {epochs}: mean squared error {total / steps:.4f}")


def make_decode(decoder: nn.Module) -> Callable[[jax.Array], torch.Tensor]:
    """What `generate_to` calls: latent vectors (b, d) of JAX to images (b, h, w, c), uint8."""
    device = next(decoder.parameters()).device
    decoder.eval()

    @torch.inference_mode()
    def decode(z: jax.Array) -> torch.Tensor:
        images = decoder(torch.from_dlpack(z).to(device))  # z's own memory where the device is the same
        return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1)

    return decode


def make_encode(encoder: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """What `explore` calls for an image that a person brings: uint8 (b, h, w, 3) to vectors (b, d)."""
    device = next(encoder.parameters()).device

    @torch.inference_mode()
    def encode(images: np.ndarray) -> np.ndarray:
        x = torch.tensor(images).to(device) / 255
        return encoder(x.permute(0, 3, 1, 2)).cpu().numpy()

    return encode


def fingerprint(module: nn.Module) -> str:
    """A digest of the weights, by which a job that goes on knows its decoder."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def main() -> None:
    """From training images to new ones."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--out", type=Path, default=Path("runs/foreign"), help="folder to write")
    parser.add_argument("--data", default="synthetic:4000", help="training images, for jl.load_images")
    parser.add_argument("--epochs", type=int, default=10, help="passes over them")
    parser.add_argument("--count", type=int, default=1000, help="number of new images of each sampler")
    parser.add_argument("--explore", action="store_true", help="then open the explorer on them, until Ctrl-C")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = np.asarray(jl.load_images(options.data, image_size=SIZE))
    x = (torch.tensor(images) / 255).permute(0, 3, 1, 2).contiguous().to(device)
    model, weights = Autoencoder().to(device), options.out / "autoencoder.pt"
    if weights.exists():
        model.load_state_dict(torch.load(weights, map_location=device, weights_only=True))
    else:
        train(model, x, options.epochs)
        torch.save(model.state_dict(), weights)

    model.eval()
    with torch.inference_mode():
        z = torch.cat([model.encoder(part) for part in x.split(256)]).cpu().numpy()
    decode = make_decode(model.decoder)
    rows = {"training images": images[:16], "rebuilt": decode(jnp.asarray(z[:16])).cpu().numpy()}
    identity = fingerprint(model.decoder)
    for name, kind in SAMPLERS.items():
        folder = options.out / name
        jl.generate_to(
            folder,
            kind.fit(z),
            decode,
            options.count,
            key=jax.random.key(0),
            format="png",
            decoder_id=identity,
            progress=True,
        )
        rows[f"new, {name}"] = jl.load_images(folder, image_size=SIZE, limit=32, cache=False)
        print(f"{options.count} images are in {folder}")
    save_figure(plot_comparison(rows, columns=16), options.out / "contact-sheet.png")
    if options.explore:
        samplers = {name: kind.fit(z) for name, kind in SAMPLERS.items()}
        explorer = jl.explore(samplers, decode, z=z, images=images, encode=make_encode(model.encoder))
        print(f"Exploring at {explorer.url} (Ctrl-C ends it).")
        explorer.wait()


if __name__ == "__main__":
    main()
