"""Folders of PNG files: images-00000/000000000012.png, with the latents beside them in .npy shards."""

import io
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from jaxlatent._files import atomic_path
from jaxlatent.generation.formats.base import Entry, Format, Layout, Shard, entry, shard_name
from jaxlatent.generation.formats.npy import write_npy


class PngFormat(Format):
    """One folder a shard, `images-00000/`, with one file an image; latents in `latents-00000.npy`.

    Raises:
        ValueError: if there are no images, or PNG cannot hold them.
    """

    def __init__(self, folder: Path, layout: Layout):
        super().__init__(folder, layout)
        if "images" not in layout.items:
            raise ValueError("format: png stores images, which were not asked for; choose npy for latents")
        check_png(layout)

    def write(self, shard: Shard, arrays: Mapping[str, np.ndarray]) -> tuple[Entry, ...]:
        """See `Format.write`."""
        names = [shard_name("images", shard.number)]
        _write_folder(self.folder / names[0], shard, arrays["images"])
        if "latents" in arrays:
            names.append(shard_name("latents", shard.number, ".npy"))
            write_npy(self.folder / names[1], arrays["latents"])
        return tuple(entry(self.folder, name) for name in names)


def _write_folder(path: Path, shard: Shard, images: np.ndarray) -> None:
    with atomic_path(path, durable=True) as temporary:
        temporary.mkdir()
        for index, image in enumerate(images, shard.start):
            (temporary / f"{record_name(index)}.png").write_bytes(encode_png(image))


def check_png(layout: Layout) -> None:
    """Accepts images that PNG can hold, or none.

    Raises:
        ValueError: if they have another number of channels than 1 to 4.
    """
    shape = layout.items["images"].shape if "images" in layout.items else (1, 1, 1)
    if len(shape) != 3 or not 1 <= shape[2] <= 4:
        raise ValueError(
            f"format: PNG holds images (h, w, c) of 1 to 4 channels, got {shape}; choose npy or npz"
        )


def encode_png(image: np.ndarray) -> bytes:
    """An image (h, w, c) uint8 as a PNG file."""
    buffer = io.BytesIO()
    pixels = image[..., 0] if image.shape[2] == 1 else image
    # Made for PNG's filtered rows: at 64 px as small as zlib's level 6, in half its time.
    Image.fromarray(pixels).save(buffer, "PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def record_name(index: int) -> str:
    """The base name of a record's own files; names sort as numbers below 10^12 records."""
    return f"{index:012d}"
