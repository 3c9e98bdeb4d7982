"""Decoded images kept on disk: for a source and a shape one sparse file, which later loads map."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int, UInt8

from jaxlatent._files import atomic_path
from jaxlatent._rows import Rows, take
from jaxlatent.data.decode import Unreadable
from jaxlatent.data.source import ImageSource

_FORMAT = 2  # raise it whenever the same source would decode to other pixels, or lie elsewhere in the file
_BLOCK = 4096  # bytes; the description takes one, the marks and the pixels begin at whole ones
_MARKED = 4096  # images that are written before they are marked
_GIGABYTES = 50.0

_Decode = Callable[[Int[np.ndarray, " m"], Any], list[Unreadable]]


def cache_folder(cache: str | os.PathLike[str] | Literal[False] | None) -> Path | None:
    """The folder for decoded images; None for no cache.

    Without one given: $JAXLATENT_CACHE, else $XDG_CACHE_HOME/jaxlatent, else ~/.cache/jaxlatent.

    Raises:
        TypeError: if `cache` is neither a path nor None nor False.
    """
    if cache is False:
        return None
    if cache is None:
        if named := os.environ.get("JAXLATENT_CACHE"):
            return Path(named).expanduser()
        base = os.environ.get("XDG_CACHE_HOME")
        return (Path(base) if base else Path.home() / ".cache") / "jaxlatent"
    if not isinstance(cache, (str, os.PathLike)):
        raise TypeError(f"cache: expected a folder, None (the default folder) or False, got {cache!r}")
    return Path(cache).expanduser()


def cached(
    folder: Path,
    source: ImageSource,
    rows: Int[np.ndarray, " n"],
    image_shape: tuple[int, int, int],
    decode: _Decode,
) -> tuple[UInt8[np.ndarray | Rows, "n h w c"], list[Unreadable]]:
    """Some images of a source, memory-mapped; those that the cache lacks are decoded into it before.

    The file has room for all images of the source, so that other splits and limits find what is there, and a
    mark for each one that is. Two processes at a time write the same pixels, and a mark only after them; so
    what was decoded by an interrupted load is kept, and what was half written has no mark. Images that cannot
    be read have none, and are tried again by each load.

    Args:
        folder: of the cache.
        source: with a fingerprint.
        rows: the images asked for.
        image_shape: their height, width and channels.
        decode: writes the images at some indices of the source to an array, and gives the unreadable ones.

    Raises:
        OSError: if the folder cannot be written or the disk is full.
        ValueError: if $JAXLATENT_CACHE_GB is no number.
    """
    folder, most = folder / "images", size_limit()
    parts = (_FORMAT, source.fingerprint, source.crop, image_shape)
    path = folder / f"{hashlib.sha256(repr(parts).encode(errors='surrogateescape')).hexdigest()[:32]}.images"
    shape = (len(source.names), *image_shape)
    begin = _BLOCK * (1 + -(-shape[0] // _BLOCK))
    with _explained(folder):
        if not path.exists() or path.stat().st_size != begin + np.prod(shape, dtype=np.int64):
            _create(path, source.title, shape, begin)
        with suppress(OSError):  # the file may be another user's
            os.utime(path)
        with FileIO(path, "r+" if os.access(path, os.W_OK) else "r") as file:
            marks = np.frombuffer(_read(file, shape[0]), np.uint8)
            lacking = np.flatnonzero(marks[rows] == 0)
            failures = []
            if len(lacking):
                out = _Out(file, shape, rows[lacking], begin)
                _check_free(folder, out.nbytes)
                try:
                    failures = decode(out.rows, out)
                finally:
                    out.mark()
                _prune(folder, path, most)
            images = np.memmap(file, np.uint8, "r", begin, shape)
    return take(images, rows), [replace(each, index=int(lacking[each.index])) for each in failures]


@dataclass(frozen=True)
class Entry:
    """The decoded images of a source in one shape.

    Attributes:
        path: of the file.
        source: its title.
        image_shape: height, width and channels; None for a file of an earlier version.
        images: in the source.
        decoded: of these, in the cache.
        size: bytes on disk.
        used: when it was last loaded from.
    """

    path: Path
    source: str
    image_shape: tuple[int, int, int] | None
    images: int
    decoded: int
    size: int
    used: datetime


def entries(folder: Path) -> list[Entry]:
    """What a cache folder holds, the longest unused first."""
    found = []
    for path in (folder / "images").glob("[!.]*"):
        with suppress(OSError):  # gone meanwhile
            state = path.stat()
            size = getattr(state, "st_blocks", state.st_size / 512) * 512
            used = datetime.fromtimestamp(state.st_mtime)
            about: dict[str, Any] = {"source": path.name, "shape": None, "images": 0}
            decoded = 0
            if path.suffix == ".images":
                with suppress(ValueError, KeyError), FileIO(path) as file:
                    about = json.loads(file.read(_BLOCK).rstrip(b"\0"))
                    decoded = _read(file, about["images"]).count(1)
            shape = about.get("shape") and tuple(about["shape"])
            found.append(Entry(path, about["source"], shape, about["images"], decoded, int(size), used))
    return sorted(found, key=lambda entry: entry.used)


def clear(folder: Path) -> None:
    """Removes all decoded images; processes that have them mapped keep them until they end."""
    shutil.rmtree(folder / "images", ignore_errors=True)


def size_limit() -> int:
    """Bytes that the cache may take: $JAXLATENT_CACHE_GB gigabytes, or else 50.

    Raises:
        ValueError: if that is no number.
    """
    text = os.environ.get("JAXLATENT_CACHE_GB") or str(_GIGABYTES)
    try:
        return int(float(text) * 1e9)
    except (ValueError, OverflowError):
        raise ValueError(f"JAXLATENT_CACHE_GB: expected a number of gigabytes, got {text!r}") from None


def _prune(folder: Path, used: Path, most: int) -> None:
    """Removes what was unused for longest, as far as the cache is too large; never what is in use."""
    there = entries(folder.parent)
    total = sum(entry.size for entry in there)
    for entry in there:
        if total > most and entry.path != used:
            with suppress(OSError):
                entry.path.unlink(missing_ok=True)
                total -= entry.size


def _create(path: Path, title: str, shape: tuple[int, ...], begin: int) -> None:
    about = {"source": title[-300:], "shape": shape[1:], "images": shape[0]}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(json.dumps(about).encode())
        file.truncate(begin + int(np.prod(shape, dtype=np.int64)))


def _read(file: FileIO, n: int) -> bytes:
    """The marks of n images."""
    file.seek(_BLOCK)
    return file.read(n)


def _check_free(folder: Path, need: int) -> None:
    """Better before the work than after hours of it."""
    if need > (free := shutil.disk_usage(folder).free):
        raise OSError(f"{need / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            f"cache: cannot write to {folder} ({error}); choose another folder with cache=... or "
            "$JAXLATENT_CACHE, or none with cache=False"
        ) from error


class _Out:
    """An array to decode into. It is no memory map, as one that outgrows the disk ends the process."""

    def __init__(self, file: FileIO, shape: tuple[int, ...], rows: Int[np.ndarray, " m"], begin: int) -> None:
        self.rows, self.shape = rows, (len(rows), *shape[1:])
        self._file, self._begin = file, begin
        self._bytes = int(np.prod(shape[1:]))
        self._lock = threading.Lock()
        self._written: list[int] = []

    @property
    def nbytes(self) -> int:
        return self._bytes * len(self.rows)

    def __setitem__(self, i: int, pixels: UInt8[np.ndarray, "h w c"]) -> None:
        row = int(self.rows[i])
        with self._lock:
            self._write(self._begin + row * self._bytes, pixels.tobytes())
            self._written.append(row)
        if len(self._written) >= _MARKED:
            self.mark()

    def mark(self) -> None:
        """Notes that what was written is whole."""
        with self._lock:
            os.fsync(self._file.fileno())
            for row in self._written:
                self._write(_BLOCK + row, b"\1")
            self._written.clear()

    def _write(self, place: int, content: bytes) -> None:
        self._file.seek(place)
        while content:
            content = content[self._file.write(content) :]
