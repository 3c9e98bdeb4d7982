"""Images in a folder or in a .zip, at any depth."""

import hashlib
import io
import os
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from jaxlatent.data.decode import MOST_BYTES, open_image
from jaxlatent.data.source import ImageSource, Labels, no_labels
from jaxlatent.data.splits import partition, split_of

#: Of the formats that `jaxlatent.data.decode` opens.
SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
    *(".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
)
# Images that are not read: of cameras, of editors, drawings, and what Pillow reads in ways that are not safe.
_OTHERS = (
    *(".heic", ".heif", ".jxl", ".svg", ".psd", ".xcf", ".exr", ".hdr", ".ico", ".icns", ".eps", ".dds"),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".pdf", ".djvu", ".pcx", ".sgi"),
)
# Of systems: what unpackers, network drives and bins leave beside the images.
_SYSTEM = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
)


def open_folder(folder: Path, title: str) -> ImageSource:
    """The images below a folder, sorted by their path; hidden files and folders do not count.

    Links to folders are followed; a folder that is reached in several ways counts once. Image files of kinds
    that are not read are counted in a warning.

    Raises:
        ValueError: if there are none.
    """
    states = _walk(folder, title)
    names = _sorted(states, title)
    listing = hashlib.sha256()
    for name in names:
        listing.update(f"{name}\0{states[name]}\0".encode(errors="surrogateescape"))
    return ImageSource(
        title=title,
        names=names,
        open=lambda i: open_image(folder / names[i]),
        partition=partial(_partition, title, names),
        fingerprint=f"{folder.resolve()}|{listing.hexdigest()}",
        labels=partial(_labels, title, names),
    )


def open_zip(path: Path, title: str) -> ImageSource:
    """The images in a .zip, sorted by their path inside it.

    Raises:
        ValueError: if the file is no whole .zip, or holds no images.
    """
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a whole .zip file ({error}); fetch it again") from error
    shown = [name for name in archive.namelist() if not any(map(_is_hidden, name.split("/")))]
    names = _sorted((name for name in shown if name.lower().endswith(SUFFIXES)), title)
    _name_others(title, shown)

    def member(i: int) -> Image.Image:
        size = archive.getinfo(names[i]).file_size
        if size > MOST_BYTES:
            raise ValueError(f"unpacks to {size // 10**6:,} MB; give one of at most {MOST_BYTES // 10**6} MB")
        return open_image(io.BytesIO(archive.read(names[i])))

    return ImageSource(
        title=title,
        names=names,
        open=member,
        partition=partial(_partition, title, names),
        fingerprint=f"{path.resolve()}|{state(path)}",
        labels=partial(_labels, title, names),
    )


def _walk(folder: Path, title: str) -> dict[str, tuple[int, int]]:
    """The images below a folder: by their path, what `state` gives.

    Of a million files nothing may take long: each is asked for its state, and no `Path` is made.
    """
    found, others, links = {}, [], [""]
    seen = set()
    # Folders before links to them, so that it does not depend on the order of the disk what is found twice.
    while links:
        waiting = [links.pop(0)]
        while waiting:
            base = waiting.pop()
            # A folder that may not be read is left out, as a file system's lost+found.
            with suppress(OSError):
                place = os.stat(folder / base)  # noqa: PTH116
                if (place.st_dev, place.st_ino) in seen:
                    continue
                seen.add((place.st_dev, place.st_ino))
                with os.scandir(folder / base) as entries:
                    for entry in entries:
                        if _is_hidden(entry.name):
                            continue
                        if entry.is_dir():
                            (links if entry.is_symlink() else waiting).append(f"{base}{entry.name}/")
                        elif entry.name.lower().endswith(SUFFIXES):
                            found[base + entry.name] = state(entry)
                        else:
                            others.append(entry.name)
        links.sort()
    _name_others(title, others)
    return found


def _name_others(title: str, files: Iterable[str]) -> None:
    """Says how many image files there are of kinds that are not read."""
    suffixes = (os.path.splitext(name)[1].lower() for name in files)  # noqa: PTH122
    counts = Counter(suffix for suffix in suffixes if suffix in _OTHERS)
    if counts:
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common())
        warnings.warn(
            f"{title}: left out {counts.total():,} image files of kinds that are not read ({kinds}); convert "
            "them to PNG or JPEG",
            stacklevel=2,
        )


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part.lower() in _SYSTEM


def _sorted(names: Iterable[str], title: str) -> tuple[str, ...]:
    result = tuple(sorted(names))
    if not result:
        raise ValueError(
            f"{title}: no images found; expected files ending in {', '.join(SUFFIXES)} at any depth"
        )
    return result


def state(path: "Path | os.DirEntry[str]") -> tuple[int, int]:
    """A file's size and time of change."""
    try:
        stat = path.stat()
    except OSError:  # a dangling link: listed, and reported as unreadable when it is opened
        return (-1, -1)
    return (stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True)
class _Layout:
    """What the folders say of the images in them.

    Attributes:
        splits: the split of each image; None where no folders are named so.
        classes: the sub-folder that each image is in, below those of splits; "" where in none.
        mistaken: names of folders that would be splits, if there were no others beside them.
        beside: the first of these others.
    """

    splits: list[str] | None
    classes: list[str]
    mistaken: list[str]
    beside: str = ""


def _layout(names: Sequence[str]) -> _Layout:
    """Finds splits and classes in the paths.

    Folders that all images have in common do not count: a .zip often holds one folder that holds it all.
    Folders train, validation (or val, valid) and test are splits where there are no others beside them, and
    the folders in them are classes; else all are classes. Images beside the splits' folders are of no split.
    """
    folder_of = [name.rpartition("/")[0] for name in names]
    parts = {folder: folder.split("/") if folder else [] for folder in set(folder_of)}
    first, last = min(parts.values()), max(parts.values())
    # In the order of lists, all that these two begin with alike, every one between them does, too.
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))

    def of_images(depth: int) -> list[str]:
        """The folder at this depth that each image is in."""
        word = {folder: each[depth] if len(each) > depth else "" for folder, each in parts.items()}
        return [word[folder] for folder in folder_of]

    words = of_images(shared)
    found = set(words) - {""}
    others = sorted(word for word in found if not split_of(word))
    if others:
        return _Layout(None, words, sorted(found.difference(others)), others[0])
    return _Layout([split_of(word) for word in words], of_images(shared + 1), [])


def _partition(title: str, names: Sequence[str]) -> np.ndarray:
    """By the folders' names, else by the images' names."""
    layout = _layout(names)
    if len(layout.mistaken) > 1:
        warnings.warn(
            f"{title}: the folders {', '.join(layout.mistaken)} are taken for classes, not for splits, as "
            f"{layout.beside} lies beside them; load each on its own, or move it elsewhere",
            stacklevel=2,
        )
    return partition(names, layout.splits)


def _labels(title: str, names: Sequence[str], rows: Int[np.ndarray, " m"]) -> Labels:
    """The classes by folders, if there are several and all images of the splits are in one."""
    layout = _layout(names)
    splits = layout.splits or ["train"] * len(names)
    classes = sorted({each for each, split in zip(layout.classes, splits, strict=True) if split})
    if len(classes) < 2 or "" in classes:
        raise no_labels(title)
    return Labels.of_classes([layout.classes[i] for i in rows], classes)
