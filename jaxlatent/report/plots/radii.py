"""Mahalanobis radii: their distributions, and the chi-square plot."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float

from jaxlatent.latent.normality import RadiusLaw
from jaxlatent.report.plots.figure import (
    BLUE,
    ORANGE,
    VERMILION,
    curve_style,
    legend_below,
    new_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVE_POINTS, _EXTREMES = 1000, 50
_MOST_BINS = 400
# Percentiles between which a distribution is drawn.
_SHOWN = (0.1, 99.9)
_FAR_APART = 5


def plot_radii(
    radii: Mapping[str, Float[Array | np.ndarray, " _"]], degrees: int, *, ax: "Axes | None" = None
) -> "Axes":
    """How far from the mean the vectors of each group lie, beside the chi law of a Gaussian.

    Every histogram is scaled to a highest value of 1, so that a thin shell does not dwarf the others. Where
    the medians lie far apart, the radii are on a logarithmic scale.

    Args:
        radii: name -> Mahalanobis radii, at least one a group. The first group, the z-points, is filled.
        degrees: the number of directions k; a Gaussian's radii follow the chi law of k degrees of freedom.
        ax: where to draw; a new figure where not given.

    Raises:
        ValueError: if there is no group, or a group has no radius.
    """
    from matplotlib import ticker
    from scipy import stats

    groups = {name: np.asarray(values, np.float64) for name, values in radii.items()}
    if not groups or not all(values.size for values in groups.values()):
        raise ValueError("radii: expected at least one group, and a radius in each")
    ax = new_axes(7.0, 4.8, ax)
    law = stats.chi(degrees)
    medians = [float(np.median(values)) for values in groups.values()]
    lowest = min(values.min() for values in groups.values())
    logarithmic = lowest > 0 and max(medians) > _FAR_APART * min(medians)
    scaled = {name: np.log(values) if logarithmic else values for name, values in groups.items()}
    chi = law.ppf([0.001, 0.999])
    ends = [np.percentile(values, _SHOWN) for values in scaled.values()]
    ends.append(np.log(chi) if logarithmic else chi)
    finest = np.ptp(ends) / _MOST_BINS
    for i, ((name, values), median) in enumerate(zip(scaled.items(), medians, strict=True)):
        counts, edges = np.histogram(values, _bins(values, finest))
        style: dict[str, Any] = {"fill": True, "color": BLUE, "alpha": 0.35} if i == 0 else curve_style(i - 1)
        label = f"{name} (median {median:.1f})"
        ax.stairs(counts / counts.max(), np.exp(edges) if logarithmic else edges, label=label, **style)
    x = np.linspace(np.min(ends), np.max(ends), 1000)
    r = np.exp(x) if logarithmic else x
    density = law.pdf(r) * (r if logarithmic else 1)
    label = f"Gaussian: chi law of {degrees} (median {law.median():.1f})"
    ax.plot(r, density / density.max(), color="black", linewidth=1.2, label=label)
    if logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    ax.set(
        xlabel="Mahalanobis radius (standard deviations)", ylabel="frequency (highest = 1)", ylim=(0, 1.08)
    )
    ax.grid(alpha=0.3)
    legend_below(ax, 2)
    return ax


def _bins(values: np.ndarray, finest: float) -> np.ndarray:
    """Edges of Freedman and Diaconis' width over the bulk of the values, but none narrower than `finest`."""
    first, third = np.percentile(values, [25, 75])
    width = max(2 * (third - first) * values.size ** (-1 / 3), finest)
    begin, end = np.percentile(values, _SHOWN)
    return np.arange(begin - 1.5 * width, end + 2 * width, width)


def plot_chi_square(law: RadiusLaw, *, ax: "Axes | None" = None) -> "Axes":
    """Squared radii against the quantiles that a Gaussian's would have: on the diagonal where normal."""
    ax = new_axes(5.4, 5.4, ax)
    n = law.squared_radii.size
    # The whole course, and each of the outermost points.
    shown = np.unique(
        np.r_[np.linspace(0, n - 1, min(n, _CURVE_POINTS)).astype(int), max(0, n - _EXTREMES) : n]
    )
    label = f"z-points: standard deviation {law.deviation:.3g}"
    ax.plot(law.expected[shown], law.squared_radii[shown], ".", color=BLUE, markersize=4, label=label)
    ends = law.expected[[0, -1]]
    label = f"Gaussian: standard deviation {law.gaussian_deviation:.3g}"
    ax.plot(ends, ends, "--", color=VERMILION, label=label)
    marks = [int(share * (n - 1)) for share in (0.01, 0.5, 0.99)]
    style: dict[str, Any] = {"color": ORANGE, "markeredgecolor": "black", "markersize": 8, "zorder": 3}
    at = law.expected[marks], law.squared_radii[marks]
    ax.plot(*at, "o", label="1, 50 and 99 % of the points lie within", **style)
    for share, x, y in zip(("1 %", "50 %", "99 %"), *at, strict=True):
        ax.annotate(share, (x, y), (7, -9), textcoords="offset points", fontsize=9)
    ax.set_xlabel(f"chi-square quantile, {law.degrees} degrees of freedom")
    ax.set_ylabel("squared Mahalanobis radius")
    ax.grid(alpha=0.3)
    legend_below(ax, 1)
    return ax
