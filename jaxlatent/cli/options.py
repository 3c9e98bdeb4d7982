"""Options that several commands share, and options made from the fields of a configuration."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import click

from jaxlatent._boundary import CHANNELS
from jaxlatent._random import MAX_SEED
from jaxlatent.autoencoder.config import ACTIVATIONS, DTYPES, INITS, KERNEL_SIZES, LOSSES, NORMS
from jaxlatent.sampling.spec import DEFAULT

_CHOICES = {
    "activation": ACTIVATIONS,
    "norm": NORMS,
    "dtype": DTYPES,
    "init": INITS,
    "loss": LOSSES,
    "kernel_size": tuple(str(size) for size in KERNEL_SIZES),
    "channels": tuple(str(count) for count in CHANNELS),
}
# Where the default is no fixed value.
_DEFAULTS = {
    "image_size": "the data's own from 16 to 64, else 64",
    "channels": "3, or 1 for grey data",
    "filters": "by the image size",
    "mirror": "for RGB images",
}


class Numbers(click.ParamType):
    """Numbers between commas, as a tuple."""

    def __init__(self, number: type):
        self._number = number
        self.name = "n,n,..." if number is int else "x,x,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple:
        """See `click.ParamType.convert`."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self._number(part) for part in value.split(","))
        except ValueError:
            kind = "whole numbers" if self._number is int else "numbers"
            self.fail(f"expected {kind} between commas, got {value!r}", param, ctx)


class Size(click.ParamType):
    """The side of squares, or height and width with an x between them."""

    name = "pixels|HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"(\d+)(?:x(\d+))?", value)
        if not match:
            self.fail(f"expected pixels as in 64, or HEIGHTxWIDTH as in 48x64, got {value!r}", param, ctx)
        return int(match[1]) if match[2] is None else (int(match[1]), int(match[2]))


class NumberOr(click.ParamType):
    """A number, or one of some words, of which "none" is None."""

    def __init__(self, words: tuple[str, ...], number: type = float):
        self._number, self.words = number, words
        self.name = "|".join(["integer" if number is int else "float", *words])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        if value is None or value in self.words:
            return None if value == "none" else value
        try:
            return self._number(value)
        except ValueError:
            self.fail(f"expected a number or {' or '.join(self.words)}, got {value!r}", param, ctx)


def config_options(record: type, hidden: bool = False) -> Callable[[Callable], Callable]:
    """An option for each field of a configuration, with the help of its docstring unless hidden."""

    def decorate(command: Callable) -> Callable:
        for field in reversed(dataclasses.fields(record)):
            flag = "--" + field.name.replace("_", "-")
            options: dict[str, Any] = {"default": field.default, "help": _field_help(record, field.name)}
            fallback = True if field.default is not None else "none"
            options["show_default"] = _DEFAULTS.get(field.name, fallback)
            if bool in (field.type, *get_args(field.type)):
                flag = f"{flag}/--no-{field.name.replace('_', '-')}"
            elif isinstance(field.default, tuple):
                options["type"] = Numbers(int)
            elif field.name == "image_size":
                options["type"] = Size()
            elif field.name in _CHOICES:
                options["type"] = click.Choice(_CHOICES[field.name])
                options["default"] = str(field.default)
            else:
                kinds = (field.type, *get_args(field.type))
                number = int if int in kinds else float
                options["type"] = NumberOr(("none",), number) if type(None) in kinds else number
            command = click.option(flag, hidden=hidden, **options)(command)
        return command

    return decorate


def _field_help(record: type, name: str) -> str:
    attributes = inspect.getdoc(record).split("Attributes:")[1]  # type: ignore[union-attr]
    found = re.search(rf"^ +{name}: (.*?)(?=^ +\w+: |^\w|\Z)", attributes, re.S | re.M)
    assert found, f"{record.__name__} does not document {name}"
    text = " ".join(found[1].replace("`", "").split())
    return text if name in _CHOICES else text[0].upper() + text[1:]


def is_given(ctx: click.Context, name: str) -> bool:
    """Whether a person named the option, and not its default."""
    return ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def given_fields(ctx: click.Context, record: type) -> dict[str, Any]:
    """The fields of a configuration that were named."""
    values = {
        field.name: ctx.params[field.name]
        for field in dataclasses.fields(record)
        if is_given(ctx, field.name)
    }
    return values | {name: int(values[name]) for name in ("kernel_size", "channels") if name in values}


def listed(numbers: Iterable[float]) -> str:
    """Numbers as such an option takes them."""
    return ",".join(map(str, numbers))


run_argument = click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
optional_run_argument = click.argument(
    "run", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, MAX_SEED), default=0, show_default=True, help="Random seed of 64 bits."
)
components_option = click.option(
    "--components",
    type=Numbers(int),
    default=(),
    show_default="all that were fitted",
    help="How many of the most important PCA components to draw with; several numbers between commas.",
)
source_argument = click.argument(
    "source", metavar="RUN|SAMPLER", type=click.Path(exists=True, path_type=Path)
)
limit_option = click.option(
    "--limit",
    type=click.IntRange(1),
    default=None,
    show_default="all",
    help="At most so many training images.",
)
moved_option = click.option(
    "--data",
    default=None,
    show_default="where they were when it was trained",
    help="Where the images of RUN are now, if they have moved; RUN notes it.",
)
sampler_option = click.option(
    "--sampler",
    metavar="NAME",
    default=None,
    show_default="the one fitted last",
    help="Which fitted sampler of RUN; the name is the text that `fit --sampler` was given, or its --name.",
)


def latents_option(further: str) -> Callable[[Callable], Callable]:
    """`--latents`, for a file in place of a run; `further` ends its help."""
    return click.option(
        "--latents",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        default=None,
        show_default="those of RUN",
        help=f"A .npy or .npz file of latent vectors (n, d) from any model, in place of RUN{further}",
    )


def run_or_fit_option(help_text: str) -> Callable[[Callable], Callable]:
    """`--sampler` where a run may be left out: one that is fitted, or with --latents how to fit one."""
    return click.option(
        "--sampler",
        metavar="NAME[:OPTION=VALUE]...",
        default=None,
        show_default=f"the one fitted last; with --latents {DEFAULT}",
        help=help_text,
    )
