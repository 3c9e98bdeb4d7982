"""The steps of the main job on a run folder, each reading what the one before wrote."""

import json
import logging
import os
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxlatent import evaluation, report, storage
from jaxlatent._boundary import as_choice, as_count, as_counts
from jaxlatent._files import atomic_path
from jaxlatent._random import as_seed, seed_key
from jaxlatent.autoencoder import (
    AutoencoderConfig,
    History,
    TrainConfig,
    decode,
    encode,
    fit_autoencoder,
)
from jaxlatent.evaluation.features import Features
from jaxlatent.generation import encode_to, generate
from jaxlatent.generation.export import export
from jaxlatent.report.decoded import NAIVE_B, SWEEP_FACTS, Pictured, sweep_counts, sweep_images
from jaxlatent.report.latents import load_latents
from jaxlatent.run_evaluation import FeatureName, evaluate_run, read_evaluation
from jaxlatent.run_folder import RunFolder
from jaxlatent.sampling import BoxSampler, ExactSampler, PairwiseSampler, Sampler
from jaxlatent.sampling.fitting.region import fit_frame

log = logging.getLogger(__name__)

Images = jax.Array | np.ndarray

_PICTURED = 64
_COMPARED = 16
_REPORTED = 100
_PLANE_POINTS = 500
_SAMPLERS: dict[str, type[PairwiseSampler] | type[ExactSampler]] = {
    "pairwise": PairwiseSampler,
    "exact": ExactSampler,
}
_OWN_OPTIONS = {"pairwise": {"order"}, "exact": {"density", "temperature"}}
_LIBRARIES = ("jaxlatent", "jax", "flax", "optax", "numpy")


class Run(RunFolder):
    """The steps on one folder; every step can be repeated and then replaces its results.

    Args:
        folder: made by `train` where it does not exist.
        progress: show progress bars where standard error is a terminal.
    """

    def train(
        self,
        data: str,
        config: AutoencoderConfig,
        training: TrainConfig,
        *,
        limit: int | None = None,
        seed: int = 0,
        resume: bool = False,
    ) -> History:
        """Trains on the train split of `data`, validates on its validation split, draws both.

        Args:
            data: see `jaxlatent.load_images`.
            config: the network.
            training: how to train it.
            limit: at most so many training images.
            seed: of the weights, the order of the images and their mirroring.
            resume: go on with a training that was stopped, or do nothing if it is finished.

        Raises:
            ValueError: if the folder holds a training and `resume` is False, or other settings.
        """
        if self.path("config.json").exists() and not resume:
            raise ValueError(f"{self.folder}: holds a run; resume it (--resume) or choose another folder")
        asked = {
            "data": _absolute(data),
            "limit": None if limit is None else as_count("limit", limit, 1),
            "seed": as_seed(seed),
            "autoencoder": config.to_dict(),
            "training": training.to_dict(),
            "versions": {name: version(name) for name in _LIBRARIES},
        }
        self._refuse_other_settings(asked)
        self.folder.mkdir(parents=True, exist_ok=True)
        images = self.images(asked, "train")
        # Enough to tell epochs apart; procedural faces would give as many as for training.
        validation = self.images(asked, "validation", max(100, len(images) // 10))
        log.info("training on %d images, validating on %d", len(images), len(validation))
        with atomic_path(self.path("config.json")) as temporary:
            temporary.write_text(json.dumps(asked, indent=2) + "\n")
        model, history = fit_autoencoder(
            seed_key(seed),
            images,
            config,
            training,
            validation=validation,
            directory=self.path("training"),
            resume=resume,
            progress=self.progress,
        )
        best = history.best()
        log.info("kept epoch %d: mean squared error %.5f on the validation images", best.epoch, best.val_mse)
        self._save_figure(report.plot_history(history), "history")
        some = validation[:_COMPARED]
        rows: dict[str, Images] = {
            "Validation images": some,
            "Their reconstructions": decode(model, encode(model, some)),
        }
        title = "What the autoencoder keeps of images it was not trained on"
        self._save_figure(report.plot_comparison(rows, title), "reconstructions")
        return history

    def encode(self) -> np.ndarray:
        """Encodes the training images; the z-points (n, d) are kept and returned, a memory map.

        An encoding that was interrupted goes on.
        """
        asked = self.config()
        z = encode_to(
            self.path("latents.npy"), self.model(), self.images(asked, "train"), progress=self.progress
        )
        log.info("encoded %d images to %d dimensions", *z.shape)
        return z

    def fit(self, *, sampler: str = "pairwise", **options: Any) -> PairwiseSampler | ExactSampler:
        """Fits a sampler to the z-points.

        Args:
            sampler: "pairwise" or "exact".
            **options: of `PairwiseSampler.fit` or `ExactSampler.fit`; None stands for the default.

        Raises:
            ValueError: if an option belongs to the other sampler, or is out of range.
        """
        sampler = as_choice("sampler", sampler, tuple(_SAMPLERS))
        given = {name: value for name, value in options.items() if value is not None}
        for other, names in _OWN_OPTIONS.items():
            surplus = sorted(names & given.keys())
            if other != sampler and surplus:
                raise ValueError(f"{surplus[0]}: belongs to the {other} sampler; choose it or leave it out")
        z = self.latents()
        fitted = _SAMPLERS[sampler].fit(z, **given)
        storage.save(self.path("sampler.npz"), fitted)
        kept = float(fitted.pca.explained_variance_ratio.sum())
        inside = fitted.body.coverage(fitted.pca.transform(z))
        log.info(
            "fitted %d components (%.1f %% of the variance); %.2f %% of z-points lie inside all ellipses",
            fitted.pca.n_components,
            100 * kept,
            100 * inside,
        )
        return fitted

    def sample(self, count: int = 64, *, components: Sequence[int] = (), seed: int = 0) -> None:
        """Draws and decodes new vectors, and naive ones beside them; draws the planes of the latent space.

        Args:
            count: vectors for each number of components, at least 1; the first 64 are decoded to pictures.
            components: numbers of components, each at most what was fitted; all fitted where empty.
            seed: of the draws.
        """
        count, components = as_count("count", count, 1), as_counts("components", components)
        key = seed_key(seed)
        fitted, z, model = self.sampler(), self.latents(), self.model()
        draws = {}
        for k in components or [fitted.pca.n_components]:
            sampler = fitted.keep(k)
            draws[f"Constrained vectors, {k} components"] = f"constrained-k{k}", sampler
            self._save_array(np.asarray(sampler.sample(key, count)), f"samples/vectors-k{k}.npy")
            log.info("drew %d vectors with %d components", count, k)
        cube, ranges = BoxSampler.fit(z, b=NAIVE_B), BoxSampler.fit(z)
        naive: dict[str, tuple[str, Sampler]] = {
            f"Naive vectors, uniform in [-{NAIVE_B}, {NAIVE_B}]": ("naive-cube", cube),
            "Naive vectors, uniform in the range of each latent coordinate": ("naive-ranges", ranges),
        }
        rows: dict[str, Images] = {"Training images": self.images(self.config(), "train", _COMPARED)}
        for name, (file, drawn) in (draws | naive).items():
            faces = generate(key, drawn, partial(decode, model), min(count, _PICTURED), batch_size=_PICTURED)
            self._save_figure(report.plot_images(faces, f"{name}, decoded"), file)
            rows[name] = faces[:_COMPARED]
        self._save_figure(report.plot_comparison(rows, "New faces from random latent vectors"), "comparison")
        new = np.asarray(sampler.sample(key, _PLANE_POINTS))
        figure = report.plot_component_planes(z, new, sampler.pca, sampler.body)
        self._save_figure(figure, "planes-pca")
        self._save_figure(report.plot_latent_planes(z, new), "planes-latent")
        log.info("pictures are in %s", self.path("pictures"))

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
        evaluation.write_csv(self.path("sweep.csv"), cells)
        images = sweep_images(cells, model, key)
        self._save_figure(report.plot_sweep(images, "Components and scale of the half-widths"), "sweep")
        log.info("measured %d cells; see sweep.csv and pictures/sweep.png", len(cells))
        return cells

    def evaluate(
        self,
        samplers: Sequence[str] = ("all",),
        *,
        count: int = 10_000,
        features: FeatureName | Features = "classifier",
        tradeoff: bool = True,
        faces: bool | None = None,
        seed: int = 0,
    ) -> list[evaluation.Row]:
        """Compares samplers by the images that they give; the report shows what was found.

        Writes evaluation.csv, tradeoff.csv, pictures/evaluation and pictures/tradeoff.png. Two calls with the
        same arguments write the same, but for the times. Beside the samplers asked for, the run's own is
        measured where it is fitted.

        Args:
            samplers: each as `jaxlatent.evaluation.Spec.parse` reads it, "pairwise:fact=0.8" say, or "all".
            count: vectors of each sampler, at least 24.
            features: "classifier", trained on the data's labels and kept in features/; "encoder", which is
                also taken where the data have no labels; or any function from a batch of images, uint8
                (b, h, w, 3), to floating-point numbers (b, f), with weights of Inception or DINO say: see
                `jaxlatent.evaluation.features`.
            tradeoff: also measure precision and recall over components, half-widths and temperatures.
            faces: count the images with a face; where OpenCV is installed if not given.
            seed: of the vectors, and of the choices that some measures make.

        Returns:
            The rows of the comparison, see `jaxlatent.evaluation.compare`.

        Raises:
            ValueError: if a sampler is not known, or there are fewer than 24 images that the autoencoder
                was not trained on.
            ImportError: if faces are asked for and OpenCV is missing.
        """
        return evaluate_run(
            self, samplers, count=count, features=features, tradeoff=tradeoff, faces=faces, seed=seed
        )

    def report(self, folder: str | os.PathLike[str] | None = None, *, seed: int = 0) -> Path:
        """Writes the report on the run; its path is returned.

        Args:
            folder: where to; report/ in the run folder where not given.
            seed: of the vectors that are drawn for it.
        """
        key = seed_key(seed)
        fitted, z, asked = self.sampler(), self.latents(), self.config()
        pictured = Pictured(
            self.model(),
            History.from_csv(self.needed("training/history.csv", "train")),
            self.images(asked, "train", _COMPARED),
            self.images(asked, "validation", _REPORTED),
            Path(asked["data"]).name,
        )
        page = report.build(
            self.path("report") if folder is None else folder,
            z,
            fitted,
            title=f"The latent space of {self.folder.resolve().name}",
            pictured=pictured,
            evaluated=read_evaluation(self),
            key=key,
            progress=self.progress,
        )
        log.info("wrote the report %s", page)
        return page

    def export(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        components: int | None = None,
        sampler: str | None = None,
    ) -> Path:
        """Writes sampler and decoder as one file for `jaxlatent.load_exported`; its path is returned.

        Args:
            path: where to; model.jlx in the run folder where not given.
            components: how many to draw with; all that were fitted where not given.
            sampler: another one than that of `fit`, see `drawn_with`; it takes no `components`.
        """
        path = self.path("model.jlx") if path is None else Path(path)
        export(path, self.drawn_with(components, sampler), self.model())
        return path

    def _save_figure(self, drawn: Any, name: str) -> None:
        figure = getattr(drawn, "figure", drawn)
        report.save_figure(figure, self.path(f"pictures/{name}.png"))

    def _save_array(self, array: np.ndarray, name: str) -> None:
        with atomic_path(self.path(name)) as temporary, temporary.open("wb") as file:
            np.save(file, array)

    def _refuse_other_settings(self, asked: dict[str, Any]) -> None:
        if not self.path("config.json").exists():
            return
        kept = self.config()
        # A field that has been added since had its default.
        for name, record in (("autoencoder", AutoencoderConfig), ("training", TrainConfig)):
            kept[name] = record.from_dict(kept[name]).to_dict()
        for name in ("data", "limit", "seed", "autoencoder", "training"):
            if kept[name] != asked[name]:
                raise ValueError(
                    f"{self.folder}: its {name} was {kept[name]}, now it is {asked[name]}; "
                    "resume with the same settings or choose another folder"
                )


def report_latents(
    latents: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    progress: bool = False,
) -> Path:
    """Fits the pairwise sampler to a file of latents and writes it, sampler.npz, beside the report on them.

    Args:
        latents: a .npy or .npz file, see `jaxlatent.report.latents.load_latents`.
        folder: made if absent.
        seed: of the vectors that are drawn for the report.
        progress: show a bar where standard error is a terminal.

    Returns:
        The page's path.
    """
    key = seed_key(seed)
    z = load_latents(latents)
    fitted = PairwiseSampler.fit(z)
    title = f"The latents of {Path(latents).name}"
    page = report.build(folder, z, fitted, title=title, key=key, progress=progress)
    storage.save(page.with_name("sampler.npz"), fitted)
    return page


def _absolute(data: str) -> str:
    """The same source, also from another working directory."""
    kind, colon, rest = data.partition(":")
    if colon and kind == "celeba":
        return f"celeba:{Path(rest).expanduser().resolve()}"
    path = Path(data).expanduser()
    return str(path.resolve()) if path.exists() else data
