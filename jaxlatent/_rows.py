"""Some rows of an array on disk, without reading them."""

from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.lib.mixins import NDArrayOperatorsMixin


class Rows(NDArrayOperatorsMixin):
    """Chosen rows of a memory map, as one read-only array of which nothing is in memory.

    A slice, an integer, an array of integers or a mask, alone or first in a tuple, reads the rows it names.
    What else NumPy's arrays can do, arithmetic and `mean` say, reads all of them.

    Args:
        array: (m, ...).
        rows: the numbers of those that it has, in their order.

    Attributes:
        array: as given.
        rows: as given.
        shape: (n, ...).
        dtype: of the array.
    """

    def __init__(self, array: Any, rows: Int[np.ndarray, " n"]):
        self.array, self.rows = array, rows
        self.shape: tuple[int, ...] = (len(rows), *array.shape[1:])
        self.dtype = array.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that all rows take."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Rows(shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, index: Any) -> np.ndarray:
        first, *rest = index if isinstance(index, tuple) and index else (index,)
        if first is None or first is Ellipsis:
            return np.asarray(self)[index]
        rows = self.rows[first]
        found = self._found(np.ravel(rows)).reshape(*np.shape(rows), *self.shape[1:])
        return found[(*[slice(None)] * np.ndim(rows), *rest)]

    def _found(self, rows: Int[np.ndarray, " m"]) -> np.ndarray:
        return np.asarray(self.array[rows])

    def take(self, rows: Int[np.ndarray, " m"]) -> "np.ndarray | Rows":
        """Some of the rows, by their numbers."""
        return take(self.array, self.rows[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("images: rows of a file cannot be one array in memory without a copy")
        return self[:].astype(dtype or self.dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        inputs = tuple(np.asarray(x) if isinstance(x, Rows) else x for x in inputs)
        return getattr(ufunc, method)(*inputs, **options)

    def __getattr__(self, name: str) -> Any:
        # Whether there is a hidden one is often asked, and to answer must not read all.
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"Rows has no {name}")
        return getattr(np.asarray(self), name)


class WithMirrored(Rows):
    """Images and, after them, the mirror image of each, left to right; of which nothing new is in memory.

    Args:
        images: (n, h, w, c), anything that has a shape and a dtype and gives arrays for slices.
        rows: numbers of those that it has, of 2n; all where not given.
    """

    def __init__(self, images: Any, rows: Int[np.ndarray, " m"] | None = None):
        super().__init__(images, np.arange(2 * len(images)) if rows is None else rows)

    def _found(self, rows: Int[np.ndarray, " m"]) -> np.ndarray:
        n, found = len(self.array), np.empty((len(rows), *self.shape[1:]), self.dtype)
        for chosen, step in ((rows < n, 1), (rows >= n, -1)):
            if chosen.any():
                found[chosen] = _read(self.array, rows[chosen] % n)[:, :, ::step]
        return found

    def take(self, rows: Int[np.ndarray, " m"]) -> "WithMirrored":
        """Some of the rows, by their numbers."""
        return WithMirrored(self.array, self.rows[rows])


def take(array: "np.ndarray | Rows", rows: Int[np.ndarray, " n"]) -> "np.ndarray | Rows":
    """Some rows, n >= 1: a view where they follow one another, `Rows` of a memory map, else a copy."""
    if isinstance(array, Rows):
        return array.take(rows)
    if _follow(rows) or not _is_mapped(array):
        return _read(array, rows)
    return Rows(array, rows)


def _read(array: Any, rows: Int[np.ndarray, " m"]) -> np.ndarray:
    """Rows of anything that gives arrays for slices; a slice where they follow one another."""
    return array[int(rows[0]) : int(rows[0]) + len(rows)] if _follow(rows) else array[rows]


def _follow(rows: Int[np.ndarray, " m"]) -> bool:
    """Whether each number is the one before it and 1."""
    start, stop = int(rows[0]), int(rows[0]) + len(rows)
    return int(rows[-1]) == stop - 1 and np.array_equal(rows, np.arange(start, stop))


def _is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False
