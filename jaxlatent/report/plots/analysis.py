"""The measurements of `jaxlatent.latent` as figures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float

from jaxlatent.latent import GAUSSIAN_FWHM
from jaxlatent.latent.contours import ContourFit
from jaxlatent.latent.distribution import NumberDistribution
from jaxlatent.latent.spectrum import Spectrum
from jaxlatent.report.plots.figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    draw_ellipse,
    legend_below,
    new_axes,
    shade_density,
    square_limits,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHARES = (0.9, 0.95, 0.99)


def plot_number_distributions(
    dist: NumberDistribution, components: Sequence[int], *, names: Sequence[str] | None = None
) -> "Figure":
    """The number distribution of some components, each beside the Gaussian of its mean and deviation.

    Args:
        dist: the measured distributions.
        components: which to show, counted from 0, at least one.
        names: titles of their panels; "component 1" and so on where not given.

    Raises:
        ValueError: if there is no component, or `dist` does not have one of them.
    """
    from matplotlib.figure import Figure

    have = len(dist.sigma)
    if not components or not all(0 <= c < have for c in components):
        raise ValueError(f"components: expected at least one from 0 to {have - 1}, got {list(components)}")
    names = [f"component {c + 1}" for c in components] if names is None else names
    columns = min(4, len(components))
    rows = -(-len(components) // columns)
    figure = Figure(figsize=(2.6 * columns + 0.4, 2.1 * rows + 0.9), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in grid[len(components) :]:
        ax.set_axis_off()
    for ax, c, name in zip(grid, components, names, strict=False):
        ax.stairs(dist.density[c], dist.edges[c], fill=True, color=BLUE, alpha=0.45, label="z-points")
        ax.plot(dist.centres[c], dist.gaussian[c], color=VERMILION, linewidth=1.4, label="Gaussian fit")
        reach = 4.5 * dist.sigma[c] or 1.0
        ax.set(xlim=(dist.mean[c] - reach, dist.mean[c] + reach), ylim=(0, None))
        ax.set_title(f"{name}, σ = {dist.sigma[c]:.3g}", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.locator_params(nbins=4)
    figure.supxlabel("value (latent units)", fontsize=10)
    figure.supylabel("density (1 / latent unit)", fontsize=10)
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
    return figure


def plot_spectrum(spectrum: Spectrum, *, ax: "Axes | None" = None) -> "Axes":
    """Eigenvalues on a logarithmic scale, and beside them the cumulative share of the variance.

    Marks tell how many components hold 90, 95 and 99 % of it. Eigenvalues of 0 are left out.
    """
    from matplotlib import ticker

    ax = new_axes(7.0, 4.6, ax)
    number = np.arange(1, spectrum.eigenvalues.size + 1)
    positive = spectrum.eigenvalues > 0
    lines = ax.plot(number[positive], spectrum.eigenvalues[positive], ".-", color=BLUE, label="eigenvalue")
    ax.set(xlabel="PCA component", yscale="log" if positive.any() else "linear")
    ax.set_ylabel("eigenvalue (squared latent units)", color=BLUE)
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    right = ax.twinx()
    lines += right.plot(number, spectrum.cumulative, color=VERMILION, label="cumulative share")
    for share, marker in zip(_SHARES, "os^", strict=True):
        k = spectrum.components_for(share)
        style: dict[str, Any] = {
            "color": VERMILION,
            "linestyle": "none",
            "markeredgecolor": "black",
            "markersize": 7,
        }
        lines += right.plot(
            k, spectrum.cumulative[k - 1], marker, label=f"{100 * share:.0f} % in {k} components", **style
        )
    right.set(ylim=(0, 1.05))
    right.yaxis.set_major_formatter(ticker.PercentFormatter(1.0, symbol=" %"))
    right.set_ylabel("cumulative share of the variance", color=VERMILION)
    legend_below(ax, 3, lines=lines)
    return ax


def plot_half_widths(
    fwhm: Float[Array | np.ndarray, " k"],
    sigma: Float[Array | np.ndarray, " k"],
    fixed: Float[Array | np.ndarray, " k"] | None = None,
    *,
    interval: float | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Measured half-widths of the components beside those that Gaussians of their deviations have.

    Args:
        fwhm: full widths at half maximum, in latent units.
        sigma: standard deviations, in latent units.
        fixed: the estimates with one sampling interval, see `jaxlatent.latent.fixed_interval`.
        interval: that interval, in latent units; drawn as a line.
        ax: where to draw; a new figure where not given.
    """
    from matplotlib import ticker

    ax = new_axes(7.0, 4.6, ax)
    number = np.arange(1, len(np.asarray(fwhm)) + 1)
    if fixed is not None:
        style: dict[str, Any] = {"color": ORANGE, "markersize": 5, "fillstyle": "none"}
        ax.plot(number, np.asarray(fixed), "^", label="one interval for all", **style)
    if interval is not None:
        ax.axhline(interval, color=GREY, linestyle=":", label=f"the interval, {interval:g}")
    ax.plot(number, np.asarray(fwhm), "o", color=BLUE, markersize=3.5, label="own resolution")
    gaussian = GAUSSIAN_FWHM * np.asarray(sigma)
    ax.plot(number, gaussian, color=VERMILION, linewidth=1.6, label=f"Gaussian: {GAUSSIAN_FWHM:.4f} σ")
    ax.set(xlabel="PCA component", ylabel="full width at half maximum (latent units)", yscale="log")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    ax.grid(alpha=0.3, which="both")
    legend_below(ax, 2)
    return ax


def plot_correlation(matrix: Float[Array | np.ndarray, "d d"], *, ax: "Axes | None" = None) -> "Axes":
    """Heat map of a correlation matrix; its colours end where 99 % of the pairs of coordinates do."""
    from matplotlib import ticker

    values = np.asarray(matrix)
    d = len(values)
    off = np.abs(values[~np.eye(d, dtype=bool)])
    # Weak correlations everywhere must not look like none, nor the diagonal set the scale, nor noise strong.
    limit = max(float(np.quantile(off, 0.99)) if off.size else 1.0, 0.1)
    ax = new_axes(6.0, 5.2, ax)
    extent = (0.5, d + 0.5, d + 0.5, 0.5)
    style: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
    picture = ax.imshow(values, extent=extent, **style)
    bar = ax.figure.colorbar(picture, ax=ax, extend="both", shrink=0.9)
    bar.set_label("Pearson correlation (the diagonal is 1)")
    ax.set(xlabel="coordinate", ylabel="coordinate")
    return ax


def plot_coverage(
    levels: Float[np.ndarray, " levels"] | Sequence[float],
    shares: Mapping[int, Float[np.ndarray, " levels"]],
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """The share of z-points inside all pair ellipses, over the level, for numbers of components.

    Args:
        levels: semi-axes in standard deviations.
        shares: number of components -> share of the points, in [0, 1]. A share of 0 is not drawn.
        ax: where to draw; a new figure where not given.
    """
    from matplotlib import colormaps, ticker

    ax = new_axes(7.0, 4.6, ax)
    shade = colormaps["viridis"](np.linspace(0, 0.85, max(len(shares), 1)))
    step = max(1, len(levels) // 8)
    for i, k in enumerate(sorted(shares)):
        share = np.asarray(shares[k], np.float64)
        marks: dict[str, Any] = {"marker": "osD^vPX*"[i % 8], "markersize": 5, "markevery": (i % step, step)}
        ax.plot(levels, np.where(share > 0, share, np.nan), color=shade[i], label=f"{k} components", **marks)
    ax.axvline(GAUSSIAN_FWHM, color=GREY, linestyle=":", label=f"{GAUSSIAN_FWHM:.2f} σ, the half-width")
    # Without a share above 0 matplotlib would find no scale.
    every = np.concatenate([np.ravel(share) for share in shares.values()])
    least = np.min(every, where=every > 0, initial=1.0)
    ax.set(xlabel="semi-axes (standard deviations)", ylabel="z-points inside all pair ellipses")
    ax.set(yscale="log", ylim=(least / 2, 1.5))
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    ax.yaxis.set_minor_formatter(ticker.NullFormatter())
    ax.grid(alpha=0.3)
    legend_below(ax, 3)
    return ax


def plot_contours(
    points: Float[Array | np.ndarray, "n 2"],
    fits: Sequence[ContourFit],
    *,
    labels: tuple[str, str] = ("", ""),
    ax: "Axes | None" = None,
) -> "Axes":
    """Measured contour lines, the ellipses fitted to them and those of the covariance, on the density.

    Args:
        points: z-points in the plane.
        fits: of `jaxlatent.latent.contours.contour_fits`, at least one.
        labels: of the two axes.
        ax: where to draw; a new figure where not given.

    Raises:
        ValueError: if there is no fit.
    """
    if not fits:
        raise ValueError("fits: expected at least one contour; take a lower level or more points")
    ax = new_axes(6.0, 6.6, ax)
    centre = np.array(fits[0].gaussian.centre)
    reach = 1.15 * max(max(fit.gaussian.semi_axes[0], fit.fitted.semi_axes[0]) for fit in fits)
    extent = np.stack([centre - reach, centre + reach])
    shade_density(ax, points, extent)
    for i, fit in enumerate(fits):
        name = (
            ["", "", ""] if i else ["measured contour", "ellipse fitted to it", "ellipse of the covariance"]
        )
        ax.plot(*fit.line.T, color=GREEN, linewidth=1.2, label=name[0], zorder=3)
        draw_ellipse(ax, fit.fitted, color=VERMILION, linewidth=1.5, label=name[1], zorder=4)
        draw_ellipse(ax, fit.gaussian, color="black", linewidth=1.0, linestyle="--", label=name[2], zorder=5)
        # Turned by the golden ratio, so that neighbouring levels do not write over each other.
        place = fit.line[int((0.1 + 0.382 * i) % 1 * len(fit.line))]
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
        name_at: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "zorder": 6, "bbox": box}
        ax.text(place[0], place[1], f"{fit.level:.3g} σ", **name_at)
    ax.set(xlabel=labels[0], ylabel=labels[1])
    square_limits(ax, extent)
    legend_below(ax, 2)
    return ax
