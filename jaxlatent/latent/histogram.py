"""How many values of each component lie in each of equal bins."""

import numpy as np
from jaxtyping import Array, Float, Int64

from jaxlatent.latent.sharded import Vectors, on_host

_ROWS = 4096


def component_counts(
    y: Float[Vectors, "n k"],
    start: Float[Array | np.ndarray, " k"],
    width: Float[Array | np.ndarray, " k"],
    bins: int,
) -> Int64[np.ndarray, "k cells"]:
    """Counts the values of each component in `bins` bins of its own width, in one pass.

    In float32 where the values are no longer, so that one within 1e-7 of an edge may count on either side.

    Args:
        y: components, finite, (n, k); a memory map, or shards, are read in batches.
        start: lower edge of each component's first bin, (k,), in its unit.
        width: of each component's bins, (k,), > 0.
        bins: their number.

    Returns:
        (k, bins + 2): first the values below the bins, last those above.
    """
    z, (n, k) = on_host(y), y.shape
    dtype = np.promote_types(z.dtype, np.float32)
    start, scale = np.asarray(start, dtype), (1 / np.asarray(width, np.float64)).astype(dtype)
    counts = np.zeros(k * (bins + 2), np.int64)
    column = np.arange(k, dtype=np.int32) * np.int32(bins + 2)
    for begin in range(0, n, _ROWS):
        place = np.subtract(z[begin : begin + _ROWS], start, dtype=dtype)
        place *= scale
        place += 1
        np.clip(place, 0, bins + 1, out=place)
        counts += np.bincount((place.astype(np.int32) + column).ravel(), minlength=counts.size)
    return counts.reshape(k, bins + 2)
