"""Tables and the figure of the study, see scripts/study_celeba.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import numpy as np
from scipy import stats

from jaxlatent.autoencoder import History
from jaxlatent.data.source import Labels
from jaxlatent.evaluation import Row, TradeoffPoint
from jaxlatent.evaluation.attributes import attribute_clusters, attribute_shares
from jaxlatent.evaluation.comparison import FLOOR, NULL
from jaxlatent.latent.normality import component_tests, radius_law
from jaxlatent.report.document import Cell, Table
from jaxlatent.report.plots.figure import BLUE, GREEN, ORANGE, VERMILION, legend_below, new_axes
from jaxlatent.report.sections.evaluation import comparison_table
from jaxlatent.run import Run
from jaxlatent.sampling import Spec
from jaxlatent.sampling.fitting.region import fit_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Latent dimensions and normalisation; the first is compared most closely.
NETWORKS = {
    "z256-none": (256, "none"),
    "z256-batch": (256, "batch"),
    "z64-none": (64, "none"),
    "z64-batch": (64, "batch"),
}
FIRST = next(iter(NETWORKS))

GAUSSIAN, MIXTURE = "gaussian", "mixture:n_clusters=10"
_PUBLISHED = ("published, FID, z = 64, batch normalisation", 127.85, 45.10)

# Of a comparison, beside what a page shows.
_FURTHER = {
    "p of the copy test": "copies, p",
    "share of duplicates": "duplicates",
}
_TOP = 12


@dataclass(frozen=True, eq=False)
class Network:
    """A trained autoencoder, and what its samplers are worth.

    Attributes:
        name: of `NETWORKS`.
        run: its folder.
        rows: of the comparison, by the text that names the sampler, or else by their titles.
        points: of the trade-off; none but for the first network.
    """

    name: str
    run: Run
    rows: dict[str, Row]
    points: Sequence[TradeoffPoint]

    @property
    def told(self) -> str:
        """For people: "z = 256, batch normalisation"."""
        dimensions, norm = NETWORKS[self.name]
        return f"z = {dimensions}, {'no' if norm == 'none' else norm} normalisation"

    def row(self, text: str) -> Row | None:
        """A sampler's row, with all components where it has fewer than asked for; None if not measured."""
        dimensions, _ = NETWORKS[self.name]
        return self.rows.get(str(Spec.parse(text).within(dimensions)))

    def above_floor(self, text: str) -> float:
        """A sampler's Fréchet distance less that of reconstructed training images; NaN if not measured."""
        row = self.row(text)
        return row.frechet - self.rows[FLOOR].frechet if row else np.nan


def all_tables(networks: Sequence[Network], labels: Labels) -> dict[str, tuple[str, Table]]:
    """Title of a table -> a note on it, and the table."""
    tables = {}
    for network in networks:
        note = (
            "Distances, precision, recall, density and coverage against reconstructions of "
            "images that the autoencoder was not trained on; `closer`: probability that an image is closer "
            "to the training images than such a reconstruction is."
        )
        tables[samplers_title(network)] = note, samplers_table(network)
    note = (
        "Fréchet distance less that of the reconstructed training images, and what it is to be read beside."
    )
    tables["The networks side by side"] = note, networks_table(networks)
    note = "Fréchet distances; the larger their ratio, the less normal the latents."
    tables["One Gaussian against a mixture"] = note, ratio_table(networks)
    for network in networks:
        for dial in dict.fromkeys(point.dial for point in network.points):
            points = [point for point in network.points if point.dial == dial]
            note = f"Fréchet distance (precision, recall) of {points[0].n:,} vectors."
            tables[f"By {dial}, {network.told}"] = note, tradeoff_table(points)
    note = (
        "Of the PCA components and of the latent coordinates: mean absolute skewness, mean excess kurtosis, "
        "share that a test tells from normal (Anderson-Darling, 1 %, Holm). Radii: standard deviation of the "
        "Mahalanobis radii over a Gaussian's."
    )
    tables["How normal the latents are"] = note, normality_table(networks)
    # Attributes, or factors above their mean.
    present = labels.values > labels.values.mean(axis=0)
    for network in networks:
        note = (
            "Share of the images that have it; share of the latent variance between the two "
            "class means, and share of the one whitened direction in which they differ; d', their distance "
            "in standard deviations within the classes, along the line that joins them and along Fisher's "
            "discriminant (equally frequent classes show two peaks from 2 on)."
        )
        table = attribute_table(network.run.latents(), present, labels.names)
        tables[f"Attributes, {network.told}"] = note, table
    note = (
        "Ten k-means clusters: share of the variance between them, of the z-points and of normal vectors of "
        "the same covariance; adjusted mutual information with the attribute that they tell most of, and its "
        "mean; by how much oftener attributes are guessed rightly, at most and in the mean."
    )
    tables["Clusters"] = note, clusters_table(networks, present, labels.names)
    return tables


def samplers_title(network: Network) -> str:
    """Of its comparison."""
    return f"Samplers, {network.told}"


def samplers_table(network: Network) -> Table:
    """The comparison on a network: what a page shows of it, then some other measures, then all the rest."""
    table = comparison_table(list(network.rows.values()))
    shown = [*range(len(table.header_on_page)), *map(table.header.index, _FURTHER)]
    order = [*shown, *(i for i in range(len(table.header)) if i not in shown)]
    header = [_FURTHER.get(table.header[i], table.header[i]) for i in order]
    return Table(header, [[row[i] for i in order] for row in table.rows], columns=len(shown))


def networks_table(networks: Sequence[Network]) -> Table:
    """What the networks are like, and under it their samplers, by the distance above the floor."""
    rows: list[list[Cell]] = [
        ["mean squared error, validation", *(_history(n).best().val_mse for n in networks)],
        ["Fréchet distance of the floor", *(n.rows[FLOOR].frechet for n in networks)],
        ["the same, to unseen images", *(n.rows[FLOOR].frechet_unseen for n in networks)],
        [NULL, *(n.rows[NULL].frechet for n in networks)],
    ]
    for text in common(networks):
        rows.append([Spec.parse(text).title, *(n.above_floor(text) for n in networks)])
    return Table(["", *(n.told for n in networks)], rows)


def common(networks: Sequence[Network]) -> list[str]:
    """Samplers of the first of the networks that all have, the best on average first."""
    texts = [
        text for text, row in networks[0].rows.items() if row.spec and all(n.row(text) for n in networks)
    ]
    return sorted(texts, key=lambda text: np.mean([n.above_floor(text) for n in networks]))


def ratio_table(networks: Sequence[Network]) -> Table:
    """The Gaussian's distance over the mixture's."""
    header = (
        "network",
        "Gaussian",
        "mixture of 10",
        "ratio",
        "ratio above the floor",
        "to unseen images, ratio",
    )
    rows: list[list[Cell]] = []
    for n in networks:
        one, ten = n.row(GAUSSIAN), n.row(MIXTURE)
        if one and ten:
            above = n.above_floor(MIXTURE)
            over_floor = n.above_floor(GAUSSIAN) / above if above > 0 else "the mixture is at the floor"
            unseen = one.frechet_unseen / ten.frechet_unseen
            rows.append([n.told, one.frechet, ten.frechet, one.frechet / ten.frechet, over_floor, unseen])
    name, one_published, ten_published = _PUBLISHED
    return Table(header, [*rows, [name, one_published, ten_published, "", "", one_published / ten_published]])


def tradeoff_table(points: Sequence[TradeoffPoint]) -> Table:
    """A line for each sampler, a column for each setting of the one dial that is turned."""
    settings = sorted({point.setting for point in points})
    found = {(p.series, p.setting): f"{p.frechet:.3g} ({p.precision:.2f}, {p.recall:.2f})" for p in points}
    rows = [
        [series, *(found[series, setting] for setting in settings)]
        for series in dict.fromkeys(point.series for point in points)
    ]
    return Table(["sampler", *(f"{points[0].dial} {setting:g}" for setting in settings)], rows)


def normality_table(networks: Sequence[Network]) -> Table:
    """How far the z-points are from normal."""
    kinds = ("skewness", "excess kurtosis", "not normal")
    header = [
        "network",
        *(f"{kind}, {of}" for of in ("components", "coordinates") for kind in kinds),
        "radii",
    ]
    rows: list[list[Cell]] = []
    for n in networks:
        z = n.run.latents()
        frame, law = fit_frame(z), radius_law(z)
        row: list[Cell] = [n.told]
        for y in (frame.transform(z), z):
            tests = component_tests(y)
            measures = (np.abs(tests.skewness), tests.excess_kurtosis, tests.rejected)
            row += [float(measure.mean()) for measure in measures]
        deviation = np.sqrt(law.squared_radii).std() / stats.chi.std(law.degrees)
        rows.append([*row, float(deviation)])
    return Table(header, rows)


def attribute_table(z: np.ndarray, present: np.ndarray, names: Sequence[str]) -> Table:
    """What lies between z-points with and without each attribute, the most separate first."""
    shares = attribute_shares(z, present)
    separations = shares.separation, shares.discriminant
    order = np.argsort(-shares.separation)
    return Table.of_columns(
        ("attribute", "have it", "variance between", "the same, whitened", "d'", "d', discriminant"),
        [names[i] for i in order],
        [each[order] for each in (shares.prevalence, shares.variance, shares.whitened, *separations)],
        range(min(_TOP, len(order))),
    )


def clusters_table(networks: Sequence[Network], present: np.ndarray, names: Sequence[str]) -> Table:
    """What clusters of the z-points are, and what they tell."""
    header = (
        "network",
        "between",
        "between, normal",
        "tell most of",
        "information",
        "mean",
        "gain",
        "mean gain",
    )
    rows: list[list[Cell]] = []
    for n in networks:
        found = attribute_clusters(n.run.latents(), present, jax.random.key(0))
        told, gain = found.information, found.gain
        attribute = names[int(told.argmax())]
        measures = told.max(), told.mean(), gain.max(), gain.mean()
        rows.append([n.told, found.variance, found.gaussian_variance, attribute, *map(float, measures)])
    return Table(header, rows)


def markdown(table: Table) -> str:
    """What a page shows of a table."""
    lines = [table.header_on_page, ["---"] * len(table.header_on_page), *table.on_page()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot_samplers(networks: Sequence[Network]) -> "Axes":
    """Fréchet distance above the floor, a line of dots for each sampler."""
    texts = common(networks)
    ax = new_axes(9.0, 1.5 + 0.33 * len(texts))
    # Linear about the floor, which the best are on both sides of.
    ax.set_xscale("symlog", linthresh=0.1)
    shift = np.linspace(0.24, -0.24, len(networks))
    for n, colour, marker, up in zip(networks, (BLUE, VERMILION, GREEN, ORANGE), "osD^", shift, strict=False):
        x = [n.above_floor(text) for text in texts]
        ax.scatter(x, np.arange(len(texts)) + up, s=26, color=colour, marker=marker, label=n.told)
    ax.set_yticks(range(len(texts)), [Spec.parse(text).title for text in texts])
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter("{x:g}")
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_xlabel("Fréchet distance above that of reconstructed training images")
    ax.grid(alpha=0.3)
    legend_below(ax, 2)
    return ax


def _history(network: Network) -> History:
    return History.from_csv(network.run.needed("training/history.csv", "train"))
