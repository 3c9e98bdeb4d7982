"""One samples.npz in the layout that evaluators of generative models read."""

import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from jaxlatent._files import sync
from jaxlatent.generation.formats.base import Entry, Shard, entry
from jaxlatent.generation.formats.rows import RowsFormat, read_range

_NAME = "samples.npz"
# In the order of the archive.
_MEMBERS = {"images": "arr_0.npy", "latents": "latents.npy"}


class NpzFormat(RowsFormat):
    """`samples.npz`, uncompressed: `arr_0`, the images (n, h, w, c) uint8, and `latents` (n, d) float32.

    Rows are written to where they will lie in the archive, in `samples.npz.part`; `finish` writes what a
    .zip has around them and renames it. So the memory needed does not grow with n, and the disk never holds
    the rows twice. An archive to which a shard is written again, to repair it, is `samples.npz.part` until
    the next `finish`.

    The entry of a shard is `samples.npz/arr_0.npy[START:STOP]`, before `finish` as after it.
    """

    def write(self, shard: Shard, arrays: Mapping[str, np.ndarray]) -> tuple[Entry, ...]:
        """See `Format.write`."""
        self._reopen()
        return super().write(shard, arrays)

    def finish(self) -> tuple[Entry, ...]:
        """See `Format.finish`."""
        part = self._reopen()
        with part.open("r+b") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for item in self._items():
                    with archive.open(_info(item), "w", force_zip64=True) as member:
                        # Each piece goes to where it came from, through the checksum.
                        for piece in read_range(part, *self._span(item, 0, self.layout.n)):
                            member.write(piece)
            file.truncate()
        sync(part)
        part.replace(self.folder / _NAME)
        sync(self.folder)
        return (entry(self.folder, _NAME),)

    def _reopen(self) -> Path:
        """The unfinished archive, which a finished one becomes again."""
        part = self.folder / f"{_NAME}.part"
        with suppress(FileNotFoundError):
            (self.folder / _NAME).replace(part)
        return part

    def _items(self) -> list[str]:
        return [item for item in _MEMBERS if item in self.layout.items]

    def _member(self, item: str) -> str:
        return f"{_NAME}/{_MEMBERS[item]}"

    def _path(self, item: str) -> Path:
        finished = self.folder / _NAME
        return finished if finished.exists() else self.folder / f"{_NAME}.part"

    def _begin(self, item: str) -> int:
        before = self._items()[: self._items().index(item)]
        start = self._span(before[-1], 0, self.layout.n)[1] if before else 0
        return start + _prefix_size(item)


def _info(item: str) -> zipfile.ZipInfo:
    """What a .zip says of an item; its time is 1980 in every run."""
    return zipfile.ZipInfo(_MEMBERS[item])


def _prefix_size(item: str) -> int:
    """How many bytes `finish` writes before those of an item."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open(_info(item), "w", force_zip64=True):
        return buffer.tell()
