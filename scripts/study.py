"""The study of docs/study.md: samplers beside rivals that learn, and beside VAEs, on data sets and seeds.

    python scripts/study.py --out OUT --data mnist=mnist.npz --data celeba=celeba:DIR

Every data set has labels, for the classifier in whose features images are compared, and a test split. Each
autoencoder is shown about 150,000 images; all samplers are fitted to the latents of three seeds. Rivals that
learn have so many seconds on the machine's cores: nothing else should run there. Writes OUT/study.md,
OUT/tables (CSV) and OUT/figures. A study that was stopped goes on when the same command is given again.
"""

import argparse
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure
from study_tables import markdown

import jaxlatent as jl
from jaxlatent._cores import cores
from jaxlatent._files import atomic_path
from jaxlatent.autoencoder import History
from jaxlatent.cli.console import open_log
from jaxlatent.evaluation import Row, cached_features
from jaxlatent.evaluation.comparison import FLOOR, NULL
from jaxlatent.evaluation.features import Features
from jaxlatent.report.document import Cell, Table
from jaxlatent.report.plots.figure import BLUE, VERMILION, save_figure
from jaxlatent.run import Run

OURS = (
    "pairwise:fact=0.7:n_components=105",
    "pairwise:fact=1.0:n_components=105",
    "gaussian",
    "mixture:n_clusters=10",
    "recombination:n_parents=2",
    "bootstrap:bandwidth=0.5",
    "cluster-mixture",
    "cluster-recombination",
)
RIVALS = ("kde:bandwidth=scott", "kde:bandwidth=likelihood", "copula")
#: Fitted for so many seconds each.
LEARNERS = ("flow", "diffusion")
#: Of the KL term, see `TrainConfig.kl_weight`.
KL_WEIGHTS = (0.003, 0.01, 0.03)
#: A smaller p of the copy test says that a sampler copies.
COPIES = 0.01
_LONG = 100


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured on the autoencoder of one training.

    Attributes:
        rows: of the comparison, by their titles.
        error: mean squared error of the validation images.
        seconds: that the training took.
    """

    rows: Mapping[str, Row]
    error: float
    seconds: float


def main() -> None:
    """Makes the study, or what is left of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", required=True, metavar="NAME=SOURCE", help="a data set")
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="folder of the study")
    parser.add_argument("--count", type=int, default=10_000, help="vectors of each sampler")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each autoencoder")
    parser.add_argument("--shown", type=int, default=150_000, help="images shown in a training, about")
    parser.add_argument(
        "--budgets", default="10,60,600", help="seconds of each rival; above 100 on the first seed alone"
    )
    asked = parser.parse_args()
    try:
        data = sources(asked.data)
        budgets = sorted(int(text) for text in asked.budgets.split(",") if text)
    except ValueError as error:
        parser.error(str(error))
    for folder in ("figures", "tables"):
        (asked.out / folder).mkdir(parents=True, exist_ok=True)
    open_log(asked.out / "log.txt")
    parts, compared = [_heading(asked.count)], {}
    for name, source in data.items():
        folder = asked.out / name
        images, labels = jl.load_labelled(source, split="train", progress=True)
        epochs = max(1, round(asked.shown / len(images)))
        key = jax.random.key(0)
        features = cached_features(folder / "features", key, images, labels.values, progress=True)
        del images
        plain = [
            measured(folder / str(seed), source, epochs, seed, texts(budgets, seed), features, asked.count)
            for seed in range(asked.seeds)
        ]
        variational = {
            weight: measured(
                folder / f"vae-{weight:g}", source, epochs, 0, ("prior",), features, asked.count, weight
            )
            for weight in KL_WEIGHTS
        }
        compared[name] = plain
        tables = {
            f"{name}, samplers": samplers_table(plain),
            f"{name}, by seconds of fitting": budget_table(plain, budgets),
            f"{name}, variational autoencoders": variational_table(plain[0], variational),
        }
        for title, table in tables.items():
            table.to_csv(asked.out / "tables" / f"{re.sub('[^a-z0-9]+', '-', title)}.csv")
            parts.append(f"## {title}\n\n{markdown(table)}")
        parts.append(_note(plain, epochs))
    save_figure(plot_budgets(compared), asked.out / "figures" / "budgets.png")
    with atomic_path(asked.out / "study.md") as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(asked.out / "study.md")


def sources(given: Sequence[str]) -> dict[str, str]:
    """Name -> what `load_images` takes, from NAME=SOURCE.

    Raises:
        ValueError: if one has another form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, sign, source = text.partition("=")
        if not sign or not re.fullmatch(r"\w+", name) or name in found:
            raise ValueError(f"--data: expected NAME=SOURCE, each name once, got {text}")
        found[name] = source
    return found


def texts(budgets: Sequence[int], seed: int) -> list[str]:
    """What is compared on the autoencoder of a seed."""
    few = [budget for budget in budgets if seed == 0 or budget <= _LONG]
    return [*OURS, *RIVALS, *(f"{name}:budget={budget}" for name in LEARNERS for budget in few)]


def measured(
    folder: Path,
    data: str,
    epochs: int,
    seed: int,
    samplers: Sequence[str],
    features: Features,
    count: int,
    kl_weight: float | None = None,
) -> Measured:
    """Trains an autoencoder, a variational one if a weight is given, and compares samplers of its latents."""
    run = Run(folder, progress=True)
    if not run.path("latents.npy").exists():
        training: dict[str, float] = {"epochs": epochs}
        if kl_weight is not None:
            training["kl_weight"] = kl_weight
        run.train(data, {"variational": kl_weight is not None}, training, seed=seed, resume=True)
        run.encode()
    rows = run.evaluate(samplers, count=count, features=features, tradeoff=False, faces=False)
    history = History.from_csv(run.needed("training/history.csv", "train"))
    seconds = sum(record.seconds for record in history.records)
    return Measured({row.title: row for row in rows}, history.best().val_mse, seconds)


def samplers_table(runs: Sequence[Measured]) -> Table:
    """Means and standard deviations over the seeds, the smallest distance first after what is no sampler."""
    titles = list(dict.fromkeys(title for run in runs for title in run.rows))
    first = [title for title in titles if title in (NULL, FLOOR)]
    rest = sorted(
        set(titles) - set(first), key=lambda title: np.mean([r.frechet_limit for r in of(runs, title)])
    )
    header = (
        "images",
        "distance in the limit",
        "in random features, x 1,000",
        "distance at n",
        "precision",
        "recall",
        "closer",
        "copies, smallest p",
        "fit, s",
        "vectors /s",
    )
    rows: list[list[Cell]] = []
    for title in [*first, *rest]:
        found = list(of(runs, title))
        p = [row.copy_p for row in found if row.copy_p is not None]
        rows.append(
            [
                title,
                spread([row.frechet_limit for row in found]),
                spread([1000 * row.random_limit for row in found]),
                spread([row.frechet for row in found]),
                *(
                    f"{np.mean([getattr(row, name) for row in found]):.3f}"
                    for name in ("precision", "recall")
                ),
                _mean([row.closer for row in found], ".3f"),
                f"{min(p):.2g}" if p else "",
                _mean([row.fit_seconds for row in found], ".3g"),
                _mean([row.vectors_per_second for row in found], ",.0f"),
            ]
        )
    return Table(header, rows)


def budget_table(runs: Sequence[Measured], budgets: Sequence[int]) -> Table:
    """For each number of seconds the best rival and the best of our samplers that are fitted within it.

    Of samplers that pass the copy test on every seed; a tenth more than the seconds is within them.
    """
    header = ("seconds", "best rival", "its distance", "best of ours", "its distance", "ratio")
    rows: list[list[Cell]] = []
    for budget in budgets:
        best: dict[bool, tuple[float, str]] = {}
        for title in dict.fromkeys(title for run in runs for title in run.rows):
            found = list(of(runs, title))
            if any(r.copy_p is None or r.copy_p < COPIES or r.fit_seconds is None for r in found):
                continue
            if np.mean([r.fit_seconds for r in found if r.fit_seconds is not None]) <= 1.1 * budget:
                distance = float(np.mean([r.frechet_limit for r in found]))
                rival = is_rival(title)
                best[rival] = min(best.get(rival, (np.inf, "")), (distance, title))
        theirs, ours = (best.get(rival, (np.nan, "none")) for rival in (True, False))
        rows.append([budget, theirs[1], theirs[0], ours[1], ours[0], ours[0] / theirs[0]])
    return Table(header, rows)


def variational_table(plain: Measured, variational: Mapping[float, Measured]) -> Table:
    """The prior of each VAE beside samplers of the plain autoencoder, by what is common: the real images."""
    header = (
        "network",
        "squared error, validation",
        "sampler",
        "distance to real images at n",
        "of reconstructions",
        "distance in the limit, to own reconstructions",
        "precision",
        "recall",
    )

    def line(network: str, run: Measured, title: str) -> list[Cell]:
        row = run.rows[title]
        rebuilt = run.rows[FLOOR].frechet_unseen
        numbers = row.frechet_unseen, rebuilt, row.frechet_limit, row.precision, row.recall
        return [network, run.error, title, *numbers]

    rows = [line("plain", plain, title) for title in ("gaussian", "cluster-recombination")]
    for weight, run in variational.items():
        rows.append(line(f"VAE, weight {weight:g}", run, "prior"))
    return Table(header, rows)


def plot_budgets(compared: Mapping[str, Sequence[Measured]]) -> Figure:
    """Distance against seconds of fitting, a panel for each data set."""
    figure = Figure(figsize=(4.6 * len(compared), 4.6), layout="constrained")
    panels = figure.subplots(1, len(compared), squeeze=False)[0]
    for ax, (name, runs) in zip(panels, compared.items(), strict=True):
        for title in dict.fromkeys(title for run in runs for title in run.rows):
            found = [row for row in of(runs, title) if row.fit_seconds is not None]
            if not found or title.startswith("box"):
                continue
            x = np.mean([row.fit_seconds for row in found if row.fit_seconds is not None])
            y = [row.frechet_limit for row in found]
            copies = any(row.copy_p is not None and row.copy_p < COPIES for row in found)
            colour = VERMILION if is_rival(title) else BLUE
            error = [[np.mean(y) - min(y)], [max(y) - np.mean(y)]]
            ax.errorbar(
                x, np.mean(y), error, marker="o", color=colour, markerfacecolor="white" if copies else colour
            )
            ax.annotate(short(title), (x, np.mean(y)), (5, 3), textcoords="offset points", fontsize=7)
        floor = np.mean([run.rows[FLOOR].frechet_limit for run in runs])
        ax.axhline(max(floor, 1e-3), color="black", linewidth=0.8, linestyle="--")
        ax.set(xscale="log", yscale="log", title=name, xlabel="seconds of fitting")
        ax.set_xlim(right=3 * ax.get_xlim()[1])
        ax.grid(alpha=0.3)
    panels[0].set_ylabel("Fréchet distance to reconstructions, in the limit")
    figure.supxlabel(
        "blue: ours; red: rivals; hollow: closer to the training images than unseen ones; "
        "dashed: reconstructed training images",
        fontsize=8,
    )
    return figure


def of(runs: Iterable[Measured], title: str) -> Iterable[Row]:
    """The rows of one title, of the seeds that have it."""
    return (run.rows[title] for run in runs if title in run.rows)


def is_rival(title: str) -> bool:
    """Whether a row is of what others would fit."""
    return title.partition(",")[0] in {text.partition(":")[0] for text in (*RIVALS, *LEARNERS)}


def short(title: str) -> str:
    """A title without the names of its numbers: "flow 60"."""
    return re.sub(r",? (fact|budget|bandwidth|[0-9]+ components)", "", title).replace(",", "")


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, to a digit of it; of one value, itself."""
    if len(values) == 1:
        return f"{values[0]:.3g} (one seed)"
    deviation = np.std(values, ddof=1)
    return f"{np.mean(values):.3g} ± {deviation:.1g}"


def _mean(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):{form}}" if known else ""


def _heading(count: int) -> str:
    return (
        f"{count:,} vectors of each sampler; {jax.default_backend()}, {cores()} cores, "
        f"jax {jax.__version__}. Means over the seeds of the autoencoder, and their standard deviations."
    )


def _note(runs: Sequence[Measured], epochs: int) -> str:
    n = runs[0].rows[FLOOR].n
    errors, seconds = (spread([getattr(run, name) for run in runs]) for name in ("error", "seconds"))
    return (
        f"{epochs} epochs; squared error of the validation images {errors}; {seconds} s of training; "
        f"n = {n:,} test images."
    )


if __name__ == "__main__":
    main()
