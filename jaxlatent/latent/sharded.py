"""Vectors on disk, in one .npy file or in the shards that bulk generation writes."""

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from jaxlatent._boundary import as_count, as_vectors

_SHARD = re.compile(r"latents-(\d{5,})\.npy")


@dataclass(frozen=True, eq=False)
class ShardedVectors:
    """A folder of shards as one read-only array (n, d) or (n, c, h, w); see `open_latents`.

    A slice, an integer, an array of integers or a mask gives the chosen vectors as a NumPy array, read from
    their shards then. No file is kept open, however many there are.

    Attributes:
        folder: holds latents-00000.npy, latents-00001.npy, ...
        dtype: of the vectors.
        row: shape of a vector.
        shard_size: vectors in a shard; the last one may have fewer.
        total: vectors in the folder.
        start: index in the folder of the first vector that belongs to the array.
        stop: index behind the last one.
    """

    folder: Path
    dtype: np.dtype
    row: tuple[int, ...]
    shard_size: int
    total: int
    start: int
    stop: int

    is_sharded_vectors: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of vectors, and their shape."""
        return self.stop - self.start, *self.row

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return 1 + len(self.row)

    def reshape(self, n: int, size: int) -> "ShardedVectors":
        """The same vectors, of one axis."""
        return replace(self, row=(size,))

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: Any) -> Shaped[np.ndarray, "..."]:
        if isinstance(index, slice):
            begin, stop, step = index.indices(len(self))
            if step == 1:
                return self._span(self.start + begin, self.start + stop)
            index = np.arange(begin, stop, step)
        rows = self._rows(index)
        found = self._choice(self.start + np.atleast_1d(rows))
        return found if rows.ndim else found[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Shaped[np.ndarray, " n *latent"]:
        if copy is False:
            raise ValueError("shards: cannot be one array in memory without a copy")
        return self[:].astype(dtype or self.dtype, copy=False)

    def _rows(self, index: Any) -> Int[np.ndarray, "..."]:
        n, rows = len(self), np.asarray(index)
        if rows.dtype == np.bool_ and rows.shape == (n,):
            return np.flatnonzero(rows)
        integers = np.issubdtype(rows.dtype, np.integer) or not rows.size
        if isinstance(index, tuple) or rows.ndim > 1 or not integers:
            raise IndexError(
                f"expected a slice, an integer, or a 1-D array of integers or {n} booleans, got {index!r}"
            )
        rows = rows.astype(np.int64)
        outside = rows[(rows < -n) | (rows >= n)]
        if outside.size:
            raise IndexError(f"index {outside[0]} is out of range for {n} vectors")
        return np.where(rows < 0, rows + n, rows)

    def _span(self, begin: int, stop: int) -> Shaped[np.ndarray, " m *latent"]:
        found = np.empty((max(stop - begin, 0), *self.row), self.dtype)
        for number in range(begin // self.shard_size, -(-stop // self.shard_size)):
            base = number * self.shard_size
            first, last = max(begin, base), min(stop, base + self.shard_size)
            found[first - begin : last - begin] = self._shard(number)[first - base : last - base]
        return found

    def _choice(self, rows: Int[np.ndarray, " m"]) -> Shaped[np.ndarray, " m *latent"]:
        found = np.empty((rows.size, *self.row), self.dtype)
        numbers = rows // self.shard_size
        order = np.argsort(numbers, kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            if places.size:
                number = int(numbers[places[0]])
                found[places] = self._shard(number)[rows[places] - number * self.shard_size]
        return found

    def _shard(self, number: int) -> Shaped[np.ndarray, " m *latent"]:
        path = _shard_path(self.folder, number)
        z = _open_npy(path)
        expected = (min(self.shard_size, self.total - number * self.shard_size), *self.row)
        if len(z) == expected[0] and len(self.row) == 1:
            z = as_vectors(str(path), z)
        if z.shape != expected or z.dtype != self.dtype:
            raise ValueError(
                f"{path}: expected {self.dtype} of shape {expected} as in the other shards, got {z.dtype} of "
                f"{z.shape}; check the folder with `jaxlatent verify`"
            )
        return z


#: Vectors (n, d), or (n, c, h, w), in memory or on disk.
Vectors = Array | np.ndarray | ShardedVectors


def open_latents(path: str | os.PathLike[str]) -> Float[np.ndarray, " n *latent"] | ShardedVectors:
    """Opens latent vectors on disk without reading them.

    Args:
        path: a .npy file, or a folder of shards latents-00000.npy, ... all of one length but the last, as
            `generate_to` writes them.

    Returns:
        A read-only memory map, or the shards as one array; (n, d) or (n, c, h, w).

    Raises:
        OSError: if the file, or a shard among the others, is not there.
        ValueError: if they are no vectors, or the folder is not finished.
        TypeError: if they are not floating point.
    """
    path = Path(path)
    if not path.is_dir():
        return _open_npy(path)
    expected = _finished_count(path)
    matches = (_SHARD.fullmatch(entry.name) for entry in os.scandir(path))
    numbers = sorted(int(match[1]) for match in matches if match)
    if not numbers:
        raise ValueError(
            f'{path}: holds no latents-00000.npy; generate "latents" or "both" in the format npy'
        )
    for number, there in enumerate(numbers):
        if number != there:
            missing = _shard_path(path, number)
            raise FileNotFoundError(f"{missing}: missing; `jaxlatent verify --repair` generates it anew")
    # Opening a hundred thousand files for their lengths would take long; each is checked when it is read.
    first, last = (_open_npy(_shard_path(path, number)) for number in (0, numbers[-1]))
    total = numbers[-1] * len(first) + len(last)
    if expected not in (None, total):
        raise ValueError(f"{path}: holds {total} of {expected} vectors; check it with `jaxlatent verify`")
    vectors = ShardedVectors(path, first.dtype, first.shape[1:], len(first), total, 0, total)
    vectors._shard(numbers[-1])
    return vectors


def part(z: Float[Vectors, " n *latent"], index: int, count: int) -> Float[Vectors, " m *latent"]:
    """The contiguous part `index` of `count`, as one of so many processes takes it; nothing is read.

    Raises:
        TypeError, ValueError: if not 0 <= index < count.
    """
    count = as_count("count", count, 1)
    index = as_count("index", index, 0, count - 1)
    begin, stop = (z.shape[0] * i // count for i in (index, index + 1))
    if isinstance(z, ShardedVectors):
        return replace(z, start=z.start + begin, stop=z.start + stop)
    return z[begin:stop]


def on_host(z: Float[Vectors, " n *latent"]) -> Float[np.ndarray | ShardedVectors, " n *latent"]:
    """The vectors where NumPy can read them batch by batch; a memory map, or shards, are not read yet.

    Raises:
        ValueError: if they are an array that other processes hold a part of.
    """
    if not isinstance(z, jax.Array):
        return z
    if not z.is_fully_addressable:
        raise ValueError(
            "z: other processes hold a part of this array; give each its part as an array, and "
            "distributed=True to PCA.fit"
        )
    return np.asarray(z)


def _finished_count(folder: Path) -> int | None:
    """How many records the manifest of a job promises; None where there is none."""
    path = folder / "manifest.json"
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text())
        complete, count = manifest["complete"], manifest["layout"]["n"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a manifest of generated records ({error!r})") from error
    if not complete:
        raise ValueError(f"{folder}: not finished; give the command that was writing it once more")
    return count


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"latents-{number:05d}.npy"


def _open_npy(path: Path) -> np.ndarray:
    try:
        z = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a whole .npy file of numbers ({error})") from error
    as_vectors(str(path), z)
    return z
