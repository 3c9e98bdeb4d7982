"""How unusual images or latent vectors are for a sampler: of a run folder, or of a file."""

import math
import os
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxlatent._boundary import as_vectors
from jaxlatent._records import write_table
from jaxlatent.autoencoder import Autoencoder, encode
from jaxlatent.data import load_images
from jaxlatent.data.arrays import has_splits, read_array
from jaxlatent.latent.files import load_latents
from jaxlatent.run.evaluation import unseen_images
from jaxlatent.run.folder import RunFolder
from jaxlatent.run.latents import load_sampler
from jaxlatent.sampling.scores import ScoreName, Scores, Threshold

_CALIBRATION = 10_000


def score_file(
    source: str | os.PathLike[str],
    file: str,
    *,
    name: str | None = None,
    split: str | None = None,
    calibration: str | None = None,
    rate: float = 0.01,
    by: ScoreName | None = None,
    progress: bool = False,
) -> tuple[Scores, Threshold]:
    """Scores what is in a file, and sets the threshold by vectors that the sampler was not fitted to.

    Args:
        source: a run folder, or a file with a sampler that `jaxlatent.save` wrote.
        file: latent vectors, a .npy or .npz file; with a run folder images, too, all that
            `jaxlatent.load_images` takes, which its model encodes.
        name: of a fitted sampler of the run; that fitted last where not given.
        split: of the images in `file`, "train", "validation" or "test"; None for all of them.
        calibration: as `file`, all of it, of usual vectors or images that the sampler was not fitted to.
            Where not given, up to 10,000 validation and test images of the run's data; a sampler's file has
            none.
        rate: of false alarms, see `Sampler.threshold`.
        by: the score that decides, see there.
        progress: show bars where standard error is a terminal.

    Raises:
        OSError: if a file cannot be read.
        TypeError, ValueError: if a file holds something else, or an argument is out of range; the message
            names it.
    """
    run = RunFolder(source, progress=progress) if Path(source).is_dir() else None
    if run is None and name is not None:
        raise ValueError(f"sampler: {source} is the file of one sampler; leave the name out")
    sampler = load_sampler(source) if run is None else run.sampler(name)
    if run is None and calibration is None:
        raise ValueError(
            "calibration: a sampler's file has no vectors that it was not fitted to; name a file of such"
        )
    dim = math.prod(sampler.latent_shape)

    @cache
    def model() -> Autoencoder:
        assert run is not None
        return run.model()

    def vectors(given: str, split: str | None = None) -> Float[np.ndarray, " n *latent"]:
        if run is None or _are_latents(Path(given), dim):
            if split is not None:
                raise ValueError(f"split: {given} holds latent vectors, which have no splits; leave it out")
            z = load_latents(given)
            as_vectors(given, z, dim)
            return z
        size, channels = model().config.image_size, model().config.channels
        images = load_images(given, image_size=size, channels=channels, split=split, progress=progress)
        return np.asarray(encode(model(), images))

    if calibration is not None:
        known = vectors(calibration)
    else:
        assert run is not None
        known = np.asarray(encode(model(), unseen_images(run, run.config(), _CALIBRATION)))
    threshold = sampler.threshold(known, rate, by=by)
    return sampler.score(vectors(file, split)), threshold


def write_scores(path: str | os.PathLike[str], scores: Scores, threshold: Threshold) -> int:
    """Writes a CSV file, a line a vector: its number, its scores, and 1 or 0 for outlier or not.

    Returns:
        The number of outliers.
    """
    named = {name: np.asarray(x) for name, x in scores._asdict().items() if x is not None}
    outlier = np.asarray(threshold.exceeded(scores)).astype(int)
    rows = zip(range(len(outlier)), *(x.tolist() for x in (*named.values(), outlier)), strict=True)
    write_table(path, ["index", *named, "outlier"], rows)
    return int(outlier.sum())


def _are_latents(path: Path, dim: int) -> bool:
    if path.suffix.lower() not in (".npy", ".npz") or not path.is_file():
        return False
    if path.suffix.lower() == ".npz" and has_splits(path):
        return False
    array = read_array(path)
    return array.dtype.kind == "f" and array.ndim > 1 and math.prod(array.shape[1:]) == dim
