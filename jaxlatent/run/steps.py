"""The steps of the main job on a run folder, each reading what the one before wrote."""

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxlatent import evaluation, report
from jaxlatent._boundary import as_count, as_counts
from jaxlatent._files import atomic_path, lock
from jaxlatent._random import as_seed, seed_key
from jaxlatent._rows import Rows
from jaxlatent.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    DivergenceError,
    EpochRecord,
    History,
    TrainConfig,
    decode,
    encode,
    fit_autoencoder,
)
from jaxlatent.autoencoder.train import check_same
from jaxlatent.data.fingerprint import fingerprint
from jaxlatent.data.load import loaded_shape
from jaxlatent.data.splits import CHOICE
from jaxlatent.evaluation.features import Features
from jaxlatent.generation import encode_to, generate
from jaxlatent.generation.export import export
from jaxlatent.report.plots.figure import own_style
from jaxlatent.report.sections.images import NAIVE, NAIVE_B, SWEEP_FACTS, Pictured, sweep_counts, sweep_images
from jaxlatent.report.sections.latents import ellipse_body
from jaxlatent.run.beside import beside, plain_title
from jaxlatent.run.evaluation import FeatureName, UnseenSplit, evaluate_run, read_evaluation
from jaxlatent.run.folder import LATENTS, PICTURED, RunFolder, absolute, file_stem, sampler_title
from jaxlatent.run.origin import StaleError, command, library_versions
from jaxlatent.sampling import BoxSampler, Sampler, Spec
from jaxlatent.sampling.fitting.region import fit_frame
from jaxlatent.sampling.spec import DEFAULT

log = logging.getLogger(__name__)

Images = jax.Array | np.ndarray

_PICTURED = 64
_COMPARED = 16
_ROW = 8
_REPORTED = 100
_PLANE_POINTS = 500
# A cluster sampler has a body for each of up to 300 clusters, and a tilted one a form for each pair.
_LOOKED_AT = 10_000


class Run(RunFolder):
    """The steps on one folder; every step can be repeated and then replaces its results.

    Args:
        folder: made by `train` where it does not exist.
        progress: show progress bars where standard error is a terminal.
    """

    def train(
        self,
        data: str | None = None,
        config: AutoencoderConfig | Mapping[str, Any] | None = None,
        training: TrainConfig | Mapping[str, Any] | None = None,
        *,
        limit: int | None = None,
        seed: int | None = None,
        resume: bool = False,
        restart: bool = False,
        callback: Callable[[EpochRecord], None] | None = None,
        on_speed: Callable[[float], None] | None = None,
    ) -> History:
        """Trains on the train split of `data`, validates on its validation split, draws both.

        Args:
            data: see `jaxlatent.load_images`.
            config: the network; or some of its fields. Size and channels are else those that `load_images`
                gives without being asked for any, the others have their defaults.
            training: how to train it; or some of its fields.
            limit: at most so many training images.
            seed: of the weights, the order of the images and their mirroring; 0 where not given.
            resume: go on with the training in the folder, with its own settings; what else is given has to be
                the same, but for more epochs. Where there is none, begin one.
            restart: begin anew in place of the training in the folder, with its own settings but for what
                else is given.
            callback: see `jaxlatent.fit_autoencoder`.
            on_speed: see there, too.

        Raises:
            ValueError: if the folder holds a training and neither is set, or other settings; or if another
                process is training in it.
            DivergenceError: if the loss is no longer finite; the message has the command that begins anew.
        """
        held = self.path("config.json").exists()
        if held and not (resume or restart):
            raise ValueError(
                f"{self.folder}: holds a run; go on with it (resume, --resume), begin it anew in place "
                "(restart, --restart) or choose another folder"
            )
        kept = self.config() if held else {}
        asked = _asked(kept, data, config, training, limit, seed)
        if resume and held:
            check_same(
                _settings(kept),
                _settings(asked),
                self.folder,
                "leave out {option}, begin anew in place (restart, --restart) or choose another folder",
            )
            asked["images"], asked["choice"] = kept.get("images"), kept.get("choice")
        new = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock(self.folder):
            try:
                return self._train(asked, restart, callback, on_speed)
            except DivergenceError as error:
                rate = f"{asked['training']['learning_rate'] / 3:.1g}"
                again = command(self.folder, "train", "--restart", "--learning-rate", rate)
                if not held and not self._has_checkpoint():
                    again = f"the same command and --learning-rate {rate}"
                raise DivergenceError(f"{error}; begin anew with {again}") from error
            finally:
                if not held and not self._has_checkpoint():
                    self._forget(new)

    def _train(
        self,
        asked: dict[str, Any],
        restart: bool,
        callback: Callable[[EpochRecord], None] | None,
        on_speed: Callable[[float], None] | None,
    ) -> History:
        config = AutoencoderConfig.from_dict(asked["autoencoder"])
        training = TrainConfig.from_dict(asked["training"])
        images = self.images(asked, "train")
        # Enough to tell epochs apart; procedural faces would give as many as for training.
        validation = self.images(asked, "validation", max(100, len(images) // 10))
        log.info("training on %d images, validating on %d", len(images), len(validation))
        if restart:
            shutil.rmtree(self.path("training"), ignore_errors=True)
        found = fingerprint(images)
        self.check_images(asked, found)
        asked["images"], asked["choice"] = found, CHOICE
        self.save_config(asked)
        with atomic_path(self.path(PICTURED)) as temporary, temporary.open("wb") as file:
            np.savez(file, training=_some(images, _COMPARED), validation=_some(validation, _REPORTED))
        model, history = fit_autoencoder(
            seed_key(asked["seed"]),
            images,
            config,
            training,
            validation=validation,
            directory=self.path("training"),
            resume=True,
            callback=callback,
            on_speed=on_speed,
            progress=self.progress,
        )
        self._picture_training(model, history, validation)
        return history

    @own_style()
    def _picture_training(self, model: Autoencoder, history: History, validation: np.ndarray | Rows) -> None:
        best = history.best()
        log.info("kept epoch %d: mean squared error %.3g on the validation images", best.epoch, best.val_mse)
        self._save_figure(report.plot_history(history), "history")
        some = _some(validation, _COMPARED)
        rows: dict[str, Images] = {
            "Validation images": some,
            "Their reconstructions": decode(model, encode(model, some)),
        }
        title = "What the autoencoder keeps of images it was not trained on"
        self._save_figure(report.plot_comparison(rows, title), "reconstructions")

    def _has_checkpoint(self) -> bool:
        return any(self.path("training").glob("epoch-*"))

    def _forget(self, new: bool) -> None:
        """Takes away what a training that failed has left; the whole folder if it has made it."""
        if new:
            shutil.rmtree(self.folder)
            return
        for name in ("config.json", PICTURED):
            self.path(name).unlink(missing_ok=True)
        shutil.rmtree(self.path("training"), ignore_errors=True)

    def encode(self, *, mirror: bool | None = None) -> np.ndarray:
        """Encodes the training images; the z-points (n, d) are kept and returned, a memory map.

        An encoding that was interrupted goes on.

        Args:
            mirror: encode the mirror images too, after the images, so that there are 2n z-points; where not
                given, if the training has mirrored them.

        Raises:
            StaleError: if the data are others than those that the autoencoder was trained on.
        """
        model, images = self.model(), self.training_images()
        trained = TrainConfig.from_dict(self.config()["training"]).mirrors(model.config.channels)
        mirrored = trained if mirror is None else mirror
        z = encode_to(self.path(LATENTS), model, images, mirror=mirrored, progress=self.progress)
        asked = () if mirror is None else ("--mirror" if mirror else "--no-mirror",)
        self.record(LATENTS, ("encode", *asked), "model", "images", mirrored=mirrored)
        also = " and their mirror images" if mirrored else ""
        log.info("encoded %d images%s to %d dimensions", len(images), also, z.shape[1])
        return z

    def fit(self, sampler: str | Spec = DEFAULT, *, name: str | None = None) -> Sampler:
        """Fits a sampler to the z-points and keeps it in the run, for all further steps.

        Args:
            sampler: as `jaxlatent.sampling.Spec.parse` reads it: "pairwise:fact=0.7:n_components=105" is the
                source's method. Where none is named, that whose images are the most like the data's.
            name: that the other steps know it by; the text of `sampler` where not given.

        Raises:
            ValueError: if `sampler` or `name` is not as above, or an option is out of range.
        """
        spec = Spec.parse(sampler) if isinstance(sampler, str) else sampler
        z = self.latents()
        fitted = spec.fit(z)
        self.save_sampler(name or str(spec), fitted, str(spec))
        log.info("fitted the sampler %s: %s", name or spec, _described(fitted, z))
        return fitted

    @own_style()
    def sample(
        self,
        count: int = 64,
        *,
        sampler: str | None = None,
        components: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        """Draws and decodes new vectors, others beside them; draws the planes of the latent space.

        The others are those of the source's method, of the recommended sampler where it is fitted, and naive.

        Args:
            count: vectors for each number of components, at least 1; the first 64 are decoded to pictures.
            sampler: the name of a fitted sampler; that fitted last where not given.
            components: numbers of components, each at most what was fitted; all fitted where empty.
            seed: of the draws.
        """
        count, components = as_count("count", count), as_counts("components", components)
        key, name = seed_key(seed), self.sampler_name(sampler)
        fitted, z, model = self.sampler(name), self.latents(), self.model()
        draws: dict[str, tuple[str | None, Sampler]] = {}
        for k in components or [None]:
            drawn = fitted if k is None else fitted.keep(k)
            stem = f"{file_stem(name)}-k{drawn.n_components}"
            first = "" if k is None else f", the first {k} components"
            draws[plain_title(self, name) + first] = stem, drawn
            self._save_array(np.asarray(drawn.sample(key, count)), f"samples/{stem}.npy")
            log.info("drew %d vectors with %d components", count, drawn.n_components)
        # With all components, whichever numbers of them were asked for, in whatever order.
        new = np.asarray(fitted.sample(key, _PLANE_POINTS))
        draws |= {title: (None, each) for title, each in beside(self, name).items()}
        draws[NAIVE] = "naive-cube", BoxSampler.fit(z, b=NAIVE_B)
        ranges = "Naive vectors, uniform in the range of each latent coordinate"
        draws[ranges] = "naive-ranges", BoxSampler.fit(z)
        rows: dict[str, Images] = {"Training images": self.pictured()[0][:_ROW]}
        for title, (file, each) in draws.items():
            faces = generate(key, each, partial(decode, model), min(count, _PICTURED), batch_size=_PICTURED)
            if file:
                self._save_figure(report.plot_images(faces, f"{title}, decoded"), file)
            rows[title] = faces[:_ROW]
        self._save_figure(report.plot_comparison(rows, "New images from random latent vectors"), "comparison")
        planes = report.plot_component_planes(z, new, fitted.frame or fit_frame(z), ellipse_body(fitted))
        self._save_figure(planes, "planes-pca")
        self._save_figure(report.plot_latent_planes(z, new), "planes-latent")
        log.info("pictures are in %s", self.path("pictures"))

    @own_style()
    def sweep(
        self,
        *,
        components: Sequence[int] = (),
        facts: Sequence[float] = SWEEP_FACTS,
        count: int = 2000,
        seed: int = 0,
    ) -> list[evaluation.SweepCell]:
        """Measures and pictures the pairwise sampler over numbers of components and scales of half-widths.

        Args:
            components: each from 2 to the number that have variance; 50, 105, 120 and 256 as far as there
                are so many where empty.
            facts: semi-axes in units of the half-widths, > 0.
            count: vectors drawn and measured in each cell, at least 2.
            seed: of the draws.
        """
        key, components = seed_key(seed), as_counts("components", components)
        z, model = self.latents(), self.model()
        chosen = components or sweep_counts(fit_frame(z).n_components)
        cells = evaluation.sweep(z, chosen, facts, key, count)
        evaluation.write_records(self.path("sweep.csv"), evaluation.SweepCell, cells)
        self.record("sweep.csv", ("sweep",), "model", LATENTS, seed=seed, count=count)
        images = sweep_images(cells, model, key)
        self._save_figure(report.plot_sweep(images, "Components and scale of the half-widths"), "sweep")
        log.info("measured %d cells; see sweep.csv and pictures/sweep.png", len(cells))
        return cells

    @own_style()
    def evaluate(
        self,
        samplers: Sequence[str] = ("all",),
        *,
        vectors: Mapping[str, jax.Array | np.ndarray | str | os.PathLike[str]] | None = None,
        count: int = 10_000,
        features: FeatureName | Features | None = None,
        split: UnseenSplit = "test",
        tradeoff: bool = True,
        faces: bool | None = None,
        seed: int = 0,
    ) -> list[evaluation.Row]:
        """Compares samplers by the images that they give; the report shows what was found.

        Writes evaluation.csv, tradeoff.csv, pictures/evaluation and pictures/tradeoff.png. Two calls with the
        same arguments write the same, but for the times. Beside the samplers asked for, those that were
        fitted in the run are measured. A row is kept once it is measured: a further call takes it over, if
        latents, model, features, images, their number and `seed` are the same.

        The unseen images are those of the test split, which the training uses for nothing; with validation
        images, by which it chooses the best epoch, where there are fewer than 24. The column `unseen` says
        so. Compare with the validation split to choose a sampler or its dials, and report on the test split
        what was chosen.

        Args:
            samplers: each as `jaxlatent.sampling.Spec.parse` reads it, "pairwise:fact=0.8" say, or "all"; a
                rival that learns, as "flow:budget=60" (see `jaxlatent.evaluation.rivals`), or "rivals".
            vectors: titles, and latent vectors that other programs have drawn, (n, d), as arrays or as .npy
                files; the first are measured, as many as of each sampler. The run keeps no copy, only a
                digest, by which vectors that have changed are measured anew.
            count: images of each sampler, at least 24. Measures that depend on their number take as many of
                every set as there are training images and unseen ones.
            features: "classifier", trained on the data's labels and kept in features/; "encoder"; or any
                function from a batch of images, uint8 (b, h, w, c), to floating-point numbers (b, f), with
                weights of Inception or DINO say: see `jaxlatent.evaluation.features`. Where not given, the
                classifier if the data have labels, else the encoder.
            split: "test" or "validation", of the unseen images.
            tradeoff: also measure precision and recall over components, half-widths and temperatures.
            faces: count the images with a face; where OpenCV is installed if not given.
            seed: of the vectors, and of the choices that some measures make.

        Returns:
            The rows of the comparison, see `jaxlatent.evaluation.compare`.

        Raises:
            ValueError: if a sampler is not known, vectors are of another width, or there are fewer than 24
                images that the autoencoder was not trained on.
            ImportError: if faces are asked for and OpenCV is missing.
        """
        return evaluate_run(
            self,
            samplers,
            vectors=vectors,
            count=count,
            features=features,
            split=split,
            tradeoff=tradeoff,
            faces=faces,
            seed=seed,
        )

    @own_style()
    def report(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        sampler: str | None = None,
        seed: int = 0,
    ) -> Path:
        """Writes the report on the run; its path is returned.

        An evaluation that was made with something else than what is there now is left out; the log says so.

        Args:
            folder: where to; report/ in the run folder where not given.
            sampler: the name of a fitted sampler; that fitted last where not given.
            seed: of the vectors that are drawn for it.
        """
        key, name = seed_key(seed), self.sampler_name(sampler)
        fitted, z, asked = self.sampler(name), self.latents(), self.config()
        training, validation = self.pictured()
        pictured = Pictured(
            self.model(),
            History.from_csv(self.needed("training/history.csv", "train")),
            training,
            validation,
            Path(asked["data"]).name,
            {**beside(self, name), plain_title(self, name): fitted},
            command(self.folder, "explore").strip("`"),
        )
        try:
            evaluated = read_evaluation(self)
        except StaleError as error:
            log.warning("the evaluation is left out of the report: %s", error)
            evaluated = None
        page = report.build(
            self.path("report") if folder is None else folder,
            z,
            fitted,
            title=f"The latent space of {self.folder.resolve().name}",
            method=sampler_title(name),
            pictured=pictured,
            evaluated=evaluated,
            key=key,
            progress=self.progress,
        )
        log.info("wrote the report %s", page)
        return page

    def export(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        sampler: str | None = None,
        components: int | None = None,
    ) -> Path:
        """Writes sampler and decoder as one file for `jaxlatent.load_exported`; its path is returned.

        Args:
            path: where to; model.jlx in the run folder where not given.
            sampler: the name of a fitted sampler; that fitted last where not given.
            components: how many to draw with; all that were fitted where not given.
        """
        path = self.path("model.jlx") if path is None else Path(path)
        export(path, self.sampler(sampler, components), self.model())
        return path

    def _save_figure(self, drawn: Any, name: str) -> None:
        figure = getattr(drawn, "figure", drawn)
        report.save_figure(figure, self.path(f"pictures/{name}.png"))

    def _save_array(self, array: np.ndarray, name: str) -> None:
        with atomic_path(self.path(name)) as temporary, temporary.open("wb") as file:
            np.save(file, array)


def _some(images: np.ndarray | Rows, count: int) -> np.ndarray:
    """At most so many images, from all over: those of one class may follow one another."""
    return np.asarray(images[np.unique(np.linspace(0, len(images) - 1, count).astype(int))])


def _asked(
    kept: Mapping[str, Any],
    data: str | None,
    config: AutoencoderConfig | Mapping[str, Any] | None,
    training: TrainConfig | Mapping[str, Any] | None,
    limit: int | None,
    seed: int | None,
) -> dict[str, Any]:
    """What a training is made from: what is given, else what was kept, else the defaults."""
    if data is None and "data" not in kept:
        raise ValueError("data: name the images to train on, as for load_images (--data)")
    records = {}
    for name, given, record in (
        ("autoencoder", config, AutoencoderConfig),
        ("training", training, TrainConfig),
    ):
        fields = given.to_dict() if isinstance(given, (AutoencoderConfig, TrainConfig)) else given or {}
        fields = {**kept.get(name, {}), **fields}
        if record is AutoencoderConfig and not kept:
            fields = _for_data(fields, data)
        records[name] = record.from_dict(fields).to_dict()
    return {
        "data": kept["data"] if data is None else absolute(data),
        "limit": kept.get("limit") if limit is None else as_count("limit", limit, 1),
        "seed": kept.get("seed", 0) if seed is None else as_seed(seed),
        **records,
        "images": None,
        "choice": CHOICE,
        "versions": library_versions(),
    }


def _for_data(fields: dict[str, Any], data: str | None) -> dict[str, Any]:
    """The fields of a new network, with the size and channels of the data where they are not given."""
    asked = {name: fields[name] for name in ("image_size", "channels") if name in fields}
    if data is None or len(asked) == 2:
        return fields
    height, width, channels = loaded_shape(data, **asked)
    return {**fields, "image_size": (height, width), "channels": channels}


def _settings(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a training that goes on has to have in common with itself; its images are compared as such."""
    # A field that has been added since had its default.
    network = AutoencoderConfig.from_dict(asked["autoencoder"]).to_dict()
    training = TrainConfig.from_dict(asked["training"]).to_dict()
    return {"limit": asked["limit"], "seed": asked["seed"]} | network | training


def _described(fitted: Sampler, z: np.ndarray) -> str:
    """What a person wants to know of a sampler that was fitted."""
    said = []
    if fitted.frame is not None:
        kept = 100 * float(fitted.frame.explained_variance_ratio.sum())
        said.append(f"{fitted.frame.n_components} components ({kept:.1f} % of the variance)")
    some = z[:: -(-len(z) // _LOOKED_AT)]
    of = f"{len(z):,} z-points" + (f" ({len(some):,} looked at)" if len(some) < len(z) else "")
    with suppress(TypeError):  # it has no region
        said.append(f"{100 * fitted.coverage(some):.2f} % of {of} lie in its region")
    return "; ".join(said) or type(fitted).__name__
