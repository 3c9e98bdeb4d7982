"""One .npy file an item, in which a shard is a range of rows: latents.npy."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from jaxlatent._files import sync
from jaxlatent.generation.formats.base import Entry, Format, Shard
from jaxlatent.generation.formats.npy import npy_header

_PIECE = 1 << 20


class RowsFormat(Format):
    """All rows in one memory-mappable file an item: `np.load("latents.npy", mmap_mode="r")`.

    Shards are written in place. That is as safe as a rename, because a range of rows counts only once the
    entry that `write` gives for it is on record, and by then it has reached the disk; what a killed process
    left half written is on no record and is written again. Nor need threads and processes agree on anything:
    each writes the bytes of its own shards alone, whichever makes the file, and the header is a part of the
    first shard. They write by calls, not through a memory map: there a full disk would be a bus error, and a
    network file system would take whole pages, with what they hold of a neighbour's rows.

    The entry of a shard, `latents.npy[START:STOP]`, describes its bytes in the file.
    """

    def write(self, shard: Shard, arrays: Mapping[str, np.ndarray]) -> tuple[Entry, ...]:
        """See `Format.write`."""
        for item, array in arrays.items():
            path = self._path(item)
            path.touch()
            with path.open("r+b") as file:
                file.seek(self._span(item, shard.start, shard.stop)[0])
                if shard.start == 0:
                    file.write(self._header(item))
                file.write(np.ascontiguousarray(array).data)
            sync(path)
        sync(self.folder)
        return tuple(self._entry(item, shard) for item in arrays)

    def entry(self, shard: Shard, name: str) -> Entry:
        """See `Format.entry`; of a file that ends early, that of the bytes which are there."""
        items = {self._name(item, shard): item for item in self.layout.items}
        if name not in items:
            raise FileNotFoundError(f"{name}: no part of shard {shard.number} has this name")
        return self._entry(items[name], shard)

    def _entry(self, item: str, shard: Shard) -> Entry:
        digest, size = hashlib.sha256(), 0
        for piece in read_range(self._path(item), *self._span(item, shard.start, shard.stop)):
            digest.update(piece)
            size += len(piece)
        return Entry(self._name(item, shard), size, digest.hexdigest())

    def _name(self, item: str, shard: Shard) -> str:
        return f"{self._member(item)}[{shard.start}:{shard.stop}]"

    def _span(self, item: str, start: int, stop: int) -> tuple[int, int]:
        """Where the bytes of the rows `start` to `stop - 1` begin and end in the file."""
        begin, size = self._begin(item), self.layout.items[item].nbytes
        rows = begin + len(self._header(item))
        return (rows + start * size if start else begin), rows + stop * size

    def _header(self, item: str) -> bytes:
        return npy_header((self.layout.n, *self.layout.items[item].shape), self.layout.items[item].dtype)

    # What a format changes that keeps its arrays inside another file:

    def _member(self, item: str) -> str:
        """The name of an item's array."""
        return f"{item}.npy"

    def _path(self, item: str) -> Path:
        """The file that holds it."""
        return self.folder / self._member(item)

    def _begin(self, item: str) -> int:
        """Where in this file it begins, with its header."""
        return 0


def read_range(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """The bytes `start` to `stop - 1` of a file, piece by piece; fewer where it ends before.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        file.seek(start)
        while start < stop and (piece := file.read(min(stop - start, _PIECE))):
            start += len(piece)
            yield piece
