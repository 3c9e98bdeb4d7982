"""Figures without pyplot: nothing is kept alive or changed outside the figure itself."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Array, Float

from jaxlatent._files import atomic_path
from jaxlatent.latent import Ellipse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with any colour vision.
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
PURPLE, SKY = "#CC79A7", "#56B4E9"

_CURVE_COLOURS = (VERMILION, GREEN, ORANGE, PURPLE, SKY, BLUE)
_CURVE_DASHES = ("-", "--", "-.", ":")
_MOST_POINTS = 20_000
# Of an axis' label and its ticks.
_LABEL_INCHES = 0.45


def new_axes(
    width: float,
    height: float,
    ax: "Axes | None" = None,
    *,
    layout: Literal["constrained", "compressed"] = "constrained",
) -> "Axes":
    """The axes given, or those of a new figure of `width` x `height` inches.

    The layout "compressed" is for axes of a fixed shape, beside which "constrained" would cut off letters.
    """
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout).add_subplot()


@contextmanager
def own_style() -> Iterator[None]:
    """Figures are drawn with matplotlib's defaults, whatever a user's settings are; also a decorator.

    Text set by LaTeX, say, fails where LaTeX or one of its packages is missing.
    """
    from matplotlib import style

    with style.context("default"):
        yield


def curve_style(i: int) -> dict[str, Any]:
    """Colour and dashes of the i-th of many curves in one panel, so that they differ in print too."""
    colour, dashes = _CURVE_COLOURS[i % len(_CURVE_COLOURS)], _CURVE_DASHES[i % len(_CURVE_DASHES)]
    return {"color": colour, "linestyle": dashes, "linewidth": 1.6}


def legend_below(ax: "Axes", columns: int, *, lines: Any = ()) -> None:
    """A legend under the axis' label, for panels whose curves leave no room.

    Args:
        ax: the axes.
        columns: entries in a row.
        lines: the entries' artists, where they do not all belong to `ax`.
    """
    from matplotlib import transforms

    handles = list(lines) or ax.get_legend_handles_labels()[0]
    below = transforms.ScaledTranslation(0, -_LABEL_INCHES, ax.figure.dpi_scale_trans)
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0)}
    place["bbox_transform"] = ax.transAxes + below
    ax.legend(handles=handles, ncols=columns, fontsize=9, frameon=False, **place)


def name_points(ax: "Axes", points: Mapping[str, tuple[float, float]]) -> None:
    """Names in a column beside the panel, each joined to its point, so that none covers another."""
    if not points:
        return
    from scipy import optimize, spatial

    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())
    places = np.stack([np.full(len(points), 1.05), np.linspace(0.99, 0.01, len(points))], axis=1)
    fractions = (ax.transData - ax.transAxes).transform(list(points.values()))
    # Lines of the smallest total length do not cross.
    _, chosen = optimize.linear_sum_assignment(spatial.distance.cdist(fractions, places))
    line: dict[str, Any] = {
        "arrowstyle": "-",
        "color": GREY,
        "linewidth": 0.6,
        "shrinkB": 3,
        "relpos": (0, 0.5),
    }
    for (name, point), place in zip(points.items(), places[chosen], strict=True):
        ax.annotate(
            name,
            point,
            tuple(place),
            textcoords="axes fraction",
            arrowprops=line,
            fontsize=8,
            va="center",
            annotation_clip=False,
        )


def shade_density(
    ax: "Axes", points: Float[Array | np.ndarray, "n 2"], extent: Float[np.ndarray, "2 2"]
) -> None:
    """Hexagons coloured by the number of points in them; at most 20,000 points, evenly taken.

    Args:
        ax: the axes.
        points: (n, 2).
        extent: the lower and the upper corner of what is shown, in rows.
    """
    from matplotlib import colors

    points = np.asarray(points)[:: -(-len(points) // _MOST_POINTS)]
    ax.hexbin(
        *points.T,
        gridsize=45,
        cmap="Blues",
        mincnt=1,
        linewidths=0.1,
        norm=colors.PowerNorm(0.6),
        extent=tuple(extent.T.ravel()),
        # Thousands of hexagons would make a vector file large; lines and letters stay vectors.
        rasterized=True,
    )
    ax.plot([], [], "h", color="#6baed6", label="z-points (density)")


def draw_ellipse(ax: "Axes", ellipse: Ellipse, **style: Any) -> None:
    """The outline of an ellipse; `style` is matplotlib's for patches."""
    from matplotlib import patches

    width, height = (2 * a for a in ellipse.semi_axes)
    ax.add_patch(patches.Ellipse(ellipse.centre, width, height, angle=ellipse.angle, fill=False, **style))


def square_limits(ax: "Axes", extent: Float[np.ndarray, "2 2"]) -> None:
    """Limits that fill a square panel at equal scales; widening them later would make matplotlib complain."""
    centre, reach = extent.mean(axis=0), np.ptp(extent, axis=0).max() / 2
    ax.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach))
    ax.set_aspect("equal")


def save_figure(figure: "Figure", path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Writes the figure whole or not at all; the suffix of `path` names the format (png, svg, pdf)."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
