"""What can be done with a file of latent vectors, or of a sampler, without a run folder."""

import os
from pathlib import Path

import numpy as np

from jaxlatent import report, storage
from jaxlatent._boundary import as_count
from jaxlatent._files import atomic_path
from jaxlatent._random import seed_key
from jaxlatent.latent.files import load_latents
from jaxlatent.report.plots.figure import own_style
from jaxlatent.sampling import Sampler, Spec
from jaxlatent.sampling.spec import DEFAULT

_BATCH = 65_536


def load_sampler(path: str | os.PathLike[str]) -> Sampler:
    """Reads a sampler that `jaxlatent.save` wrote.

    Raises:
        OSError: if the file cannot be read.
        TypeError: if it holds something else.
        ValueError: see `jaxlatent.load`.
    """
    sampler = storage.load(path)
    if not isinstance(sampler, Sampler):
        raise TypeError(f"{path}: expected a sampler, or a run folder, got {type(sampler).__name__}")
    return sampler


def sample_to(
    sampler: str | os.PathLike[str], path: str | os.PathLike[str], count: int, *, seed: int = 0
) -> Path:
    """Draws vectors from a sampler's file into a .npy file, float32 (count, d), and returns its path.

    Args:
        sampler: a file that `jaxlatent.save` wrote.
        path: the .npy file; one that is there already is replaced in the end.
        count: at least 1; no more than 65,536 of them are in memory at once.
        seed: of the draws.

    Raises:
        TypeError, ValueError: if an argument is out of range; see `load_sampler`.
    """
    drawn, count, key, path = load_sampler(sampler), as_count("count", count, 1), seed_key(seed), Path(path)
    if path.suffix != ".npy":
        raise ValueError(f"path: expected a name that ends in .npy, got {path}")
    # Written, not mapped: a map that outgrows the disk ends the process without a word.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, *drawn.latent_shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, _BATCH):
            part = drawn.sample(key, min(_BATCH, count - start), start=start)
            file.write(np.asarray(part, "<f4").tobytes())
    return path


@own_style()
def report_latents(
    latents: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    sampler: str = DEFAULT,
    seed: int = 0,
    progress: bool = False,
) -> Path:
    """Fits a sampler to a file of latents and writes it, sampler.npz, beside the report on them.

    Args:
        latents: a .npy or .npz file, see `jaxlatent.latent.files.load_latents`.
        folder: made if absent.
        sampler: as `jaxlatent.sampling.Spec.parse` reads it.
        seed: of the vectors that are drawn for the report.
        progress: show a bar where standard error is a terminal.

    Returns:
        The page's path.
    """
    key, spec = seed_key(seed), Spec.parse(sampler)
    z = load_latents(latents)
    fitted = spec.fit(z)
    title = f"The latents of {Path(latents).name}"
    page = report.build(folder, z, fitted, title=title, method=spec.title, key=key, progress=progress)
    storage.save(page.with_name("sampler.npz"), fitted)
    return page
