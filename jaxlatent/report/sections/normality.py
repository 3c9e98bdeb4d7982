"""How normal the z-points are: sections of the report."""

import math

import jax.numpy as jnp
import numpy as np

from jaxlatent.latent import GAUSSIAN_FWHM
from jaxlatent.latent.core import robust_core
from jaxlatent.latent.coverage import coverage_curves
from jaxlatent.latent.distribution import number_distribution
from jaxlatent.latent.normality import component_tests, mardia, radius_law
from jaxlatent.report import findings
from jaxlatent.report.document import Cell, Picture, Section, Table
from jaxlatent.report.plots import analysis
from jaxlatent.report.plots.radii import plot_chi_square
from jaxlatent.report.sections.latents import Latents, component_counts
from jaxlatent.sampling import EllipseBody

_PICTURED = (0, 1, 2, 4, 9, 19, 49, 104)
_LEVELS = np.linspace(1, 5, 81)
_LEVELS_SHOWN = range(0, 81, 10)


def radii(data: Latents) -> Section:
    """The squared Mahalanobis radii."""
    law = radius_law(data.z)
    rows = [
        ("standard deviation of the squared radii", law.deviation, law.gaussian_deviation),
        ("median squared radius", float(np.median(law.squared_radii)), float(np.median(law.expected))),
        ("largest squared radius", float(law.squared_radii[-1]), float(law.expected[-1])),
    ]
    alt = "Chi-square plot: the squared radii of the z-points against those that a Gaussian's would have."
    return Section(
        "Radii",
        findings.of_radii(law),
        [Picture(plot_chi_square(law), alt)],
        Table(("quantity", "z-points", "Gaussian"), rows),
        "Radii are Mahalanobis distances from the mean, in standard deviations.",
    )


def whole(data: Latents) -> Section:
    """Mardia's moments."""
    found = mardia(data.z)
    k = found.components
    rows: list[tuple[Cell, ...]] = [
        ("kurtosis", found.kurtosis, float(k * (k + 2))),
        ("kurtosis, standard errors off", found.kurtosis_z, 0.0),
        ("skewness", found.skewness, k * (k + 1) * (k + 2) / found.points),
        ("p of the kurtosis", found.kurtosis_p, "above 0.01"),
        ("p of the skewness", found.skewness_p, "above 0.01"),
    ]
    return Section(
        "The cloud as a whole",
        findings.of_mardia(found),
        table=Table(("Mardia's measure", "z-points", "Gaussian"), rows),
        note=f"Of {found.points:,} points. The Henze-Zirkler test is left out: it has no power in hundreds "
        "of dimensions.",
    )


def components(data: Latents) -> Section:
    """Number distributions of the components, and a test of each."""
    tests = component_tests(data.y)
    shown = [i for i in _PICTURED if i < data.pca.n_components]
    figure = analysis.plot_number_distributions(number_distribution(data.y), shown)
    alt = "Number distributions of some PCA components as histograms, each with its Gaussian fit."
    header = (
        "Anderson-Darling A²",
        "Kolmogorov-Smirnov D",
        "p",
        "normal (1 yes, 0 no)",
        "skewness",
        "excess kurtosis",
    )
    table = data.by_component(
        header,
        tests.anderson_darling,
        tests.kolmogorov_smirnov,
        tests.p,
        np.where(tests.rejected, 0.0, 1.0),
        tests.skewness,
        tests.excess_kurtosis,
    )
    return Section(
        "Components",
        findings.of_components(tests),
        [Picture(figure, alt)],
        table,
        "Anderson-Darling's test of each component; Holm's method keeps the chance of any false alarm below "
        f"{findings.percent(tests.alpha)}.",
    )


def core(data: Latents) -> Section:
    """Robust core against the whole cloud."""
    found = robust_core(data.y)
    total = float(np.square(data.sigma).sum())
    rows = [
        ("share of the points outside the core", 1 - float(found.inside.mean())),
        ("total variance of the core (squared latent units)", float(np.trace(found.moments.covariance))),
        ("total variance of all points (squared latent units)", total),
        ("distance between the two means (latent units)", float(np.linalg.norm(found.moments.mean))),
    ]
    return Section("Robust core", findings.of_core(found, total), table=Table(("quantity", "value"), rows))


def coverage(data: Latents) -> Section:
    """Real points inside all pair ellipses."""
    sizes = component_counts(data.pca.n_components)
    curves = coverage_curves(data.y, data.sigma, _LEVELS, sizes)
    at = coverage_curves(data.y, data.sigma, [GAUSSIAN_FWHM], sizes)[:, 0]
    widths = {k: jnp.full(k, GAUSSIAN_FWHM, jnp.float32) for k in sizes}
    gaussian = {k: math.exp(EllipseBody(a).log_mass(np.ones(k))) for k, a in widths.items()}
    alt = (
        "Share of the z-points inside all pair ellipses, by the ellipses' size and the number of components."
    )
    return Section(
        "Coverage",
        findings.of_coverage(dict(zip(sizes, at.tolist(), strict=True)), gaussian, GAUSSIAN_FWHM),
        [Picture(analysis.plot_coverage(_LEVELS, dict(zip(sizes, curves, strict=True))), alt)],
        Table.of_columns(
            ("semi-axes", *(f"share inside, {k} components" for k in sizes)),
            [f"{level:.2f} σ" for level in _LEVELS],
            list(curves),
            _LEVELS_SHOWN,
        ),
    )
