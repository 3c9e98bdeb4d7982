"""The measurements of `jaxlatent.latent` as figures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float

from jaxlatent.latent import GAUSSIAN_FWHM
from jaxlatent.latent.contours import ContourFit
from jaxlatent.latent.distribution import NumberDistribution
from jaxlatent.latent.normality import RadiusLaw
from jaxlatent.latent.spectrum import Spectrum
from jaxlatent.report.figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    curve_style,
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
_CURVE_POINTS, _EXTREMES = 1000, 50
_MOST_BINS = 400
# Percentiles between which a distribution is drawn.
_SHOWN = (0.1, 99.9)
_FAR_APART = 5


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

    ax = new_axes(7, 4.6, ax)
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

    ax = new_axes(7, 4.6, ax)
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
    ax = new_axes(7, 4.8, ax)
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


def plot_correlation(matrix: Float[Array | np.ndarray, "d d"], *, ax: "Axes | None" = None) -> "Axes":
    """Heat map of a correlation matrix; its colours end where 99 % of the pairs of coordinates do."""
    from matplotlib import ticker

    values = np.asarray(matrix)
    d = len(values)
    off = np.abs(values[~np.eye(d, dtype=bool)])
    # Weak correlations everywhere must not look like none, nor the diagonal set the scale, nor noise strong.
    limit = max(float(np.quantile(off, 0.99)) if off.size else 1.0, 0.1)
    ax = new_axes(6, 5.2, ax)
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

    ax = new_axes(7, 4.6, ax)
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
    ax = new_axes(6, 6.6, ax)
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
