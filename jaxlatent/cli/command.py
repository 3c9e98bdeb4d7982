"""The command `jaxlatent`."""

import sys
import traceback

import click

from jaxlatent import processes
from jaxlatent.autoencoder.train import DivergenceError
from jaxlatent.cli import bulk, steps
from jaxlatent.cli.cache import cache
from jaxlatent.cli.console import close_log
from jaxlatent.cli.evaluate import evaluate
from jaxlatent.cli.explore import explore
from jaxlatent.cli.score import score

_MISTAKES = (ValueError, TypeError, OSError, RuntimeError, MemoryError, ImportError, DivergenceError)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show the Python traceback of an error.")
@click.version_option(package_name="jaxlatent")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Makes a plain autoencoder generative.

    Trains a convolutional autoencoder, finds the region that its latent vectors fill, draws new vectors
    inside that region and decodes them. The steps work on a run folder, each on what the one before wrote:
    train, encode, fit, sample, report. `demo` does them all; `report --latents` needs nothing but vectors;
    `explore` opens a page on which a person moves through the latent space and sees faces, live;
    `evaluate` compares samplers by the images they give, and the report then shows it; `score` finds
    outliers.
    `generate` makes images in bulk, on every device there is; `verify` checks and mends what it wrote.
    `cache` lists and removes the decoded images that are kept on disk.
    """
    ctx.obj = debug


for command in (
    steps.demo,
    steps.train,
    steps.encode,
    steps.fit,
    steps.sample,
    steps.sweep,
    evaluate,
    score,
    steps.report,
    explore,
    bulk.generate,
    bulk.verify,
    bulk.export,
    cache,
):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command; exits with 0, 1 (failed) or 2 (bad usage), 130 when interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        status = cli.main(arguments, prog_name="jaxlatent", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        status = 2
    except click.Abort:
        click.echo("jaxlatent: interrupted; what was finished is kept", err=True)
        status = 130
    except SystemExit as stop:
        status = stop.code
    except _MISTAKES as error:
        if "--debug" in arguments:
            traceback.print_exc()
        click.echo(f"jaxlatent: {' '.join(str(error).split())}", err=True)
        status = 1
    finally:
        close_log()
    if status:
        processes.leave(status)
    sys.exit(0)
