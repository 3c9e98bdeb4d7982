"""The whole job in one call: images, or latents of any other model, to new ones."""

import logging
import math
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxlatent._boundary import as_count
from jaxlatent._progress import in_words
from jaxlatent._random import seed_key
from jaxlatent.autoencoder import AutoencoderConfig, TrainConfig
from jaxlatent.autoencoder.config import preset_fields
from jaxlatent.data import load_images
from jaxlatent.generation.bulk import generate_to
from jaxlatent.generation.foreign import load_decoder
from jaxlatent.run.latents import load_sampler, report_latents
from jaxlatent.run.steps import Run
from jaxlatent.sampling.spec import DEFAULT

#: A training shows at least so many images for each epoch of its preset: few images more often than many.
SHOWN = 18_000
# What it costs to encode or decode an image, in parts of its training step; and, roughly, the seconds of
# what is compiled and of the report.
_FORWARD, _REST = 1 / 3, 30

log = logging.getLogger(__name__)


def make_from_images(
    run: Run,
    data: str,
    *,
    count: int = 1000,
    preset: str = "fast",
    network: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    sampler: str = DEFAULT,
    limit: int | None = None,
    seed: int = 0,
) -> Path:
    """Trains, encodes, fits, generates PNGs into images/ of the run, and reports.

    What was stopped goes on; what is finished is not made again. Images of another job, of another number
    say, are set aside under a new name.

    Args:
        run: the folder.
        data: images, see `jaxlatent.load_images`.
        count: new images, at least 1.
        preset: "fast" or "sharp", see `TrainConfig.preset`.
        network: fields of `AutoencoderConfig` in place of the preset's.
        training: fields of `TrainConfig` in place of the preset's. Where `epochs` is not given, there are as
            many as show 18,000 images for each of the preset's.
        sampler: as `jaxlatent.sampling.Spec.parse` reads it.
        limit: at most so many training images.
        seed: of all that is random.

    Returns:
        The path of the report.

    Raises:
        ValueError: if an argument is out of range, or the folder holds another training.
    """
    count, network = (
        as_count("count", count, 1),
        preset_fields(AutoencoderConfig, preset) | dict(network or {}),
    )
    asked = {name: network[name] for name in ("image_size", "channels") if name in network}
    n = len(load_images(data, split="train", limit=limit, progress=run.progress, **asked))
    course = preset_fields(TrainConfig, preset)
    course["epochs"] = math.ceil(course["epochs"] * max(1, SHOWN / n))
    course |= training or {}
    run.folder.mkdir(parents=True, exist_ok=True)
    log.info(
        "%s will hold the autoencoder (training/), the z-points of %d images (latents.npy), the sampler "
        "(samplers/), %d new images (images/) and report/report.html",
        run.folder,
        n,
        count,
    )

    def tell(speed: float) -> None:
        seconds = n * course["epochs"] / speed + (2 * n + count) * _FORWARD / speed + _REST
        log.info("training at %.0f images/s: about %s in all, an estimate", speed, in_words(seconds))

    run.train(data, network, course, limit=limit, seed=seed, resume=True, on_speed=tell)
    run.encode()
    fitted = run.fit(sampler)
    # By the name that the run knows it by, so that `verify --repair` finds it however it was written here.
    name = run.sampler_name()
    generate_to(
        run.path("images"),
        fitted,
        run.model(),
        count,
        key=seed_key(seed),
        format="png",
        origin={"run": str(run.folder.resolve()), "components": None, "sampler": name},
        force=True,
        progress=run.progress,
    )
    run.sample(seed=seed)
    return run.report(seed=seed)


def make_from_latents(
    latents: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    count: int = 1000,
    decoder: str | os.PathLike[str] | None = None,
    sampler: str = DEFAULT,
    seed: int = 0,
    progress: bool = False,
) -> Path:
    """Fits a sampler to a file of latents, generates new ones, or images of these, and reports.

    Args:
        latents: a .npy or .npz file, see `jaxlatent.latent.files.load_latents`.
        folder: gets sampler.npz, report.html, and vectors/, or images/ where there is a decoder.
        count: new vectors, at least 1.
        decoder: a file, see `jaxlatent.generation.foreign.load_decoder`.
        sampler: as `jaxlatent.sampling.Spec.parse` reads it.
        seed: of all that is random.
        progress: show bars where standard error is a terminal.

    Returns:
        The path of the report.

    Raises:
        TypeError, ValueError: if a file cannot be used, or an argument is out of range.
    """
    folder, count, key = Path(folder), as_count("count", count, 1), seed_key(seed)
    decode = None if decoder is None else load_decoder(decoder)
    page = report_latents(latents, folder, sampler=sampler, seed=seed, progress=progress)
    made = partial(generate_to, n=count, key=key, force=True, progress=progress)
    file = folder / "sampler.npz"
    fitted = load_sampler(file)
    if decode is None:
        origin = {"file": str(file.resolve()), "components": None, "sampler": None}
        made(folder / "vectors", fitted, None, outputs="latents", origin=origin)
    else:
        made(folder / "images", fitted, decode, format="png")
    return page
