"""The two files of a run, JSON and the same as a table in Markdown; each is written whole, then renamed."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu.runner import Result
from jaxlatent._files import atomic_path

JSON, MARKDOWN = "gpu.json", "gpu.md"


def write(folder: Path, head: Mapping[str, Any], results: Sequence[Result]) -> None:
    """Writes both files."""
    record = {"head": dict(head), "sections": [dataclasses.asdict(result) for result in results]}
    for name, text in {JSON: json.dumps(record, indent=1) + "\n", MARKDOWN: markdown(record)}.items():
        with atomic_path(folder / name) as path:
            path.write_text(text)


def markdown(record: Mapping[str, Any]) -> str:
    """The table of what the JSON file holds."""
    head = ", ".join(
        f"{name} {value}" if name != "card" else str(value) for name, value in record["head"].items()
    )
    lines = [
        f"# {head}",
        "",
        "| section | what | value | quartiles | compared | note |",
        "|---|---|---|---|---|---|",
    ]
    for section in record["sections"]:
        ended = f"{section['status']}, {section['seconds']:.0f} s"
        lines.append(_line(f"**{section['name']}**", section["title"], "", "", "", ended))
        lines += [_line(section["name"], *_cells(row)) for row in section["rows"]]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Four digits, without an exponent where they are readable."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    value = "" if row["value"] is None else f"{number(row['value'])} {row['unit']}".strip()
    if row["passed"] is not None:
        value = f"{value} {'passed' if row['passed'] else '**FAILED**'}".strip()
    between = " to ".join(map(number, row["quartiles"])) if row["quartiles"] else ""
    compared = "; ".join(
        f"{name} is {middle:.3g} times as fast ({low:.3g} to {high:.3g})"
        for name, (low, middle, high) in row["compared"].items()
    )
    return row["what"], value, between, compared, row["note"]


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
