"""A run folder and what lies in it.

```
RUN/
  config.json      what was asked: data, autoencoder, training, seed, versions of the libraries
  training/        checkpoints and history.csv
  latents.npy      z-points of the training images, float32 (n, d)
  sampler.npz      the fitted sampler
  samples/         new latent vectors, vectors-kK.npy, float32 (count, d), for K components
  generated/       what `generate` made, where it was told no other folder
  model.jlx        the exported model
  sweep.csv        measures over numbers of components and scales of the half-widths
  features/        the classifier whose activations `evaluate` compares images in
  evaluation.csv   samplers side by side, see `jaxlatent.evaluation.Row`
  tradeoff.csv     fidelity against diversity, see `jaxlatent.evaluation.TradeoffPoint`
  pictures/        what to look at; in evaluation/ some images of each sampler compared
  report/          report.html, and the numbers behind it
  log.txt          what was done when, with the figures
```
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxlatent import storage
from jaxlatent._boundary import as_count
from jaxlatent.autoencoder import Autoencoder, load_model
from jaxlatent.data import load_images
from jaxlatent.evaluation.catalogue import Spec
from jaxlatent.sampling import ExactSampler, PairwiseSampler, Sampler


class RunFolder:
    """Reads what the steps have written; a file that is not there yet is an error that names the step.

    Args:
        folder: the folder.
        progress: show progress bars where standard error is a terminal.
    """

    def __init__(self, folder: str | os.PathLike[str], *, progress: bool = False):
        self.folder = Path(folder)
        self.progress = progress

    def path(self, name: str) -> Path:
        """Of a file or folder in it."""
        return self.folder / name

    def model(self) -> Autoencoder:
        """The trained autoencoder, of the epoch that was best on the validation images."""
        return load_model(self.needed("training/best", "train"))

    def sampler(self, components: int | None = None) -> PairwiseSampler | ExactSampler:
        """The fitted sampler, of the first `components` components where that is given."""
        fitted = storage.load(self.needed("sampler.npz", "fit"))
        return fitted if components is None else fitted.keep(as_count("components", components))

    def drawn_with(self, components: int | None = None, spec: str | None = None) -> Sampler:
        """The fitted sampler, see `sampler`, or another one.

        Args:
            components: of the fitted sampler, see there.
            spec: another sampler, fitted to the z-points here and now, in place of it; as
                `jaxlatent.evaluation.Spec.parse` reads it.

        Raises:
            ValueError: if the text names no sampler, or an option is out of range.
        """
        return Spec.parse(spec).fit(np.asarray(self.latents())) if spec else self.sampler(components)

    def config(self) -> dict[str, Any]:
        """What was asked of the training."""
        return json.loads(self.needed("config.json", "train").read_text())

    def latents(self) -> np.ndarray:
        """The z-points of the training images (n, d), a memory map."""
        return np.load(self.needed("latents.npy", "encode"), mmap_mode="r")

    def needed(self, name: str, step: str) -> Path:
        """The path of something that a step has to have written.

        Raises:
            FileNotFoundError: if it has not.
        """
        path = self.path(name)
        if not path.exists():
            raise FileNotFoundError(f"{path}: not there yet; run `jaxlatent {step}` on this folder first")
        return path

    def images(self, asked: dict[str, Any], split: str, limit: int | None = None) -> np.ndarray:
        """The images that a training asked for, of one split; at most `limit`, else as many as it did."""
        return load_images(
            asked["data"],
            image_size=asked["autoencoder"]["image_size"],
            split=split,
            limit=limit or asked["limit"],
            progress=self.progress,
        )
