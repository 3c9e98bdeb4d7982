"""Planes of the latent space: z-points, generated vectors and ellipses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float

from jaxlatent.latent import GAUSSIAN_FWHM, PCA, Ellipse, confidence_ellipse
from jaxlatent.report.figure import BLUE, ORANGE, VERMILION, new_axes
from jaxlatent.sampling import EllipseBody

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 20_000
_MOST_GENERATED = 500


def plot_plane(
    points: Float[Array | np.ndarray, "n 2"],
    generated: Float[Array | np.ndarray, "m 2"],
    ellipses: Sequence[tuple[Ellipse, str, str]] = (),
    *,
    labels: tuple[str, str] = ("", ""),
    ax: "Axes | None" = None,
) -> "Axes":
    """One plane: the density of z-points, generated points on it, ellipses on top.

    Args:
        points: z-points in the plane, (n, 2); at most 20,000 of them are shown, evenly taken.
        generated: generated vectors in the plane, (m, 2); at most 500 are shown.
        ellipses: (ellipse, colour, name in the legend).
        labels: of the two axes.
        ax: where to draw; a new figure where not given.
    """
    from matplotlib import colors, patches

    ax = new_axes(5, 5, ax)
    points = np.asarray(points)[:: -(-len(points) // _MOST_POINTS)]
    generated = np.asarray(generated)[:_MOST_GENERATED]
    # From the bulk of the points, so that one far point does not shrink the picture to a dot.
    low, high = np.percentile(points, [0.2, 99.8], axis=0)
    margin = 0.15 * np.maximum(high - low, 1e-12)
    extent = np.stack([low - margin, high + margin])
    for ellipse, _, _ in ellipses:
        reach, centre = ellipse.semi_axes[0] * 1.1, np.array(ellipse.centre)
        extent = np.stack([np.minimum(extent[0], centre - reach), np.maximum(extent[1], centre + reach)])
    ax.hexbin(
        *points.T,
        gridsize=45,
        cmap="Blues",
        mincnt=1,
        linewidths=0.1,
        norm=colors.PowerNorm(0.6),
        extent=tuple(extent.T.ravel()),
    )
    ax.plot([], [], "h", color="#6baed6", label="z-points (density)")
    style: dict[str, Any] = {"color": ORANGE, "edgecolor": "black", "linewidth": 0.3, "zorder": 3}
    ax.scatter(generated[:, 0], generated[:, 1], s=9, label="generated", **style)
    for ellipse, colour, name in ellipses:
        width, height = (2 * a for a in ellipse.semi_axes)
        ax.add_patch(
            patches.Ellipse(
                ellipse.centre,
                width,
                height,
                angle=ellipse.angle,
                fill=False,
                color=colour,
                linewidth=1.8,
                label=name,
                zorder=4,
            )
        )
    ax.set(xlabel=labels[0], ylabel=labels[1])
    # Limits that fill the panel at equal scales; widening them later would make matplotlib complain.
    centre, reach = extent.mean(axis=0), np.ptp(extent, axis=0).max() / 2
    ax.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach))
    ax.set_aspect("equal")
    return ax


def plot_component_planes(
    z: Float[Array | np.ndarray, "n d"],
    z_new: Float[Array | np.ndarray, "m d"],
    pca: PCA,
    body: EllipseBody,
    pairs: Sequence[tuple[int, int]] = ((0, 1), (1, 2), (4, 5), (9, 10), (19, 20), (49, 50)),
) -> "Figure":
    """Planes of PCA components, where the ellipses of the body are aligned with the axes.

    Args:
        z: z-points in the latent frame.
        z_new: generated vectors in the latent frame.
        pca: the frame.
        body: its semi-axes, drawn beside the 2.35 sigma ellipse of the z-points.
        pairs: components, counted from 0; pairs that `pca` does not have are left out.
    """
    y, y_new = np.asarray(pca.transform(z)), np.asarray(pca.transform(z_new))
    axes = np.asarray(body.semi_axes).tolist()
    planes = []
    for i, j in pairs:
        if max(i, j) >= pca.n_components:
            continue
        pair = [i, j]
        zero, covariance = y[:, pair].mean(axis=0), np.diag(np.asarray(pca.explained_variance)[pair])
        wide, tall = axes[i], axes[j]
        limit = Ellipse((0.0, 0.0), (max(wide, tall), min(wide, tall)), 0.0 if wide >= tall else 90.0)
        ellipses = [
            (
                confidence_ellipse(zero, covariance, GAUSSIAN_FWHM),
                BLUE,
                f"{GAUSSIAN_FWHM:.2f} σ of the z-points",
            ),
            (limit, VERMILION, "limit of the pair"),
        ]
        planes.append(
            (y[:, pair], y_new[:, pair], ellipses, (f"PCA component {i + 1}", f"PCA component {j + 1}"))
        )
    return _figure(planes, "Planes of PCA components")


def plot_latent_planes(
    z: Float[Array | np.ndarray, "n d"],
    z_new: Float[Array | np.ndarray, "m d"],
    pairs: Sequence[tuple[int, int]] | None = None,
) -> "Figure":
    """Planes of latent coordinates, where the ellipses are tilted by the correlations.

    Args:
        z: z-points.
        z_new: generated vectors.
        pairs: coordinates, counted from 0; six of the most strongly correlated pairs, no coordinate
            twice, where not given.
    """
    z, z_new = np.asarray(z), np.asarray(z_new)
    planes = []
    for i, j in _most_correlated(z, 6) if pairs is None else pairs:
        pair = [i, j]
        covariance = np.cov(z[:, pair].T)
        ellipse = confidence_ellipse(z[:, pair].mean(axis=0), covariance, GAUSSIAN_FWHM)
        ellipses = [(ellipse, BLUE, f"{GAUSSIAN_FWHM:.2f} σ of the z-points")]
        planes.append(
            (
                z[:, pair],
                z_new[:, pair],
                ellipses,
                (f"latent coordinate {i + 1}", f"latent coordinate {j + 1}"),
            )
        )
    return _figure(planes, "Planes of latent coordinates")


def _most_correlated(z: np.ndarray, count: int) -> list[tuple[int, int]]:
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.abs(np.nan_to_num(np.corrcoef(z[:_MOST_POINTS].T)))
    found: list[tuple[int, int]] = []
    first, second = np.triu_indices(z.shape[1], 1)
    for k in np.argsort(-correlation[first, second]):
        i, j = int(first[k]), int(second[k])
        if not any({i, j} & set(pair) for pair in found):
            found.append((i, j))
        if len(found) == count:
            break
    return found


def _figure(planes: list, title: str) -> "Figure":
    from matplotlib.figure import Figure

    columns = min(3, len(planes))
    rows = -(-len(planes) // columns)
    figure = Figure(figsize=(4.2 * columns, 4.2 * rows + 0.8), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (points, generated, ellipses, labels) in zip(grid, planes, strict=False):
        plot_plane(points, generated, ellipses, labels=labels, ax=ax)
    for ax in grid[len(planes) :]:
        ax.set_axis_off()
    handles, names = grid[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    figure.suptitle(title, fontsize=13)
    return figure
