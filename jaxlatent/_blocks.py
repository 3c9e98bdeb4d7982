"""How much of many images is in memory at once."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

# Beyond so many bytes, as many are looked at, spread over all.
_BYTES = 2**30
_BLOCK_BYTES = 2**24
# In a batch for a network, where nobody says how many. A CPU decodes twice as fast where a batch is small
# enough for its caches.
_IMAGES, _PIXELS, _PIXELS_CPU = 256, 256 * 64 * 64, 64 * 64 * 64


def images_at_once(shape: Sequence[int]) -> int:
    """How many images (h, w, c) a network works on: 256 of 64 x 64 pixels, on a CPU 64; never above 256."""
    pixels = _PIXELS_CPU if jax.default_backend() == "cpu" else _PIXELS
    return max(1, min(_IMAGES, pixels // (shape[0] * shape[1])))


def spread_blocks(rows: Any) -> Iterator[np.ndarray]:
    """Blocks of 16 MB: all of an array; of more than a gibibyte, evenly spread ones that make up one.

    Args:
        rows: (n, ...): an array, a memory map, or anything that has a shape and a dtype and gives arrays for
            slices.
    """
    n = rows.shape[0]
    each = max(1, math.prod(rows.shape[1:]) * np.dtype(rows.dtype).itemsize)
    size = max(1, _BLOCK_BYTES // each)
    starts = np.arange(0, n, size)
    most = max(1, _BYTES // (size * each))
    if len(starts) > most:
        starts = starts[np.linspace(0, len(starts) - 1, most).astype(int)]
    for start in starts.tolist():
        yield np.asarray(rows[start : start + size])
