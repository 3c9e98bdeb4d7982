"""Shards of NumPy's own format, one file an item: images-00000.npy, latents-00000.npy."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxlatent._files import atomic_path
from jaxlatent.generation.formats.base import Entry, Format, Shard, entry, shard_name


class NpyFormat(Format):
    """Memory-mappable: `np.load("images-00000.npy", mmap_mode="r")`."""

    def write(self, shard: Shard, arrays: Mapping[str, np.ndarray]) -> tuple[Entry, ...]:
        """See `Format.write`."""
        names = []
        for item, array in arrays.items():
            name = shard_name(item, shard.number, ".npy")
            write_npy(self.folder / name, array)
            names.append(name)
        return tuple(entry(self.folder, name) for name in names)


def write_npy(path: Path, array: np.ndarray) -> None:
    """Writes a .npy file durably."""
    with atomic_path(path, durable=True) as temporary, temporary.open("wb") as file:
        file.write(npy_header(array.shape, array.dtype))
        # Not by np.save, whose OSError of a full disk lacks the cause.
        file.write(np.ascontiguousarray(array).data)


def npy_header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """What a .npy file, version 1.0, of an array in C order holds before the values."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()
