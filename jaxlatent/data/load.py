"""The one entry to all images: a short text, a path or an array in, equal 8-bit images out."""

import os
import re
import warnings
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import jax
import numpy as np
from jaxtyping import Int, Shaped, UInt8

from jaxlatent._boundary import as_array, as_choice, as_count
from jaxlatent._random import as_seed
from jaxlatent._rows import Rows, take
from jaxlatent.data.arrays import has_splits, open_array, open_array_file, open_split_npz
from jaxlatent.data.cache import cache_folder, cached
from jaxlatent.data.celeba import open_celeba
from jaxlatent.data.decode import Unreadable, decode
from jaxlatent.data.faces import FACTORS, sample_factors, synthetic_faces
from jaxlatent.data.folder import open_folder, open_zip, state
from jaxlatent.data.shape import DEFAULT_SIZE, Size, as_shape, image_shape
from jaxlatent.data.source import ImageSource, Labels, no_labels
from jaxlatent.data.splits import SPLITS, fair_choice
from jaxlatent.data.tfds import open_tfds

_Path = str | os.PathLike[str]
_Images = UInt8[np.ndarray | Rows, "n h w c"]
_FORMS = "a folder of images, a .zip of images, a .npy or .npz, synthetic:N, celeba:DIR or tfds:NAME"
_SPLIT_STRIDE = 1 << 30  # faces between the starts of two splits of the procedural faces


class LoadOptions(TypedDict, total=False):
    """The options of `load_images`."""

    image_size: Size | None
    channels: int | None
    split: str | None
    limit: int | None
    cache: _Path | Literal[False] | None
    strict: bool
    seed: int
    data_dir: _Path | None
    progress: bool


def load_images(
    spec: _Path | Shaped[np.ndarray, "..."] | Shaped[jax.Array, "..."],
    *,
    image_size: Size | None = None,
    channels: int | None = None,
    split: str | None = None,
    limit: int | None = None,
    cache: _Path | Literal[False] | None = None,
    strict: bool = False,
    seed: int = 0,
    data_dir: _Path | None = None,
    progress: bool = False,
) -> _Images:
    """Loads images as 8-bit RGB or grey, all of one size.

    Sources, by `spec`:

    - `"synthetic:N"` or `"synthetic:N@SEED"`: N procedural faces; no files needed.
    - `"celeba:DIR"`: CelebA's official files: `img_align_celeba.zip` (or that folder, unpacked) and
      the text files beside it; the centred 140 x 140 of 178 x 218 pixels is kept.
    - `"tfds:NAME[/CONFIG][:VERSION]"`: a data set prepared by TensorFlow Datasets as array_record,
      read without TensorFlow; celeb_a is cropped as above.
    - a folder or a .zip of images (PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF, JPEG 2000, PPM, TGA) at any depth,
      in the order of the paths; sub-folders that are no splits are classes. Links to folders are followed.
    - a .npy or .npz (its `images`, `arr_0` or only array), or an array: (n, h, w, c) with c = 1, 3
      or 4, or (n, h, w); uint8, or floating point in [0, 1].
    - a .npz of `x_train` and `x_test`, such arrays, as Keras's mnist.npz; with `y_train` and `y_test`,
      integers (n,), for their classes.

    Images are turned upright by EXIF; the largest centred part of the proportions asked for is kept.
    Resizing is anti-aliased. Grey and colour become each other as `channels` says, transparency is
    composited over white, 16-bit is scaled to 8-bit; of an animation the first frame counts. An image of
    more than 50 million pixels, or one in a .zip that unpacks to more than 200 MB, counts as unreadable.

    Splits: CelebA, TFDS and a .npz of `x_train` bring their own, and a folder or .zip may hold sub-folders
    train, validation (or val, valid) and test, and no others beside them: else they are classes. A
    validation or test split that is lacking is taken out of the training images, 5 % each, by a hash of
    the names: an image stays in its split whatever images come or go. Where that leaves a split without
    an image, it gets one of at least three. With CelebA's own files a lacking split is an error. Of
    procedural faces each split gives N others.

    Args:
        spec: where the images come from.
        image_size: of the images returned, in pixels: the side of squares, or (height, width). Where not
            given, that of the data if all images have one, of 16 to 64 pixels, else 64. Of files, 256 are
            looked at, which a hash of their names chooses.
        channels: 3 for RGB, 1 for grey. Where not given, 1 if all images (of files: these 256) are grey.
        split: "train", "validation" or "test"; None for all images (procedural faces: train).
        limit: at most so many images of the split, unreadable ones counted; None: all. They are
            chosen by a hash of their names, of an array by that of their numbers, and stay in their
            order: fair to all folders, and a part of those of any larger limit. Of procedural faces
            the first, as each is drawn on its own.
        cache: folder that keeps decoded images, so that they are decoded once; None for
            $JAXLATENT_CACHE, else $XDG_CACHE_HOME/jaxlatent, else ~/.cache/jaxlatent; False for
            none. Procedural faces and arrays in memory are not kept. Beyond 50 GB ($JAXLATENT_CACHE_GB)
            what was unused for longest is removed; `jaxlatent cache` lists what is there.
        strict: fail at an unreadable image; else such images are left out, with one warning.
        seed: of the procedural faces, where `spec` names none; unused otherwise.
        data_dir: TFDS's data folder, for `tfds:` alone; None for $TFDS_DATA_DIR or else TFDS's
            default.
        progress: show a progress bar.

    Returns:
        uint8 (n, h, w, 3), or (n, h, w, 1) of grey images: an array, perhaps a read-only memory map or a
        view of the array given; or, of a file's or the cache's images some, an array-like that reads them as
        they are asked for (`jaxlatent.data.Rows`), all of them for `np.asarray`. `load_labelled` gives
        labels, too.

    Raises:
        FileNotFoundError: if a path, one of CelebA's files or a prepared data set is missing.
        OSError: if the cache cannot be written.
        TypeError: if an argument or an array has the wrong type.
        ValueError: if an argument is out of its range or not understood, a source holds no images
            (of the split), none can be read, or one cannot and `strict` is set.
    """
    options = LoadOptions(
        image_size=image_size,
        channels=channels,
        split=split,
        limit=limit,
        cache=cache,
        strict=strict,
        seed=seed,
        data_dir=data_dir,
        progress=progress,
    )
    return _load(spec, options, labelled=False)[0]


def load_labelled(
    spec: _Path | Shaped[np.ndarray, "..."] | Shaped[jax.Array, "..."], **options: Unpack[LoadOptions]
) -> tuple[_Images, Labels]:
    """Loads images and what is known of each: attributes (CelebA's), factors (procedural faces) or classes.

    Args:
        spec: see `load_images`.
        **options: as there.

    Returns:
        The images of `load_images`, (n, h, w, c), and the labels of the same n.

    Raises:
        ValueError: if the source has no labels; else as there.
    """
    images, labels = _load(spec, options, labelled=True)
    assert labels is not None
    return images, labels


def _load(
    spec: _Path | np.ndarray | jax.Array, options: LoadOptions, *, labelled: bool
) -> tuple[_Images, Labels | None]:
    split, limit, strict = options.get("split"), options.get("limit"), options.get("strict", False)
    data_dir, progress = options.get("data_dir"), options.get("progress", False)
    size, channels = as_shape(options.get("image_size"), options.get("channels"))
    seed = as_seed(options.get("seed", 0))
    split = None if split is None else as_choice("split", split, SPLITS)
    limit = None if limit is None else as_count("limit", limit, 1)
    folder = cache_folder(options.get("cache"))
    kind, rest = _kind(spec)
    if data_dir is not None and kind != "tfds":
        raise ValueError("data_dir: only for a spec tfds:NAME; leave it out")
    if kind == "synthetic":
        side = _synthetic_side(size, channels)
        return _synthetic(rest, side, split, limit, seed, labelled=labelled, progress=progress)

    source = _open(spec, kind, rest, data_dir)
    if labelled and source.labels is None:
        raise no_labels(source.title)
    everything = np.arange(len(source.names))
    chosen = everything if split is None else everything[np.asarray(source.partition()) == split]
    if not len(chosen):
        raise ValueError(f"{source.title}: none of its {len(everything)} images is of the split {split}")
    chosen = fair_choice(source.names, chosen, limit)
    # Before the long work, as the labels' files may be missing.
    labels = source.labels(chosen) if labelled and source.labels else None
    failures: list[Unreadable] = []
    shape = image_shape(source, size, channels)
    if source.pixels is not None and source.pixels.shape[1:] == shape:
        images = take(source.pixels, chosen)
    else:
        images, failures = _decoded(source, chosen, shape, folder, strict=strict, progress=progress)
    if failures:
        if len(failures) == len(images):
            raise ValueError(
                f"{source.title}: none of the {len(images)} images can be read; the first, "
                f"{failures[0].name}: {failures[0].reason}"
            )
        warnings.warn(
            f"{source.title}: left out {len(failures)} of {len(images)} images that cannot be "
            f"read; the first, {failures[0].name}: {failures[0].reason}",
            stacklevel=3,
        )
        readable = np.delete(np.arange(len(images)), [failure.index for failure in failures])
        images = take(images, readable)
        labels = labels and labels.take(readable)
    return images, labels


def loaded_shape(
    spec: _Path, *, image_size: Size | None = None, channels: int | None = None
) -> tuple[int, int, int]:
    """Height, width and channels of what `load_images` gives for the same arguments; errors as there."""
    size, channels = as_shape(image_size, channels)
    kind, rest = _kind(spec)
    if kind == "synthetic":
        side = _synthetic_side(size, channels)
        return side, side, 3
    return image_shape(_open(spec, kind, rest, None), size, channels)


def _kind(spec: object) -> tuple[str, str]:
    """The source that `spec` names ("" for a path or an array), and the text after the colon."""
    if isinstance(spec, str) and not Path(spec).exists():
        prefix, colon, rest = spec.partition(":")
        if colon and prefix in ("synthetic", "celeba", "tfds"):
            if not rest:
                raise ValueError(f"spec: nothing after the colon in {spec!r}; expected {_FORMS}")
            return prefix, rest
        if colon and re.fullmatch(r"\w{2,}", prefix):
            raise ValueError(f"spec: unknown source {prefix!r} in {spec!r}; expected {_FORMS}")
    return "", ""


def _open(spec: _Path | np.ndarray | jax.Array, kind: str, rest: str, data_dir: _Path | None) -> ImageSource:
    if not isinstance(spec, (str, os.PathLike)):
        if not hasattr(spec, "__array__"):
            raise TypeError(f"spec: expected {_FORMS}, or an array, got {type(spec).__name__}")
        return open_array(np.asarray(as_array("spec", spec)), "spec")
    title = os.fspath(spec)
    if kind == "tfds":
        return open_tfds(rest, data_dir, title)
    path = Path(rest or title).expanduser()
    if not title or not path.exists():
        raise FileNotFoundError(f"spec: no such file or folder: {title!r}; expected {_FORMS}")
    if kind == "celeba":
        return open_celeba(path, title)
    if path.is_dir():
        return open_folder(path, title)
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return open_zip(path, title)
    if suffix in (".npy", ".npz"):
        opened = open_split_npz if suffix == ".npz" and has_splits(path) else open_array_file
        return opened(path, title, f"{path.resolve()}|{state(path)}")
    raise ValueError(f"spec: cannot load {title!r}; expected {_FORMS}")


def _decoded(
    source: ImageSource,
    chosen: Int[np.ndarray, " m"],
    shape: tuple[int, int, int],
    folder: Path | None,
    *,
    strict: bool,
    progress: bool,
) -> tuple[_Images, list[Unreadable]]:
    """The chosen images, from the cache or else decoded (and cached)."""
    fill = partial(decode, source, strict=strict, progress=progress)
    if folder is None or source.fingerprint is None:
        images = np.zeros((len(chosen), *shape), np.uint8)
        return images, fill(chosen, images)
    return cached(folder, source, chosen, shape, fill)


def _synthetic_side(size: int | tuple[int, int] | None, channels: int | None) -> int:
    if isinstance(size, tuple) or channels == 1:
        raise ValueError(
            "image_size, channels: procedural faces are squares in RGB; leave out what asks for others"
        )
    return DEFAULT_SIZE if size is None else size


def _synthetic(
    text: str,
    image_size: int,
    split: str | None,
    limit: int | None,
    seed: int,
    *,
    labelled: bool,
    progress: bool,
) -> tuple[_Images, Labels | None]:
    """Procedural faces; each split has its own range of indices, so splits share no face."""
    match = re.fullmatch(r"(\d+)(?:@(\d+))?", text)
    if not match or not 0 < int(match[1]) <= _SPLIT_STRIDE:
        raise ValueError(
            f"spec: expected synthetic:N or synthetic:N@SEED with whole numbers, N from 1 to "
            f"2**30, got 'synthetic:{text}'"
        )
    n = int(match[1]) if limit is None else min(int(match[1]), limit)
    seed = seed if match[2] is None else int(match[2])
    start = SPLITS.index(split or "train") * _SPLIT_STRIDE
    images = synthetic_faces(n, image_size=image_size, seed=seed, start=start, progress=progress)
    factors = np.asarray(sample_factors(seed, start, n)) if labelled else None
    return images, None if factors is None else Labels(FACTORS, factors)
