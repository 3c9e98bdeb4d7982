"""Tables in the terminal."""

import sys

import rich.box
import rich.table
from rich.console import Console

from jaxlatent.report.document import Table

_UNBOUNDED = 1000


def print_table(table: Table) -> None:
    """Prints what the page would show of a table; in full width where that is no terminal's."""
    shown = rich.table.Table(box=rich.box.SIMPLE, pad_edge=False, padding=0)
    for i, name in enumerate(table.header_on_page):
        words = name.split()
        shown.add_column("\n".join(words), min_width=max(map(len, words)), justify="right" if i else "left")
    for row in table.on_page():
        shown.add_row(*row)
    Console(width=None if sys.stdout.isatty() else _UNBOUNDED).print(shown)
