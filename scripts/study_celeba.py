"""The source's questions in docs/dials.md: how many components, which half-width; are the latents normal?

    python scripts/study_celeba.py --data celeba:DIR --out OUT

Trains four autoencoders (64 and 256 dimensions, with and without batch normalisation), encodes, fits, and
compares samplers on each, all in the features of one classifier. Writes OUT/study.md, OUT/tables (CSV) and
OUT/figures. A study that was stopped goes on when the same command is given again: what lies in OUT/runs is
not made once more, and a comparison only if its samplers or its count were others. (After a change to the
code of a sampler, delete evaluation.csv in each run.) On two CPU cores and 18,000 faces the trainings take
half an hour, and so does the rest.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from scipy import stats
from study_tables import (
    FIRST,
    GAUSSIAN,
    MIXTURE,
    NETWORKS,
    Network,
    all_tables,
    markdown,
    plot_samplers,
    samplers_title,
)

import jaxlatent as jl
from jaxlatent._cores import cores
from jaxlatent._files import atomic_path
from jaxlatent.cli.console import open_log
from jaxlatent.evaluation import Row, TradeoffPoint, cached_features, read_records
from jaxlatent.evaluation.features import Features
from jaxlatent.report.document import Table, slug
from jaxlatent.report.plots.figure import save_figure
from jaxlatent.report.sections.evaluation import plot_tradeoff
from jaxlatent.run import Run
from jaxlatent.sampling import Spec

# The ellipse that holds 95 % of two normal components, in standard deviations.
_CONFIDENCE = f"pairwise:fact={stats.chi2.ppf(0.95, 2) ** 0.5:.4f}:half_width=sigma"
#: Compared on every network; of 105 components there are all where there are fewer.
SAMPLERS = (
    "box:b=1.5",
    GAUSSIAN,
    "gaussian:temperature=0.85",
    MIXTURE,
    "mixture:n_clusters=30",
    "pairwise:fact=0.7:n_components=105",
    "pairwise:fact=1.0:n_components=105",
    _CONFIDENCE,
    "exact:fact=matched",
    "exact:density=empirical:fact=2.0",
    "ellipsoid",
    "recombination:n_parents=2",
    "bootstrap:bandwidth=0.5",
    "cluster-mixture",
    "cluster-recombination",
)
#: Compared on the first network as well.
FURTHER = (
    "box",
    "gaussian:temperature=0.7",
    "mixture:n_clusters=100",
    f"{_CONFIDENCE}:n_components=105",
    "pairwise:fact=matched",
    "exact:density=normal:fact=2.0",
    "tilted:fact=1.0",
    "ellipsoid:density=normal",
    "interpolation",
    "recombination:n_parents=3",
    "recombination:n_parents=8",
)


def main() -> None:
    """Makes the study, or what is left of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="celeba:data/celeba", help="as of `jaxlatent train`; has labels")
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="folder of the study")
    parser.add_argument("--count", type=int, default=4000, help="vectors of each sampler")
    parser.add_argument("--epochs", type=int, default=6, help="passes of a training over the images")
    parser.add_argument("--only", default=",".join(NETWORKS), help="networks, between commas")
    parser.add_argument("--samplers", help="these alone, between commas; as of `jaxlatent evaluate`")
    asked = parser.parse_args()
    names = asked.only.split(",")
    if not set(names) <= NETWORKS.keys():
        parser.error(f"--only: expected some of {', '.join(NETWORKS)}, got {asked.only}")
    given = asked.samplers.split(",") if asked.samplers else None
    try:
        chosen = {name: samplers_of(name, given) for name in names}
    except ValueError as error:
        parser.error(f"--{error}")
    for folder in ("figures", "tables"):
        (asked.out / folder).mkdir(parents=True, exist_ok=True)
    open_log(asked.out / "log.txt")
    runs = {name: trained(asked.out, name, asked.data, asked.epochs) for name in names}
    images, labels = jl.load_labelled(asked.data, split="train", progress=True)
    kept = asked.out / "features"
    features = cached_features(kept, jax.random.key(0), images, labels.values, progress=True)
    networks = [compared(name, runs[name], chosen[name], features, asked.count) for name in names]
    tables = all_tables(networks, labels)
    for title, (_, table) in tables.items():
        table.to_csv(asked.out / "tables" / f"{slug(title)}.csv")
    with atomic_path(asked.out / "study.md") as temporary:
        temporary.write_text(document(networks, tables, asked, len(images)), encoding="utf-8")
    figures: dict[str, Any] = {"samplers": plot_samplers(networks).figure}
    for network in networks:
        if network.points:
            rows = list(network.rows.values())
            figures[f"tradeoff-{network.name}"] = plot_tradeoff(network.points, rows).figure
    for name, figure in figures.items():
        save_figure(figure, asked.out / "figures" / f"{name}.png")
    print(asked.out / "study.md")


def trained(out: Path, name: str, data: str, epochs: int) -> Run:
    """A network's run with everything that a comparison needs."""
    run = Run(out / "runs" / name, progress=True)
    dimensions, norm = NETWORKS[name]
    if not run.path("latents.npy").exists():
        config = jl.AutoencoderConfig(latent_dim=dimensions, norm=norm)
        run.train(data, config, jl.TrainConfig(epochs=epochs), resume=True)
        run.encode()
    if not run.samplers():
        run.fit("pairwise")
    return run


def samplers_of(name: str, given: Sequence[str] | None = None) -> list[Spec]:
    """What is compared on a network; with all of its components where it has no more than are asked for."""
    dimensions, _ = NETWORKS[name]
    texts = given or SAMPLERS + (FURTHER if name == FIRST else ())
    return [Spec.parse(text).within(dimensions) for text in texts]


def compared(name: str, run: Run, chosen: Sequence[Spec], features: Features, count: int) -> Network:
    """Compares samplers on a network, unless that very comparison lies in the run."""
    table, points = run.path("evaluation.csv"), run.path("tradeoff.csv")
    rows = read_records(table, Row) if table.exists() else []
    texts = [str(spec) for spec in chosen]
    first = name == FIRST
    measured = {(row.spec, row.n_limit) for row in rows}
    if not measured.issuperset((text, count) for text in texts) or first > points.exists():
        # Detection takes as long as all else, and differs little between the networks.
        rows = run.evaluate(
            texts, count=count, features=features, tradeoff=first, faces=None if first else False
        )
    named = {row.spec or row.title: row for row in rows}
    return Network(name, run, named, read_records(points, TradeoffPoint) if points.exists() else [])


def document(
    networks: Sequence[Network], tables: dict[str, tuple[str, Table]], asked: argparse.Namespace, images: int
) -> str:
    """The tables in Markdown, each with what it is and the command that makes it."""
    kind = asked.data.partition(":")[0]
    epochs = ", ".join(str(n.run.config()["training"]["epochs"]) for n in networks)
    script = f"python scripts/study_celeba.py --data {kind}:DIR --out OUT --count {asked.count}"
    parts = [
        f"{images:,} training images of {kind}, 64 pixels; epochs of the trainings: {epochs}; "
        f"{asked.count:,} vectors of each sampler; all seeds 0; {jax.default_backend()}, {cores()} cores, "
        f"jax {jax.__version__}."
    ]
    commands = {samplers_title(n): evaluate_command(n, asked.count) for n in networks}
    for title, (note, table) in tables.items():
        command = commands.get(title, script)
        parts.append(f"## {title}\n\n{note}\n\n```bash\n{command}\n```\n\n{markdown(table)}")
    return "\n\n".join(parts) + "\n"


def evaluate_command(network: Network, count: int) -> str:
    """What measures the same rows; its classifier, of the same images and key, is the same."""
    specs = ",".join(row.spec for row in network.rows.values() if row.spec)
    options = "" if network.points else " --no-tradeoff --no-faces"
    return f"jaxlatent evaluate OUT/runs/{network.name} --count {count}{options} --samplers {specs}"


if __name__ == "__main__":
    main()
