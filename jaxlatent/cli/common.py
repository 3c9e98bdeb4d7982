"""Options that every command has; nothing here needs JAX."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

# What a run's config.json holds beside options: parts of them, and what is no option.
_PARTS, _NOTED = ("autoencoder", "training"), ("images", "choice", "versions")


def _show_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"jaxlatent {version('jaxlatent')}")
        ctx.exit()


def _take_options(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.UsageError(f"--config: {path} is no JSON ({error})", ctx) from error
    root = ctx.find_root().command
    commands = root.list_commands(ctx) if isinstance(root, click.Group) else []
    if not isinstance(held, dict) or any(not isinstance(held.get(p, {}), dict) for p in (*_PARTS, *commands)):
        raise click.UsageError(f"--config: {path} is no object of options, as a run's config.json", ctx)
    shared = {name: value for name, value in held.items() if name not in (*_PARTS, *_NOTED, *commands)}
    for part in _PARTS:
        shared |= held.get(part, {})
    own = held.get(ctx.command.name, {})
    options = {parameter.name: parameter for parameter in ctx.command.params if parameter.name != "config"}
    if unknown := sorted(own.keys() - options.keys()):
        raise click.UsageError(f"--config: {ctx.command.name} has no option {unknown[0]}, see {path}", ctx)
    ctx.default_map = {
        str(name): _as_typed(value, options[name])
        for name, value in {**shared, **own}.items()
        if name in options and (value is not None or "none" in getattr(options[name].type, "words", ()))
    }


def _as_typed(value: Any, option: click.Parameter) -> Any:
    """A value of JSON as the option's type takes it."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return tuple(value)
    return str(value) if isinstance(option.type, click.Choice) else value


debug_option = click.Option(
    ["--debug"], is_flag=True, expose_value=False, help="Show the Python traceback of an error."
)
version_option = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
config_option = click.Option(
    ["--config"],
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_take_options,
    show_default="none",
    help="A JSON file of options, such as a run's config.json; what is typed goes before. A part with the "
    "name of a command is for that one alone.",
)
