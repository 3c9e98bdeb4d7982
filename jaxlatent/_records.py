"""Tables as CSV files: records, a line each under a line of their names, whole or not at all."""

import csv
import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from jaxlatent._files import atomic_path
from jaxlatent._pytree import alternatives

_PLAIN = (str, int, float)

Record = TypeVar("Record")


def write_table(
    path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Iterable[object]]
) -> None:
    """Writes a line of names and lines of values; None is empty, numbers are in full."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def columns(record: type) -> dict[str, type]:
    """Names and types of the fields that are text or numbers, perhaps None; a file keeps these."""
    kinds = get_type_hints(record)
    found = {}
    for field in dataclasses.fields(record):
        plain = [kind for kind in alternatives(kinds[field.name]) if kind in _PLAIN]
        if plain:
            found[field.name] = plain[0]
    return found


def write_records(path: str | os.PathLike[str], record: type[Record], rows: Iterable[Record]) -> None:
    """Writes the plain fields of dataclasses."""
    names = list(columns(record))
    write_table(path, names, ([getattr(row, name) for name in names] for row in rows))


def read_records(path: str | os.PathLike[str], record: type[Record]) -> list[Record]:
    """Reads what `write_records` wrote; fields that are not plain have their defaults.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no table of such records.
    """
    kinds = columns(record)
    with Path(path).open(newline="", encoding="utf-8") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    if header != list(kinds):
        raise ValueError(f"{path}: is no table of {record.__name__} of this version; make it anew")
    return [record(**{n: _read(x, kinds[n]) for n, x in zip(header, line, strict=True)}) for line in lines]


def _read(text: str, kind: type) -> Any:
    return text if kind is str else None if not text else kind(text)
