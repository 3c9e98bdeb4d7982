"""CelebA from its official files.

Liu, Luo, Wang, Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.
"""

import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from jaxlatent.data.folder import open_folder, open_zip
from jaxlatent.data.source import ImageSource, Labels
from jaxlatent.data.splits import SPLITS

CROP = 140  # pixels of the 178 x 218: the face, without most of the background
_IMAGES, _PARTITION = "img_align_celeba", "list_eval_partition.txt"
_ATTRIBUTES, _IDENTITY = "list_attr_celeba.txt", "identity_CelebA.txt"
# Editors may have put a byte-order mark first.
_ENCODING = "utf-8-sig"
_WHERE = "it is one of CelebA's official files (http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html)"


def open_celeba(folder: Path, title: str) -> ImageSource:
    """The aligned and cropped images in `folder`, sorted by file name.

    Read from `img_align_celeba.zip` or else from the folder `img_align_celeba`; it may be a part of
    the 202,599. The text files are read when splits or labels are asked for.

    Raises:
        FileNotFoundError: if `folder` holds neither of them.
        ValueError: if the .zip is damaged, or there are no images.
    """
    if (archive := folder / f"{_IMAGES}.zip").is_file():
        source = open_zip(archive, title)
    elif (images := folder / _IMAGES).is_dir():
        source = open_folder(images, title)
    else:
        raise FileNotFoundError(
            f"{title}: neither {_IMAGES}.zip nor a folder {_IMAGES} in {folder}; {_WHERE}"
        )
    # Of a file that lies there flat and in a sub-folder, the first.
    place: dict[str, int] = {}
    for i in sorted(range(len(source.names)), key=lambda i: (source.names[i].count("/"), i)):
        place.setdefault(PurePosixPath(source.names[i]).name, i)
    files = sorted(place)
    order = [place[file] for file in files]
    if len(files) < len(source.names):
        warnings.warn(
            f"{title}: {len(source.names) - len(files):,} images lie there twice, in several folders; each "
            "is taken once",
            stacklevel=2,
        )
    opened = source.open
    return replace(
        source,
        names=files,
        open=lambda i: opened(order[i]),
        crop=CROP,
        partition=partial(_partition, folder, files),
        labels=partial(_labels, folder, files),
    )


def _partition(folder: Path, files: list[str]) -> list[str]:
    path = folder / _PARTITION
    of_file = _rows(path, "splits")
    of_number = {str(i): split for i, split in enumerate(SPLITS)}
    try:
        return [of_number[_of(of_file, file, path)] for file in files]
    except KeyError as error:
        raise ValueError(f"{path}: expected lines 'FILE 0|1|2', found {error}") from error


def _labels(folder: Path, files: list[str], indices: Int[np.ndarray, " m"]) -> Labels:
    wanted = tuple(files[i] for i in indices)
    path = folder / _ATTRIBUTES
    of_file = _rows(path, "attributes", skip=2)
    with path.open(encoding=_ENCODING) as lines:
        next(lines, None)  # the number of images
        names = tuple(next(lines, "").split())
    text = " ".join(_of(of_file, file, path) for file in wanted)
    try:
        values = np.array(text.split(), dtype=np.int8).reshape(len(wanted), len(names))
        if not np.isin(values, (-1, 1)).all():
            raise ValueError("another value was found")
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{path}: expected lines 'FILE' and {len(names)} values -1 or 1 each ({error})"
        ) from error
    return Labels(names, values, _identities(folder / _IDENTITY, wanted), wanted)


def _identities(path: Path, files: tuple[str, ...]) -> Int[np.ndarray, " m"] | None:
    if not path.is_file():
        return None
    of_file = _rows(path, "identities")
    try:
        return np.array([int(_of(of_file, file, path)) for file in files], dtype=np.int32)
    except ValueError as error:
        raise ValueError(f"{path}: expected lines 'FILE IDENTITY' ({error})") from error


def _rows(path: Path, what: str, skip: int = 0) -> dict[str, str]:
    """The lines of one of CelebA's text files: by file name, the rest of its line."""
    try:
        lines = path.read_text(encoding=_ENCODING).splitlines()[skip:]
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path}: needed for CelebA's {what}, and missing; {_WHERE}: put it there"
        ) from error
    # Between spaces or tabs.
    cut = (line.split(maxsplit=1) for line in lines)
    return {file: " ".join(rest).strip() for file, *rest in filter(None, cut)}


def _of(rows: dict[str, str], file: str, path: Path) -> str:
    if file not in rows:
        raise ValueError(f"{path}: {file} is not listed, though it is among the images")
    return rows[file]
