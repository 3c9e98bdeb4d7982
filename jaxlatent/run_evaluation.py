"""The evaluation of a run: samplers side by side, as tables and pictures in the run folder."""

import logging
from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import numpy as np
from PIL import Image

from jaxlatent import evaluation, report
from jaxlatent._boundary import as_choice, as_count
from jaxlatent._files import atomic_path
from jaxlatent._random import seed_key
from jaxlatent.data import load_images
from jaxlatent.evaluation.catalogue import Spec, specs
from jaxlatent.evaluation.features import Features
from jaxlatent.evaluation.references import LEAST
from jaxlatent.report.decoded import sweep_counts
from jaxlatent.report.document import slug
from jaxlatent.report.evaluation import Evaluated, plot_tradeoff
from jaxlatent.run_folder import RunFolder
from jaxlatent.sampling import Sampler
from jaxlatent.sampling.fitting.region import fit_frame

log = logging.getLogger(__name__)

FeatureName = Literal["classifier", "encoder"]

_OWN = "this run's sampler"
_COLUMNS, _ON_PAGE, _GAP = 8, 2, 2
_TABLE, _POINTS = "evaluation.csv", "tradeoff.csv"
_GRIDS, _PLOT = "pictures/evaluation", "pictures/tradeoff.png"


def evaluate_run(
    run: RunFolder,
    samplers: Sequence[str] = ("all",),
    *,
    count: int = 10_000,
    features: FeatureName | Features = "classifier",
    tradeoff: bool = True,
    faces: bool | None = None,
    seed: int = 0,
) -> list[evaluation.Row]:
    """Measures samplers on a run; see `Run.evaluate`."""
    count, key = as_count("count", count, LEAST), seed_key(seed)
    z, asked, model = run.latents(), run.config(), run.model()
    most = fit_frame(z).n_components
    chosen = specs(samplers, most)
    training = run.images(asked, "train")
    unseen = unseen_images(run, asked, min(count, len(training)))
    function = _features(run, asked, training, features)
    if faces is None:
        faces = _can_detect(unseen[:1])
    log.info("comparing with %d images that the autoencoder was not trained on", len(unseen))
    references = evaluation.References.of(model, function, training, z, unseen, count)
    named: dict[str, Spec | Sampler] = {spec.title: spec for spec in chosen}
    if run.path("sampler.npz").exists():
        named[_OWN] = run.sampler()
    rows = evaluation.compare(references, named, z, key, count, faces=faces, progress=run.progress)
    points = []
    if tradeoff:
        counts = sweep_counts(most)
        points = evaluation.tradeoff(references, z, key, counts, count=count, progress=run.progress)
    _write(run, rows, points)
    best = min((row for row in rows if row.vectors_per_second), key=lambda row: row.frechet)
    log.info("smallest Fréchet distance %.3g: %s; see %s", best.frechet, best.title, run.path(_TABLE))
    return rows


def read_evaluation(run: RunFolder) -> Evaluated | None:
    """What `evaluate_run` has written; None where it has not."""
    if not run.path(_TABLE).exists():
        return None
    rows = evaluation.read_rows(run.path(_TABLE), evaluation.Row)
    points = run.path(_POINTS)
    traded = evaluation.read_rows(points, evaluation.TradeoffPoint) if points.exists() else []
    grids = {}
    for row in rows:
        with Image.open(run.path(f"{_GRIDS}/{slug(row.title)}.png")) as image:
            pixels = np.asarray(image)
        side = (pixels.shape[1] + _GAP) // _COLUMNS
        grids[row.title] = pixels[: _ON_PAGE * side - _GAP]
    return Evaluated(rows, traded, grids)


def unseen_images(run: RunFolder, asked: dict[str, Any], most: int) -> np.ndarray:
    """Validation and test images, at most so many."""
    validation = run.images(asked, "validation", most)
    if len(validation) == most:
        return validation
    return np.concatenate([validation, run.images(asked, "test", most - len(validation))])


def _features(
    run: RunFolder, asked: dict[str, Any], training: np.ndarray, given: FeatureName | Features
) -> Features:
    if callable(given):
        return given
    if as_choice("features", given, get_args(FeatureName)) == "classifier":
        try:
            _, labels = load_images(
                asked["data"],
                image_size=asked["autoencoder"]["image_size"],
                split="train",
                limit=asked["limit"],
                return_labels=True,
                progress=run.progress,
            )
        except ValueError as error:  # the images themselves have been loaded
            log.info("measuring in the encoder's features, as there is nothing to train others on: %s", error)
        else:
            # Always the same ones, so that evaluations of several seeds can be compared.
            key = jax.random.key(0)
            folder = run.path("features")
            return evaluation.cached_features(folder, key, training, labels.values, progress=run.progress)
    return evaluation.EncoderFeatures(run.model())


def _can_detect(images: np.ndarray) -> bool:
    try:
        evaluation.face_rate(images)
    except ImportError as error:
        log.info("faces are not counted; %s", error)
        return False
    return True


def _write(run: RunFolder, rows: list[evaluation.Row], points: list[evaluation.TradeoffPoint]) -> None:
    with atomic_path(run.path(_GRIDS)) as temporary:
        temporary.mkdir()
        for row in rows:
            assert row.images is not None
            grid = report.image_grid(row.images, _COLUMNS, gap=_GAP)
            Image.fromarray(grid).save(temporary / f"{slug(row.title)}.png")
    if points:
        evaluation.write_rows(run.path(_POINTS), points)
    else:
        run.path(_POINTS).unlink(missing_ok=True)
    figure: Any = plot_tradeoff(points, rows).figure
    report.save_figure(figure, run.path(_PLOT))
    evaluation.write_rows(run.path(_TABLE), rows)
