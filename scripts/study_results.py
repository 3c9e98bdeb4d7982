"""Tables and figures of scripts/study.py."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxlatent.evaluation import Row
from jaxlatent.evaluation.comparison import FLOOR, NULL
from jaxlatent.report.document import Cell, Table
from jaxlatent.report.plots.figure import BLUE, VERMILION, legend_below, name_points
from jaxlatent.report.plots.images import plot_comparison
from jaxlatent.run import Run
from jaxlatent.run.evaluation import read_evaluation
from jaxlatent.sampling import spec

RIVALS = ("kde:bandwidth=scott", "kde:bandwidth=likelihood", "copula")
#: Fitted for so many seconds each.
LEARNERS = ("flow", "diffusion")
#: Titles of the rows that are pictured, and what is written above them.
PICTURED = {
    NULL: "Training images",
    FLOOR: "Their reconstructions",
    "cluster-recombination": "cluster-recombination (recommended)",
    "pairwise, fact 0.7, 105 components": "pairwise (the source's method)",
    "gaussian": "gaussian",
    "box, b 1.5": "box (naive)",
}
_LEGEND = [
    Line2D([], [], marker="o", linestyle="", color=BLUE, label="ours"),
    Line2D([], [], marker="o", linestyle="", color=VERMILION, label="rivals"),
    Line2D(
        [], [], marker="o", linestyle="", color=BLUE, markerfacecolor="white", label="fails the copy test"
    ),
    Line2D([], [], color="black", linewidth=0.8, linestyle="--", label="reconstructed training images"),
]
#: A smaller p of the copy test says that a sampler copies.
COPIES = 0.01


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured on the autoencoder of one training.

    Attributes:
        rows: of the comparison, by their titles.
        error: mean squared error of the validation images.
        seconds: that the training took.
    """

    rows: Mapping[str, Row]
    error: float
    seconds: float


def samplers_table(runs: Sequence[Measured]) -> Table:
    """Means and standard deviations over the seeds, the smallest distance first after what is no sampler."""
    first = [title for title in titles(runs) if title in (NULL, FLOOR)]
    rest = sorted(
        set(titles(runs)) - set(first), key=lambda title: np.mean([r.frechet_limit for r in of(runs, title)])
    )
    header = (
        "images",
        "distance in the limit",
        "in random features, x 1,000",
        "distance at n",
        "precision",
        "recall",
        "closer",
        "copies, smallest p",
        "fit, s",
        "vectors /s",
    )
    rows: list[list[Cell]] = []
    for title in [*first, *rest]:
        found = list(of(runs, title))
        p = [row.copy_p for row in found if row.copy_p is not None]
        rows.append(
            [
                title,
                spread([row.frechet_limit for row in found]),
                spread([1000 * row.random_limit for row in found]),
                spread([row.frechet for row in found]),
                *(
                    f"{np.mean([getattr(row, name) for row in found]):.3f}"
                    for name in ("precision", "recall")
                ),
                _mean([row.closer for row in found], ".3f"),
                f"{min(p):.2g}" if p else "",
                _mean([row.fit_seconds for row in found], ".3g"),
                _mean([row.vectors_per_second for row in found], ",.0f"),
            ]
        )
    return Table(header, rows)


def budget_table(runs: Sequence[Measured], budgets: Sequence[int]) -> Table:
    """For each number of seconds the best rival and the best of our samplers that are fitted within it.

    Of samplers that pass the copy test on every seed; a tenth more than the seconds is within them.
    """
    header = ("seconds", "best rival", "its distance", "best of ours", "its distance", "ratio")
    rows: list[list[Cell]] = []
    for budget in budgets:
        best: dict[bool, tuple[float, str]] = {}
        for title in titles(runs):
            found = list(of(runs, title))
            if any(r.copy_p is None or r.copy_p < COPIES or r.fit_seconds is None for r in found):
                continue
            if np.mean([r.fit_seconds for r in found if r.fit_seconds is not None]) <= 1.1 * budget:
                distance = float(np.mean([r.frechet_limit for r in found]))
                rival = is_rival(title)
                best[rival] = min(best.get(rival, (np.inf, "")), (distance, title))
        theirs, ours = (best.get(rival, (np.nan, "none")) for rival in (True, False))
        rows.append([budget, theirs[1], theirs[0], ours[1], ours[0], ours[0] / theirs[0]])
    return Table(header, rows)


def variational_table(plain: Measured, variational: Mapping[float, Measured]) -> Table:
    """The prior of each VAE beside samplers of the plain autoencoder, by what is common: the real images."""
    header = (
        "network",
        "squared error, validation",
        "sampler",
        "distance to real images at n",
        "of reconstructions",
        "distance in the limit, to own reconstructions",
        "precision",
        "recall",
    )

    def line(network: str, run: Measured, title: str) -> list[Cell]:
        row = run.rows[title]
        rebuilt = run.rows[FLOOR].frechet_unseen
        numbers = row.frechet_unseen, rebuilt, row.frechet_limit, row.precision, row.recall
        return [network, run.error, title, *numbers]

    rows = [line("plain", plain, title) for title in ("gaussian", "cluster-recombination")]
    for weight, run in variational.items():
        rows.append(line(f"VAE, weight {weight:g}", run, "prior"))
    return Table(header, rows)


def plot_samples(folder: Path) -> Figure:
    """Images of some samplers, below the data's and their reconstructions, as the evaluation drew them."""
    evaluated = read_evaluation(Run(folder))
    assert evaluated is not None
    return plot_comparison({shown: evaluated.grids[title][None] for title, shown in PICTURED.items()})


def plot_budgets(compared: Mapping[str, Sequence[Measured]]) -> Figure:
    """Distance against seconds of fitting, a panel for each data set; bars are the range over the seeds."""
    figure = Figure(figsize=(8, 4.2 * len(compared)), layout="constrained")
    panels = figure.subplots(len(compared), 1, squeeze=False)[:, 0]
    for ax, (name, runs) in zip(panels, compared.items(), strict=True):
        named = {}
        for title in titles(runs):
            found = [row for row in of(runs, title) if row.fit_seconds is not None]
            if not found or title.startswith("box"):
                continue
            x = float(np.mean([row.fit_seconds for row in found if row.fit_seconds is not None]))
            y = [row.frechet_limit for row in found]
            copies = any(row.copy_p is not None and row.copy_p < COPIES for row in found)
            colour = VERMILION if is_rival(title) else BLUE
            style = {"color": colour, "markerfacecolor": "white" if copies else colour}
            middle = float(np.mean(y))
            ax.errorbar(x, middle, [[middle - min(y)], [max(y) - middle]], marker="o", **style)
            named[title] = x, middle
        floor = float(np.mean([run.rows[FLOOR].frechet_limit for run in runs]))
        if floor > 0:  # near it, the extrapolation may err to the other side
            ax.axhline(floor, color="black", linewidth=0.8, linestyle="--")
        ax.set(xscale="log", yscale="log", title=name, ylabel="Fréchet distance, in the limit")
        ax.grid(alpha=0.3)
        name_points(ax, named)
    panels[-1].set_xlabel("seconds of fitting")
    legend_below(panels[-1], 2, lines=_LEGEND)
    return figure


def titles(runs: Iterable[Measured]) -> list[str]:
    """Of the rows of all seeds, each once, in their order."""
    return list(dict.fromkeys(title for run in runs for title in run.rows))


def of(runs: Iterable[Measured], title: str) -> Iterable[Row]:
    """The rows of one title, of the seeds that have it."""
    return (run.rows[title] for run in runs if title in run.rows)


def is_rival(title: str) -> bool:
    """Whether a row is of what others would fit."""
    return title.partition(",")[0] in spec.RIVALS


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, to a digit of it; of one value, itself."""
    if len(values) == 1:
        return f"{values[0]:.3g}"
    deviation = float(np.std(values, ddof=1))
    if deviation < 1e-9 * max(map(abs, values)):  # by rounding alone
        deviation = 0.0
    digits = max(0, -math.floor(math.log10(deviation))) if deviation > 0 else 3
    return f"{np.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def _mean(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):{form}}" if known else ""
