"""Shards that WebDataset reads: shard-00000.tar with 000000000012.png and 000000000012.npy."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxlatent._files import atomic_path
from jaxlatent.generation.formats.base import Entry, Format, Layout, Shard, entry, shard_name
from jaxlatent.generation.formats.npy import npy_header
from jaxlatent.generation.formats.png import check_png, encode_png, record_name


class WebDatasetFormat(Format):
    """One .tar a shard; a record is its image as .png and its latent vector as .npy, side by side.

    `webdataset.WebDataset("shard-{00000..00099}.tar").decode("rgb8")` gives them as `png` and `npy`.

    Raises:
        ValueError: if PNG cannot hold the images.
    """

    def __init__(self, folder: Path, layout: Layout):
        super().__init__(folder, layout)
        check_png(layout)

    def write(self, shard: Shard, arrays: Mapping[str, np.ndarray]) -> tuple[Entry, ...]:
        """See `Format.write`."""
        name = shard_name("shard", shard.number, ".tar")
        images, latents = arrays.get("images"), arrays.get("latents")
        with (
            atomic_path(self.folder / name, durable=True) as temporary,
            tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            for i in range(shard.count):
                record = record_name(shard.start + i)
                if images is not None:
                    _add(archive, f"{record}.png", encode_png(images[i]))
                if latents is not None:
                    header = npy_header(latents[i].shape, latents.dtype)
                    _add(archive, f"{record}.npy", header + latents[i].tobytes())
        return (entry(self.folder, name),)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # of nobody, in 1970, in every run
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
