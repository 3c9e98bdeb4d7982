"""Outlier scores."""

from pathlib import Path
from typing import get_args

import click

from jaxlatent._backend import start_backend
from jaxlatent.cli.console import open_log
from jaxlatent.cli.options import sampler_option, source_argument
from jaxlatent.data.splits import SPLITS
from jaxlatent.run.scores import score_file, write_scores
from jaxlatent.sampling.scores import ScoreName


@click.command()
@source_argument
@click.argument("file")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("scores.csv"),
    show_default=True,
    help="CSV file to write, a line a vector or image.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Share of usual vectors that count as outliers, at most: false alarms.",
)
@click.option(
    "--by",
    type=click.Choice(get_args(ScoreName)),
    default=None,
    show_default="the first that the sampler has",
    help="What decides: log density, gauge of the region, or distance from the plane of components.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default=None,
    show_default="all images",
    help="Of the images in FILE, those of this split alone.",
)
@click.option(
    "--calibration",
    metavar="FILE",
    default=None,
    show_default="the validation and test images of RUN",
    help="Usual vectors or images that the sampler was not fitted to; they set the threshold. A SAMPLER file "
    "needs them.",
)
@sampler_option
def score(
    source: Path,
    file: str,
    out: Path,
    rate: float,
    by: ScoreName | None,
    split: str | None,
    calibration: str | None,
    sampler: str | None,
) -> None:
    """Says how unusual each vector or image of FILE is, and which ones are outliers.

    FILE holds latent vectors, .npy or .npz; for a RUN also images, as for `train --data`. SAMPLER is a file
    that jaxlatent.save wrote.
    """
    start_backend()
    open_log()
    scores, threshold = score_file(
        source, file, name=sampler, split=split, calibration=calibration, rate=rate, by=by, progress=True
    )
    count = write_scores(out, scores, threshold)
    side = "below" if threshold.by == "log_prob" else "above"
    click.echo(
        f"{count:,} of {len(scores.distance):,} are outliers: {threshold.by} {side} {threshold.limit:.4g}, "
        f"set by {threshold.count:,} usual ones for false alarms of {100 * rate:g} % at most. See {out}."
    )
