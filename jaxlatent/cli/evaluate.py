"""The command that measures samplers on a run folder."""

from pathlib import Path

import click

from jaxlatent.cli.console import open_run
from jaxlatent.cli.options import moved_option, run_argument, seed_option
from jaxlatent.cli.tables import print_table
from jaxlatent.report.sections.evaluation import comparison_table
from jaxlatent.run.evaluation import FeatureName, UnseenSplit
from jaxlatent.sampling import SAMPLERS
from jaxlatent.sampling.spec import RIVALS


@click.command()
@run_argument
@click.option(
    "--samplers",
    default="all",
    show_default=True,
    help="What to compare, between commas: all, or NAME[:OPTION=VALUE]..., such as "
    "pairwise:fact=0.8:n_components=50; the options are those of the sampler's fit. Names: "
    f"{', '.join(SAMPLERS)}; and what learns, for comparison, with the extra `rivals`: "
    f"{', '.join(RIVALS)}, as flow:budget=60 (seconds), or rivals for all. The fitted samplers of RUN are "
    "always compared too, and a naive box.",
)
@click.option(
    "--vectors",
    multiple=True,
    metavar="TITLE=FILE",
    show_default="none",
    help="Latent vectors of any other program, a .npy file (n, d), to be measured as a sampler's; the first "
    "of them, as many as of each sampler. Can be given several times.",
)
@click.option(
    "--count",
    type=click.IntRange(24),
    default=10_000,
    show_default=True,
    help="Images of each sampler's vectors. Measures that depend on their number take as many of every set "
    "as there are training images and unseen ones.",
)
@click.option(
    "--features",
    type=click.Choice(["classifier", "encoder"]),
    default=None,
    show_default="classifier where the data have labels, else encoder",
    help="What images are compared in: the activations of a classifier, trained once on the labels of the "
    "data and kept in RUN, or the encoder's latent vectors.",
)
@click.option(
    "--split",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Which images the autoencoder was not trained on are compared with: choose samplers and their "
    "dials on validation images, and report what the test images say.",
)
@click.option(
    "--tradeoff/--no-tradeoff",
    default=True,
    show_default=True,
    help="Also measure fidelity against diversity over components, half-width scales and temperatures.",
)
@click.option(
    "--faces/--no-faces",
    default=None,
    show_default="where OpenCV is installed and most unseen images show one",
    help="Count the images in which a face is detected.",
)
@moved_option
@seed_option
def evaluate(
    run: Path,
    samplers: str,
    vectors: tuple[str, ...],
    count: int,
    features: FeatureName | None,
    split: UnseenSplit,
    tradeoff: bool,
    faces: bool | None,
    data: str | None,
    seed: int,
) -> None:
    """Compares samplers by the images that they give with the autoencoder of RUN.

    All measures go into evaluation.csv and tradeoff.csv, images into pictures/evaluation; the report of RUN
    shows them. What was measured before on the same is kept, and so are the rows of an evaluation that was
    stopped.
    """
    rows = open_run(run, data).evaluate(
        samplers.split(","),
        vectors=_titled(vectors),
        count=count,
        features=features,
        split=split,
        tradeoff=tradeoff,
        faces=faces,
        seed=seed,
    )
    print_table(comparison_table(rows))


def _titled(vectors: tuple[str, ...]) -> dict[str, str]:
    titled: dict[str, str] = {}
    for text in vectors:
        title, _, file = text.partition("=")
        if not (title and file):
            raise click.UsageError(f"--vectors: expected TITLE=FILE, got {text!r}")
        if title in titled:
            raise click.UsageError(f"--vectors: {title!r} is given twice; give one another title")
        titled[title] = file
    return titled
