"""An image that a person brings: bounded before it is decoded, then treated like all images."""

import io

import numpy as np
from jaxtyping import UInt8

from jaxlatent.data.decode import open_image, to_pixels

#: Of a file, in bytes.
LARGEST = 20_000_000


def read_image(content: bytes, shape: tuple[int, int, int]) -> UInt8[np.ndarray, "h w c"]:
    """Decodes an image file as `load_images` does.

    Args:
        content: of the file.
        shape: height, width and channels of the result.

    Raises:
        ValueError: if it is no image, or one of more than 50 million pixels; only the header of such is read.
    """
    try:
        return to_pixels(open_image(io.BytesIO(content)), shape)
    except Exception as error:  # decoders meet damaged data with errors of every kind
        reason = " ".join(str(error).split()) or type(error).__name__
        if "cannot identify image file" in reason:
            reason = "is no image that can be read; give a PNG, JPEG or WebP"
        raise ValueError(f"image: {reason}") from None
