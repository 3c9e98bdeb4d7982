"""A look at an array that may be larger than memory."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

# Beyond so many bytes, as many are looked at, spread over all.
_BYTES = 2**30
_BLOCK_BYTES = 2**24


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
