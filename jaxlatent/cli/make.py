"""The whole job: from images, or from latents of any model, to new ones."""

import re
import shlex
from pathlib import Path
from typing import Any

import click

from jaxlatent.autoencoder import AutoencoderConfig, TrainConfig
from jaxlatent.autoencoder.config import PRESETS
from jaxlatent.cli.console import open_log, open_run, typed
from jaxlatent.cli.options import config_options, given_fields, is_given, limit_option, seed_option
from jaxlatent.latent.files import holds_vectors
from jaxlatent.run.make import make_from_images, make_from_latents
from jaxlatent.sampling.spec import DEFAULT


@click.command()
@click.argument("source", metavar="IMAGES|LATENTS")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    show_default="runs/ and the name of what is given",
    help="Folder to write; a job that was stopped there goes on.",
)
@click.option("--count", type=click.IntRange(1), default=1000, show_default=True, help="New images.")
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    default="fast",
    show_default=True,
    help="How to train: sharp takes three times as long.",
)
@click.option(
    "--sampler",
    metavar="NAME[:OPTION=VALUE]...",
    default=DEFAULT,
    show_default=True,
    help="Which sampler, as for `fit`.",
)
@click.option(
    "--decoder",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    show_default="none: new vectors, no images",
    help="For LATENTS: a .jlx or .onnx file that makes images of vectors.",
)
@limit_option
@seed_option
@config_options(AutoencoderConfig, hidden=True)
@config_options(TrainConfig, hidden=True)
@click.pass_context
def make(
    ctx: click.Context,
    source: str,
    out: Path | None,
    count: int,
    preset: str,
    sampler: str,
    decoder: Path | None,
    limit: int | None,
    seed: int,
    **options: Any,
) -> None:
    """From a folder of images to new images, or from a file of latents to new ones.

    IMAGES is what `train --data` takes: a folder, a .zip, celeba:DIR, tfds:NAME, synthetic:N, mnist.npz. The
    autoencoder is trained, the sampler fitted, and the new images, PNG files, and a report are written. Few
    images are shown to it more often. All options of `train` for the network and the training work here, too.

    LATENTS is a .npy or .npz file of vectors (n, d) from any model.
    """
    folder = Path("runs") / folder_name(source) if out is None else out
    if holds_vectors(source):
        for name in ("preset", "limit", *options):
            if is_given(ctx, name):
                flag = name.replace("_", "-")
                raise click.UsageError(f"--{flag}: is for images, and {source} holds vectors")
        open_log()
        page = make_from_latents(
            source, folder, count=count, decoder=decoder, sampler=sampler, seed=seed, progress=True
        )
        click.echo(f"Look at {page}; new {'images' if decoder else 'vectors'} are in {folder}.")
        return
    if decoder is not None:
        raise click.UsageError(f"--decoder: is for latents, and {source} is no file of vectors (n, d)")
    run = open_run(folder)
    page = make_from_images(
        run,
        source,
        count=count,
        preset=preset,
        network=given_fields(ctx, AutoencoderConfig),
        training=given_fields(ctx, TrainConfig),
        sampler=sampler,
        limit=limit,
        seed=seed,
    )
    explore = shlex.join([typed(), "explore", str(folder)])
    click.echo(f"{count:,} new images are in {run.path('images')}. Look at {page}.")
    click.echo(f"Move through the latent space: {explore}")


def folder_name(source: str) -> str:
    """Names a run: photos for photos/ and photos.zip, celeba for celeba:DIR, synthetic-9 for synthetic:9."""
    kind, colon, _ = source.partition(":")
    if colon and kind == "celeba":
        return kind
    path = Path(source)
    return path.resolve().stem if path.exists() else re.sub(r"[^\w-]+", "-", source)
