import math

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent import report
from jaxlatent.autoencoder import EpochRecord, History


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((2000, 8)) @ rng.standard_normal((8, 8))).astype(np.float32)


def test_grid_holds_the_images_where_they_belong():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
    grid = report.image_grid(images, columns=3, gap=1)
    assert grid.shape == (2 * 4 + 1, 3 * 6 + 2, 3)
    for i in range(5):
        top, left = i // 3 * 5, i % 3 * 7
        assert (grid[top : top + 4, left : left + 6] == i).all()
    assert (grid[5:, 14:] == 255).all()


def test_grid_rounds_and_clips_floats():
    images = jnp.array([-0.05, 0.5, 1.05])[:, None, None, None] * jnp.ones((1, 2, 2, 3))
    grid = report.image_grid(images, columns=3, gap=0)
    np.testing.assert_array_equal(grid[0, ::2, 0], [0, 128, 255])


@pytest.mark.parametrize("size", [32, 64])
def test_titles_fit_above_small_images(size):
    title = "The recommended sampler, z-points of a cluster recombined: cluster-recombination, decoded"
    images = np.zeros((8, size, size, 3), np.uint8)
    for figure in (report.plot_images(images, title).figure, report.plot_comparison({title: images})):
        figure.draw_without_rendering()
        (ax,) = figure.axes
        drawn = next(text for text in (ax.title, ax._left_title) if text.get_text())
        box = drawn.get_window_extent()
        assert "".join(drawn.get_text().split()) == "".join(title.split())
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert box.y0 >= ax.get_window_extent().y1


@pytest.mark.parametrize(("n", "columns"), [(0, 3), (3, 0)])
def test_grid_errors(n, columns):
    with pytest.raises(ValueError, match="at least 1"):
        report.image_grid(np.zeros((n, 2, 2, 3), np.uint8), columns)


def test_figures_are_written_whole(tmp_path, z):
    pca = jl.PCA.fit(z)
    body = jl.EllipseBody(jl.half_width(pca.transform(z)))
    images = np.zeros((10, 32, 32, 3), np.uint8)
    figures = {
        "images": report.plot_images(images, "title").figure,
        "comparison": report.plot_comparison({"one": images, "two": images[:3]}, "title"),
        "components": report.plot_component_planes(z, z[:50], pca, body),
        "latent": report.plot_latent_planes(z, z[:50]),
    }
    for name, figure in figures.items():
        report.save_figure(figure, tmp_path / "new" / f"{name}.png")
    for name in figures:
        with Image.open(tmp_path / "new" / f"{name}.png") as image:
            assert min(image.size) > 100
            assert len(image.convert("L").getcolors()) > 1
    assert len(list((tmp_path / "new").iterdir())) == len(figures)
    report.save_figure(figures["latent"], tmp_path / "planes.svg")
    assert (tmp_path / "planes.svg").read_text().startswith("<?xml")


def test_planes_have_labels_ellipses_and_points(z):
    figure = report.plot_latent_planes(z, z[:50], pairs=[(0, 3)])
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("latent coordinate 1", "latent coordinate 4")
    covariance = np.cov(z[:, [0, 3]].T)
    (patch,) = ax.patches
    np.testing.assert_allclose(
        (patch.width * patch.height / 4), 2.3548**2 * np.sqrt(np.linalg.det(covariance)), rtol=1e-3
    )
    assert len(ax.collections[-1].get_offsets()) == 50


def test_most_correlated_pairs_come_first(z):
    z = z.copy()
    z[:, 6] = z[:, 1] + 0.01 * z[:, 6]
    ax = report.plot_latent_planes(z, z[:5]).axes[0]
    assert {ax.get_xlabel(), ax.get_ylabel()} == {"latent coordinate 2", "latent coordinate 7"}


def test_constant_coordinate_and_few_components(z):
    z = z[:, :3].copy()
    z[:, 1] = 2
    assert report.plot_latent_planes(z, z[:5]).axes
    pca = jl.PCA.fit(z, n_components=2)
    assert len(report.plot_component_planes(z, z[:5], pca, jl.EllipseBody(jnp.ones(2))).axes) == 1


@pytest.mark.parametrize("validated", [True, False])
def test_history(validated):
    records = tuple(
        EpochRecord(i, 1 / i, 1.1 / i if validated else math.nan, 0.1, 100.0, 1e-3, 2.0) for i in (1, 2, 3)
    )
    ax = report.plot_history(History(records))
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["training", *(["validation"] if validated else []), "kept: epoch 3"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1, 1 / 2, 1 / 3])
