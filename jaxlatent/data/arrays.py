"""Images that already lie in an array: a .npy or .npz file, or an array in memory."""

import zipfile
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from jaxlatent.data.source import ImageSource
from jaxlatent.data.splits import partition


def read_array(path: Path) -> np.ndarray:
    """The array in a .npy (memory-mapped), or in a .npz: its `images`, `arr_0` or only one.

    Raises:
        ValueError: if the file is damaged, or it is not clear which of its arrays is meant.
    """
    try:
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
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a whole .npy or .npz of numbers ({error})") from error
    raise ValueError(f"{path}: expected one array, or one named images; found {found}")


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
    done = array.dtype == np.uint8 and with_channels.shape[3] in (1, 3)
    return ImageSource(
        title=title,
        names=names,
        open=open_image,
        partition=partial(partition, names),
        fingerprint=fingerprint,
        pixels=with_channels if done else None,
    )
