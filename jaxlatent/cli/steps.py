"""The steps on a run folder: thin, each command one call of `jaxlatent.runs.Run`."""

from pathlib import Path
from typing import Any, get_args

import click

from jaxlatent.autoencoder.config import AutoencoderConfig, TrainConfig
from jaxlatent.cli.console import open_run
from jaxlatent.cli.options import (
    NumberOr,
    Numbers,
    components_option,
    config_options,
    listed,
    run_argument,
    seed_option,
    take_record,
)
from jaxlatent.cli.tables import print_table
from jaxlatent.latent.half_width import HalfWidth
from jaxlatent.report.decoded import SWEEP_COMPONENTS, SWEEP_FACTS, sweep_table
from jaxlatent.runs import report_latents
from jaxlatent.sampling.fitting.region import FACT, Matched
from jaxlatent.sampling.laws.pairwise import Order
from jaxlatent.sampling.tables.densities import DensityName

# What the demo does differently: small enough for a few minutes on two CPU cores.
_DEMO_DATA = "synthetic:6000"
_DEMO_EPOCHS = 6


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/demo"),
    show_default=True,
    help="Run folder; a demo that was stopped there goes on.",
)
@click.option("--data", default=_DEMO_DATA, show_default=True, help="Images, as for `train`.")
@click.option("--epochs", type=int, default=_DEMO_EPOCHS, show_default=True, help="Passes over the images.")
@seed_option
def demo(out: Path, data: str, epochs: int, seed: int) -> None:
    """The whole job on procedural faces, in minutes on a CPU; leaves pictures to look at."""
    run = open_run(out)
    run.train(data, AutoencoderConfig(), TrainConfig(epochs=epochs), seed=seed, resume=True)
    run.encode()
    most = run.fit(fact=0.8).pca.n_components
    run.sample(components=sorted({min(k, most) for k in (50, 105, most)}), seed=seed)
    page = run.report(seed=seed)
    click.echo(f"Look at {page}; single pictures are in {run.folder / 'pictures'}, comparison.png first.")


@click.command()
@click.option(
    "--data",
    required=True,
    help="Images: synthetic:N, celeba:DIR, tfds:NAME, a folder, a .zip, a .npy or a .npz file.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Run folder to write; made if absent.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=None,
    show_default="all",
    help="At most so many training images.",
)
@click.option("--resume", is_flag=True, help="Go on with the training that is in the folder.")
@seed_option
@config_options(AutoencoderConfig)
@config_options(TrainConfig)
def train(data: str, out: Path, limit: int | None, resume: bool, seed: int, **options: Any) -> None:
    """Trains the autoencoder; checkpoints, history and reconstructions go into the run folder."""
    config, training = take_record(AutoencoderConfig, options), take_record(TrainConfig, options)
    open_run(out).train(data, config, training, limit=limit, seed=seed, resume=resume)


@click.command()
@run_argument
def encode(run: Path) -> None:
    """Encodes the training images of RUN to z-points, latents.npy."""
    open_run(run).encode()


@click.command()
@run_argument
@click.option(
    "--components",
    type=click.IntRange(2),
    default=None,
    show_default="all of positive variance",
    help="Number of PCA components to keep.",
)
@click.option(
    "--fact",
    type=NumberOr(get_args(Matched)),
    default=None,
    show_default=str(FACT),
    help="Semi-axes in units of the half-width; smaller gives cleaner and less varied images. Or matched: "
    "vectors uniform in the region keep the data's variances.",
)
@click.option(
    "--half-width",
    type=click.Choice(get_args(HalfWidth)),
    default="fwhm",
    show_default=True,
    help="What semi-axes are measured by: full or half width at half maximum of a component's density, or "
    "its standard deviation.",
)
@click.option(
    "--sampler",
    type=click.Choice(["pairwise", "exact"]),
    default="pairwise",
    show_default=True,
    help="pairwise is the source method; exact draws from --density restricted to the same region.",
)
@click.option(
    "--density",
    type=click.Choice(get_args(DensityName)),
    default=None,
    show_default="uniform",
    help="Density of the exact sampler: uniform, normal or each component's own histogram.",
)
@click.option(
    "--temperature",
    type=float,
    default=None,
    show_default="1",
    help="Scales the exact sampler's normal or empirical density, not the region.",
)
@click.option(
    "--order",
    type=click.Choice(get_args(Order)),
    default=None,
    show_default="round_robin",
    help="Order of the pairwise sampler's checks; permutation is the slow reference.",
)
@click.option(
    "--max-points",
    type=click.IntRange(2),
    default=None,
    show_default="all",
    help="Fit the PCA on at most so many random z-points.",
)
@click.option(
    "--within-sigma",
    type=float,
    default=None,
    show_default="all",
    help="Fit the PCA on z-points with all coordinates within so many standard deviations.",
)
def fit(run: Path, components: int | None, **options: Any) -> None:
    """Fits PCA, half-widths and a sampler to the z-points of RUN."""
    open_run(run).fit(n_components=components, **options)


@click.command()
@run_argument
@click.option(
    "--count",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Vectors to draw for each number of components; the first 64 are decoded to pictures.",
)
@components_option
@seed_option
def sample(run: Path, count: int, components: tuple[int, ...], seed: int) -> None:
    """Draws new latent vectors of RUN into samples/, decodes them and naive ones into pictures/."""
    open_run(run).sample(count, components=components, seed=seed)


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
@click.argument("run", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--latents",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    show_default="those of RUN",
    help="A .npy or .npz file of latent vectors (n, d) from any model, in place of RUN; a sampler fitted to "
    "them, sampler.npz, is written too.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    show_default="RUN/report",
    help="Folder for report.html and its CSV files; made if absent.",
)
@seed_option
def report(run: Path | None, latents: Path | None, out: Path | None, seed: int) -> None:
    """Writes a page about the latent space of RUN, or of a file of latents, to look at in a browser."""
    if latents is None:
        if run is None:
            raise click.UsageError("give a run folder, or a file of latents with --latents")
        page = open_run(run).report(out, seed=seed)
    else:
        if run is not None:
            raise click.UsageError("--latents: stands in place of a run folder; leave one of them out")
        if out is None:
            raise click.UsageError("--latents: needs a folder for the report; name it with --out")
        page = report_latents(latents, out, seed=seed, progress=True)
    click.echo(f"Look at {page}.")
