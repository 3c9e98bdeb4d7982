"""What shape images get where nobody has said: that of the data, or 64 pixels."""

from contextlib import suppress

import numpy as np

from jaxlatent._boundary import as_channels, as_image_size
from jaxlatent.data.decode import is_grey, upright_size
from jaxlatent.data.source import ImageSource
from jaxlatent.data.splits import fair_choice

#: The side of squares, or (height, width).
Size = int | tuple[int, int]

DEFAULT_SIZE = 64
_SMALLEST = 16
# Images that are looked at, of any number.
_SAMPLE = 256


def as_shape(size: Size | None, channels: int | None) -> tuple[Size | None, int | None]:
    """Size and channels as a user gives them, checked; None where not given.

    Raises:
        TypeError, ValueError: if they are no integers, or out of range.
    """
    channels = None if channels is None else as_channels("channels", channels)
    return None if size is None else as_image_size("image_size", size), channels


def image_shape(
    source: ImageSource, size: Size | None = None, channels: int | None = None
) -> tuple[int, int, int]:
    """Height, width and channels that the images of a source are loaded with.

    Some of them, which a hash of their names chooses, are opened where one of the two is not given.

    Args:
        source: of the images.
        size: of squares, or (height, width). Where not given, that of all images looked at, if they are
            alike, of at least 16 pixels and not above 64; else 64.
        channels: 1 or 3. Where not given, 1 if all images looked at are grey.
    """
    if size is None or channels is None:
        sizes, kinds = _looked_at(source)
        if channels is None:
            channels = 1 if kinds == {1} else 3
        if size is None:
            size = _own_size(sizes)
    height, width = (size, size) if isinstance(size, int) else size
    return height, width, channels


def _looked_at(source: ImageSource) -> tuple[set[tuple[int, int]], set[int]]:
    """The sizes, and the numbers of channels, that are found."""
    if source.pixels is not None:
        height, width, channels = source.pixels.shape[1:]
        return {(height, width)}, {channels}
    sizes, kinds = set(), set()
    for i in fair_choice(source.names, np.arange(len(source.names)), _SAMPLE):
        # Whoever needs the image will report what is wrong with it.
        with suppress(Exception), source.open(int(i)) as image:
            # Before it is turned upright, a PNG is decoded, and of large images the size is no matter.
            sizes.add(upright_size(image) if max(image.size) <= DEFAULT_SIZE else image.size)
            kinds.add(1 if is_grey(image) else 3)
    return sizes, kinds


def _own_size(sizes: set[tuple[int, int]]) -> Size:
    if len(sizes) == 1:
        (size,) = sizes
        if min(size) >= _SMALLEST and max(size) <= DEFAULT_SIZE:
            return size
    return DEFAULT_SIZE
