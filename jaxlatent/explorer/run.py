"""The latent space of a run, to explore."""

import logging
import os
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from jaxlatent.autoencoder import encode
from jaxlatent.data import Labels
from jaxlatent.data.fingerprint import fingerprint
from jaxlatent.explorer.gallery import Gallery
from jaxlatent.explorer.recipe import Recipe
from jaxlatent.explorer.space import Space
from jaxlatent.latent.files import load_latents
from jaxlatent.run import Run
from jaxlatent.run.folder import RunFolder, sampler_result
from jaxlatent.run.origin import StaleError
from jaxlatent.sampling import BoxSampler, Sampler, Spec
from jaxlatent.sampling.spec import CUBE, DEFAULT

log = logging.getLogger(__name__)

#: The name of the sampler that every space of a run has beside the fitted ones.
NAIVE = "naive box"

_UNSEEN = 1000
# Data whose images are faces.
_FACES = ("synthetic:", "celeba:", "tfds:celeb")


def open_run(folder: str | os.PathLike[str] | RunFolder, sampler: str | None = None) -> Space:
    """The latent space of a run: all its fitted samplers and the naive box, its autoencoder and its images.

    Args:
        folder: of the run, or a run.
        sampler: the name of the fitted sampler that comes first; the one fitted last where not given.

    Raises:
        FileNotFoundError: if a step is lacking; the message names it.
        ValueError: if there is no such sampler, or it is stale.
    """
    run = folder if isinstance(folder, RunFolder) else Run(folder)
    first = run.sampler_name(sampler)
    z, model = run.latents(), run.model()
    samplers: dict[str, Sampler] = {first: run.sampler(first)}
    for name in run.samplers():
        try:
            samplers.setdefault(name, run.sampler(name))
        except StaleError as error:
            log.warning("a sampler is left out: %s", error)
    samplers.setdefault(NAIVE, Spec.parse(CUBE).fit(z))
    space = Space(
        samplers,
        z,
        model,
        encode=partial(encode, model, batch_size=1),
        title=run.folder.resolve().name,
        thing="face" if run.config()["data"].startswith(_FACES) else "image",
        load=partial(_load, run, z),
    )
    space.again = partial(_again, run.folder, first)
    return space


def open_latents(latents: str | os.PathLike[str], sampler: str = DEFAULT) -> Space:
    """The latent space of a file of latent vectors: a sampler that is fitted to them, and the naive box.

    Args:
        latents: a .npy or .npz file, see `jaxlatent.latent.files.load_latents`.
        sampler: as `jaxlatent.sampling.Spec.parse` reads it.

    Raises:
        OSError, TypeError, ValueError: if the file or the sampler is not such.
    """
    spec, z = Spec.parse(sampler), load_latents(latents)
    space = Space({str(spec): spec.fit(z), NAIVE: BoxSampler.fit(z)}, z, title=Path(latents).name)
    space.again = partial(_again_of_latents, Path(latents), str(spec))
    return space


def _again_of_latents(path: Path, spec: str, recipe: Recipe) -> dict[str, str]:
    line = f'jl.explorer.open_latents({path.as_posix()!r}, {spec!r}).vector("{recipe}")'
    return {"python": line}


def _load(run: RunFolder, z: np.ndarray) -> tuple[Gallery, Labels | None]:
    asked, labels = run.config(), None
    try:
        images, labels = run.labelled_images(asked)
    except ValueError:  # a source without labels; what else may be wrong is met again here
        images = run.images(asked, "train")
    run.check_images(asked, fingerprint(images))
    unseen = run.images(asked, "validation", min(_UNSEEN, len(z)))
    return Gallery(z, run.encoded(images), np.asarray(encode(run.model(), unseen))), labels


def _again(folder: Path, first: str, recipe: Recipe) -> dict[str, str]:
    # Opened again, the folder may have another sampler that comes first.
    recipe = replace(recipe, sampler=recipe.sampler or first)
    if recipe.is_draw and recipe.sampler != NAIVE:
        path = (folder / sampler_result(recipe.sampler)).as_posix()
        line = f"jl.load({path!r}).sample(jax.random.key({recipe.seed}), 1, start={recipe.index})"
    else:
        line = f'jl.explorer.open_run({folder.as_posix()!r}).vector("{recipe}")'
    words = ["jaxlatent", "explore", folder.as_posix(), "--state", str(recipe), "--out", "face.png"]
    return {"python": line, "command": shlex.join(words)}
