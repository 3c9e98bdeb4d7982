"""The sections of the report that show images: what the autoencoder keeps, and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped, UInt8

from jaxlatent.autoencoder import Autoencoder, History, decode, encode
from jaxlatent.evaluation import SweepCell, sweep
from jaxlatent.latent import GAUSSIAN_FWHM
from jaxlatent.report import findings
from jaxlatent.report.document import Cell, Picture, Section, Table
from jaxlatent.report.plots.history import plot_history
from jaxlatent.report.plots.images import image_grid, plot_comparison
from jaxlatent.report.plots.latent_images import plot_path, plot_sweep, plot_traversals
from jaxlatent.report.sections.latents import Latents
from jaxlatent.sampling import BoxSampler, Sampler
from jaxlatent.sampling.laws.path import PathSampler

#: The source's grid.
SWEEP_COMPONENTS = (50, 105, 120, 256)
SWEEP_FACTS = (0.6, 0.7, 0.8, 1.0)

#: The naive vectors that all others are shown beside.
NAIVE_B = 1.5
NAIVE = f"Naive vectors, every latent coordinate uniform in [-{NAIVE_B}, {NAIVE_B}]"

_SHOWN = 16
_RETURNED = 64
# Beside each other: so many images, in so many columns, each about so many pixels wide.
_BLOCK, _COLUMNS, _SIDE = 12, 4, 192
_CELL_IMAGES = 4
_TRAVERSED = (0, 1, 2, 3, 9, 19, 49)
_STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_PLACES = 16


@dataclass(frozen=True)
class Pictured:
    """The autoencoder behind the z-points, and some images.

    Attributes:
        model: the trained network.
        history: its training.
        training: some training images.
        validation: some images that it was not trained on.
        source: where the images come from.
        samplers: whose images the page opens with, by what they are; the page's own where there are none.
        explore: the command that moves through the latent space.
    """

    model: Autoencoder
    history: History
    training: Shaped[np.ndarray, "n h w c"]
    validation: Shaped[np.ndarray, "m h w c"]
    source: str
    samplers: Mapping[str, Sampler] = field(default_factory=dict)
    explore: str = ""


def training(seen: Pictured) -> Section:
    """What the autoencoder keeps of an image."""
    images = seen.validation
    rebuilt = np.asarray(decode(seen.model, encode(seen.model, images)))
    pixels = _unit_range(images)
    mse = float(np.square(rebuilt - pixels).mean())
    spread = float(pixels.var(axis=0).mean())
    compared = {"Validation images": images[:_SHOWN], "Their reconstructions": rebuilt[:_SHOWN]}
    best = seen.history.best()
    rows: list[tuple[Cell, ...]] = [
        ("images from", seen.source),
        ("size of an image, pixels", f"{images.shape[2]} × {images.shape[1]}"),
        ("epochs of training", len(seen.history)),
        ("epoch kept", best.epoch),
        ("mean squared error of reconstructions (pixel values in [0, 1])", mse),
        ("variance of the pixel values", spread),
    ]
    pictures = [
        Picture(plot_history(seen.history), "Training and validation loss by epoch."),
        Picture(plot_comparison(compared), "Validation images above their reconstructions.", raster=True),
    ]
    return Section(
        "The autoencoder",
        findings.of_reconstruction(mse, spread),
        pictures,
        Table(("quantity", "value"), rows),
    )


def faces(data: Latents, seen: Pictured) -> Section:
    """Decoded vectors beside training images, and whether they survive another encoding."""
    samplers = {
        NAIVE: BoxSampler.fit(data.z, b=NAIVE_B),
        **(seen.samplers or {"The sampler's vectors": data.sampler}),
    }
    unseen = "Validation images, reconstructed"
    vectors = {unseen: np.asarray(encode(seen.model, seen.validation[:_RETURNED]))}
    vectors |= {name: np.asarray(each.sample(data.key, _RETURNED)) for name, each in samplers.items()}
    decoded = {name: np.asarray(decode(seen.model, drawn)) for name, drawn in vectors.items()}
    radius = float(np.sqrt(np.trace(data.moments.covariance)))
    whole = _detail(_unit_range(seen.validation))
    errors, details = {}, {}
    for name, images in decoded.items():
        change = np.linalg.norm(np.asarray(encode(seen.model, images)) - vectors[name], axis=1)
        errors[name] = float(np.median(change)) / radius
        # Plain images have none to lose.
        details[name] = _detail(images) / whole if whole else 1.0
    others = [name for name in samplers if name != NAIVE]
    shown = {"Training images": seen.training} | {name: decoded[name] for name in samplers}
    return Section(
        "New images",
        findings.of_return(errors[unseen], [errors[name] for name in others], errors[NAIVE])
        + " "
        + findings.of_detail(details[unseen], [details[name] for name in others]),
        [Picture(_block(images), f"{name}.", caption=name) for name, images in shown.items()],
        Table.of_columns(
            ("vectors", "error", "fine detail"),
            list(vectors),
            [list(errors.values()), list(details.values())],
        ),
        "Error: the median over vectors of |encode(decode(z)) - z|, over the root mean square distance of "
        "z-points from their mean. Fine detail: root mean square difference of pixels side by side, noise "
        "too, over that of validation images.",
        ("Move through this latent space live:", seen.explore) if seen.explore else None,
    )


def _unit_range(images: Shaped[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n h w c"]:
    return np.asarray(images, np.float32) / (255 if images.dtype == np.uint8 else 1)


def _detail(images: Float[np.ndarray, "n h w c"]) -> float:
    """How much pixels side by side differ."""
    return float(np.sqrt(np.mean([np.square(np.diff(images, axis=axis)).mean() for axis in (1, 2)])))


def _block(images: Shaped[np.ndarray, "n h w c"]) -> UInt8[np.ndarray, "height width 3"]:
    """Some images, each pixel a square, so that a browser does not smooth small images away."""
    side = max(1, round(_SIDE / images.shape[1]))
    large = images[:_BLOCK].repeat(side, axis=1).repeat(side, axis=2)
    return image_grid(large, _COLUMNS, gap=2 * side)


def traversals(data: Latents, seen: Pictured) -> Section:
    """One component at a time."""
    chosen = [i for i in _TRAVERSED if i < data.pca.n_components]
    steps = jnp.asarray(_STEPS)
    walks = jnp.concatenate([_walk(data, i, steps) for i in chosen])
    decoded = np.asarray(decode(seen.model, walks))
    images = decoded.reshape(len(chosen), len(_STEPS), *decoded.shape[1:])
    names = [f"component {i + 1}" for i in chosen]
    change = [float(np.abs(row[-1] - row[0]).mean()) for row in images]
    figure = plot_traversals(images, list(_STEPS), names)
    alt = "Decoded images while one component after the other goes from -3 to 3 sigma."
    return Section(
        "Traversals",
        findings.of_traversals(change, [i + 1 for i in chosen]),
        [Picture(figure, alt, raster=True)],
        Table.of_columns(("component", "mean change of a pixel value from -3 σ to 3 σ"), names, [change]),
    )


def _walk(data: Latents, component: int, steps: Float[Array, " s"]) -> Float[Array, "s d"]:
    y = (
        jnp.zeros((len(steps), data.pca.n_components), jnp.float32)
        .at[:, component]
        .set(steps * data.sigma[component])
    )
    return data.pca.inverse_transform(y)


def path(data: Latents, seen: Pictured) -> Section:
    """Around the centre in the plane of the first two components."""
    walk = PathSampler.in_plane(data.pca)
    images = np.asarray(decode(seen.model, walk.path(_PLACES)))
    places = np.asarray(walk.path_components(_PLACES))[:, :2]
    steps = np.abs(np.diff(images, axis=0, append=images[:1])).mean(axis=(1, 2, 3))
    labels = ("PCA component 1 (latent units)", "PCA component 2 (latent units)")
    figure = plot_path(images, places, points=data.y[:, :2], labels=labels)
    alt = f"Decoded images along the {GAUSSIAN_FWHM:.2f} sigma ellipse of components 1 and 2."
    names = [str(i + 1) for i in range(_PLACES)]
    header = ("place", *labels, "mean change of a pixel value to the next")
    return Section(
        "A path",
        findings.of_path(steps),
        [Picture(figure, alt, raster=True)],
        Table.of_columns(header, names, [*places.T, steps]),
    )


def grid(data: Latents, seen: Pictured) -> Section:
    """Numbers of components by scales of the half-widths."""
    cells = sweep(data.z, sweep_counts(data.pca.n_components), SWEEP_FACTS, data.key)
    figure = plot_sweep(sweep_images(cells, seen.model, data.key))
    alt = "Decoded images for several numbers of components and scales of the half-widths."
    return Section(
        "Sweep",
        findings.of_sweep(cells),
        [Picture(figure, alt, raster=True)],
        sweep_table(cells),
        "fact: semi-axes in units of the half-widths. real inside: share of the z-points inside all pair "
        "ellipses. spread: standard deviation of a drawn component over the z-points'. radius, radius sd: "
        "mean and standard deviation of the drawn vectors' Mahalanobis radii; real: those of the z-points.",
    )


def sweep_counts(most: int) -> list[int]:
    """The source's numbers of components, none above `most`."""
    return sorted({min(k, most) for k in SWEEP_COMPONENTS})


def sweep_images(
    cells: list[SweepCell], model: Autoencoder, key: jax.Array
) -> dict[tuple[int, float], Shaped[np.ndarray, "n h w c"]]:
    """Some decoded vectors of each cell of a sweep, for `plot_sweep`."""
    vectors = jnp.concatenate([cell.sampler.sample(key, _CELL_IMAGES) for cell in cells])
    decoded = np.asarray(decode(model, vectors))
    images = decoded.reshape(len(cells), _CELL_IMAGES, *decoded.shape[1:])
    return {(cell.components, cell.fact): group for cell, group in zip(cells, images, strict=True)}


def sweep_table(cells: list[SweepCell]) -> Table:
    """The measures of each cell of a sweep."""
    measures = {
        "fact": "fact",
        "real_inside": "real inside",
        "spread": "spread",
        "radius_mean": "radius",
        "radius_deviation": "radius sd",
        "real_radius_mean": "real radius",
        "real_radius_deviation": "real sd",
    }
    columns = [[float(getattr(cell, name)) for cell in cells] for name in measures]
    names = [str(cell.components) for cell in cells]
    return Table.of_columns(("components", *measures.values()), names, columns)
