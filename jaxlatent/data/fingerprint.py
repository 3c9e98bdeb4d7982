"""A digest of images, to tell whether they are the same ones."""

import hashlib
from typing import Any

import numpy as np

from jaxlatent._blocks import spread_blocks


def fingerprint(images: Any) -> str:
    """The SHA-256 digest of shape, dtype and pixels, hexadecimal.

    Of more than a gibibyte, some: see `spread_blocks`.

    Args:
        images: (n, h, w, c), n >= 1: an array, a memory map, or anything that has a shape and a dtype and
            gives arrays for slices.
    """
    hashed = hashlib.sha256(f"{np.dtype(images.dtype).name}{list(images.shape)}".encode())
    for block in spread_blocks(images):
        hashed.update(np.ascontiguousarray(block).tobytes())
    return hashed.hexdigest()
