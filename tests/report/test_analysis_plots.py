"""Figures of the analysis and layouts of images: what they show, and that every format can be written."""

import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

import jaxlatent as jl
from jaxlatent.latent.contours import contour_fits
from jaxlatent.latent.distribution import number_distribution
from jaxlatent.latent.normality import radius_law
from jaxlatent.latent.spectrum import Spectrum, correlation, spectrum
from jaxlatent.report.plots.analysis import (
    plot_contours,
    plot_correlation,
    plot_coverage,
    plot_half_widths,
    plot_number_distributions,
    plot_spectrum,
)
from jaxlatent.report.plots.figure import save_figure
from jaxlatent.report.plots.latent_images import plot_path, plot_sweep, plot_traversals
from jaxlatent.report.plots.planes import plot_component_grid, plot_component_plane
from jaxlatent.report.plots.radii import plot_chi_square, plot_radii


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((3000, 6)) @ rng.standard_normal((6, 6)) + 2).astype(np.float32)


@pytest.fixture
def written(tmp_path):
    """Writes what a test drew as PNG and as SVG, in which all warnings would show."""
    figures = []
    yield figures.append
    for figure in figures:
        for suffix in ("png", "svg"):
            save_figure(figure, tmp_path / f"figure.{suffix}", dpi=50)
        assert (tmp_path / "figure.svg").read_text().startswith("<?xml")


def named(ax):
    return dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_number_distributions(z, written):
    dist = number_distribution(z)
    figure = plot_number_distributions(dist, [0, 3, 5], names=["a", "b", "c"])
    written(figure)
    assert [ax.get_title() for ax in figure.axes[:3]] == [
        f"{name}, σ = {dist.sigma[i]:.3g}" for name, i in zip("abc", [0, 3, 5], strict=True)
    ]
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), dist.gaussian[3])
    assert "latent units" in figure.get_supxlabel()
    constant = number_distribution(np.ones((50, 2), np.float32))
    written(plot_number_distributions(constant, [1]))
    for bad in ([], [6], [-1]):
        with pytest.raises(ValueError, match="components: expected at least one from 0 to 5"):
            plot_number_distributions(dist, bad)


def test_spectrum(z, written):
    found = spectrum(z)
    ax = plot_spectrum(found)
    written(ax.figure)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), found.eigenvalues)
    names = legend_texts(ax)
    for share in (90, 95, 99):
        assert f"{share} % in {found.components_for(share / 100)} components" in names
    flat = plot_spectrum(Spectrum(np.array([4.0, 1.0, 0.0])))
    written(flat.figure)
    np.testing.assert_allclose(flat.lines[0].get_xdata(), [1, 2])
    written(plot_spectrum(Spectrum(np.zeros(2))).figure)


@pytest.mark.parametrize("with_fixed", [True, False])
def test_half_widths(written, with_fixed):
    fwhm, sigma = np.array([2.4, 1.1, 0.2]), np.array([1.0, 0.5, 0.1])
    fixed = np.array([2.3, 1.2, 0.5]) if with_fixed else None
    ax = plot_half_widths(fwhm, sigma, fixed, interval=0.5 if with_fixed else None)
    written(ax.figure)
    lines = named(ax)
    np.testing.assert_allclose(lines["own resolution"].get_ydata(), fwhm)
    np.testing.assert_allclose(lines["Gaussian: 2.3548 σ"].get_ydata(), 2.35482 * sigma, rtol=1e-5)
    assert ("one interval for all" in lines, "the interval, 0.5" in lines) == (with_fixed, with_fixed)


def test_radii_are_scaled_to_one_and_named_with_their_medians(written):
    rng = np.random.default_rng(0)
    real = np.sqrt(rng.chisquare(64, 5000))
    ax = plot_radii({"z-points": real, "shell": np.full(100, 9.0)}, 64)
    written(ax.figure)
    assert ax.get_xscale() == "linear"
    assert legend_texts(ax)[:2] == [f"z-points (median {np.median(real):.1f})", "shell (median 9.0)"]
    for patch in ax.patches:
        assert patch.get_data().values.max() == 1
    law = ax.lines[0]
    assert law.get_xdata()[np.argmax(law.get_ydata())] == pytest.approx(63**0.5, abs=0.05)
    histogram = ax.patches[0].get_data()
    centres = (histogram.edges[1:] + histogram.edges[:-1]) / 2
    assert np.abs(np.interp(centres, *law.get_data()) - histogram.values).max() < 0.2


def test_radii_that_lie_far_apart_are_on_a_logarithmic_scale(written):
    rng = np.random.default_rng(0)
    ax = plot_radii({"z-points": np.sqrt(rng.chisquare(4, 500)), "box": 100 + rng.standard_normal(500)}, 4)
    written(ax.figure)
    assert ax.get_xscale() == "log"
    many = {str(i): np.array([1.0 + i]) for i in range(12)}
    written(plot_radii(many, 2).figure)
    for bad in ({}, {"z": np.zeros(0)}):
        with pytest.raises(ValueError, match="radii: expected at least one"):
            plot_radii(bad, 4)


def test_chi_square(z, written):
    law = radius_law(z)
    ax = plot_chi_square(law)
    written(ax.figure)
    shown = named(ax)[f"z-points: standard deviation {law.deviation:.3g}"]
    assert len(shown.get_xdata()) < 1100
    np.testing.assert_allclose(shown.get_ydata()[-50:], law.squared_radii[-50:])
    diagonal = named(ax)[f"Gaussian: standard deviation {12**0.5:.3g}"]
    np.testing.assert_allclose(diagonal.get_xdata(), diagonal.get_ydata())


def test_correlation(z, written):
    matrix = correlation(z)
    ax = plot_correlation(matrix)
    written(ax.figure)
    low, high = ax.images[0].get_clim()
    assert -low == high <= np.abs(matrix[~np.eye(6, dtype=bool)]).max() + 1e-12
    written(plot_correlation(np.eye(1)).figure)


def test_coverage(written):
    levels = np.linspace(1, 4, 7)
    shares = {8: np.linspace(0, 0.5, 7), 2: np.linspace(0.1, 1, 7)}
    ax = plot_coverage(levels, shares)
    written(ax.figure)
    assert legend_texts(ax) == ["2 components", "8 components", "2.35 σ, the half-width"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [np.nan, *shares[8][1:]])
    written(plot_coverage(levels, {2: np.zeros(7)}).figure)


def test_contours(z, written):
    points = z[:, :2]
    fits = contour_fits(points, [1.0, 2.0])
    ax = plot_contours(points, fits, labels=("first", "second"))
    written(ax.figure)
    assert {text.get_text() for text in ax.texts} == {"1 σ", "2 σ"}
    widths = sorted(patch.width / 2 for patch in ax.patches)
    axes = sorted(ellipse.semi_axes[0] for fit in fits for ellipse in (fit.fitted, fit.gaussian))
    np.testing.assert_allclose(widths, axes)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("first", "second")
    with pytest.raises(ValueError, match="fits: expected at least one"):
        plot_contours(points, [])


def test_single_plane_and_grid_of_planes(z, written):
    sampler = jl.PairwiseSampler.fit(z)
    arguments = (z, z[:200], sampler.pca, sampler.body)
    ax = plot_component_plane(*arguments, (1, 4))
    written(ax.figure)
    assert ax.get_xlabel() == "PCA component 2 (latent units)"
    assert len(ax.collections[-1].get_offsets()) == 20
    limit = ax.patches[-1]
    np.testing.assert_allclose([limit.width / 2, limit.height / 2], sampler.body.semi_axes[np.array([1, 4])])
    figure = plot_component_grid(*arguments, (0, 2, 4, 19))
    written(figure)
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == 3
    assert [axes.get_ylabel() for axes in shown] == ["PCA component 3", "PCA component 5", ""]
    with pytest.raises(ValueError, match="pair: expected components from 0 to 5"):
        plot_component_plane(*arguments, (1, 6))
    with pytest.raises(ValueError, match="components: expected at least 2 below 6"):
        plot_component_grid(*arguments, (0, 19))


def test_traversals(written):
    images = np.random.default_rng(0).random((2, 3, 8, 6, 3), np.float32)
    ax = plot_traversals(images, [-1.5, 0.0, 1.5], ["component 1", "component 20"])
    written(ax.figure)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["−1.5 σ", "0", "+1.5 σ"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["component 1", "component 20"]
    grid = ax.images[0].get_array()
    np.testing.assert_array_equal(grid[10:, 16:22], np.rint(images[1, 2] * 255))
    with pytest.raises(ValueError, match="expected 3 values and 2 names"):
        plot_traversals(images, [0.0], ["component 1"])


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize("closed", [True, False])
def test_path(z, written, closed):
    turn = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    places = np.stack([3 * np.cos(turn), np.sin(turn)], axis=1)
    images = np.zeros((7, 8, 8, 3), np.uint8)
    figure = plot_path(images, places, points=z[:, :2] if closed else None, closed=closed, title="a path")
    written(figure)
    plane, faces = figure.axes
    line = plane.lines[-1].get_xydata()
    np.testing.assert_allclose(line, np.concatenate([places, places[:1]]) if closed else places)
    for ax in (plane, faces):
        assert [text.get_text() for text in ax.texts] == [str(i + 1) for i in range(7)]
    written(plot_path(images[:1], places[:1]))
    with pytest.raises(ValueError, match="places: expected 7"):
        plot_path(images, places[:3])


def test_sweep_puts_cells_where_they_belong(written):
    shades = {(50, 0.6): 10, (50, 1.0): 60, (105, 1.0): 110}
    cells = {place: np.full((4, 8, 8, 3), shade, np.uint8) for place, shade in shades.items()}
    ax = plot_sweep(cells, "a sweep")
    written(ax.figure)
    grid = ax.images[0].get_array()
    columns, rows = ([int(tick) for tick in ticks] for ticks in (ax.get_xticks(), ax.get_yticks()))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.6", "1"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["50", "105"]
    centre = [[int(grid[row - 4, column - 4, 0]) for column in columns] for row in rows]
    assert centre == [[10, 60], [255, 110]]
    for bad in ({}, cells | {(105, 0.6): np.zeros((2, 8, 8, 3), np.uint8)}):
        with pytest.raises(ValueError, match="images: expected cells of one shape"):
            plot_sweep(bad)


def test_all_draw_into_given_axes(z, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)  # other packages load it
    figure = Figure(layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    sampler = jl.PairwiseSampler.fit(z)
    curve = {2: np.ones(2)}
    drawn = [
        plot_spectrum(spectrum(z), ax=axes[0]),
        plot_half_widths(np.ones(2), np.ones(2), ax=axes[1]),
        plot_radii({"z-points": np.arange(1.0, 9)}, 3, ax=axes[2]),
        plot_chi_square(radius_law(z), ax=axes[3]),
        plot_correlation(np.eye(3), ax=axes[4]),
        plot_coverage([1.0, 2.0], curve, ax=axes[5]),
        plot_contours(z[:, :2], contour_fits(z[:, :2], [1.0]), ax=axes[6]),
        plot_component_plane(z, z, sampler.pca, sampler.body, ax=axes[7]),
    ]
    assert all(got is given for got, given in zip(drawn, axes, strict=True))
    assert "matplotlib.pyplot" not in sys.modules
