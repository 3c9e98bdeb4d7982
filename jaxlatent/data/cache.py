"""Decoded images kept on disk, as one .npy that later loads map into memory."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8

from jaxlatent._files import atomic_path
from jaxlatent.data.decode import Unreadable
from jaxlatent.data.source import ImageSource

_FORMAT = 1  # raise it whenever the same source would decode to other pixels
_Entry = tuple[UInt8[np.ndarray, "n h w 3"], list[Unreadable]]


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


def cache_key(source: ImageSource, indices: Int[np.ndarray, " n"], image_size: int) -> str:
    """Names the decoded images by all that determines them."""
    parts = (_FORMAT, source.fingerprint, source.crop, image_size)
    digest = hashlib.sha256(repr(parts).encode())
    digest.update(np.ascontiguousarray(indices, dtype=np.int64).tobytes())
    return digest.hexdigest()[:32]


def read_entry(folder: Path, key: str, shape: tuple[int, int, int, int]) -> _Entry | None:
    """An entry's images, memory-mapped, and its unreadable ones; None if it is not whole."""
    try:
        known = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        failures = [Unreadable(**failure) for failure in known["unreadable"]]
        images = np.load(folder / f"{key}.npy", mmap_mode="r")
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return None
    if images.shape != shape or images.dtype != np.uint8:
        return None
    return images, failures


def write_entry(
    folder: Path,
    key: str,
    shape: tuple[int, int, int, int],
    title: str,
    fill: Callable[[np.ndarray], list[Unreadable]],
) -> _Entry:
    """Lets `fill` write the images into a new entry and maps it.

    The .json is written last and makes the entry count, so one cut short does not. It is not
    written where an image could not be read for a reason that may pass: the next load then tries
    again. Two processes that write the same entry at a time write the same content, and each rename
    is atomic.

    Raises:
        OSError: if the folder cannot be written or the disk is too full.
    """
    array, note = folder / f"{key}.npy", folder / f"{key}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        note.unlink(missing_ok=True)
        # A memory map that outgrows the disk ends the process with a bus error, so look before.
        need, free = int(np.prod(shape)), shutil.disk_usage(folder).free
        if need > free:
            raise OSError(f"{need / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free")
        with atomic_path(array) as temporary:
            out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
            failures = fill(out)
            out.flush()
            del out
        if not any(failure.passing for failure in failures):
            with atomic_path(note) as temporary:
                content = {"source": title, "unreadable": [asdict(failure) for failure in failures]}
                temporary.write_text(json.dumps(content), encoding="utf-8")
    except OSError as error:
        raise OSError(
            f"cache: cannot write to {folder} ({error}); choose another folder with cache=... or "
            "$JAXLATENT_CACHE, or none with cache=False"
        ) from error
    return np.load(array, mmap_mode="r"), failures
