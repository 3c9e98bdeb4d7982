"""Planes of the latent space: z-points, generated vectors and ellipses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_count, as_vectors
from jaxlatent.latent import GAUSSIAN_FWHM, PCA, Ellipse, confidence_ellipse
from jaxlatent.report.plots.figure import (
    BLUE,
    ORANGE,
    VERMILION,
    draw_ellipse,
    legend_below,
    new_axes,
    shade_density,
    square_limits,
)
from jaxlatent.sampling import EllipseBody

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CORRELATED_POINTS = 20_000
_MOST_GENERATED, _FEW_GENERATED = 500, 50

# What `plot_plane` draws: points, generated points, ellipses, labels.
_Plane = tuple[np.ndarray, np.ndarray, list[tuple[Ellipse, str, str]], tuple[str, str]]


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
        generated: generated vectors in the plane, (m, 2); at most 500 are shown, larger if they are few.
        ellipses: (ellipse, colour, name in the legend).
        labels: of the two axes.
        ax: where to draw; a new figure where not given.
    """
    points, generated = (
        np.asarray(as_vectors(name, vectors, 2))
        for name, vectors in (("points", points), ("generated", generated))
    )
    ax = new_axes(5.0, 5.0, ax)
    generated = generated[:_MOST_GENERATED]
    # From the bulk of the points, so that one far point does not shrink the picture to a dot.
    low, high = np.percentile(points, [0.2, 99.8], axis=0)
    margin = 0.15 * np.maximum(high - low, 1e-12)
    extent = np.stack([low - margin, high + margin])
    for ellipse, _, _ in ellipses:
        reach, centre = ellipse.semi_axes[0] * 1.1, np.array(ellipse.centre)
        extent = np.stack([np.minimum(extent[0], centre - reach), np.maximum(extent[1], centre + reach)])
    shade_density(ax, points, extent)
    style: dict[str, Any] = {"color": ORANGE, "edgecolor": "black", "zorder": 3}
    size, rim = (36, 0.8) if len(generated) <= _FEW_GENERATED else (9, 0.3)
    ax.scatter(generated[:, 0], generated[:, 1], s=size, linewidth=rim, label="generated", **style)
    for ellipse, colour, name in ellipses:
        draw_ellipse(ax, ellipse, color=colour, linewidth=1.8, label=name, zorder=4)
    ax.set(xlabel=labels[0], ylabel=labels[1])
    square_limits(ax, extent)
    return ax


def plot_component_plane(
    z: Float[Array | np.ndarray, " n *latent"],
    z_new: Float[Array | np.ndarray, " m *latent"],
    pca: PCA,
    body: EllipseBody | None,
    pair: tuple[int, int] = (0, 1),
    *,
    count: int = 20,
    ax: "Axes | None" = None,
) -> "Axes":
    """One plane of PCA components with its ellipses and a few generated vectors.

    Args:
        z: z-points in the latent frame.
        z_new: generated vectors in the latent frame.
        pca: the frame.
        body: its semi-axes, drawn as the limit of a pair; none where there is no such region.
        pair: components, counted from 0.
        count: the first so many generated vectors are shown.
        ax: where to draw; a new figure where not given.

    Raises:
        ValueError: if `pca` does not have these components.
    """
    if max(pair) >= pca.n_components or min(pair) < 0:
        raise ValueError(f"pair: expected components from 0 to {pca.n_components - 1}, got {pair}")
    z_new = as_vectors("z_new", z_new, pca.n_features)[: as_count("count", count)]
    (plane,) = _component_planes(z, z_new, pca, body, [pair])
    points, generated, ellipses, (first, second) = plane
    labels = (f"{first} (latent units)", f"{second} (latent units)")
    ax = plot_plane(points, generated, ellipses, labels=labels, ax=new_axes(5.5, 6.0, ax))
    legend_below(ax, 2)
    return ax


def plot_component_planes(
    z: Float[Array | np.ndarray, " n *latent"],
    z_new: Float[Array | np.ndarray, " m *latent"],
    pca: PCA,
    body: EllipseBody | None,
    pairs: Sequence[tuple[int, int]] = ((0, 1), (1, 2), (4, 5), (9, 10), (19, 20), (49, 50)),
) -> "Figure":
    """Planes of PCA components, where the ellipses of the body are aligned with the axes.

    Args:
        z: z-points in the latent frame, (n, d).
        z_new: generated vectors in the latent frame, (m, d).
        pca: the frame.
        body: its semi-axes, drawn beside the 2.35 sigma ellipse of the z-points; none where there is no such
            region.
        pairs: components, counted from 0; pairs that `pca` does not have are left out.
    """
    return _figure(_component_planes(z, z_new, pca, body, pairs), "Planes of PCA components (latent units)")


def plot_component_grid(
    z: Float[Array | np.ndarray, " n *latent"],
    z_new: Float[Array | np.ndarray, " m *latent"],
    pca: PCA,
    body: EllipseBody | None,
    components: Sequence[int] = (0, 4, 9, 14, 19),
    *,
    count: int = 100,
) -> "Figure":
    """All planes of a choice among the first components, as the lower triangle of a grid.

    Both axes of a panel have one scale, that of the wider component; so the ellipses flatten down a column.

    Args:
        z: z-points in the latent frame.
        z_new: generated vectors in the latent frame.
        pca: the frame.
        body: its semi-axes, drawn as the limit of a pair; none where there is no such region.
        components: counted from 0; those that `pca` does not have are left out.
        count: the first so many generated vectors are shown.

    Raises:
        ValueError: if fewer than two of them are left.
    """
    from matplotlib.figure import Figure

    kept = [c for c in components if 0 <= c < pca.n_components]
    if len(kept) < 2:
        raise ValueError(f"components: expected at least 2 below {pca.n_components}, got {list(components)}")
    places = [(row, column) for row in range(1, len(kept)) for column in range(row)]
    pairs = [(kept[column], kept[row]) for row, column in places]
    z_new = as_vectors("z_new", z_new, pca.n_features)[: as_count("count", count)]
    planes = _component_planes(z, z_new, pca, body, pairs)
    side = len(kept) - 1
    figure = Figure(figsize=(2.6 * side + 0.6, 2.6 * side + 1.1), layout="constrained")
    grid = figure.subplots(side, side, squeeze=False)
    for ax in grid.ravel():
        ax.set_axis_off()
    for (row, column), (points, generated, ellipses, labels) in zip(places, planes, strict=True):
        ax = grid[row - 1, column]
        ax.set_axis_on()
        outer = (labels[0] if row == side else "", labels[1] if column == 0 else "")
        plot_plane(points, generated, ellipses, labels=outer, ax=ax)
        ax.tick_params(labelsize=8)
        ax.locator_params(nbins=5)
    _legend_of(figure, grid[0, 0])
    figure.suptitle("Planes among the first PCA components (latent units)", fontsize=13)
    return figure


def plot_latent_planes(
    z: Float[Array | np.ndarray, " n *latent"],
    z_new: Float[Array | np.ndarray, " m *latent"],
    pairs: Sequence[tuple[int, int]] | None = None,
) -> "Figure":
    """Planes of latent coordinates, where the ellipses are tilted by the correlations.

    Args:
        z: z-points, (n, d).
        z_new: generated vectors, (m, d).
        pairs: coordinates, counted from 0; six of the most strongly correlated pairs, no coordinate
            twice, where not given.
    """
    z = np.asarray(as_vectors("z", z))
    z_new = np.asarray(as_vectors("z_new", z_new, z.shape[1]))
    planes: list[_Plane] = []
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
    return _figure(planes, "Planes of latent coordinates (latent units)")


def _component_planes(
    z: Float[Array | np.ndarray, " n *latent"],
    z_new: Float[Array | np.ndarray, " m *latent"],
    pca: PCA,
    body: EllipseBody | None,
    pairs: Sequence[tuple[int, int]],
) -> list[_Plane]:
    """What is drawn of each pair that `pca` has."""
    z, z_new = (as_vectors(name, each, pca.n_features) for name, each in (("z", z), ("z_new", z_new)))
    y, y_new = np.asarray(pca.transform(z)), np.asarray(pca.transform(z_new))
    planes: list[_Plane] = []
    for i, j in pairs:
        if max(i, j) >= pca.n_components:
            continue
        pair = [i, j]
        zero, covariance = y[:, pair].mean(axis=0), np.diag(np.asarray(pca.explained_variance)[pair])
        sigma = confidence_ellipse(zero, covariance, GAUSSIAN_FWHM)
        ellipses = [(sigma, BLUE, f"{GAUSSIAN_FWHM:.2f} σ of the z-points")]
        if body is not None:
            wide, tall = np.asarray(body.semi_axes)[pair].tolist()
            limit = Ellipse((0.0, 0.0), (max(wide, tall), min(wide, tall)), 0.0 if wide >= tall else 90.0)
            ellipses.append((limit, VERMILION, "limit of the pair"))
        labels = (f"PCA component {i + 1}", f"PCA component {j + 1}")
        planes.append((y[:, pair], y_new[:, pair], ellipses, labels))
    return planes


def _most_correlated(z: np.ndarray, count: int) -> list[tuple[int, int]]:
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.abs(np.nan_to_num(np.corrcoef(z[:_CORRELATED_POINTS].T)))
    found: list[tuple[int, int]] = []
    first, second = np.triu_indices(z.shape[1], 1)
    for k in np.argsort(-correlation[first, second]):
        i, j = int(first[k]), int(second[k])
        if not any({i, j} & set(pair) for pair in found):
            found.append((i, j))
        if len(found) == count:
            break
    return found


def _figure(planes: list[_Plane], title: str) -> "Figure":
    from matplotlib.figure import Figure

    columns = min(3, len(planes))
    rows = -(-len(planes) // columns)
    figure = Figure(figsize=(4.2 * columns, 4.2 * rows + 0.8), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (points, generated, ellipses, labels) in zip(grid, planes, strict=False):
        plot_plane(points, generated, ellipses, labels=labels, ax=ax)
    for ax in grid[len(planes) :]:
        ax.set_axis_off()
    _legend_of(figure, grid[0])
    figure.suptitle(title, fontsize=13)
    return figure


def _legend_of(figure: "Figure", ax: "Axes") -> None:
    """One legend, of a panel that stands for all, under the figure."""
    handles, names = ax.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
