"""Grids of images."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array, Shaped, UInt8

from jaxlatent._boundary import as_count, as_images
from jaxlatent.report.plots.figure import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In a figure's 100 pixels an inch: those that an image is shown with, if it has no more itself.
_SHOWN = 128
# Of a title's letters, and of a further line of them.
_LETTERS_PER_INCH, _LINE_INCHES = 10.5, 0.2


def image_grid(
    images: Shaped[Array | np.ndarray, "n h w c"], columns: int = 8, *, gap: int = 2
) -> UInt8[np.ndarray, "height width 3"]:
    """Lays images out in rows on white, `gap` pixels apart.

    Args:
        images: uint8, or float in [0, 1] (rounded, clipped), n >= 1.
        columns: images in a row, >= 1.
        gap: pixels between images, >= 0.

    Raises:
        TypeError, ValueError: if an argument is no such thing; the message names it.
    """
    pixels = np.asarray(as_images("images", images, least=1))
    columns, gap = as_count("columns", columns, 1), as_count("gap", gap)
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    n, height, width, _ = pixels.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    grid = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(pixels):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


def plot_images(
    images: Shaped[Array | np.ndarray, "n h w c"],
    title: str = "",
    *,
    columns: int = 8,
    ax: "Axes | None" = None,
) -> "Axes":
    """One grid of images under a title; each pixel is magnified without smoothing.

    Args:
        images: uint8 in [0, 255] or floating point in [0, 1], (n, h, w, c).
        title: above them.
        columns: images in a row.
        ax: where to draw; a new figure where not given.
    """
    grid = image_grid(images, columns)
    height, width = (side * _inches_a_pixel(images) for side in grid.shape[:2])
    title = _wrapped(title, width)
    ax = new_axes(width, height + 0.4 + _LINE_INCHES * title.count("\n"), ax)
    ax.imshow(grid, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(title, fontsize=11)
    return ax


def plot_comparison(
    groups: Mapping[str, Shaped[Array | np.ndarray, "_ h w c"]], title: str = "", *, columns: int = 8
) -> "Figure":
    """Grids of images below one another, each under its own name.

    Args:
        groups: name -> images (n, h, w, c), uint8 or in [0, 1]; every group may have another number of them.
        title: above them all.
        columns: images in a row.
    """
    from matplotlib.figure import Figure

    grids = {name: image_grid(images, columns) for name, images in groups.items()}
    inches = min(_inches_a_pixel(images) for images in groups.values())
    heights = [grid.shape[0] * inches for grid in grids.values()]
    width = max(grid.shape[1] for grid in grids.values()) * inches
    names = [_wrapped(name, width) for name in grids]
    title = _wrapped(title, width * 11 / 13)
    breaks = title.count("\n") + sum(name.count("\n") for name in names)
    lines = 0.4 * len(grids) + _LINE_INCHES * breaks
    figure = Figure(figsize=(width + 0.2, sum(heights) + lines + 0.5), layout="constrained")
    axes = figure.subplots(len(grids), 1, height_ratios=heights, squeeze=False)[:, 0]
    for ax, name, grid in zip(axes, names, grids.values(), strict=True):
        ax.imshow(grid, interpolation="nearest")
        ax.set_axis_off()
        ax.set_title(name, fontsize=11, loc="left")
    figure.suptitle(title, fontsize=13)
    return figure


def _inches_a_pixel(images: Shaped[Array | np.ndarray, "n h w c"]) -> float:
    """How large a figure shows a pixel of the images."""
    return max(1, round(_SHOWN / max(images.shape[1:3]))) / 100


def _wrapped(title: str, inches: float) -> str:
    """A title in as many lines as a figure of small images needs."""
    return textwrap.fill(title, max(1, int(_LETTERS_PER_INCH * inches)))
