"""What every source of images gives: names, a way to open one, splits, perhaps labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped, UInt8
from PIL import Image

# Each is a column of labels, an output of a classifier and a direction in the latent space.
_MOST_CLASSES = 1000


@dataclass(frozen=True)
class Labels:
    """What is known of each image beside its pixels; row i belongs to image i.

    Attributes:
        names: the k columns of `values`: attributes, factors or classes.
        values: (n, k); attributes and classes as int8, -1 absent and 1 present; the factors of
            procedural faces as float32.
        identities: (n,) int32, equal for images of one person; None where not known.
        files: the n file names; None where the images are no files.
        classes: (n,) int32, the column of the class that each image is of; None where the columns are no
            classes. Samplers take it as `labels`.
    """

    names: tuple[str, ...]
    values: Shaped[np.ndarray, "n k"]
    identities: Int[np.ndarray, " n"] | None = None
    files: tuple[str, ...] | None = None
    classes: Int[np.ndarray, " n"] | None = None

    @classmethod
    def of_classes(cls, classes: Sequence[str] | Int[np.ndarray, " n"], names: Sequence[str]) -> "Labels":
        """Each image of one class, by its name or its number among `names`.

        Raises:
            ValueError: if there are more than 1,000 names.
        """
        if len(names) > _MOST_CLASSES:
            raise ValueError(f"labels: expected at most {_MOST_CLASSES:,} classes, got {len(names):,}")
        if not isinstance(classes, np.ndarray):
            number = {name: i for i, name in enumerate(names)}
            classes = np.array([number[name] for name in classes])
        classes = classes.astype(np.int32)
        values = np.where(classes[:, None] == np.arange(len(names)), np.int8(1), np.int8(-1))
        return cls(tuple(names), values, classes=classes)

    def take(self, rows: Int[np.ndarray, " m"]) -> "Labels":
        """Those of some images."""
        return Labels(
            self.names,
            self.values[rows],
            None if self.identities is None else self.identities[rows],
            None if self.files is None else tuple(self.files[i] for i in rows),
            None if self.classes is None else self.classes[rows],
        )


@dataclass(frozen=True)
class ImageSource:
    """n images in a fixed order, none of them decoded yet.

    Attributes:
        title: how messages name the source.
        names: one name an image; stable, as the deterministic partition is drawn from them.
        open: opens image i, called from several threads at a time.
        partition: the split of each image, "train", "validation" or "test" (or another word, for
            images of no split). Called when a split is asked for.
        fingerprint: changes when the images do; None where decoded images are not worth a cache.
        crop: side in pixels of the centred square to keep; None keeps all.
        pixels: uint8 (n, h, w, c), RGB or grey, where the images already lie decoded in one array.
        labels: gives the labels of the images at some indices; None where the source has none.
    """

    title: str
    names: Sequence[str]
    open: Callable[[int], Image.Image]
    partition: Callable[[], Sequence[str] | np.ndarray]
    fingerprint: str | None = None
    crop: int | None = None
    pixels: UInt8[np.ndarray, "n h w c"] | None = None
    labels: Callable[[Int[np.ndarray, " m"]], Labels] | None = None


def no_labels(title: str) -> ValueError:
    """The error where labels are asked for and there are none."""
    return ValueError(
        f"{title}: has no labels; synthetic:N, celeba:DIR, tfds:NAME of classes, folders of classes and a "
        ".npz with y_train have"
    )
