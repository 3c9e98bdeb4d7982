"""The command `jaxlatent`."""

import os
import sys
import traceback
from importlib import import_module

import click

from jaxlatent.cli.common import config_option, debug_option, version_option
from jaxlatent.cli.console import close_log

_MISTAKES = (ValueError, TypeError, OSError, ArithmeticError, RuntimeError, MemoryError, ImportError)

#: Of each section of the help, the commands in the order of the work: where each is, and what it does.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "The whole job": {
        "make": ("make", "From images, or latents of any model, to new ones."),
        "demo": ("steps", "The same on procedural faces, in minutes on a CPU."),
    },
    "Step by step, in a run folder": {
        "train": ("steps", "Train an autoencoder on images."),
        "encode": ("steps", "Encode the training images to z-points."),
        "fit": ("steps", "Fit a sampler to the z-points."),
        "sample": ("steps", "Draw new latent vectors, and decode some to look at."),
        "report": ("steps", "Write a page about the latent space; also of latents of any model."),
    },
    "To look and to compare": {
        "explore": ("explore", "Open a page to move through the latent space, live."),
        "evaluate": ("evaluate", "Compare samplers by the images that they give."),
        "sweep": ("steps", "Turn the source's two dials through a grid."),
        "score": ("score", "Say how unusual vectors or images are."),
    },
    "In bulk": {
        "generate": ("bulk", "Generate images or vectors, on all devices."),
        "verify": ("bulk", "Check and mend what `generate` wrote."),
        "export": ("bulk", "Write sampler and decoder as one file."),
    },
    "Upkeep": {
        "cache": ("cache", "List and remove the decoded images that are kept on disk."),
    },
}
_MODULES = {name: module for commands in SECTIONS.values() for name, (module, _) in commands.items()}


class _Commands(click.Group):
    """Commands that are imported when they are asked for: JAX alone takes a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        command = getattr(import_module(f"jaxlatent.cli.{_MODULES[cmd_name]}"), cmd_name)
        for option in (config_option, debug_option, version_option):
            if option not in command.params:
                command.params.append(option)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _MODULES))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, (_, line) in commands.items()])


cli = _Commands(
    "jaxlatent",
    params=[debug_option, version_option],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="""Makes a plain autoencoder generative.

    Trains a convolutional autoencoder, finds the region that its latent vectors fill, draws new vectors
    inside that region and decodes them. The steps work on a run folder, each on what the one before wrote;
    `jaxlatent COMMAND --help` explains one.
    """,
)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command; exits with 0, 1 (failed) or 2 (bad usage), 130 when interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # No window is opened; a notebook's own backend, which its commands inherit, may not be installed here.
    os.environ["MPLBACKEND"] = "agg"
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
        from jaxlatent import processes

        processes.leave(status)
    sys.exit(0)
