"""Planes to look at the latent space in: two components, two latent coordinates, two attributes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Array, Float

PlaneKind = Literal["components", "coordinates", "attributes"]

_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Plane:
    """Two numbers of every vector, x = rows (z - origin).

    Attributes:
        labels: of the axes, with their units.
        rows: (2, d).
        origin: in the latent frame, (d,).
        edits: the names of the edits that move a vector in it, see `Recipe`.
        steps: the directions of these edits, (2, d).
        relative: whether an edit adds to what is there, instead of setting it.
    """

    labels: tuple[str, ...]
    rows: Float[np.ndarray, "2 d"]
    origin: Float[np.ndarray, " d"]
    edits: tuple[str, ...]
    steps: Float[np.ndarray, "2 d"]
    relative: bool

    @classmethod
    def of_components(cls, mean: np.ndarray, rows: np.ndarray, sigma: np.ndarray, at: np.ndarray) -> "Plane":
        """Of two principal components, in standard deviations."""
        scale = sigma[at, None]
        labels, edits = (tuple(f"{text}{i + 1}" for i in at) for text in ("component ", "c"))
        return cls(
            tuple(f"{label} (σ)" for label in labels), rows[at] / scale, mean, edits, rows[at] * scale, False
        )

    @classmethod
    def of_coordinates(cls, size: int, at: np.ndarray) -> "Plane":
        """Of two latent coordinates, in latent units."""
        unit = np.eye(size)[at]
        labels, edits = (tuple(f"{text}{i + 1}" for i in at) for text in ("latent coordinate ", "z"))
        return cls(labels, unit, np.zeros(size), edits, unit, False)

    @classmethod
    def of_attributes(
        cls, mean: np.ndarray, names: Sequence[str], vectors: np.ndarray, at: np.ndarray
    ) -> "Plane":
        """Of two attributes, from the mean; a step of 1 along its direction moves a vector by 1."""
        steps, labels = vectors[at], tuple(names[i] for i in at)
        square = np.einsum("md,md->m", steps, steps)[:, None]
        return cls(labels, steps / square, mean, tuple(f"a.{name}" for name in labels), steps, True)

    def coordinates(self, z: Float[Array | np.ndarray, "n ..."]) -> Float[np.ndarray, "n 2"]:
        """Where vectors lie in it, float32; a memory map is read block by block."""
        found = np.empty((len(z), 2), np.float32)
        for begin in range(0, len(z), _ROWS):
            block = np.asarray(z[begin : begin + _ROWS], np.float64).reshape(-1, self.origin.size)
            found[begin : begin + len(block)] = (block - self.origin) @ self.rows.T
        return found

    @property
    def response(self) -> Float[np.ndarray, "2 2"]:
        """How far a step of 1 along each edit moves a vector: column j belongs to edit j."""
        return self.rows @ self.steps.T
