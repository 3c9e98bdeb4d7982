"""A report as data, and the one self-contained HTML file that it becomes."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image

from jaxlatent._files import atomic_path
from jaxlatent._records import write_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cell = str | int | float

_DPI = 110
_WEBP = {"quality": 82, "method": 4}


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        drawn: a matplotlib figure, or axes, whose figure is taken; or the pixels themselves.
        alt: what is to be seen, for those who do not see it.
        raster: pixels in place of vectors: for photographs and densities of thousands of points.
        caption: the page's words above it. Pictures with one stand side by side, as far as there is room.
    """

    drawn: "Figure | Axes | UInt8[np.ndarray, 'h w 3']"
    alt: str
    raster: bool = False
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers of the report.

    Attributes:
        header: names of the columns, with their units.
        rows: a cell for each column; the first cell of a row names it.
        shown: indices of the rows that the page shows, all where None; the CSV file has all rows.
        columns: number of the leading columns that the page shows, all where None; the CSV file has all.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    shown: Sequence[int] | None = None
    columns: int | None = None

    @classmethod
    def of_columns(
        cls,
        header: Sequence[str],
        names: Sequence[str],
        columns: Sequence[Float[Array | np.ndarray, " rows"] | Sequence[float]],
        shown: Sequence[int] | None = None,
    ) -> "Table":
        """A table of numbers from its columns; `names` are the first one."""
        numbers = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
        return cls(header, [[name, *row] for name, row in zip(names, numbers.tolist(), strict=True)], shown)

    def on_page(self) -> list[list[str]]:
        """The rows for the page and the terminal, numbers at four significant digits."""
        rows = self.rows if self.shown is None else [self.rows[i] for i in self.shown]
        return [[_readable(cell) for cell in row[: self.columns]] for row in rows]

    @property
    def header_on_page(self) -> Sequence[str]:
        """Names of the columns that the page shows."""
        return self.header[: self.columns]

    def to_csv(self, path: Path) -> None:
        """Writes all rows with the header, numbers in full."""
        write_table(path, self.header, self.rows)


@dataclass(frozen=True)
class Section:
    """One question to the data and its answer.

    Attributes:
        title: names the section; the names of its anchor and its CSV file are made of it.
        finding: the answer in one sentence, from `jaxlatent.report.findings`.
        pictures: in their order.
        table: the numbers behind the finding.
        note: how it was measured.
        further: what to do next, and the command that does it.
    """

    title: str
    finding: str
    pictures: Sequence[Picture] = ()
    table: Table | None = None
    note: str = ""
    further: tuple[str, str] | None = None

    @property
    def slug(self) -> str:
        """The title in the characters of a file's name."""
        return slug(self.title)


@dataclass(frozen=True)
class Chapter:
    """Sections that belong together.

    Attributes:
        title: above them.
        sections: in their order.
    """

    title: str
    sections: Sequence[Section]


def slug(text: str) -> str:
    """A text in the characters of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def write_document(path: Path, title: str, subtitle: str, chapters: Sequence[Chapter]) -> None:
    """Writes the page, and a CSV file beside it for each table.

    Args:
        path: of the HTML file.
        title: of the page.
        subtitle: one line below it.
        chapters: in their order; those without a section are left out.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    for section in (section for chapter in chapters for section in chapter.sections):
        if section.table:
            section.table.to_csv(path.with_name(f"{section.slug}.csv"))
    environment = Environment(
        loader=PackageLoader("jaxlatent.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        title=title,
        subtitle=subtitle,
        chapters=[chapter for chapter in chapters if chapter.sections],
        embed=_embedded,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _embedded(picture: Picture) -> dict[str, Any]:
    """Address and size of a picture as part of the page.

    An SVG goes in as an image too: as markup, the names that matplotlib gives to its parts would meet those
    of other figures.
    """
    figure: Any = getattr(picture.drawn, "figure", picture.drawn)
    stream, kind = io.BytesIO(), "webp"
    if isinstance(figure, np.ndarray):
        height, width, _ = figure.shape
        Image.fromarray(figure).save(stream, format=kind, **_WEBP)
    else:
        width, height = figure.get_size_inches() * _DPI
        if picture.raster:
            figure.savefig(stream, format=kind, dpi=_DPI, pil_kwargs=_WEBP)
        else:
            kind = "svg+xml"
            figure.savefig(stream, format="svg", metadata={"Date": None})
    content = base64.b64encode(stream.getvalue()).decode()
    return {"src": f"data:image/{kind};base64,{content}", "width": round(width), "height": round(height)}


def _readable(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"
