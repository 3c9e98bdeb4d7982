"""What every format of storage does: turn the shards of a job into files."""

import abc
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Shard:
    """The records `start` to `start + count - 1` of a job, written together."""

    number: int
    start: int
    count: int

    @property
    def stop(self) -> int:
        """The index behind its last record."""
        return self.start + self.count


@dataclass(frozen=True)
class Item:
    """One array of a record: its shape and dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of it."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True)
class Layout:
    """How the records of a job are divided, and what each holds.

    Attributes:
        n: number of records.
        shard_size: records in a shard; the last one may have fewer.
        items: the arrays of a record, "images" (h, w, c) uint8, "latents" (d,) float32, or both.
    """

    n: int
    shard_size: int
    items: Mapping[str, Item]

    @property
    def n_shards(self) -> int:
        """The number of shards."""
        return -(-self.n // self.shard_size)

    def shard(self, number: int) -> Shard:
        """The shard of this number."""
        start = number * self.shard_size
        return Shard(number, start, min(self.shard_size, self.n - start))

    def shards(self) -> Iterator[Shard]:
        """All shards in order."""
        return map(self.shard, range(self.n_shards))


@dataclass(frozen=True)
class Entry:
    """A file, or a folder that counts as one, as it has to be found again.

    Attributes:
        name: its path inside the job's folder, with slashes.
        bytes: its size; of a folder, that of its files together.
        sha256: hexadecimal digest of the content; see `entry` for a folder.
    """

    name: str
    bytes: int
    sha256: str


class Format(abc.ABC):
    """Writes the shards of one job into one folder.

    `write` is called from several threads at once, each time with another shard. The same records have to
    give the same bytes in every run.
    """

    def __init__(self, folder: Path, layout: Layout):
        self.folder = folder
        self.layout = layout

    @abc.abstractmethod
    def write(self, shard: Shard, arrays: Mapping[str, np.ndarray]) -> tuple[Entry, ...]:
        """Writes one shard, durably: each file under a temporary name, then synced and renamed.

        Args:
            shard: which.
            arrays: for each item of the layout, its (count, ...) values.

        Returns:
            What was written. A shard that is there already is replaced.
        """

    def finish(self) -> tuple[Entry, ...]:
        """Called once, by one process, when all shards are written; gives what it adds to them.

        A job that was stopped in between calls it again.
        """
        return ()

    def entry(self, shard: Shard, name: str) -> Entry:
        """How the manifest describes the file `name`, a part of `shard`.

        A format whose shards are parts of one file overrides it.

        Raises:
            OSError: if it cannot be read.
        """
        return entry(self.folder, name)


def entry(folder: Path, name: str) -> Entry:
    """Size and digest of a file or folder as it is now.

    The digest of a folder is that of a text with a line "sha256  name" for each of its files in the order of
    the names, as `sha256sum *` prints it.

    Raises:
        OSError: if it cannot be read.
    """
    path = folder / name
    if path.is_dir():
        files = sorted(path.iterdir())
        lines = "".join(f"{_digest(each)}  {each.name}\n" for each in files)
        size = sum(each.stat().st_size for each in files)
        return Entry(name, size, hashlib.sha256(lines.encode()).hexdigest())
    return Entry(name, path.stat().st_size, _digest(path))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shard_name(item: str, number: int, suffix: str = "") -> str:
    """The name of a shard's file, "images-00012.npy"; names sort as numbers below 100,000 shards."""
    return f"{item}-{number:05d}{suffix}"
