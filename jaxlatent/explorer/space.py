"""What is explored: samplers, z-points, a decoder; and the vector, the image and the numbers of a recipe."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Array, Float, UInt8

from jaxlatent._boundary import as_vectors
from jaxlatent._random import seed_key
from jaxlatent.data.source import Labels
from jaxlatent.explorer.decoding import BlockDecoder
from jaxlatent.explorer.dials import turned
from jaxlatent.explorer.gallery import Attributes, Gallery
from jaxlatent.explorer.law import Law, Points
from jaxlatent.explorer.look import Look
from jaxlatent.explorer.planes import Plane, PlaneKind
from jaxlatent.explorer.recipe import Recipe
from jaxlatent.explorer.region import Region
from jaxlatent.latent.pca import PCA
from jaxlatent.sampling import Sampler
from jaxlatent.sampling.fitting.region import fit_frame

#: Sliders of the leading components.
SLIDERS = 16

# Vectors that are kept.
_KEPT = 512


class Space:
    """A latent space to move through; its methods may be called from several threads.

    Args:
        samplers: by name, at least one; the first one counts where none is named.
        z: z-points, floating point (n, d) or (n, c, h, w), n >= 10.
        decode: see `jaxlatent.generate_to`; without one there are no images.
        encode: maps uint8 images (n, h, w, c) to vectors (n, d); without one, no image can be brought.
        title: what it is called.
        thing: what one of the images is called.
        load: gives images and labels once `loaded` asks for them, as they may take long.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
    """

    #: How a vector is made again outside of the explorer: a "python" line, a "command", as far as there are.
    again: Callable[[Recipe], dict[str, str]]

    def __init__(
        self,
        samplers: Mapping[str, Sampler],
        z: Float[Array | np.ndarray, " n *latent"],
        decode: Any = None,
        *,
        encode: Callable[[Any], Any] | None = None,
        title: str = "A latent space",
        thing: str = "image",
        load: Callable[[], tuple[Gallery, Labels | None]] | None = None,
    ):
        for name, sampler in samplers.items():
            if not isinstance(sampler, Sampler):
                raise TypeError(f"sampler: expected a sampler, got {type(sampler).__name__} for {name!r}")
            if not isinstance(name, str) or not name:
                raise TypeError(f"sampler: expected a text as the name of each, got {name!r}")
        if not samplers:
            raise ValueError("sampler: expected at least one")
        self.samplers, self.title, self.thing, self.encode = dict(samplers), title, thing, encode
        self.latent_shape = next(iter(self.samplers.values())).latent_shape
        size = math.prod(self.latent_shape)
        for name, sampler in self.samplers.items():
            if sampler.latent_shape != self.latent_shape:
                raise ValueError(
                    f"sampler: expected vectors of shape {self.latent_shape}, got {sampler.latent_shape} of "
                    f"{name!r}"
                )
        #: The z-points, (n, d).
        self.z = np.asarray(as_vectors("z", z, size, least=10))
        self.gallery = Gallery(self.z)
        self.attributes = Attributes.none(size)
        self.progress = "ready" if load is None else "loading"
        self._load, self._loading = load, threading.Lock()
        self.again = lambda recipe: {}
        self.decoder = None if decode is None else BlockDecoder(decode, self.latent_shape)
        self.frame: PCA = fit_frame(self.z)
        if self.frame.n_components < 2:
            raise ValueError("z: expected vectors that vary in at least 2 directions, got 1")
        self.mean = np.asarray(self.frame.mean, np.float64).reshape(-1)
        self._rows = np.asarray(self.frame.components, np.float64)
        self.sigma = np.sqrt(np.asarray(self.frame.explained_variance, np.float64))
        self._ways = self._rows[:SLIDERS] * self.sigma[:SLIDERS, None]
        self.points = Points(self.z, self.frame)
        self._laws = {name: Law(sampler, self.points) for name, sampler in self.samplers.items()}
        self._made: OrderedDict[Recipe, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        #: Set once somebody has looked at a vector.
        self.seen = threading.Event()

    def loaded(self) -> "Space":
        """Loads images and labels, once; until then there are neither attributes nor neighbours' pictures.

        Raises:
            OSError, TypeError, ValueError: if they cannot be loaded; `progress` then has the line.
        """
        with self._loading:
            if self._load is None:
                return self
            load, self._load = self._load, None
            try:
                self.gallery, labels = load()
                if labels is not None:
                    self.label(labels)
                self.progress = "ready"
            except Exception as error:
                self.progress = f"images: {' '.join(str(error).split())}"
                raise
        return self

    def label(self, labels: Labels) -> None:
        """Finds the directions of attributes."""
        # Mirror images come after the images that have labels; not all attributes are the same in both.
        attributes = Attributes.of(self.z[: len(labels.values)], labels)
        with self._lock:
            self.attributes = attributes
            self._made.clear()

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(h, w, c) of an image; None without a decoder."""
        return None if self.decoder is None else self.decoder.shape

    def law(self, name: str) -> Law:
        """A sampler and what belongs to it; the first one where the name is empty.

        Raises:
            ValueError: if there is none of this name.
        """
        name = name or next(iter(self.samplers))
        if name not in self._laws:
            raise ValueError(
                f"state: there is no sampler {name[:80]!r}; there are {', '.join(self.samplers)}"
            )
        return self._laws[name]

    def vector(self, recipe: Recipe | str) -> Float[np.ndarray, " *latent"]:
        """The vector of a recipe, float32 in the shape of a latent vector.

        A recipe of a draw alone gives the bits of `Sampler.sample`.

        Raises:
            ValueError: if the recipe names what is not there.
        """
        recipe = recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe)
        return np.asarray(self._make(recipe), np.float32).reshape(self.latent_shape)

    def _make(self, recipe: Recipe) -> np.ndarray:
        """The vector in float64, (d,); of a drag all but the last edit is known from the step before."""
        if any(name.startswith("a.") for name, _ in recipe.edits):
            self.loaded()  # not with the lock, which those that load need
        with self._lock:
            if recipe not in self._made:
                before, last = replace(recipe, edits=recipe.edits[:-1]), recipe.edits[-1:]
                if before not in self._made:
                    self._keep(before, self._edited(before, self._begun(before), before.edits))
                if last:
                    self._keep(recipe, self._edited(recipe, self._made[before], last))
            self._made.move_to_end(recipe)
            return self._made[recipe]

    def _keep(self, recipe: Recipe, z: np.ndarray) -> None:
        self._made[recipe] = z
        while len(self._made) > _KEPT:
            self._made.popitem(last=False)

    def _begun(self, recipe: Recipe) -> np.ndarray:
        """The vector before any edit."""
        sampler, region = self.turned(recipe)
        z = np.asarray(self._base(recipe, sampler), np.float64)
        if recipe.components is not None and recipe.components < len(self._rows):
            rows = self._rows[: recipe.components]
            z = self.mean + (rows @ (z - self.mean)) @ rows
        return region.pull(z) if recipe.inside else z

    def _edited(self, recipe: Recipe, z: np.ndarray, edits: tuple[tuple[str, float], ...]) -> np.ndarray:
        """A vector of the recipe with more edits."""
        region = self.turned(recipe)[1]
        for name, value in edits:
            step, strength = self._edit(z, name, value)
            z = region.move(z, step, strength) if recipe.inside else z + strength * step
        return z

    def turned(self, recipe: Recipe) -> tuple[Sampler, Region]:
        """The recipe's sampler and region, with the dials where they are set."""
        law = self.law(recipe.sampler)
        asked = {name: getattr(recipe, name) for name in ("fact", "temperature", "edge")}
        given = {name: value for name, value in asked.items() if value is not None}
        if not given:
            return law.sampler, law.region
        sampler = turned(law.sampler, law.dials, given)
        return sampler, Region(sampler) if law.has_region else law.region

    def _base(self, recipe: Recipe, sampler: Sampler) -> np.ndarray:
        size = math.prod(self.latent_shape)
        if recipe.vector is not None:
            if len(recipe.vector) != 4 * size:
                raise ValueError(f"state: vector: expected {size} numbers, got {len(recipe.vector) // 4}")
            return np.frombuffer(recipe.vector, "<f4")
        if recipe.image is not None:
            if recipe.image >= len(self.z):
                raise ValueError(f"state: image: expected at most {len(self.z) - 1}, got {recipe.image}")
            return np.asarray(self.z[recipe.image], np.float32).reshape(-1)
        return np.asarray(sampler.sample(seed_key(recipe.seed), 1, start=recipe.index)).reshape(-1)

    def _edit(self, z: np.ndarray, name: str, value: float) -> tuple[np.ndarray, float]:
        """The direction of an edit, and how far to go along it."""
        if name.startswith("a."):
            if name[2:] not in self.attributes.names:
                why = "" if self.progress == "ready" else f"; {self.progress}"
                raise ValueError(f"state: there is no attribute {name[2:][:80]!r} here{why}")
            return self.attributes.vectors[self.attributes.names.index(name[2:])], value
        row, rows = int(name[1:]) - 1, self._rows if name[0] == "c" else None
        most = len(self._rows) if rows is not None else z.size
        if row >= most:
            raise ValueError(f"state: {name}: expected a number up to {most}")
        if rows is not None:
            return rows[row], value * self.sigma[row] - rows[row] @ (z - self.mean)
        return np.eye(1, z.size, row)[0], value - z[row]

    def look(self, recipe: Recipe) -> Look:
        """The vector of a recipe and its numbers; errors as for `vector`."""
        z = self._make(recipe)
        _, region = self.turned(recipe)
        law, count = self.law(recipe.sampler), min(SLIDERS, len(self._rows))
        rows, sigma = self._rows[:count], self.sigma[:count]
        y = rows @ (z - self.mean) / sigma
        vector = z.astype(np.float32)
        gauge = region.gauge(vector)
        log_density = float(law.density.log_prob(vector[None])[0])
        return Look(
            vector,
            y,
            y[:, None] + region.intervals(z, self._ways),
            gauge,
            gauge <= 1,
            log_density,
            float(np.searchsorted(law.ranks, log_density) / len(law.ranks)),
        )

    def images(self, z: Float[np.ndarray, "..."]) -> UInt8[np.ndarray, "n h w c"]:
        """Decodes vectors, or one vector.

        Raises:
            ValueError: if there is no decoder.
        """
        if self.decoder is None:
            raise ValueError("decode: there is no decoder here, so there are no images")
        return self.decoder(z)

    def encoded(self, image: UInt8[np.ndarray, "h w c"]) -> Float[np.ndarray, " d"]:
        """The vector of an image.

        Raises:
            ValueError: if there is no encoder, or what it gives is no vector of this space.
        """
        if self.encode is None:
            raise ValueError("encode: there is no encoder here, so no image can be brought")
        z = np.asarray(as_vectors("encode", self.encode(image[None]), self.mean.size, least=1), np.float32)[0]
        if not np.isfinite(z).all():
            raise ValueError("encode: gives NaN or infinite numbers")
        return z

    def plane(self, kind: PlaneKind, i: int, j: int) -> Plane:
        """The plane of two components, latent coordinates or attributes, counted from 1.

        Raises:
            ValueError: if there are not two such.
        """
        most = {
            "components": len(self._rows),
            "coordinates": self.mean.size,
            "attributes": len(self.attributes.names),
        }
        if kind not in most:
            raise ValueError(f"plane: expected one of {', '.join(most)}, got {kind!r}")
        if not (1 <= i <= most[kind] and 1 <= j <= most[kind] and i != j):
            raise ValueError(f"plane: expected two different {kind} from 1 to {most[kind]}, got {i} and {j}")
        at = np.array([i - 1, j - 1])
        if kind == "components":
            return Plane.of_components(self.mean, self._rows, self.sigma, at)
        if kind == "coordinates":
            return Plane.of_coordinates(self.mean.size, at)
        return Plane.of_attributes(self.mean, self.attributes.names, self.attributes.vectors, at)
