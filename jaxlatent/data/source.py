"""What every source of images gives: names, a way to open one, splits, perhaps labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped, UInt8
from PIL import Image


@dataclass(frozen=True)
class Labels:
    """What is known of each image beside its pixels; row i belongs to image i.

    Attributes:
        names: the k columns of `values`.
        values: (n, k); CelebA's attributes as int8, -1 absent and 1 present; the factors of
            procedural faces as float32.
        identities: (n,) int32, equal for images of one person; None where not known.
        files: the n file names; None where the images are no files.
    """

    names: tuple[str, ...]
    values: Shaped[np.ndarray, "n k"]
    identities: Int[np.ndarray, " n"] | None = None
    files: tuple[str, ...] | None = None


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
