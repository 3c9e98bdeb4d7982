"""The study of docs/study.md: samplers beside rivals that learn, and beside VAEs, on data sets and seeds.

    python scripts/study.py --out OUT --data mnist=mnist.npz --data celeba=celeba:DIR

Every data set has labels, for the classifier in whose features images are compared, and a test split. Each
autoencoder is shown about 150,000 images; all samplers are fitted to the latents of three seeds. Rivals that
learn have so many seconds on the machine's cores: nothing else should run there. Writes OUT/study.md,
OUT/tables (CSV) and OUT/figures. A study that was stopped goes on when the same command is given again.
Vectors that other programs have drawn are measured, too: OUT/NAME/SEED/vectors/TITLE.npy.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import jax
from study_results import (
    LEARNERS,
    RIVALS,
    Measured,
    budget_table,
    plot_budgets,
    plot_samples,
    samplers_table,
    spread,
    variational_table,
)
from study_tables import markdown

import jaxlatent as jl
from jaxlatent._cores import cores
from jaxlatent._files import atomic_path
from jaxlatent.autoencoder import History
from jaxlatent.cli.console import open_log
from jaxlatent.evaluation import cached_features
from jaxlatent.evaluation.comparison import FLOOR
from jaxlatent.evaluation.features import Features
from jaxlatent.report.document import slug
from jaxlatent.report.plots.figure import save_figure
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
#: Of the KL term, see `TrainConfig.kl_weight`.
KL_WEIGHTS = (0.003, 0.01, 0.03)
# What takes longer is for the first seed alone: such budgets in seconds, and the vine copula, minutes.
_LONG = 100
_MINUTES = "copula"


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
        save_figure(plot_samples(folder / "0"), asked.out / "figures" / f"samples-{name}.png")
        tables = {
            f"{name}, samplers": samplers_table(plain),
            f"{name}, by seconds of fitting": budget_table(plain, budgets),
            f"{name}, variational autoencoders": variational_table(plain[0], variational),
        }
        for title, table in tables.items():
            table.to_csv(asked.out / "tables" / f"{slug(title)}.csv")
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
    rivals = [text for text in RIVALS if seed == 0 or text != _MINUTES]
    return [*OURS, *rivals, *(f"{name}:budget={budget}" for name in LEARNERS for budget in few)]


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
    vectors = {path.stem: path for path in sorted((folder / "vectors").glob("*.npy"))}
    rows = run.evaluate(
        samplers, vectors=vectors, count=count, features=features, tradeoff=False, faces=False
    )
    history = History.from_csv(run.needed("training/history.csv", "train"))
    seconds = sum(record.seconds for record in history.records)
    return Measured({row.title: row for row in rows}, history.best().val_mse, seconds)


def _heading(count: int) -> str:
    return (
        f"{count:,} vectors of each sampler; {jax.default_backend()}, {cores()} cores, "
        f"jax {jax.__version__}. Means over the seeds of the autoencoder, with standard deviations; without "
        "one, of one seed."
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
