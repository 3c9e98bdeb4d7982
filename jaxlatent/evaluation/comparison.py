"""Samplers side by side: what their decoded vectors are worth beside real images, one row each."""

import dataclasses
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_key, as_vectors
from jaxlatent._progress import progress_bar
from jaxlatent.evaluation.copy_test import copies, duplicates
from jaxlatent.evaluation.detection import face_rate
from jaxlatent.evaluation.frechet import frechet_distance, frechet_infinity
from jaxlatent.evaluation.kernel import subset_kernel_distances
from jaxlatent.evaluation.manifold import manifold_metrics
from jaxlatent.evaluation.references import References, Seen
from jaxlatent.evaluation.rows import Row
from jaxlatent.evaluation.two_sample import classifier_two_sample_test, energy_distance
from jaxlatent.sampling import SAMPLERS, Sampler, Spec
from jaxlatent.sampling.spec import SOURCE

#: Titles of the rows that measure no sampler.
NULL, FLOOR = "training against unseen images", "reconstructed training images"

#: The naive sampler that every comparison shows.
NAIVE = "box:b=1.5"

#: What `all` stands for. Semi-axes of twice the FWHM hold nearly all of a normal or an empirical density, so
#: that these two show the density and not the region.
ALL = (
    NAIVE,
    "box",
    "gaussian",
    "gaussian:temperature=0.8",
    SOURCE,
    "pairwise:fact=1.0:n_components=105",
    "exact:fact=matched",
    "exact:density=normal:fact=2.0",
    "exact:density=empirical:fact=2.0",
    "tilted:fact=1.0",
    "ellipsoid",
    "ellipsoid:density=normal",
    "mixture:n_clusters=10",
    "mixture:n_clusters=30",
    "interpolation",
    "bootstrap:bandwidth=0.5",
    "recombination:n_parents=2",
    "recombination:n_parents=3",
    "recombination:n_parents=8",
    "cluster-mixture",
    "cluster-recombination",
)

_PICTURED = 64
_SUBSETS, _SUBSET_SIZE = 50, 1000


def specs(texts: Sequence[str], most: int) -> list[Spec]:
    """Reads several; each once, in their order.

    Args:
        texts: of `Spec.parse`, or "all" for `ALL`, where numbers of components above `most` are left out
            and so become all there are.
        most: number of components in which the z-points vary.

    Raises:
        ValueError: as `Spec.parse`, or if there are none.
    """
    found: list[Spec] = []
    for text in texts:
        found += [Spec.parse(each).within(most) for each in ALL] if text == "all" else [Spec.parse(text)]
    if not found:
        raise ValueError(f"samplers: expected all, or some of {', '.join(SAMPLERS)}, got none")
    return list(dict.fromkeys(found))


def compare(
    references: References,
    samplers: Mapping[str, Spec | Sampler],
    z: Float[Array | np.ndarray, "t d"],
    key: jax.Array,
    *,
    faces: bool = False,
    known: Mapping[str, Row] | None = None,
    note: Callable[[Row], None] | None = None,
    progress: bool = False,
) -> list[Row]:
    """Measures samplers by the images that their vectors become.

    The main distances are to the RECONSTRUCTIONS of unseen images, which are as blurred as what a decoder
    makes of any vector; against the images themselves the blur would hide all else. The first rows are those
    to measure the others by: training images against the unseen images (real against real, all measures), the
    reconstructed training images (the floor: no sampler of this autoencoder can be expected to do better),
    and a naive box.

    Every set of every row has the same number of images, `references.n`: Fréchet distances, precision,
    recall, density, coverage (k = 5) and the share of duplicates depend on it, and two rows of other
    numbers would differ where their laws do not. `frechet_limit` is the Fréchet distance extrapolated to
    infinitely many images, and the kernel and energy distances have no bias: these can be compared with those
    of other numbers, too, within their errors.

    The copy test compares decoded vectors with reconstructions of unseen images, by their distances to the
    reconstructions of all training images. For that images are averaged down to 16 x 16 pixels, so that
    10,000 x 18,000 distances take seconds; duplicates are looked for in these as well. Faces are detected in
    the first 2,000 images of a row.

    All samplers draw with the same key, so that a row depends on its sampler and the key alone. A sampler
    that fails has no row; a `UserWarning` names it and the reason.

    Args:
        references: from `References.of`.
        samplers: titles of the rows, and what is measured: samplers, or how to fit them.
        z: z-points that these are fitted to, (t, d).
        key: a typed key, `jax.random.key(seed)`.
        faces: measure how often a face is detected, which needs OpenCV.
        known: rows that were measured before, with the same arguments, by their titles; they are not again.
        note: called with each row once it is measured, so that an interruption loses none.
        progress: show a bar where standard error is a terminal.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
        Exception: what the last of `samplers` raised, if all of them failed.
        ImportError: if faces are asked for and OpenCV is missing.
    """
    key, z = as_key(key), as_vectors("z", z)
    draw, measure = jax.random.split(key)
    naive = Spec.parse(NAIVE)
    asked: dict[str, Spec | Sampler] = {naive.title: naive, **samplers}
    rows: list[Row] = []
    failed: dict[str, Exception] = {}
    with progress_bar("evaluate", 2 + len(asked), "rows", enabled=progress) as advance:

        def add(title: str, make: Callable[[], Row]) -> None:
            advance(0, title)
            try:
                row = (known or {}).get(title)
                if row is None:
                    row = make()
                    if note is not None:
                        note(row)
                rows.append(row)
            finally:
                advance(1)

        training, unseen = references.training, references.unseen
        add(NULL, partial(_row, NULL, training, unseen, unseen, measure, faces))
        training, rebuilt = references.rebuilt_training, references.rebuilt
        add(FLOOR, partial(_row, FLOOR, training, rebuilt, unseen, measure, faces))
        for title, each in asked.items():
            try:
                add(title, partial(_of_sampler, references, title, each, z, draw, measure, faces))
            except Exception as error:  # whatever ends one sampler, the others are worth their hours
                failed[title] = error
                reason = " ".join(str(error).split()) or type(error).__name__
                warnings.warn(f"samplers: {title} failed and is left out: {reason}", stacklevel=2)
    if samplers and failed.keys() >= samplers.keys():
        raise list(failed.values())[-1]
    return rows


def _of_sampler(
    references: References,
    title: str,
    asked: Spec | Sampler,
    z: Float[Array | np.ndarray, "t d"],
    draw: jax.Array,
    measure: jax.Array,
    faces: bool,
) -> Row:
    count = references.n
    start = time.perf_counter()
    sampler = jax.block_until_ready(asked.fit(z)) if isinstance(asked, Spec) else asked
    fitted = time.perf_counter()
    sampler.sample(draw, count).block_until_ready()
    compiled = time.perf_counter()
    drawn = sampler.sample(draw, count).block_until_ready()
    rate = count / (time.perf_counter() - compiled)
    seen = references.look(drawn)
    row = _row(title, seen, references.rebuilt, references.unseen, measure, faces)
    test = copies(seen.small, references.small_training, references.rebuilt.small)
    is_spec = isinstance(asked, Spec)
    return dataclasses.replace(
        row,
        spec=str(asked) if is_spec else "",
        copy_p=test.p,
        closer=test.probability_closer,
        duplicates=duplicates(seen.small, real=references.rebuilt.small).share,
        fit_seconds=fitted - start if is_spec else None,
        vectors_per_second=rate,
    )


def _row(title: str, seen: Seen, target: Seen, unseen: Seen, key: jax.Array, faces: bool) -> Row:
    """All but what belongs to a sampler."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn brings it

    # Its many small decompositions take thirty times as long on two threads of OpenBLAS.
    with threadpool_limits(1):
        limit = frechet_infinity(seen.features, target.features, key=key)
    n = len(seen.features)
    # Subsets of nearly all vectors would be one and the same.
    size = min(_SUBSET_SIZE, n // 2)
    kernel = subset_kernel_distances(
        seen.features, target.features, key=key, subsets=_SUBSETS, subset_size=size
    )
    manifold = manifold_metrics(target.features, seen.features)
    told = classifier_two_sample_test(seen.features, target.features, key=key)
    return Row(
        title=title,
        spec="",
        n=n,
        frechet=limit.finite,
        frechet_limit=limit.distance,
        frechet_error=limit.standard_error,
        frechet_unseen=frechet_distance(seen.features, unseen.features),
        kernel=kernel.mean,
        kernel_deviation=kernel.deviation,
        **dataclasses.asdict(manifold),
        faces=face_rate(seen.first) if faces else None,
        classifier_accuracy=told.accuracy,
        energy=energy_distance(seen.features, target.features).unbiased,
        copy_p=None,
        closer=None,
        duplicates=None,
        fit_seconds=None,
        vectors_per_second=None,
        images=seen.first[:_PICTURED],
    )
