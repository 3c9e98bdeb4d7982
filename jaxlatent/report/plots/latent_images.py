"""Decoded images laid out by where their vectors lie: along components, along paths, over a sweep."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxlatent._boundary import as_array, as_images, as_vectors
from jaxlatent.report.plots.figure import ORANGE, VERMILION, new_axes, shade_density, square_limits
from jaxlatent.report.plots.images import image_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_IMAGE_INCHES = 0.9
_PANEL_INCHES = 4.8
_GAP = 2


def plot_traversals(
    images: Shaped[Array | np.ndarray, "rows columns h w c"],
    values: Sequence[float] | Float[np.ndarray, " columns"],
    names: Sequence[str],
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Images along components: a component a row, a value a column.

    Args:
        images: decoded images, uint8 or float in [0, 1].
        values: of the component in the columns, in standard deviations.
        names: of the components, a row each.
        ax: where to draw; a new figure where not given.

    Raises:
        ValueError: if `values` or `names` do not fit the images.
    """
    pixels = np.asarray(as_array("images", images))
    rows, columns, height, width, channels = pixels.shape
    if len(values) != columns or len(names) != rows:
        raise ValueError(
            f"values, names: expected {columns} values and {rows} names, as images has, got {len(values)} "
            f"and {len(names)}"
        )
    ax = new_axes(
        _IMAGE_INCHES * columns + 1.6, _IMAGE_INCHES * rows * height / width + 0.6, ax, layout="compressed"
    )
    ax.imshow(
        image_grid(pixels.reshape(-1, height, width, channels), columns, gap=_GAP), interpolation="nearest"
    )
    ticks = [f"{value:+.2g} σ".replace("-", "−") if value else "0" for value in values]
    ax.set_xticks((width + _GAP) * np.arange(columns) + width / 2, ticks)
    ax.set_yticks((height + _GAP) * np.arange(rows) + height / 2, names)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    return ax


def plot_path(
    images: Shaped[Array | np.ndarray, "n h w c"],
    places: Float[Array | np.ndarray, "n 2"],
    *,
    points: Float[Array | np.ndarray, "m 2"] | None = None,
    labels: tuple[str, str] = ("", ""),
    closed: bool = False,
    title: str = "",
) -> "Figure":
    """A path through a plane with numbered places, and the image of each place beside it.

    Args:
        images: decoded images in the order of the path, uint8 or float in [0, 1], at least one.
        places: where they lie in the plane.
        points: z-points of the plane, shown as density below the path.
        labels: of the two axes of the plane.
        closed: whether the path leads back from the last place to the first.
        title: above the figure.

    Raises:
        ValueError: if there are not as many places as images.
    """
    from matplotlib import patheffects
    from matplotlib.figure import Figure

    pixels = np.asarray(as_images("images", images))
    spots = np.asarray(as_vectors("places", places, 2), np.float64)
    points = None if points is None else np.asarray(as_vectors("points", points, 2))
    n, height, width, _ = pixels.shape
    if len(spots) != n:
        raise ValueError(f"places: expected {n}, as many as images, got {len(spots)}")
    figure = Figure(figsize=(2 * _PANEL_INCHES + 0.5, _PANEL_INCHES + 0.5), layout="compressed")
    figure.suptitle(title, fontsize=13)
    plane, faces = figure.subplots(1, 2)
    written: dict[str, Any] = {
        "fontsize": 10,
        "textcoords": "offset points",
        "path_effects": [patheffects.withStroke(linewidth=2.5, foreground="white")],
        "zorder": 4,
    }
    low, high = spots.min(axis=0), spots.max(axis=0)
    if points is not None:
        ends = np.percentile(points, [0.2, 99.8], axis=0)
        low, high = np.minimum(low, ends[0]), np.maximum(high, ends[1])
    margin = 0.12 * np.ptp(np.stack([low, high]), axis=0).max() or 1.0
    extent = np.stack([low - margin, high + margin])
    if points is not None:
        shade_density(plane, points, extent)
    path = np.concatenate([spots, spots[:1]]) if closed else spots
    plane.plot(*path.T, "o-", color=VERMILION, markerfacecolor=ORANGE, markeredgecolor="black", zorder=3)
    for i, spot in enumerate(spots):
        plane.annotate(str(i + 1), tuple(spot), (5, 5), **written)
    plane.set(xlabel=labels[0], ylabel=labels[1])
    square_limits(plane, extent)
    columns = math.ceil(math.sqrt(n))
    faces.imshow(image_grid(pixels, columns, gap=_GAP), interpolation="nearest")
    for i in range(n):
        corner = ((width + _GAP) * (i % columns), (height + _GAP) * (i // columns))
        faces.annotate(str(i + 1), corner, (3, -12), **written)
    faces.set_axis_off()
    return figure


def plot_sweep(
    images: Mapping[tuple[int, float], Shaped[Array | np.ndarray, "_ h w c"]],
    title: str = "",
    *,
    columns: int = 2,
    ax: "Axes | None" = None,
) -> "Axes":
    """Some images of every cell of a sweep: numbers of components down, scales of the half-widths across.

    Args:
        images: (components, fact) -> decoded images, as many and as large in every cell. A cell that the
            grid has and `images` has not stays white.
        title: above the figure.
        columns: images in a row of a cell.
        ax: where to draw; a new figure where not given.

    Raises:
        ValueError: if there is no cell, or the cells differ in shape.
    """
    cells = {place: image_grid(cell, columns, gap=_GAP) for place, cell in images.items()}
    shapes = {cell.shape for cell in cells.values()}
    if len(shapes) != 1:
        raise ValueError(f"images: expected cells of one shape, got {len(shapes)} shapes")
    ((height, width, _),) = shapes
    counts, facts = sorted({k for k, _ in cells}), sorted({fact for _, fact in cells})
    white = np.full((height, width, 3), 255, np.uint8)
    gap = max(4, width // 12)
    table = image_grid(
        np.stack([cells.get((k, fact), white) for k in counts for fact in facts]), len(facts), gap=gap
    )
    # A cell of two images in a row is two images wide.
    inches = _IMAGE_INCHES * columns
    ax = new_axes(
        inches * len(facts) + 1.2, inches * len(counts) * height / width + 1.0, ax, layout="compressed"
    )
    ax.imshow(table, interpolation="nearest")
    ax.set_xticks((width + gap) * np.arange(len(facts)) + width / 2, [f"{fact:g}" for fact in facts])
    ax.set_yticks((height + gap) * np.arange(len(counts)) + height / 2, [str(k) for k in counts])
    ax.set(xlabel="fact (semi-axes in units of the half-widths)", ylabel="PCA components kept")
    ax.xaxis.set_label_position("top")
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title, fontsize=13)
    return ax
