"""The course of a training."""

from typing import TYPE_CHECKING

from jaxlatent.autoencoder import History
from jaxlatent.report.plots.figure import BLUE, GREY, VERMILION, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_history(history: History, ax: "Axes | None" = None) -> "Axes":
    """Training and validation loss by epoch on a logarithmic scale; the best epoch is marked."""
    from matplotlib import ticker

    ax = new_axes(6.0, 4.0, ax)
    epochs = history.column("epoch")
    ax.plot(epochs, history.column("train_loss"), "o-", color=BLUE, markersize=4, label="training")
    validation = history.column("val_loss")
    if any(loss == loss for loss in validation):
        ax.plot(epochs, validation, "s-", color=VERMILION, markersize=4, label="validation")
    best = history.best()
    ax.axvline(best.epoch, color=GREY, linestyle=":", label=f"kept: epoch {best.epoch}")
    ax.set(xlabel="epoch", ylabel="loss (mean per pixel value in [0, 1])", yscale="log")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    ax.grid(alpha=0.3, which="both")
    ax.legend()
    return ax
