"""The training images behind the z-points: pictures to show, labels, and whether a vector is a copy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from jaxlatent._boundary import as_array
from jaxlatent._rows import Rows
from jaxlatent.data.source import Labels
from jaxlatent.evaluation.neighbours import nearest_distances
from jaxlatent.latent.directions import Direction, attribute_direction

_COMPARED = 1000
_COMPARED_POINTS = 200
_REFINED = 64
_ROWS = 16_384


@dataclass(frozen=True, eq=False)
class Attributes:
    """Directions along which attributes of the images change, the best told apart first.

    Attributes:
        names: m of them.
        vectors: in latent units, (m, d) float64.
        accuracy: see `Direction`, (m,).
    """

    names: tuple[str, ...]
    vectors: Float[np.ndarray, "m d"]
    accuracy: Float[np.ndarray, " m"]

    @classmethod
    def none(cls, size: int) -> "Attributes":
        """No attributes of vectors of so many numbers."""
        return cls((), np.zeros((0, size)), np.zeros(0))

    @classmethod
    def of(cls, z: Shaped[np.ndarray, "n ..."], labels: Labels) -> "Attributes":
        """From labels: present where the value is above 0. Attributes that all or none have are left out.

        The direction is the one between the means, as the normal of the best separating plane runs where
        the z-points vary least, and there the images hardly change.
        """
        present = np.asarray(labels.values) > 0
        kept = np.flatnonzero(present.any(axis=0) & ~present.all(axis=0))
        if not kept.size:
            return cls.none(int(np.prod(z.shape[1:])))
        found: Direction = attribute_direction(z, present[:, kept], kind="mean")
        order = np.argsort(-np.nan_to_num(np.asarray(found.separation)), kind="stable")
        vectors = np.asarray(found.vector, np.float64).reshape(len(kept), -1)
        names = tuple(labels.names[kept[i]] for i in order)
        return cls(names, vectors[order], np.asarray(found.accuracy, np.float64)[order])


def as_labels(
    labels: Labels | Mapping[str, Shaped[np.ndarray, " n"]] | Shaped[np.ndarray, "n ..."], n: int
) -> Labels:
    """Labels of n images, from any of the forms that `explore` takes.

    Raises:
        TypeError: if they are no numbers or truth values.
        ValueError: if they are not (n, m).
    """
    if isinstance(labels, Mapping):
        columns = {name: np.asarray(as_array(f"labels[{name!r}]", each)) for name, each in labels.items()}
        for name, column in columns.items():
            if column.shape != (n,):
                raise ValueError(
                    f"labels[{name!r}]: expected ({n},), one for each z-point, got {column.shape}"
                )
        values = np.stack(list(columns.values()), axis=1) if columns else np.zeros((n, 0))
        labels = Labels(tuple(map(str, labels)), values)
    elif not isinstance(labels, Labels):
        values = np.atleast_1d(np.asarray(as_array("labels", labels)))
        values = values[:, None] if values.ndim == 1 else values
        labels = Labels(tuple(f"attribute {i + 1}" for i in range(values.shape[-1])), values)
    if labels.values.shape != (n, len(labels.names)):
        raise ValueError(f"labels: expected ({n}, m), a row for each z-point, got {labels.values.shape}")
    return labels


class Gallery:
    """z-points, and the images that they were made of where these are at hand.

    Args:
        z: z-points, (n, d) or (n, c, h, w).
        images: uint8 (n, h, w, c), row by row; None where there are none.
        unseen: z-points of images that the autoencoder was not trained on; None where there are none.
    """

    def __init__(
        self,
        z: Shaped[np.ndarray, "n ..."],
        images: UInt8[np.ndarray | Rows, "n h w c"] | None = None,
        unseen: Float[np.ndarray, "m d"] | None = None,
    ):
        self.z = z.reshape(len(z), -1)
        self.images = images
        self._unseen = unseen

    def _blocks(self) -> Iterator[Float[np.ndarray, "m d"]]:
        return (np.asarray(self.z[i : i + _ROWS], np.float32) for i in range(0, len(self.z), _ROWS))

    @cached_property
    def _centre(self) -> Float[np.ndarray, " d"]:
        return next(self._blocks()).mean(axis=0)

    @cached_property
    def _half_squares(self) -> Float[np.ndarray, " n"]:
        """Of the distances from the centre: those from 0 would hide how near z-points far from it are."""
        centred = (block - self._centre for block in self._blocks())
        return np.concatenate([np.einsum("nd,nd->n", block, block) / 2 for block in centred])

    def nearest(self, z: Float[np.ndarray, " d"], count: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the z-points nearest to a vector and their distances, the nearest first.

        Of points in float32 some 60 more than asked for are measured once more, in float64.
        `nearest_distances` is for many vectors: of one it would take as long as of thousands.

        Args:
            z: the vector.
            count: how many; all where there are fewer.
        """
        x = np.asarray(z - self._centre, np.float32)
        score = self._half_squares - np.concatenate([block @ x for block in self._blocks()])
        some = min(_REFINED + count, len(score))
        rows = np.sort(np.argpartition(score, some - 1)[:some])
        difference = np.asarray(self.z[rows], np.float64) - z
        distance = np.sqrt(np.einsum("nd,nd->n", difference, difference))
        order = np.argsort(distance, kind="stable")[:count]
        return rows[order], distance[order]

    @property
    def compared_with(self) -> str:
        """What `usual` was measured on."""
        return "unseen images" if self._unseen is not None else "other z-points"

    @cached_property
    def usual(self) -> Float[np.ndarray, " m"]:
        """Distances to the nearest z-point of vectors that are no copies, in order, at most 1,000."""
        if self._unseen is not None:
            points, k = self._unseen[:_COMPARED], 1
        else:
            # The nearest of a z-point is itself.
            points, k = self.z[np.random.default_rng(0).permutation(len(self.z))[:_COMPARED_POINTS]], 2
        near = nearest_distances(np.asarray(points, np.float32), self.z, k=k)
        return np.sort(near.distance[:, -1])
