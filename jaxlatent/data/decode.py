"""Images of any kind to equal ones of 8-bit RGB or grey, on all cores."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from jaxlatent._cores import cores
from jaxlatent._progress import progress_bar
from jaxlatent.data.source import ImageSource

#: Of an image; its header says how many it has.
MOST_PIXELS = 50_000_000
#: Of a file whose size is known before it is read, or unpacked: that of so many pixels and transparency.
MOST_BYTES = 4 * MOST_PIXELS

# Of all that Pillow reads; others start programs, or change their size while they are decoded. Of those that
# a build of Pillow lacks it takes no notice.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA")
_CHUNK = 64
# Of EXIF's eight orientations, from this one on height and width are exchanged.
_FIRST_TURNED = 5


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be decoded.

    Attributes:
        index: its place among the images asked for.
        name: its name in the source.
        reason: one line.
    """

    index: int
    name: str
    reason: str


def open_image(file: Path | BytesIO) -> Image.Image:
    """Opens an image file; nothing but its header is read yet.

    Raises:
        ValueError: if it has more than 50 million pixels.
        OSError: if it cannot be read, or is no PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF, JPEG 2000, PPM or TGA.
    """
    image = Image.open(file, formats=_FORMATS)
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        raise ValueError(f"has {width} x {height} pixels; give one of at most {MOST_PIXELS // 10**6} million")
    return image


def is_grey(image: Image.Image) -> bool:
    """Whether an image file says that it has no colours."""
    return image.mode in ("1", "L", "LA") or image.mode.startswith("I")


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Height and width once the image is turned as its EXIF says."""
    height, width = image.height, image.width
    return (width, height) if image.getexif().get(Base.Orientation, 1) >= _FIRST_TURNED else (height, width)


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """Any Pillow image to 8-bit RGB, 3 channels, or grey, 1 channel.

    Grey is repeated over the channels, or colours are weighed as ITU-R 601-2 luma; a palette is looked up,
    transparency is composited over white, 16-bit grey is scaled to 8 bit; of an animation the first frame
    counts.

    Raises:
        ValueError: for pixels of unknown range (floating point, integers outside 0 to 65535).
    """
    mode = "L" if channels == 1 else "RGB"
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("integer pixels outside 0 to 65535 have no known range")
        return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert(mode)


def to_pixels(
    image: Image.Image, shape: tuple[int, int, int], crop: int | None = None
) -> UInt8[np.ndarray, "h w c"]:
    """Turns upright by EXIF, keeps the largest centred part of the shape's proportions, resizes it.

    Resized with Lanczos, whose kernel Pillow widens by the factor of reduction: no aliasing at any
    factor. A box filter weighs neighbours unevenly at fractional factors such as 140 to 64, and the
    triangle blurs more; decoding takes most of the time whatever the filter. Smaller images are
    enlarged.

    Args:
        image: as opened.
        shape: height, width and channels of the result.
        crop: side in pixels of a centred square that the part has to lie in.
    """
    height, width, channels = shape
    high, wide = (min(side, crop or side) for side in upright_size(image))
    part_height = min(high, wide * height / width)
    part_width = part_height * width / height
    # libjpeg decodes at 1/2, 1/4 or 1/8 for less work; twice the final size is left to the filter.
    fit = 2 * height / part_height
    before = image.width
    image.draft(None, (max(1, int(image.width * fit)), max(1, int(image.height * fit))))
    scale = before / image.width
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    image = to_mode(image, channels)
    part_width, part_height = (
        min(max(1, round(part / scale)), side)
        for part, side in zip((part_width, part_height), image.size, strict=True)
    )
    left, top = (image.width - part_width) // 2, (image.height - part_height) // 2
    part = image.crop((left, top, left + part_width, top + part_height))
    return np.asarray(part.resize((width, height), Image.Resampling.LANCZOS)).reshape(shape)


def decode(
    source: ImageSource,
    indices: Int[np.ndarray, " n"],
    out: Any,
    *,
    strict: bool = False,
    progress: bool = False,
) -> list[Unreadable]:
    """Decodes images; the rows of unreadable ones stay as they are.

    Threads, not processes: Pillow decodes and resizes without Python's lock, and nothing is copied
    between processes.

    Args:
        source: of the images.
        indices: which ones, n of them.
        out: uint8 (n, h, w, c), or what has such a shape and takes `out[i] = pixels`.
        strict: fail at an unreadable image.
        progress: show a bar where standard error is a terminal.

    Returns:
        The unreadable images, in order.

    Raises:
        ValueError: with `strict`, if an image cannot be read.
    """

    def work(start: int) -> tuple[int, list[Unreadable]]:
        failed = []
        stop = min(start + _CHUNK, len(indices))
        for row in range(start, stop):
            index = int(indices[row])
            try:
                with source.open(index) as image:
                    pixels = to_pixels(image, out.shape[1:], source.crop)
            except Exception as error:  # decoders meet damaged data with errors of every kind
                reason = " ".join(str(error).split()) or type(error).__name__
                failed.append(Unreadable(row, source.names[index], reason))
                if strict:
                    break
            else:
                out[row] = pixels
        return stop - start, failed

    failures: list[Unreadable] = []
    pool = ThreadPoolExecutor(cores())
    try:
        with progress_bar("Decoding", len(indices), "images", enabled=progress) as advance:
            for count, failed in pool.map(work, range(0, len(indices), _CHUNK)):
                failures += failed
                if strict and failed:
                    refuse(source.title, failed)
                advance(count)
    finally:
        pool.shutdown(cancel_futures=True)  # or Ctrl-C would wait for all that is queued
    return failures


def refuse(title: str, failures: list[Unreadable]) -> None:
    """Raises the error of `strict`, naming the first unreadable image."""
    first = failures[0]
    raise ValueError(
        f"{title}: cannot read the image {first.name}: {first.reason}; repair or remove it, or "
        "skip unreadable images with strict=False"
    )
