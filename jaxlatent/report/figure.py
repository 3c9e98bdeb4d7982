"""Figures without pyplot: nothing is kept alive or changed outside the figure itself."""

import os
from typing import TYPE_CHECKING

from jaxlatent._files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with any colour vision.
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"


def new_axes(width: float, height: float, ax: "Axes | None" = None) -> "Axes":
    """The axes given, or those of a new figure of `width` x `height` inches."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def save_figure(figure: "Figure", path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Writes the figure whole or not at all; the suffix of `path` names the format (png, svg, pdf)."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
