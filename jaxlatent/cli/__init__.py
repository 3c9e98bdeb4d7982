"""The command `jaxlatent`: thin, each sub-command one call of the library."""

from jaxlatent.cli.command import cli as cli, main as main
