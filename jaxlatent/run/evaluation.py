"""The evaluation of a run: samplers side by side, as tables and pictures in the run folder."""

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np
from PIL import Image

from jaxlatent import evaluation, report
from jaxlatent._boundary import as_choice, as_count
from jaxlatent._random import seed_key
from jaxlatent._rows import Rows
from jaxlatent.autoencoder import Autoencoder, AutoencoderConfig
from jaxlatent.data.fingerprint import fingerprint
from jaxlatent.evaluation.comparison import FLOOR, NAIVE, NULL, Compared, specs
from jaxlatent.evaluation.features import Features
from jaxlatent.evaluation.references import LEAST
from jaxlatent.evaluation.vectors import GivenVectors, given_vectors
from jaxlatent.generation.digest import identity
from jaxlatent.report.document import slug
from jaxlatent.report.sections.evaluation import Evaluated, plot_tradeoff
from jaxlatent.report.sections.images import sweep_counts
from jaxlatent.run.folder import LATENTS, RunFolder, sampler_result, sampler_title
from jaxlatent.run.origin import StaleError, library_versions
from jaxlatent.sampling import Sampler, Spec
from jaxlatent.sampling.fitting.region import fit_frame

log = logging.getLogger(__name__)

FeatureName = Literal["classifier", "encoder"]
UnseenSplit = Literal["test", "validation"]

# Images that are asked whether they show faces.
_LOOKED_AT = 200
_COLUMNS, _ON_PAGE, _GAP = 8, 2, 2
_TABLE, _POINTS = "evaluation.csv", "tradeoff.csv"
_GRIDS, _PLOT = "pictures/evaluation", "pictures/tradeoff.png"


def evaluate_run(
    run: RunFolder,
    samplers: Sequence[str],
    *,
    vectors: Mapping[str, Any] | None,
    count: int,
    features: FeatureName | Features | None,
    split: UnseenSplit,
    tradeoff: bool,
    faces: bool | None,
    seed: int,
) -> list[evaluation.Row]:
    """Measures samplers on a run; see `Run.evaluate`."""
    count, key = as_count("count", count, LEAST), seed_key(seed)
    as_choice("split", split, get_args(UnseenSplit))
    z, asked, model = run.latents(), run.config(), run.model()
    given = given_vectors(vectors, z.shape[1])
    most = fit_frame(z).n_components
    own: dict[str, str] = {}
    fitted: dict[str, Sampler] = {}
    for name in run.samplers():
        title = f"{sampler_title(name)} (of this run)"
        try:
            fitted[title] = run.sampler(name)
            own[title] = name
        except StaleError as error:
            log.warning("a sampler is left out: %s", error)
    named: dict[str, Compared] = {
        spec.title: spec for spec in specs(samplers, most) if str(spec) not in own.values()
    }
    named |= fitted
    if double := given.keys() & {*named, NULL, FLOOR, Spec.parse(NAIVE).title}:
        raise ValueError(f"vectors: {min(double)!r} is the title of another row; give them another one")
    named |= given
    training = run.training_images()
    encoded = run.encoded(training)
    unseen, taken = untouched_images(run, asked, split, min(count, len(encoded)))
    function, described = _features(run, asked, model, training, features)
    if faces is None:
        faces = _show_faces(unseen[:_LOOKED_AT])
    log.info("comparing with %d images that the autoencoder was not trained on: %s", len(unseen), taken)
    log.info("decoding, and measuring in the features, what all rows are compared with")
    start = time.monotonic()
    references = evaluation.References.of(model, function, encoded, z, unseen, count)
    options = {
        "features": described,
        "unseen": fingerprint(unseen),
        "split": taken,
        "n": references.n,
        "count": count,
        "faces": faces,
        "seed": seed,
    }
    del training, encoded, unseen  # hundreds of megabytes
    table = _TableOfRun(run, ",".join(samplers), own, given, options, start)
    known = table.known()
    rows = evaluation.compare(
        references, named, z, key, faces=faces, known=known, note=table.note, progress=run.progress
    )
    rows = [table.completed(row) for row in rows]
    points = []
    if tradeoff:
        counts = sweep_counts(most)
        points = evaluation.tradeoff(references, z, key, counts, note=table.note_point, progress=run.progress)
    table.finish(rows, points)
    best = min((row for row in rows if row.vectors_per_second), key=lambda row: row.frechet)
    log.info("smallest Fréchet distance %.3g: %s; see %s", best.frechet, best.title, run.path(_TABLE))
    return rows


class _TableOfRun:
    """The table of an evaluation as it grows in the run folder."""

    def __init__(
        self,
        run: RunFolder,
        samplers: str,
        own: Mapping[str, str],
        given: Mapping[str, GivenVectors],
        options: Mapping[str, Any],
        start: float,
    ):
        self.run, self.own, self.options, self.start = run, own, options, start
        self.vectors = {title: each.digest for title, each in given.items()}
        files = [f"--vectors={title}={each.source or 'FILE.npy'}" for title, each in given.items()]
        chosen = ["--split", "validation"] if options["split"] == "validation" else []
        self.step = (
            *("evaluate", "--samplers", samplers, "--count", str(options["count"])),
            *chosen,
            *files,
        )
        self.rows: list[evaluation.Row] = []

    def known(self) -> dict[str, evaluation.Row]:
        """The rows that an earlier evaluation has measured on the same, of what is asked for now or not."""
        origin = self.run.origin(_TABLE)
        # Of a function whose digest is not known, nobody can say whether it is still the same.
        if origin is None or not self.options["features"]["sha256"]:
            return {}
        # A table that was taken away, or changed, or that another version has written.
        if origin.sha256 != self.run.digest(_TABLE) or origin.versions != library_versions():
            return {}
        if any(origin.options.get(name) != value for name, value in self.options.items()):
            return {}
        if any(origin.inputs.get(name) != self.run.digest(name) for name in ("model", "images", LATENTS)):
            return {}
        kept = {}
        for row in evaluation.read_records(self.run.path(_TABLE), evaluation.Row):
            result = sampler_result(self.own[row.title]) if row.title in self.own else LATENTS
            same = origin.inputs.get(result) == self.run.digest(result)
            same &= origin.options.get("vectors", {}).get(row.title) == self.vectors.get(row.title)
            if same and self._grid(row).exists():
                kept[row.title] = row
        if kept:
            log.info("%d rows were measured before and are kept", len(kept))
        self.rows = list(kept.values())
        return kept

    def note(self, row: evaluation.Row, left: int) -> None:
        """Adds a row to what is on the disk, and says so."""
        assert row.images is not None
        grid = report.image_grid(row.images, _COLUMNS, gap=_GAP)
        self._grid(row).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grid).save(self._grid(row))
        self.rows.append(self.completed(row))
        self._write(self.rows, complete=False)
        self._say(row.title, row.frechet, f"{left} rows left")

    def note_point(self, point: evaluation.TradeoffPoint, left: int) -> None:
        """Says that a point of the trade-off is measured."""
        self._say(f"{point.series}, {point.dial} {point.setting:g}", point.frechet, f"{left} settings left")

    def _say(self, title: str, distance: float, left: str) -> None:
        minutes, seconds = divmod(round(time.monotonic() - self.start), 60)
        log.info("%s: Fréchet distance %.3g; %d min %02d s, %s", title, distance, minutes, seconds, left)

    def completed(self, row: evaluation.Row) -> evaluation.Row:
        """With what all rows have in common."""
        digest = str(self.run.digest("model"))[:12]
        name, seed, split = self.options["features"]["name"], self.options["seed"], self.options["split"]
        return dataclasses.replace(row, features=name, seed=seed, unseen=split, model=digest)

    def finish(self, rows: list[evaluation.Row], points: list[evaluation.TradeoffPoint]) -> None:
        """Leaves the rows that were asked for, with their pictures."""
        wanted = {self._grid(row) for row in rows}
        for path in self.run.path(_GRIDS).iterdir():
            if path not in wanted:
                path.unlink()
        if points:
            evaluation.write_records(self.run.path(_POINTS), evaluation.TradeoffPoint, points)
        else:
            self.run.path(_POINTS).unlink(missing_ok=True)
        figure: Any = plot_tradeoff(points, rows).figure
        report.save_figure(figure, self.run.path(_PLOT))
        self._write(rows, complete=True)

    def _write(self, rows: Sequence[evaluation.Row], *, complete: bool) -> None:
        evaluation.write_records(self.run.path(_TABLE), evaluation.Row, rows)
        titles = {row.title for row in rows}
        own = [sampler_result(name) for title, name in self.own.items() if title in titles]
        inputs = ("model", "images", LATENTS, *own)
        vectors = {title: digest for title, digest in self.vectors.items() if title in titles}
        self.run.record(_TABLE, self.step, *inputs, **self.options, vectors=vectors, complete=complete)

    def _grid(self, row: evaluation.Row) -> Path:
        return self.run.path(f"{_GRIDS}/{slug(row.title)}.png")


def read_evaluation(run: RunFolder) -> Evaluated | None:
    """What `evaluate_run` has written; None where it has not.

    Raises:
        StaleError: if it was made with something else than what is there now, or was interrupted.
    """
    path = run.path(_TABLE)
    if not path.exists():
        return None
    origin = run.check(_TABLE)
    if not origin.options.get("complete"):
        raise StaleError(f"{path}: was interrupted; run {origin.command(run.folder)} once more, it goes on")
    if not {"split", "count"} <= origin.options.keys():
        raise StaleError(f"{path}: is of an earlier version; run {origin.command(run.folder)} once more")
    rows = evaluation.read_records(path, evaluation.Row)
    points = run.path(_POINTS)
    traded = evaluation.read_records(points, evaluation.TradeoffPoint) if points.exists() else []
    grids = {}
    height, _, _ = AutoencoderConfig.from_dict(run.config()["autoencoder"]).image_shape
    for row in rows:
        with Image.open(run.path(f"{_GRIDS}/{slug(row.title)}.png")) as image:
            pixels = np.asarray(image)
        grids[row.title] = pixels[: _ON_PAGE * (height + _GAP) - _GAP]
    return Evaluated(rows, traded, grids)


def untouched_images(
    run: RunFolder, asked: Mapping[str, Any], split: UnseenSplit, most: int
) -> tuple[np.ndarray | Rows, str]:
    """Images of a split, at most so many, and the name of what they are from.

    The training has chosen its best epoch by the validation images, so that these come in among those of the
    test split only where there are too few.

    Raises:
        ValueError: if there are too few.
    """
    images = run.images(asked, split, most)
    if len(images) >= LEAST:
        return images, split
    if split == "validation":
        raise ValueError(
            f"{asked['data']}: expected at least {LEAST} validation images, got {len(images)}; add images"
        )
    validation = run.images(asked, "validation", most - len(images))
    both = np.concatenate([images, validation])
    if len(both) < LEAST:
        raise ValueError(
            f"{asked['data']}: expected at least {LEAST} test images to compare with, got {len(images)}, and "
            f"{len(validation)} of validation; add images"
        )
    log.warning(
        "there are only %d test images: validation images, by which the training chose its best epoch, are "
        "among those that all rows are compared with",
        len(images),
    )
    return both, "test and validation"


def unseen_images(run: RunFolder, asked: Mapping[str, Any], most: int) -> np.ndarray | Rows:
    """Validation and test images, at most so many."""
    validation = run.images(asked, "validation", most)
    if len(validation) == most:
        return validation
    return np.concatenate([validation, run.images(asked, "test", most - len(validation))])


def _features(
    run: RunFolder,
    asked: Mapping[str, Any],
    model: Autoencoder,
    training: np.ndarray | Rows,
    given: FeatureName | Features | None,
) -> tuple[Features, dict[str, str | None]]:
    """What images are compared in; its name, and its digest where that is known."""
    if callable(given):
        return given, identity(given)
    if given is None or as_choice("features", given, get_args(FeatureName)) == "classifier":
        try:
            _, labels = run.labelled_images(asked)
        except ValueError as error:  # the images themselves have been loaded
            if given is not None:
                raise ValueError(
                    f"features: a classifier needs labels to be trained on ({error}); take the encoder's"
                ) from error
            log.info("measuring in the encoder's features, as there is nothing to train others on: %s", error)
        else:
            # Always the same ones, so that evaluations of several seeds can be compared.
            key = jax.random.key(0)
            folder = run.path("features")
            found = evaluation.cached_features(folder, key, training, labels.values, progress=run.progress)
            return found, {"name": "classifier", "sha256": found.digest}
    return evaluation.EncoderFeatures(model), {"name": "encoder", "sha256": run.digest("model")}


def _show_faces(images: np.ndarray | Rows) -> bool:
    """Whether a face is detected in most of the images."""
    try:
        rate = evaluation.face_rate(images)
    except ImportError as error:
        log.info("faces are not counted; %s", error)
        return False
    if rate < 1 / 2:
        log.info("faces are not counted; %.0f %% of the images show one", 100 * rate)
    return rate >= 1 / 2
