"""What the sampler does: sections of the report."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Array, Float

from jaxlatent.latent import GAUSSIAN_FWHM, PCA
from jaxlatent.report import findings
from jaxlatent.report.document import Picture, Section, Table
from jaxlatent.report.planes import plot_component_grid, plot_component_plane
from jaxlatent.report.radii import plot_radii
from jaxlatent.report.sections import PLANE_VECTORS, Latents
from jaxlatent.sampling import BoxSampler, ExactSampler, PairwiseSampler, Sampler
from jaxlatent.sampling.laws.ellipsoid import EllipsoidSampler
from jaxlatent.sampling.laws.gaussian import GaussianSampler

_DRAWN = 2000
# The grid is over the first 20 components, as the source's.
_GRID_REACH, _GRID_SIZE = 20, 5


def planes(data: Latents) -> Section:
    """The sampler's vectors in planes of components, and how varied they are."""
    sampler = data.sampler
    drawn = np.asarray(sampler.sample(data.key, _DRAWN))
    sigma = np.sqrt(np.asarray(sampler.pca.explained_variance))
    ratio = np.asarray(sampler.pca.transform(drawn)).std(axis=0) / sigma
    chosen = np.unique(np.linspace(0, min(_GRID_REACH, ratio.size) - 1, _GRID_SIZE).astype(int)).tolist()
    frame = (data.z, drawn, sampler.pca, sampler.body)
    first = (
        "Plane of the first two PCA components: density of the z-points, "
        f"{GAUSSIAN_FWHM:.2f} sigma ellipse, limit of the pair, and {PLANE_VECTORS} generated vectors on top."
    )
    grid = "Planes among the first 20 PCA components, with ellipses and generated vectors."
    pictures = [
        Picture(plot_component_plane(*frame, count=PLANE_VECTORS), first, raster=True),
        Picture(plot_component_grid(*frame, chosen), grid, raster=True),
    ]
    semi_axes = np.asarray(sampler.body.semi_axes)
    return Section(
        "Generated vectors",
        findings.of_spread(ratio),
        pictures,
        data.by_component(("semi-axis / σ", "drawn deviation / σ"), semi_axes / sigma, ratio),
    )


def radii(data: Latents) -> Section:
    """How far from the centre the vectors of several samplers lie."""
    pca = data.sampler.pca
    found = {"z-points": _radii(pca, data.z)}
    for name, sampler in {"this sampler": data.sampler, **_others(data)}.items():
        found[name] = _radii(pca, sampler.sample(data.key, _DRAWN))
    alt = "Distributions of the radii of z-points and of the samplers' vectors."
    return Section(
        "Radii of the samplers",
        findings.of_drawn_radii(found["z-points"], found["this sampler"]),
        [Picture(plot_radii(found, pca.n_components), alt)],
        _table(found),
        f"Mahalanobis radii over the sampler's {pca.n_components} components, in standard deviations.",
    )


def _others(data: Latents) -> Mapping[str, Sampler]:
    pca, body = data.sampler.pca, data.sampler.body
    pairwise = isinstance(data.sampler, PairwiseSampler)
    return {
        "exact, same region" if pairwise else "pairwise, same region": (
            ExactSampler(pca, body) if pairwise else PairwiseSampler(pca, body)
        ),
        "uniform in the ellipsoid": EllipsoidSampler.fit(data.z, n_components=pca.n_components),
        "Gaussian": GaussianSampler(pca),
        "naive, range of each coordinate": BoxSampler.fit(data.z),
    }


def _radii(pca: PCA, z: Float[Array | np.ndarray, " n *latent"]) -> Float[np.ndarray, " n"]:
    return np.linalg.norm(np.asarray(pca.transform(z)) / np.sqrt(np.asarray(pca.explained_variance)), axis=1)


def _table(radii: Mapping[str, Float[np.ndarray, "..."]]) -> Table:
    measures = [(*np.quantile(group, [0.05, 0.5, 0.95]), group.std()) for group in radii.values()]
    header = ("radii", "5\u00a0%", "median", "95\u00a0%", "standard deviation")
    return Table.of_columns(header, list(radii), list(np.transpose(measures)))
