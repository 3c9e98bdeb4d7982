"""The steps on a run folder: thin, each command one call of `jaxlatent.Run`."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from jaxlatent.autoencoder import AutoencoderConfig, TensorBoard, TrainConfig
from jaxlatent.autoencoder.config import PRESETS, preset_fields
from jaxlatent.cli.console import open_run, typed
from jaxlatent.cli.options import (
    Numbers,
    components_option,
    config_options,
    given_fields,
    is_given,
    latents_option,
    limit_option,
    listed,
    moved_option,
    optional_run_argument,
    run_argument,
    run_or_fit_option,
    sampler_option,
    seed_option,
    source_argument,
)
from jaxlatent.cli.tables import print_table
from jaxlatent.report.sections.images import SWEEP_COMPONENTS, SWEEP_FACTS, sweep_table
from jaxlatent.run.latents import report_latents, sample_to
from jaxlatent.sampling import SAMPLERS, Spec
from jaxlatent.sampling.fitting.region import fit_frame
from jaxlatent.sampling.spec import DEFAULT, SOURCE

# What the demo does differently: small enough for a few minutes on two CPU cores.
_DEMO_DATA = "synthetic:6000"
_DEMO_NETWORK = preset_fields(AutoencoderConfig, "fast")
_DEMO_TRAINING = TrainConfig.preset("fast", epochs=3, learning_rate=1e-3)

# Of each preset, the options that it stands for.
_PRESETS = "; ".join(
    f"{name} is " + " ".join(f"--{field.replace('_', '-')} {value}" for field, value in fields.items())
    for name, fields in PRESETS.items()
)


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/demo"),
    show_default=True,
    help="Run folder; a demo that was stopped there goes on.",
)
@click.option("--data", default=_DEMO_DATA, show_default=True, help="Images, as for `train`.")
@click.option(
    "--epochs", type=int, default=_DEMO_TRAINING.epochs, show_default=True, help="Passes over the images."
)
@seed_option
def demo(out: Path, data: str, epochs: int, seed: int) -> None:
    """The whole job on procedural faces, in minutes on a CPU; leaves pictures to look at."""
    run = open_run(out)
    run.train(data, _DEMO_NETWORK, replace(_DEMO_TRAINING, epochs=epochs), seed=seed, resume=True)
    run.encode()
    # The one fitted last is that of the steps that follow.
    for sampler in (Spec.parse(SOURCE).within(fit_frame(run.latents()).n_components), Spec.parse(DEFAULT)):
        run.fit(sampler)
        run.sample(seed=seed)
    page = run.report(seed=seed)
    explore = shlex.join([typed(), "explore", str(out)])
    click.echo(f"Look at {page}; then move through the latent space: {explore}")


@click.command()
@click.option(
    "--data",
    default=None,
    show_default="needed for a new run",
    help="Images: synthetic:N, celeba:DIR, tfds:NAME, a folder, a .zip, a .npy or a .npz file, such as "
    "mnist.npz.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Run folder to write; made if absent.",
)
@limit_option
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the training in the folder; all settings are its own, and --epochs may be more.",
)
@click.option(
    "--restart",
    is_flag=True,
    help="Begin anew in place of the training in the folder, with its settings but for what is given.",
)
@click.option(
    "--tensorboard",
    is_flag=True,
    help="Also write the course of the training to training/tensorboard in RUN.",
)
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    default=None,
    show_default="the defaults of the options",
    help="How to train, but for the options that are given: " + _PRESETS + ".",
)
@seed_option
@config_options(AutoencoderConfig)
@config_options(TrainConfig)
@click.pass_context
def train(
    ctx: click.Context,
    preset: str | None,
    data: str | None,
    out: Path,
    limit: int | None,
    resume: bool,
    restart: bool,
    tensorboard: bool,
    seed: int,
    **options: Any,
) -> None:
    """Trains the autoencoder; checkpoints, history and reconstructions go into the run folder."""
    if data is None and not (resume or restart):
        raise click.UsageError("--data: name the images of a new run; --resume and --restart know theirs")
    config, training = (
        (preset_fields(record, preset) if preset else {}) | given_fields(ctx, record)
        for record in (AutoencoderConfig, TrainConfig)
    )
    run = open_run(out)
    run.train(
        data,
        config,
        training,
        limit=limit,
        seed=seed if is_given(ctx, "seed") else None,
        resume=resume,
        restart=restart,
        callback=TensorBoard(run.path("training/tensorboard")) if tensorboard else None,
    )


@click.command()
@run_argument
@click.option(
    "--mirror/--no-mirror",
    default=None,
    help="Encode the mirror images, too, as further z-points.  [default: (if the training mirrored them)]",
)
@moved_option
def encode(run: Path, mirror: bool | None, data: str | None) -> None:
    """Encodes the training images of RUN to z-points, latents.npy."""
    open_run(run, data).encode(mirror=mirror)


@click.command()
@run_argument
@click.option(
    "--sampler",
    metavar="NAME[:OPTION=VALUE]...",
    default=DEFAULT,
    show_default=True,
    help=f"Which sampler, one of {', '.join(SAMPLERS)}; the options are those of its fit, as in "
    "pairwise:fact=0.7:n_components=105, the source's method. The default gives the images that are most "
    "like the data's.",
)
@click.option(
    "--name",
    default=None,
    show_default="the text of --sampler",
    help="Name that the other steps know the sampler by; one of this name is replaced.",
)
def fit(run: Path, sampler: str, name: str | None) -> None:
    """Fits a sampler to the z-points of RUN and keeps it there; a run can have several."""
    open_run(run).fit(sampler, name=name)


@click.command()
@source_argument
@click.option(
    "--count",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Vectors to draw for each number of components; the first 64 are decoded to pictures.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    show_default="samples/ in RUN",
    help="The .npy file to write, where SAMPLER is a file.",
)
@sampler_option
@components_option
@seed_option
def sample(
    source: Path, count: int, out: Path | None, sampler: str | None, components: tuple[int, ...], seed: int
) -> None:
    """Draws new latent vectors of RUN into samples/, decodes them and naive ones into pictures/.

    SAMPLER is a file that jaxlatent.save or `report --latents` wrote; its vectors go to --out.
    """
    if source.is_dir():
        if out is not None:
            raise click.UsageError(
                "--out: belongs to a sampler's file; vectors of a run go into its samples/"
            )
        open_run(source).sample(count, sampler=sampler, components=components, seed=seed)
        return
    if out is None or sampler is not None or components:
        raise click.UsageError(
            "a sampler's file: name a .npy file with --out, and neither sampler nor components"
        )
    click.echo(f"Wrote {sample_to(source, out, count, seed=seed)}.")


@click.command()
@run_argument
@click.option(
    "--components",
    type=Numbers(int),
    default=(),
    show_default=f"{listed(SWEEP_COMPONENTS)}, as far as there are so many",
    help="Numbers of the most important PCA components to draw with, between commas.",
)
@click.option(
    "--fact",
    "facts",
    type=Numbers(float),
    default=SWEEP_FACTS,
    show_default=listed(SWEEP_FACTS),
    help="Semi-axes in units of the half-widths, between commas.",
)
@click.option(
    "--count",
    type=click.IntRange(2),
    default=2000,
    show_default=True,
    help="Vectors to draw and measure in each cell.",
)
@seed_option
def sweep(run: Path, seed: int, **options: Any) -> None:
    """Measures and decodes a grid of component numbers and half-width scales for RUN.

    The measures go into sweep.csv, the images into pictures/sweep.png.
    """
    print_table(sweep_table(open_run(run).sweep(seed=seed, **options)))


@click.command()
@optional_run_argument
@latents_option(
    "; a sampler fitted to them, sampler.npz, is written too, for `sample`, `generate` and `score`."
)
@run_or_fit_option("Which fitted sampler of RUN; with --latents which one is fitted, as for `fit`.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    show_default="RUN/report",
    help="Folder for report.html and its CSV files; made if absent.",
)
@seed_option
def report(run: Path | None, latents: Path | None, sampler: str | None, out: Path | None, seed: int) -> None:
    """Writes a page about the latent space of RUN, or of a file of latents, to look at in a browser."""
    if latents is None:
        if run is None:
            raise click.UsageError("give a run folder, or a file of latents with --latents")
        page = open_run(run).report(out, sampler=sampler, seed=seed)
    else:
        if run is not None:
            raise click.UsageError("--latents: stands in place of a run folder; leave one of them out")
        if out is None:
            raise click.UsageError("--latents: needs a folder for the report; name it with --out")
        page = report_latents(latents, out, sampler=sampler or DEFAULT, seed=seed, progress=True)
    click.echo(f"Look at {page}.")
