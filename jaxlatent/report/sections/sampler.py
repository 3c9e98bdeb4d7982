"""What the sampler does: sections of the report."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Array, Float

from jaxlatent.latent import GAUSSIAN_FWHM, PCA
from jaxlatent.report import findings
from jaxlatent.report.document import Picture, Section, Table
from jaxlatent.report.plots.planes import plot_component_grid, plot_component_plane
from jaxlatent.report.plots.radii import plot_radii
from jaxlatent.report.sections.latents import PLANE_VECTORS, Latents
from jaxlatent.sampling import BoxSampler, ExactSampler, PairwiseSampler, Sampler
from jaxlatent.sampling.laws.ellipsoid import EllipsoidSampler
from jaxlatent.sampling.laws.gaussian import GaussianSampler

_DRAWN = 2000
# The grid is over the first 20 components, as the source's.
_GRID_REACH, _GRID_SIZE = 20, 5


def planes(data: Latents) -> Section:
    """The sampler's vectors in planes of components, and how varied they are."""
    frame, body = data.frame, data.body
    drawn = np.asarray(data.sampler.sample(data.key, _DRAWN)).reshape(_DRAWN, -1)
    sigma = np.sqrt(np.asarray(frame.explained_variance))
    ratio = np.asarray(frame.transform(drawn)).std(axis=0) / sigma
    chosen = np.unique(np.linspace(0, min(_GRID_REACH, ratio.size) - 1, _GRID_SIZE).astype(int)).tolist()
    shown = (data.z, drawn, frame, body)
    limit = "limit of the pair, " if body else ""
    first = (
        "Plane of the first two PCA components: density of the z-points, "
        f"{GAUSSIAN_FWHM:.2f} sigma ellipse, {limit}and {PLANE_VECTORS} generated vectors on top."
    )
    grid = "Planes among the first 20 PCA components, with ellipses and generated vectors."
    pictures = []
    if ratio.size > 1:
        pictures = [
            Picture(plot_component_plane(*shown, count=PLANE_VECTORS), first, raster=True),
            Picture(plot_component_grid(*shown, chosen), grid, raster=True),
        ]
    measured = {"semi-axis / σ": np.asarray(body.semi_axes) / sigma} if body else {}
    measured["drawn deviation / σ"] = ratio
    return Section(
        "Generated vectors",
        findings.of_spread(ratio),
        pictures,
        data.by_component(tuple(measured), *measured.values()),
    )


def radii(data: Latents) -> Section:
    """How far from the centre the vectors of several samplers lie."""
    frame = data.frame
    found = {"z-points": _radii(frame, data.z)}
    for name, sampler in {"this sampler": data.sampler, **_others(data)}.items():
        found[name] = _radii(frame, sampler.sample(data.key, _DRAWN).reshape(_DRAWN, -1))
    alt = "Distributions of the radii of z-points and of the samplers' vectors."
    return Section(
        "Radii of the samplers",
        findings.of_drawn_radii(found["z-points"], found["this sampler"]),
        [Picture(plot_radii(found, frame.n_components), alt)],
        _table(found),
        f"Mahalanobis radii over {frame.n_components} components, in standard deviations.",
    )


def _others(data: Latents) -> Mapping[str, Sampler]:
    frame, body, k = data.frame, data.body, data.frame.n_components
    others: dict[str, Sampler] = {}
    if body is None:
        if k > 1:
            others["pairwise, 0.7 of the half-widths"] = PairwiseSampler.fit(data.z, n_components=k)
    elif isinstance(data.sampler, PairwiseSampler):
        others["exact, same region"] = ExactSampler(frame, body)
    else:
        others["pairwise, same region"] = PairwiseSampler(frame, body)
    return others | {
        "uniform in the ellipsoid": EllipsoidSampler.fit(data.z, n_components=k),
        "Gaussian": GaussianSampler(frame),
        "naive, range of each coordinate": BoxSampler.fit(data.z),
    }


def _radii(pca: PCA, z: Float[Array | np.ndarray, " n *latent"]) -> Float[np.ndarray, " n"]:
    return np.linalg.norm(np.asarray(pca.transform(z)) / np.sqrt(np.asarray(pca.explained_variance)), axis=1)


def _table(radii: Mapping[str, Float[np.ndarray, "..."]]) -> Table:
    measures = [(*np.quantile(group, [0.05, 0.5, 0.95]), group.std()) for group in radii.values()]
    header = ("radii", "5\u00a0%", "median", "95\u00a0%", "standard deviation")
    return Table.of_columns(header, list(radii), list(np.transpose(measures)))
