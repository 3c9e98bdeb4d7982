"""Samplers side by side: what their decoded vectors are worth beside real images, one row each."""

import dataclasses
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_key, as_vectors
from jaxlatent._progress import progress_bar
from jaxlatent.evaluation.copy_test import CopyReference, alike_below, duplicates
from jaxlatent.evaluation.measures import Measures
from jaxlatent.evaluation.references import References
from jaxlatent.evaluation.rows import Row
from jaxlatent.sampling import SAMPLERS, Sampler, Spec
from jaxlatent.sampling.spec import CUBE, SOURCE

#: Titles of the rows that measure no sampler.
NULL, FLOOR = "training against unseen images", "reconstructed training images"

#: The naive sampler that every comparison shows.
NAIVE = CUBE

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
    note: Callable[[Row, int], None] | None = None,
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
    infinitely many images, from all `references.count` of a sampler, and the kernel and energy distances have
    no bias: these can be compared with those of other numbers, too, within their errors.

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
        note: called with each row once it is measured, so that an interruption loses none, and with the
            number of those that are left.
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
    total = 2 + len(asked)
    with progress_bar("evaluate", total, "rows", enabled=progress) as advance:

        def add(title: str, make: Callable[[], Row]) -> None:
            advance(0, title)
            try:
                row = (known or {}).get(title)
                if row is None:
                    row = make()
                    if note is not None:
                        note(row, total - len(rows) - len(failed) - 1)
                rows.append(row)
            finally:
                advance(1)

        add(NULL, partial(_of_images, references, measure, faces))
        measured = _Measured(references, draw, measure, faces)
        add(FLOOR, measured.floor)
        for title, each in asked.items():
            try:
                add(title, partial(measured.of_sampler, title, each, z))
            except Exception as error:  # whatever ends one sampler, the others are worth their hours
                failed[title] = error
                reason = " ".join(str(error).split()) or type(error).__name__
                warnings.warn(f"samplers: {title} failed and is left out: {reason}", stacklevel=2)
    if samplers and failed.keys() >= samplers.keys():
        raise list(failed.values())[-1]
    return rows


def _of_images(references: References, key: jax.Array, faces: bool) -> Row:
    unseen = references.unseen
    return Measures(unseen, unseen, key).row(NULL, references.training, faces)


class _Measured:
    """The rows of what a decoder has made; what they share is measured for the first that is asked for."""

    def __init__(self, references: References, draw: jax.Array, measure: jax.Array, faces: bool):
        self.references, self.draw, self.measure, self.faces = references, draw, measure, faces

    @cached_property
    def measures(self) -> Measures:
        return Measures(self.references.rebuilt, self.references.unseen, self.measure)

    @cached_property
    def copies(self) -> CopyReference:
        return CopyReference.of(self.references.small_training, self.references.rebuilt.small)

    @cached_property
    def alike_below(self) -> float:
        return alike_below(self.references.rebuilt.small, self.references.n)

    def floor(self) -> Row:
        return self.measures.row(FLOOR, self.references.rebuilt_training, self.faces)

    def of_sampler(self, title: str, asked: Spec | Sampler, z: Float[Array | np.ndarray, "t d"]) -> Row:
        count, n = self.references.count, self.references.n
        start = time.perf_counter()
        sampler = jax.block_until_ready(asked.fit(z)) if isinstance(asked, Spec) else asked
        fitted = time.perf_counter()
        sampler.sample(self.draw, count).block_until_ready()
        compiled = time.perf_counter()
        drawn = sampler.sample(self.draw, count).block_until_ready()
        rate = count / (time.perf_counter() - compiled)
        seen = self.references.look(drawn)
        test = self.copies.compare(seen.small[:n])
        is_spec = isinstance(asked, Spec)
        return dataclasses.replace(
            self.measures.row(title, seen, self.faces),
            spec=str(asked) if is_spec else "",
            copy_p=test.p,
            closer=test.probability_closer,
            duplicates=duplicates(seen.small[:n], threshold=self.alike_below).share,
            fit_seconds=fitted - start if is_spec else None,
            vectors_per_second=rate,
        )
