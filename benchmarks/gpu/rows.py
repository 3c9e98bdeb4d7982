"""What a section finds, a row at a time, so that a section that is cut off loses only what is left of it."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from common import alternate

#: Names the file that rows are appended to, one in a line; standard output where it is not set.
ROWS = "JAXLATENT_GPU_ROWS"
#: Names a folder for what a section leaves to look at; it is removed afterwards.
SCRATCH = "JAXLATENT_GPU_SCRATCH"


@dataclasses.dataclass(frozen=True)
class Row:
    """One finding.

    Attributes:
        what: what was measured or checked.
        value: the number found, a median where there are quartiles; None where something is missing.
        unit: of the value and the quartiles.
        quartiles: the lower and the upper one.
        passed: whether a check held; None for what is no check.
        compared: lower quartile, median and upper quartile of how many times as fast another is, by the
            other's name.
        note: what else there is to say.
    """

    what: str
    value: float | None = None
    unit: str = ""
    quartiles: tuple[float, float] | None = None
    passed: bool | None = None
    compared: dict[str, tuple[float, float, float]] = dataclasses.field(default_factory=dict)
    note: str = ""


def emit(row: Row) -> None:
    """Hands a row over."""
    line = json.dumps(dataclasses.asdict(row))
    path = os.environ.get(ROWS)
    if path is None:
        print(line, flush=True)
    else:
        with Path(path).open("a") as file:
            file.write(line + "\n")


def arguments(description: str | None, **dims: int) -> argparse.Namespace:
    """The options of a section: `small`, and numbers whose defaults are given."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--small", action="store_true", help="tiny numbers, to try it out")
    for name, value in dims.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


class Contestant(NamedTuple):
    """What takes turns with others.

    Attributes:
        run: works, and waits for the result unless that is one of JAX.
        items: of one run.
        note: goes into its row.
    """

    run: Callable[[], Any]
    items: float
    note: str = ""


def compare(
    contestants: Mapping[str, Contestant],
    unit: str,
    rounds: int,
    *,
    title: str = "",
    known: bool = False,
    per_second: bool = True,
    extra: Callable[[float], str] = lambda rate: "",
) -> dict[str, np.ndarray]:
    """Emits a row for each: items a second, and how many times as fast the first is.

    One that fails at its first run is reported and left out.

    Args:
        contestants: by name; the first is the one that the others are compared with.
        unit: of the figures.
        rounds: in which all take turns, after one to warm up.
        title: in front of the names.
        known: the first one has a row already.
        per_second: give items a second; else seconds an item.
        extra: a further note from the median of items a second.

    Returns:
        Items a second of each, round by round.
    """
    ready = {}
    for name, contestant in contestants.items():
        try:
            jax.block_until_ready(contestant.run())
        except Exception as error:
            emit(Row(title + name, note=f"failed: {one_line(error)}"))
        else:
            ready[name] = contestant
    times = alternate({name: each.run for name, each in ready.items()}, rounds, warm=True)
    rates = {name: ready[name].items / times[name] for name in ready}
    first = next(iter(contestants))
    for name, rate in rates.items():
        if name == first and known:
            continue
        low, middle, high = map(float, np.percentile(rate if per_second else 1 / rate, [25, 50, 75]))
        ratio = {first: quartiles(rates[first] / rate)} if name != first and first in rates else {}
        notes = [ready[name].note, extra(float(np.median(rate)))]
        note = "; ".join(filter(None, notes))
        emit(Row(title + name, middle, unit, (low, high), None, ratio, note))
    return rates


def quartiles(values: np.ndarray) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(low), float(middle), float(high)


def skipped(what: str, module: str) -> None:
    """Says that a peer is not here."""
    emit(Row(what, note=f"skipped: {module} is not installed"))


def one_line(error: BaseException) -> str:
    """An error's type, and the first line that it says."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:300]


def environment(**values: str) -> dict[str, str]:
    """That of this process, with some variables set."""
    return os.environ | values


def python(module: str, *options: str) -> list[str]:
    """The command that runs a module of this package."""
    return [sys.executable, "-m", f"gpu.{module}", *options]
