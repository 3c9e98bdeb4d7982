"""Bulk generation, its verification, and export."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import click
import jax

from jaxlatent import processes
from jaxlatent._random import seed_key
from jaxlatent.autoencoder import Autoencoder
from jaxlatent.cli.console import open_log, open_run
from jaxlatent.cli.options import run_argument, sampler_option, seed_option, source_argument
from jaxlatent.generation import bulk, verification
from jaxlatent.run.folder import RunFolder
from jaxlatent.run.latents import load_sampler
from jaxlatent.sampling import Sampler

_components = click.option(
    "--components",
    type=click.IntRange(2),
    default=None,
    show_default="all that were fitted",
    help="How many of the most important PCA components to draw with.",
)
_batch_size = click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=None,
    show_default="by the device's memory",
    help="Vectors computed at once over all devices; it changes the speed, not the result.",
)


def _process_options(command: Callable) -> Callable:
    for option in (
        click.option(
            "--process-timeout",
            type=click.IntRange(5),
            default=30,
            show_default=True,
            help="Seconds after which the processes of a job stop because one of them is dead.",
        ),
        click.option(
            "--process-id",
            type=click.IntRange(0),
            show_default="as for --coordinator",
            help="Number of this process, from 0.",
        ),
        click.option(
            "--num-processes",
            type=click.IntRange(1),
            show_default="as for --coordinator",
            help="Number of processes of this job.",
        ),
        click.option(
            "--coordinator",
            metavar="HOST:PORT",
            show_default="found out on SLURM, Open MPI, Cloud TPU and Kubernetes",
            help="Address of process 0, for a job of several processes, which all write to the same folder.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@source_argument
@click.option("--count", type=click.IntRange(1), required=True, help="Number of images or vectors.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    show_default="RUN/generated",
    help="Folder to write; a job that was stopped there goes on.",
)
@click.option(
    "--outputs",
    type=click.Choice(get_args(bulk.Outputs)),
    default="images",
    show_default=True,
    help="8-bit images, the latent vectors in float32, or both.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(get_args(bulk.FormatName)),
    default="npy",
    show_default=True,
    help="npy: memory-mappable shards; webdataset: .tar shards of PNGs; png: folders of PNGs; tfds: "
    "array_record for TensorFlow Datasets; npz: one file for evaluators of generative models.",
)
@_batch_size
@click.option(
    "--shard-size",
    type=click.IntRange(1),
    default=None,
    show_default="about 64 MiB",
    help="Images or vectors in a shard.",
)
@_components
@sampler_option
@click.option(
    "--force", is_flag=True, help="Set a folder of other records aside, under a new name, and begin anew."
)
@seed_option
@_process_options
def generate(
    source: Path,
    count: int,
    out: Path | None,
    format_name: bulk.FormatName,
    components: int | None,
    sampler: str | None,
    seed: int,
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    process_timeout: int,
    **options: Any,
) -> None:
    """Generates images of RUN in bulk, or latent vectors of SAMPLER, into shards that are whole or absent.

    SAMPLER is a file that jaxlatent.save or `report --latents` wrote. Image i depends on the seed and i
    alone. A job that was stopped, by Ctrl-C, a signal or a failure, goes on when the same command is given
    again; `jaxlatent verify` checks what is there.
    """
    processes.start(coordinator, num_processes, process_id, timeout=process_timeout)
    latents_only = options["outputs"] == "latents"
    if source.is_file() and not latents_only:
        raise click.UsageError("--outputs: a sampler's file has no decoder; ask for latents")
    if source.is_file() and out is None:
        raise click.UsageError("--out: name a folder; a sampler's file has none")
    if source.is_dir():
        # By its name, as another one may be fitted before the records are repaired.
        sampler = RunFolder(source).sampler_name(sampler)
    origin = {
        "file" if source.is_file() else "run": str(source.resolve()),
        "components": components,
        "sampler": sampler,
    }
    drawn, decode = _drawn_with(origin, latents_only)
    folder = source / "generated" if out is None else out
    manifest = bulk.generate_to(
        folder,
        drawn,
        decode,
        count,
        key=seed_key(seed),
        format=format_name,
        origin=origin,
        progress=True,
        **options,
    )
    if jax.process_index() == 0:
        click.echo(f"{manifest.layout.n:,} records in {manifest.layout.n_shards:,} shards are in {folder}.")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--repair", is_flag=True, help="Generate anew what is missing or damaged, and only that.")
@click.option(
    "--run",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    show_default="as noted in FOLDER",
    help="The run folder to repair from.",
)
@_batch_size
def verify(folder: Path, repair: bool, run: Path | None, batch_size: int | None) -> None:
    """Checks every shard of FOLDER that `generate` wrote, by size and SHA-256; exit status 1 if any fails."""
    if repair:
        open_log()
        manifest = verification.read_manifest(folder)
        origin = dict(manifest.origin) if run is None else {**manifest.origin, "run": str(run)}
        if not origin.keys() & {"run", "file"}:
            raise click.UsageError("--repair: the folder does not say where it came from; name it with --run")
        drawn, decode = _drawn_with(origin, "images" not in manifest.layout.items)
        problems = verification.repair(folder, drawn, decode, batch_size=batch_size, progress=True)
    else:
        problems = verification.verify(folder, progress=True)
    for problem in problems:
        click.echo(f"{problem.name}: {problem.reason}")
    if not problems:
        click.echo(f"{folder}: all is well")
    elif repair:
        click.echo(f"{folder}: {len(problems)} problems found and repaired")
    else:
        click.echo(f"{folder}: {len(problems)} problems; --repair generates what is lacking", err=True)
        sys.exit(1)


@click.command()
@run_argument
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    show_default="RUN/model.jlx",
    help="File to write.",
)
@_components
@sampler_option
def export(run: Path, out: Path | None, components: int | None, sampler: str | None) -> None:
    """Writes sampler and decoder of RUN as one file that JAX runs without Flax: `load_exported`."""
    click.echo(f"Wrote {open_run(run).export(out, components=components, sampler=sampler)}.")


def _drawn_with(origin: Mapping[str, Any], latents_only: bool) -> tuple[Sampler, Autoencoder | None]:
    """The sampler that records come from, as their manifest notes it, and the decoder where it is needed."""
    components = origin.get("components")
    if "run" in origin:
        opened = open_run(Path(origin["run"]))
        sampler = opened.sampler(origin.get("sampler"), components)
        return sampler, None if latents_only else opened.model()
    sampler = load_sampler(origin["file"])
    return sampler if components is None else sampler.keep(components), None
