"""The report page: what the data is, how its latent space looks, what the sampler does, what comes out."""

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_key, as_vectors
from jaxlatent._progress import progress_bar
from jaxlatent.report.document import Chapter, Section, write_document
from jaxlatent.report.sections import evaluation, images, latents, normality, sampler as samplers
from jaxlatent.report.sections.evaluation import Evaluated
from jaxlatent.report.sections.images import Pictured
from jaxlatent.report.sections.latents import Latents
from jaxlatent.sampling import Sampler

_LEAST_POINTS = 10


def build(
    folder: str | os.PathLike[str],
    z: Float[Array | np.ndarray, " n *latent"],
    sampler: Sampler,
    *,
    title: str = "A latent space",
    method: str | None = None,
    pictured: Pictured | None = None,
    evaluated: Evaluated | None = None,
    key: jax.Array | None = None,
    progress: bool = False,
) -> Path:
    """Writes the report: report.html, self-contained, and a CSV file beside it for each of its tables.

    Args:
        folder: where to write; made if absent.
        z: z-points, floating point (n, d), n >= 10, finite; no robust core is shown where n <= 2 d.
        sampler: fitted to them.
        title: of the page.
        method: what the page calls the sampler; its class where not given.
        pictured: the autoencoder and its images; without it the page has no images.
        evaluated: a comparison of samplers, for a chapter of its own.
        key: of all that is drawn; `jax.random.key(0)` where not given.
        progress: show a bar where standard error is a terminal.

    Returns:
        The page's path.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
    """
    z = as_vectors("z", z, math.prod(sampler.latent_shape), least=_LEAST_POINTS)
    key = jax.random.key(0) if key is None else as_key(key)
    data = Latents(np.asarray(z, np.float32), sampler, key)
    plan = _plan(data, pictured)
    chapters = []
    with progress_bar("report", sum(map(len, plan.values())), "sections", enabled=progress) as advance:
        for name, makers in plan.items():
            made = []
            for make in makers:
                made.append(make())
                advance(1)
            chapters.append(Chapter(name, made))
    if evaluated:
        chapters.append(Chapter("Evaluation", evaluation.sections(evaluated)))
    page = Path(folder) / "report.html"
    n, dim = z.shape
    subtitle = (
        f"{n:,} z-points of {dim} dimensions; sampler: {method or type(sampler).__name__}, "
        f"{sampler.n_components} components"
    )
    write_document(page, title, subtitle, chapters)
    return page


def _plan(data: Latents, seen: Pictured | None) -> dict[str, list[Callable[[], Section]]]:
    look = (
        latents.variance,
        latents.correlations,
        latents.half_widths,
        latents.resolution,
        latents.contours,
    )
    tests = [normality.radii, normality.whole, normality.components, normality.core, normality.coverage]
    if len(data.z) <= 2 * data.pca.n_components:
        tests.remove(normality.core)
    shown = (images.grid, images.traversals, images.path)
    return {
        "At a glance": [partial(images.faces, data, seen)] if seen else [],
        "What the data is": [
            *([partial(images.training, seen)] if seen else []),
            partial(latents.size, data),
        ],
        "How the latent space looks": [partial(make, data) for make in look],
        "How normal it is": [partial(make, data) for make in tests],
        "What the sampler does": [partial(make, data) for make in (samplers.planes, samplers.radii)],
        "What comes out": [partial(make, data, seen) for make in shown] if seen else [],
    }
