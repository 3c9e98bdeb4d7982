"""What the data is and how its latent space looks: the first sections of the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxlatent.latent import GAUSSIAN_FWHM, PCA, Moments, half_width, moments
from jaxlatent.latent.contours import HALF_MAXIMUM, ContourFit, contour_fits
from jaxlatent.latent.fixed_interval import fixed_interval_half_width
from jaxlatent.latent.peaks import middle_shares
from jaxlatent.latent.spectrum import correlation, spectrum
from jaxlatent.report import findings
from jaxlatent.report.document import Picture, Section, Table
from jaxlatent.report.plots import analysis
from jaxlatent.report.plots.planes import plot_latent_planes
from jaxlatent.sampling import EllipseBody, Sampler
from jaxlatent.sampling.fitting.region import fit_frame

#: As many generated vectors as in the source's figure of a plane.
PLANE_VECTORS = 20

_LISTED = (0, 1, 2, 4, 9, 19, 49, 104, 149, 199, 255)
# All pairs of 256 coordinates; of 4,096, the file would have 8.4 million.
_MOST_IN_CSV = 32_640
_MOST_PAIRS = 10
_CONTOUR_PLANES = ((0, 1), (2, 3), (4, 5), (9, 10), (19, 20), (49, 50), (99, 100))
_PICTURED_PLANES = 3
# Fine for the first component, as a fixed interval is usually chosen.
_BINS_PER_SIGMA = 10
# Where a point lies far out, more bins are not worth their memory.
_MOST_BINS = 5000


@dataclass(frozen=True)
class Latents:
    """The z-points of a report and what several sections need of them.

    Attributes:
        z: (n, d) float32.
        sampler: the sampler that is reported.
        key: of all draws.
    """

    z: Float[np.ndarray, " n *latent"]
    sampler: Sampler
    key: jax.Array

    @cached_property
    def moments(self) -> Moments:
        """Mean and covariance."""
        return moments(self.z)

    @cached_property
    def pca(self) -> PCA:
        """The frame of all components that have variance."""
        return fit_frame(self.z)

    @cached_property
    def frame(self) -> PCA:
        """That of the sampler where it has one."""
        return self.sampler.frame or self.pca

    @property
    def body(self) -> EllipseBody | None:
        """The sampler's region, where it is one ellipse body in this frame."""
        return ellipse_body(self.sampler)

    @cached_property
    def y(self) -> Float[np.ndarray, "n k"]:
        """The z-points in this frame."""
        return np.asarray(self.pca.transform(self.z))

    @cached_property
    def sigma(self) -> Float[np.ndarray, " k"]:
        """Standard deviations of the components."""
        return np.sqrt(np.asarray(self.pca.explained_variance))

    @cached_property
    def fwhm(self) -> Float[np.ndarray, " k"]:
        """Half-widths of the components."""
        return np.asarray(half_width(self.y))

    def by_component(self, header: tuple[str, ...], *columns: Float[np.ndarray, " k"]) -> Table:
        """A table of all components, of which the page shows some and the last."""
        k = columns[0].size
        shown = sorted({i for i in _LISTED if i < k} | {k - 1})
        names = [str(i + 1) for i in range(k)]
        return Table.of_columns(("component", *header), names, columns, shown)


def ellipse_body(sampler: Sampler) -> EllipseBody | None:
    """The region of a sampler, where it is one ellipse body in the sampler's frame."""
    body = getattr(sampler, "body", None)
    return body if isinstance(body, EllipseBody) else None


def component_counts(most: int, counts: Sequence[int] = (50, 105)) -> list[int]:
    """The source's numbers of components as far as there are so many, and `most`."""
    return sorted({k for k in counts if k < most} | {most})


def size(data: Latents) -> Section:
    """How many z-points there are."""
    n, dim = data.z.shape
    sigma = np.sqrt(np.diag(data.moments.covariance))
    rows = [
        ("z-points", n),
        ("latent coordinates", dim),
        ("directions that have variance", data.pca.n_components),
        ("smallest standard deviation of a coordinate (latent units)", float(sigma.min())),
        ("largest standard deviation of a coordinate (latent units)", float(sigma.max())),
        ("distance of the mean from the origin (latent units)", float(np.linalg.norm(data.moments.mean))),
    ]
    return Section("The z-points", findings.of_size(n, dim), table=Table(("quantity", "value"), rows))


def variance(data: Latents) -> Section:
    """The eigenvalue spectrum."""
    found = spectrum(data.moments)
    header = ("standard deviation (latent units)", "share of variance", "cumulative share")
    alt = "Eigenvalues of the covariance by component, falling, and their cumulative share of the variance."
    return Section(
        "Spectrum",
        findings.of_spectrum(found),
        [Picture(analysis.plot_spectrum(found), alt)],
        data.by_component(header, np.sqrt(found.eigenvalues), found.ratio, found.cumulative),
    )


def most_correlated(
    matrix: Float[np.ndarray, "d d"], count: int
) -> tuple[Int[np.ndarray, " count"], Int[np.ndarray, " count"]]:
    """The `count` pairs of coordinates of largest |r|, the largest first."""
    first, second = np.triu_indices(len(matrix), 1)
    size = -np.abs(matrix[first, second])
    chosen = np.argpartition(size, count - 1)[:count]
    chosen = chosen[np.argsort(size[chosen], kind="stable")]
    return first[chosen], second[chosen]


def correlations(data: Latents) -> Section:
    """Pearson's correlation of the latent coordinates, and the tilted ellipses that belong to it."""
    matrix = correlation(data.moments)
    n, dim = data.z.shape
    pairs = dim * (dim - 1) // 2
    first, second = most_correlated(matrix, min(pairs, _MOST_IN_CSV))
    names = [f"{i + 1} and {j + 1}" for i, j in zip(first, second, strict=True)]
    strongest = "" if pairs <= _MOST_IN_CSV else f", the {_MOST_IN_CSV:,} most correlated of {pairs:,} pairs"
    table = Table.of_columns(
        (f"coordinates{strongest}", "correlation r"),
        names,
        [matrix[first, second]],
        range(min(_MOST_PAIRS, len(names))),
    )
    drawn = np.asarray(data.sampler.sample(data.key, PLANE_VECTORS)).reshape(PLANE_VECTORS, dim)
    planes = (
        "Planes of strongly correlated latent coordinates: density of the z-points, their tilted "
        f"{GAUSSIAN_FWHM:.2f} sigma ellipses and {PLANE_VECTORS} generated vectors on top."
    )
    pictures = [
        Picture(analysis.plot_correlation(matrix), "Heat map of the correlation matrix.", raster=True),
        Picture(plot_latent_planes(data.z, drawn), planes, raster=True),
    ]
    return Section("Correlation and tilt", findings.of_correlation(matrix, n), pictures, table)


def half_widths(data: Latents) -> Section:
    """Half-widths of the components beside a Gaussian's."""
    alt = f"Full width at half maximum by component beside {GAUSSIAN_FWHM:.4f} standard deviations."
    header = ("σ (latent units)", "half-width (latent units)", "half-width / σ")
    return Section(
        "Half-widths",
        f"{findings.of_half_widths(data.fwhm, data.sigma)} {findings.of_middles(middle_shares(data.y))}",
        [Picture(analysis.plot_half_widths(data.fwhm, data.sigma), alt)],
        data.by_component(header, data.sigma, data.fwhm, data.fwhm / data.sigma),
        "Half-width: full width of the density at half its maximum, with bins of each component's own size.",
    )


def resolution(data: Latents) -> Section:
    """What one fixed interval for all components does to the half-widths."""
    wanted = max(float(data.sigma[0]) / _BINS_PER_SIGMA, float(np.abs(data.y).max()) / _MOST_BINS)
    interval = float(f"{wanted:.2g}")
    fixed = np.asarray(fixed_interval_half_width(data.y, interval))
    header = ("own resolution (latent units)", "fixed interval (latent units)", "ratio")
    alt = (
        "Full width at half maximum by component, measured with a resolution of its own and with one "
        "interval for all."
    )
    return Section(
        "Resolution",
        findings.of_fixed_interval(fixed, data.fwhm, interval),
        [Picture(analysis.plot_half_widths(data.fwhm, data.sigma, fixed, interval=interval), alt)],
        data.by_component(header, data.fwhm, fixed, fixed / data.fwhm),
        f"The fixed interval, {interval:g} latent units, suits the first component.",
    )


def contours(data: Latents) -> Section:
    """Whether the core's contours are ellipses."""
    from matplotlib.figure import Figure

    most = data.pca.n_components
    planes = {pair: contour_fits(data.y[:, pair]) for pair in _CONTOUR_PLANES if max(pair) < most}
    rows = [_contour_row(pair, fit) for pair, fits in planes.items() for fit in fits]
    pictured = [(pair, fits) for pair, fits in planes.items() if fits][:_PICTURED_PLANES]
    pictures = []
    if pictured:
        figure = Figure(figsize=(4.4 * len(pictured), 4.8), layout="constrained")
        axes = figure.subplots(1, len(pictured), squeeze=False)[0]
        for ax, ((i, j), fits) in zip(axes, pictured, strict=True):
            labels = (f"PCA component {i + 1} (latent units)", f"PCA component {j + 1} (latent units)")
            analysis.plot_contours(data.y[:, (i, j)], fits, labels=labels, ax=ax)
        alt = "Contour lines of the density, the ellipses fitted to them, and those of the covariance."
        pictures.append(Picture(figure, alt, raster=True))
    header = (
        "components",
        "level (σ)",
        "deviation from ellipse",
        "size ratio",
        "axis ratio",
        "angle between (degrees)",
    )
    shown = [i for i, row in enumerate(rows) if row[1] in (HALF_MAXIMUM, findings.OUTER_LEVEL)]
    return Section(
        "Contours",
        findings.of_contours(list(planes.values())),
        pictures,
        Table(header, rows, shown),
        f"Half maximum is {HALF_MAXIMUM:.3f} σ of a Gaussian. The ratios are those of the ellipse fitted to "
        "the measured line over the covariance's at the same level, 1 for a Gaussian; the angle says little "
        "for nearly round ellipses.",
    )


def _contour_row(pair: tuple[int, int], fit: ContourFit) -> tuple[str, float, float, float, float, float]:
    name = f"{pair[0] + 1} and {pair[1] + 1}"
    return name, fit.level, fit.residual, fit.size_ratio, fit.axis_ratio, fit.angle_difference
