"""Images that already lie in arrays: a .npy or .npz file, or an array in memory."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped
from PIL import Image

from jaxlatent._boundary import CHANNELS
from jaxlatent.data.source import ImageSource, Labels
from jaxlatent.data.splits import partition

_SPLITS = ("train", "test")
_SPLIT_IMAGES, _SPLIT_CLASSES = ("x_train", "x_test"), ("y_train", "y_test")


def read_array(path: Path) -> np.ndarray:
    """The array in a .npy (memory-mapped), or in a .npz: its `images`, `arr_0` or only one.

    Raises:
        ValueError: if the file is damaged, or it is not clear which of its arrays is meant.
    """
    with _explained(path):
        if path.suffix.lower() == ".npy":
            return np.lib.format.open_memmap(path, mode="r")
        # numpy leaves the file open when a .npz is damaged; opened here, it is closed.
        with path.open("rb") as file:
            content = np.load(file)
            if isinstance(content, np.ndarray):
                return content
            key = next((key for key in ("images", "arr_0") if key in content.files), None)
            if key is None and len(content.files) == 1:
                key = content.files[0]
            if key is not None:
                return content[key]
            found = ", ".join(content.files) or "nothing"
    raise ValueError(f"{path}: expected one array, one named images, or x_train and x_test; found {found}")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a whole .npy or .npz of numbers ({error})") from error


def has_splits(path: Path) -> bool:
    """Whether a file is a .npz of `x_train` and `x_test`."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {f"{name}.npy" for name in _SPLIT_IMAGES} <= set(archive.namelist())


def open_split_npz(path: Path, title: str, fingerprint: str) -> ImageSource:
    """The training and test images of a .npz in the layout of Keras, and their classes where it has them.

    Args:
        path: of a file that `has_splits`.
        title: how messages name it.
        fingerprint: of the file.

    Raises:
        TypeError, ValueError: if the file is damaged, or its arrays are not such.
    """
    with _explained(path), np.load(path) as content:
        parts = [content[name] for name in _SPLIT_IMAGES]
        classes = [content[name] for name in _SPLIT_CLASSES if name in content.files]
    if parts[0].shape[1:] != parts[1].shape[1:] or parts[0].dtype != parts[1].dtype:
        found = " and ".join(f"{part.dtype}{list(part.shape)}" for part in parts)
        raise ValueError(f"{title}: expected x_train and x_test of one shape and type, found {found}")
    names = [f"{split}/{i}" for split, part in zip(_SPLITS, parts, strict=True) for i in range(len(part))]
    given = [name.partition("/")[0] for name in names]
    source = open_array(np.concatenate(parts), title, fingerprint)
    return replace(
        source,
        names=names,
        partition=partial(partition, names, given),
        labels=_classes(classes, parts, title) if classes else None,
    )


def _classes(
    classes: list[np.ndarray], parts: list[np.ndarray], title: str
) -> Callable[[Int[np.ndarray, " m"]], Labels]:
    """The labels of the images of both parts."""
    if [column.size for column in classes] != [len(part) for part in parts] or any(
        column.dtype.kind not in "iu" for column in classes
    ):
        found = " and ".join(f"{column.dtype}{list(column.shape)}" for column in classes)
        raise ValueError(f"{title}: expected y_train and y_test, an integer for each image, found {found}")
    names, numbers = np.unique(np.concatenate([column.ravel() for column in classes]), return_inverse=True)
    return lambda rows: Labels.of_classes(numbers[rows], [str(name) for name in names])


def open_array_file(path: Path, title: str, fingerprint: str) -> ImageSource:
    """The one array of a .npy or .npz; see `open_array`."""
    return open_array(read_array(path), title, fingerprint)


def open_array(array: Shaped[np.ndarray, "..."], title: str, fingerprint: str | None = None) -> ImageSource:
    """Images in an array: (n, h, w, c) with c = 1 (grey), 3 (RGB) or 4 (RGBA), or (n, h, w) grey.

    Args:
        array: uint8, or floating point in [0, 1].
        title: how messages name it.
        fingerprint: of the file that it lies in; None for one in memory.

    Raises:
        TypeError: for another dtype.
        ValueError: for another shape, no images, or numbers outside [0, 1].
    """
    if array.ndim == 3 and array.shape[-1] in (3, 4):
        raise ValueError(
            f"{title}: the shape {array.shape} is that of one image; expected (n, h, w, 3): add an "
            "axis with array[None], or for grey images so narrow one with array[..., None]"
        )
    if not (array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in (1, 3, 4))):
        raise ValueError(
            f"{title}: expected images of shape (n, h, w, 3), (n, h, w, 1), (n, h, w, 4) or (n, h, "
            f"w), got {array.shape}"
        )
    if 0 in array.shape:
        raise ValueError(f"{title}: no images in an array of shape {array.shape}")
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"{title}: floating-point images must lie in [0, 1], found {low:g} to {high:g}; "
                "rescale them, or pass uint8"
            )
    elif array.dtype != np.uint8:
        raise TypeError(f"{title}: expected uint8, or floating point in [0, 1], got {array.dtype}")

    def open_image(i: int) -> Image.Image:
        pixels = array[i]
        if pixels.dtype != np.uint8:
            pixels = np.rint(pixels.astype(np.float32) * 255).astype(np.uint8)
        return Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)

    names = [str(i) for i in range(len(array))]
    with_channels = array[..., None] if array.ndim == 3 else array
    done = array.dtype == np.uint8 and with_channels.shape[3] in CHANNELS
    return ImageSource(
        title=title,
        names=names,
        open=open_image,
        partition=partial(partition, names),
        fingerprint=fingerprint,
        pixels=with_channels if done else None,
    )
