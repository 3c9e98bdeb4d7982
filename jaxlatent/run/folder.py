"""A run folder and what lies in it.

```
RUN/
  config.json      what was asked: data, autoencoder, training, seed, versions of the libraries
  training/        checkpoints and history.csv
  pictured.npz     the few images that pictures and reports show
  latents.npy      z-points of the training images, float32 (n, d)
  samplers/        the fitted samplers, NAME.npz, and the name of the one that was fitted last
  samples/         new latent vectors, NAME-kK.npy, float32 (count, d), for K components
  images/          the new images of `make`
  generated/       what `generate` made, where it was told no other folder
  model.jlx        the exported model
  sweep.csv        measures over numbers of components and scales of the half-widths
  features/        the classifier whose activations `evaluate` compares images in
  evaluation.csv   samplers side by side, see `jaxlatent.evaluation.Row`
  tradeoff.csv     fidelity against diversity, see `jaxlatent.evaluation.TradeoffPoint`
  pictures/        what to look at; in evaluation/ some images of each sampler compared
  report/          report.html, and the numbers behind it
  origins/         what each result was made from, as SHA-256 digests
  log.txt          what was done when, with the figures
```
"""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxlatent import storage
from jaxlatent._boundary import as_count
from jaxlatent._files import atomic_path
from jaxlatent._rows import Rows, WithMirrored
from jaxlatent.autoencoder import Autoencoder, AutoencoderConfig, load_model
from jaxlatent.data import Labels, load_images, load_labelled
from jaxlatent.data.fingerprint import fingerprint
from jaxlatent.data.load import LoadOptions
from jaxlatent.data.splits import CHOICE
from jaxlatent.run.origin import Origin, StaleError, command
from jaxlatent.sampling import Sampler, Spec

LATENTS, PICTURED = "latents.npy", "pictured.npz"

_BEST = "training/best"
_LAST = "samplers/last.txt"
# How an error names what a result was made from.
_WORDS = {"model": "another model", "images": "other images", LATENTS: "other latents"}


class RunFolder:
    """Reads what the steps have written.

    What is not there yet, or was made from something else than what is there now, is an error that names the
    step to take.

    Args:
        folder: the folder.
        progress: show progress bars where standard error is a terminal.
    """

    def __init__(self, folder: str | os.PathLike[str], *, progress: bool = False):
        self.folder = Path(folder)
        self.progress = progress
        self._digests: dict[tuple[str, int, int], str | None] = {}

    def path(self, name: str) -> Path:
        """Of a file or folder in it."""
        return self.folder / name

    def config(self) -> dict[str, Any]:
        """What was asked of the training."""
        return json.loads(self.needed("config.json", "train").read_text(encoding="utf-8"))

    def save_config(self, asked: Mapping[str, Any]) -> None:
        """Keeps what `config` gives."""
        with atomic_path(self.path("config.json")) as temporary:
            temporary.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")

    def model(self) -> Autoencoder:
        """The trained autoencoder, of the epoch that was best on the validation images."""
        return load_model(self.needed(_BEST, "train"))

    def latents(self) -> np.ndarray:
        """The z-points of the training images (n, d), a memory map."""
        path = self.needed(LATENTS, "encode")
        self.check(LATENTS)
        return np.load(path, mmap_mode="r")

    def pictured(self) -> tuple[np.ndarray, np.ndarray]:
        """A few training and validation images, uint8, as the training kept them: the data may have moved."""
        with np.load(self.needed(PICTURED, "train")) as kept:
            return kept["training"], kept["validation"]

    def samplers(self) -> list[str]:
        """The names of the fitted samplers."""
        return sorted(path.stem.replace(",", ":") for path in self.path("samplers").glob("*.npz"))

    def sampler_name(self, name: str | None = None) -> str:
        """The name of a fitted sampler, of the one that was fitted last where none is given.

        Raises:
            FileNotFoundError: if none was fitted.
            ValueError: if there is no such sampler.
        """
        if name is None:
            return self.needed(_LAST, "fit").read_text(encoding="utf-8")
        fitted = self.samplers()
        text = str(name).strip()
        if text not in fitted:
            there = f"it has {', '.join(fitted)}" if fitted else "none was fitted yet"
            try:
                remedy = f"fit it with {command(self.folder, 'fit', '--sampler', str(Spec.parse(text)))}"
            except ValueError as error:
                remedy = str(error).removeprefix("sampler: ")
            raise ValueError(f"sampler: {self.folder} has no {text!r}, {there}; {remedy}")
        return text

    def sampler(self, name: str | None = None, components: int | None = None) -> Sampler:
        """A fitted sampler, see `sampler_name`, of the first `components` components where that is given.

        Raises:
            StaleError: if it was fitted to other latents than those that are there now.
        """
        result = sampler_result(self.sampler_name(name))
        self.check(result)
        fitted = storage.load(self.path(result))
        return fitted if components is None else fitted.keep(as_count("components", components))

    def save_sampler(self, name: str, sampler: Sampler, spec: str | None = None) -> None:
        """Keeps a sampler that was fitted to the latents of the run, under a name.

        Args:
            name: letters, digits and . : = + - _; a sampler that has it is replaced.
            sampler: any sampler that `jaxlatent.save` takes.
            spec: as `jaxlatent.sampling.Spec.parse` reads it, if it was fitted so.

        Raises:
            ValueError: if the name has other characters.
        """
        if not re.fullmatch(r"[\w.:=+-]+", name):
            raise ValueError(f"name: expected letters, digits and . : = + - _, got {name!r}")
        result = sampler_result(name)
        storage.save(self.path(result), sampler)
        options = [] if spec is None else ["--sampler", spec, *([] if name == spec else ["--name", name])]
        self.record(result, ("fit", *options), LATENTS, sampler=spec)
        with atomic_path(self.path(_LAST)) as temporary:
            temporary.write_text(name, encoding="utf-8")

    def needed(self, name: str, step: str) -> Path:
        """The path of something that a step has to have written.

        Raises:
            FileNotFoundError: if it has not.
        """
        path = self.path(name)
        if not path.exists():
            raise FileNotFoundError(f"{path}: not there yet; run `jaxlatent {step}` on this folder first")
        return path

    def images(self, asked: Mapping[str, Any], split: str, limit: int | None = None) -> np.ndarray | Rows:
        """The images that a training asked for, of one split; at most `limit`, else as many as it did.

        Raises:
            FileNotFoundError: if they are no longer there.
        """
        try:
            return load_images(asked["data"], **self._options(asked, split, limit or asked["limit"]))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}; if they have moved, say where to with --data") from error

    def labelled_images(self, asked: Mapping[str, Any]) -> tuple[np.ndarray | Rows, Labels]:
        """The images of the train split that a training asked for, and their labels.

        Raises:
            ValueError: if the data have no labels; see `jaxlatent.load_labelled`.
        """
        return load_labelled(asked["data"], **self._options(asked, "train", asked["limit"]))

    def _options(self, asked: Mapping[str, Any], split: str, limit: int | None) -> LoadOptions:
        """How to load images that the network of a training takes."""
        config = AutoencoderConfig.from_dict(asked["autoencoder"])
        return LoadOptions(
            image_size=config.image_size,
            channels=config.channels,
            split=split,
            limit=limit,
            progress=self.progress,
        )

    def training_images(self) -> np.ndarray | Rows:
        """The images that the autoencoder was trained on.

        Raises:
            StaleError: if the data are others now.
        """
        asked = self.config()
        images = self.images(asked, "train")
        self.check_images(asked, fingerprint(images))
        return images

    def moved_to(self, data: str) -> None:
        """Notes where the data of the training are now.

        Args:
            data: see `jaxlatent.load_images`.

        Raises:
            StaleError: if these are others.
        """
        asked = self.config()
        moved = asked | {"data": absolute(data)}
        self.check_images(moved, fingerprint(self.images(moved, "train")))
        self.save_config(moved)

    def encoded(self, training: np.ndarray | Rows) -> np.ndarray | Rows:
        """The images that the z-points are of: the training images, and their mirror images if encoded."""
        origin = self.origin(LATENTS)
        mirrored = origin is not None and origin.options.get("mirrored")
        return WithMirrored(training) if mirrored else training

    def check_images(self, asked: Mapping[str, Any], found: str) -> None:
        """Accepts the images that a training noted, by their fingerprint; any where it noted none.

        Warns of a run of 0.1, which noted none: most of its splits and limits held others.

        Raises:
            StaleError: for others.
        """
        noted, why = asked.get("images"), ""
        if asked.get("choice") != CHOICE:
            why = " (it was trained when splits and limits held other ones of them; see CHANGELOG.md)"
        if noted is None and why and not asked["data"].startswith("synthetic:"):
            warnings.warn(
                f"data: nothing says which images of {asked['data']} the training in {self.folder} had{why}",
                stacklevel=2,
            )
        if noted in (None, found):
            return
        raise StaleError(
            f"data: {asked['data']} holds other images than those of the training in {self.folder}{why}; "
            "give these, begin anew in place (train --restart) or choose another folder"
        )

    def record(self, result: str, step: tuple[str, ...], *inputs: str, **options: Any) -> None:
        """Notes what a result was made from, once it is written.

        Args:
            result: its path in the folder.
            step: see `Origin`.
            *inputs: "model", "images", or paths in the folder.
            **options: what else it depends on, for JSON.
        """
        digests = {name: self.digest(name) for name in inputs}
        Origin(step, digests, self.digest(result), options).write(self._origin_path(result))

    def origin(self, result: str) -> Origin | None:
        """What a result was made from; None where that was not noted."""
        return Origin.read(self._origin_path(result))

    def check(self, result: str) -> Origin:
        """Accepts a result that was made from what is there now.

        Raises:
            StaleError: otherwise; the message has the command that makes it again.
        """
        path, origin = self.path(result), self.origin(result)
        if origin is None:
            step = "encode" if result == LATENTS else "fit" if result.startswith("samplers/") else "evaluate"
            remedy = command(self.folder, step)
            raise StaleError(f"{path}: nothing says what it was made from; run {remedy} once more")
        remedy = f"run {origin.command(self.folder)} once more"
        if origin.sha256 != self.digest(result):
            raise StaleError(f"{path}: was changed after it was made; {remedy}")
        for name, kept in origin.inputs.items():
            if self._origin_path(name).exists():
                self.check(name)
            if kept != self.digest(name):
                other = _WORDS.get(name, f"another {name}")
                raise StaleError(f"{path}: was made with {other}; {remedy}")
        return origin

    def digest(self, name: str) -> str | None:
        """The SHA-256 digest of the "model", the training "images", or a file; None if there is none."""
        if name == "images":
            return self.config().get("images")
        path = self.path(f"{_BEST}/description.json" if name == "model" else name)
        try:
            state = path.stat()
        except FileNotFoundError:
            return None
        seen = (name, state.st_mtime_ns, state.st_size)
        if seen not in self._digests:
            # Of its files: loading the network would take as long as many a step.
            files = sorted(self.path(_BEST).rglob("*")) if name == "model" else [path]
            hashed = hashlib.sha256()
            for each in files:
                if each.is_file():
                    with each.open("rb") as file:
                        hashed.update(hashlib.file_digest(file, "sha256").digest())
            self._digests[seen] = hashed.hexdigest()
        return self._digests[seen]

    def _origin_path(self, result: str) -> Path:
        return self.path(f"origins/{result}.json")


def sampler_result(name: str) -> str:
    """The path in a run folder of the sampler of this name."""
    return f"samplers/{file_stem(name)}.npz"


def file_stem(name: str) -> str:
    """The name of a sampler in the characters of a file's name, which a colon is not."""
    return name.replace(":", ",")


def sampler_title(name: str) -> str:
    """The name of a fitted sampler for people: "pairwise, fact 0.7" where it is the text it was fitted by."""
    try:
        return Spec.parse(name).title
    except ValueError:
        return name


def absolute(data: str) -> str:
    """The same data, as `load_images` takes them, also from another working directory."""
    kind, colon, rest = data.partition(":")
    if colon and kind == "celeba":
        return f"celeba:{Path(rest).expanduser().resolve()}"
    path = Path(data).expanduser()
    return str(path.resolve()) if path.exists() else data
