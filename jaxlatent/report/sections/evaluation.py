"""What an evaluation has found: the samplers side by side, and fidelity against diversity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from jaxlatent.evaluation import Row, TradeoffPoint
from jaxlatent.evaluation.comparison import FLOOR, NULL
from jaxlatent.report import findings
from jaxlatent.report.document import Cell, Picture, Section, Table
from jaxlatent.report.plots.figure import curve_style, legend_below, name_points, new_axes
from jaxlatent.report.plots.images import plot_comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The leading columns are those that a page and a terminal show.
_MAIN = {
    "title": "images",
    "frechet": "Fréchet distance at n",
    "frechet_limit": "in the limit",
    "frechet_error": "error of that",
    "precision": "precision",
    "recall": "recall",
    "faces": "faces",
    "closer": "closer",
    "fit_seconds": "fit, s",
    "vectors_per_second": "vectors /s",
}
_FURTHER = {
    "spec": "spec",
    "n": "n",
    "density": "density",
    "coverage": "coverage",
    "n_limit": "n of the limit",
    "frechet_unseen": "Fréchet distance to unseen images at n",
    "random_limit": "Fréchet distance in random features, extrapolated to infinite n",
    "random_error": "the standard error of this",
    "kernel": "kernel distance",
    "kernel_deviation": "its standard deviation over subsets",
    "classifier_accuracy": "accuracy of a classifier",
    "energy": "energy distance, squared",
    "copy_p": "p of the copy test",
    "duplicates": "share of duplicates",
    "unseen": "split of the unseen images",
}
_A_PICTURE = 5
_MARKER, _MARKER_STEP = 3.0, 1.3


@dataclass(frozen=True, eq=False)
class Evaluated:
    """An evaluation, as it was kept.

    Attributes:
        rows: of the comparison.
        points: of the trade-off; none if it was not measured.
        grids: title of a row -> some of its images, laid out as one.
    """

    rows: Sequence[Row]
    points: Sequence[TradeoffPoint]
    grids: Mapping[str, UInt8[np.ndarray, "h w 3"]]


def sections(found: Evaluated) -> list[Section]:
    """The sections of an evaluation."""
    groups = {title: grid[None] for title, grid in found.grids.items()}
    titles = list(groups)
    pictures = []
    for start in range(0, len(titles), _A_PICTURE):
        some = titles[start : start + _A_PICTURE]
        figure = plot_comparison({title: groups[title] for title in some})
        pictures.append(Picture(figure, f"Images of: {'; '.join(some)}.", raster=True))
    compared = Section(
        "Samplers compared",
        findings.of_comparison(found.rows),
        pictures,
        comparison_table(found.rows),
        f"Unseen images are of the split {found.rows[0].unseen}. "
        "Fréchet distance, in squared units of the features, precision, recall, density and coverage are "
        "measured against reconstructions of unseen images, which are as blurred as decoded vectors are; the "
        "first row is measured against the unseen images themselves. faces: share of the images in which a "
        "face is detected. closer: probability that an image is closer to the training images than a "
        "reconstruction of an unseen image is; 0.5 is chance, 1 are copies. Every set has the same number of "
        "images, n. The distance at n, precision, recall, density and coverage depend on it, so compare them "
        "within the table only; not so the distance in the limit of infinite n, with its standard error, nor "
        "what the table's file also has, the unbiased kernel and energy distances.",
    )
    traded = Section(
        "Fidelity against diversity",
        findings.of_tradeoff(found.points) if found.points else findings.of_extremes(found.rows),
        [Picture(plot_tradeoff(found.points, found.rows), "Precision against recall of the samplers.")],
        tradeoff_table(found.points) if found.points else None,
        "Markers grow with fact, the scale of the half-widths, or with the temperature.",
    )
    return [compared, traded]


def comparison_table(rows: Sequence[Row]) -> Table:
    """All measures of the rows, in full; the page shows the main ones."""
    main = {k: label for k, label in _MAIN.items() if any(getattr(row, k) is not None for row in rows)}
    names = main | _FURTHER
    cells: list[list[Cell]] = [
        ["" if (value := getattr(row, name)) is None else value for name in names] for row in rows
    ]
    return Table(list(names.values()), cells, columns=len(main))


def tradeoff_table(points: Sequence[TradeoffPoint]) -> Table:
    """All measures of the trade-off."""
    header = ("sampler", "dial", "setting", "number of images", "Fréchet distance", "precision", "recall")
    cells = [(p.series, p.dial, p.setting, p.n, p.frechet, p.precision, p.recall) for p in points]
    return Table(header, cells)


def plot_tradeoff(
    points: Sequence[TradeoffPoint], rows: Sequence[Row] = (), ax: "Axes | None" = None
) -> "Axes":
    """Precision against recall: a line for each dial that is turned, a named point for each row.

    Names stand in a column beside the panel, so that none covers another wherever the points are.

    Args:
        points: of `jaxlatent.evaluation.tradeoff`; markers grow with the setting.
        rows: of `jaxlatent.evaluation.compare`; the floor is a star. The row of real images is left out,
            and so are boxes: so far from all else, they would squeeze it into a corner.
        ax: where to draw; a new figure's where not given.
    """
    ax = new_axes(10.0, 7.0, ax)
    for i, series in enumerate(dict.fromkeys(point.series for point in points)):
        line = sorted((p for p in points if p.series == series), key=lambda p: p.setting)
        x, y = [p.recall for p in line], [p.precision for p in line]
        style = curve_style(i)
        dials = f"{line[0].dial} {line[0].setting:g} (small) to {line[-1].setting:g} (large)"
        ax.plot(x, y, **style, marker="o", markersize=4, label=f"{series}; {dials}")
        sizes = [np.square(_MARKER + _MARKER_STEP * j) for j in range(len(line))]
        ax.scatter(x, y, s=sizes, color=style["color"], zorder=3)
    named = [row for row in rows if row.title != NULL and not row.spec.startswith("box")]
    for row in named:
        marker: dict[str, Any] = {"marker": "*", "s": 180} if row.title == FLOOR else {"marker": "s", "s": 22}
        ax.scatter(row.recall, row.precision, color="black", zorder=4, **marker)
    ax.set(xlabel="recall (diversity)", ylabel="precision (fidelity)")
    ax.grid(alpha=0.3)
    name_points(ax, {row.title: (row.recall, row.precision) for row in named})
    if points:
        legend_below(ax, 1)
    return ax
