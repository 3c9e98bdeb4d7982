"""Latent vectors from files of any other program."""

import os
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float

from jaxlatent._boundary import as_vectors


def load_latents(path: str | os.PathLike[str]) -> Float[np.ndarray, " n *latent"]:
    """Reads latent vectors from a .npy file, or from a .npz file that holds one array (n, d) or (n, c, h, w).

    Args:
        path: of the file; floating-point numbers.

    Returns:
        float32, in the shape that they have.

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError: if the numbers are not floating point.
        ValueError: if the file holds no such array, or more than one, or values that are not finite.
    """
    # Opened here: numpy would leave a file open that it cannot read.
    with Path(path).open("rb") as file:
        try:
            found = np.load(file, allow_pickle=False)
            arrays = dict(found) if isinstance(found, np.lib.npyio.NpzFile) else {"": found}
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path}: not a .npy or .npz file of numbers; write it with numpy.save"
            ) from error
    tables = [array for array in arrays.values() if array.ndim > 1]
    if len(tables) != 1:
        shapes = ", ".join(f"{name} {array.shape}".strip() for name, array in arrays.items())
        raise ValueError(
            f"{path}: expected one array (n, d), found {shapes or 'nothing'}; write it with numpy.save"
        )
    (z,) = tables
    flat = as_vectors(Path(path).name, z)
    bad = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if bad.size:
        raise ValueError(f"{path}: {bad.size} vectors are not finite, the first is {bad[0]}; remove them")
    return np.asarray(flat, np.float32).reshape(z.shape)


def holds_vectors(path: str | os.PathLike[str]) -> bool:
    """Whether a .npy or .npz file holds vectors (n, d), and no images; only its headers are read."""
    path = Path(path)
    try:
        if path.suffix == ".npy":
            with path.open("rb") as file:
                return _dimensions(file) == 2
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                members = [archive.open(name) for name in archive.namelist()]
                return max(map(_dimensions, members), default=0) == 2
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # those who read it all will say so
        pass
    return False


def _dimensions(file: IO[bytes]) -> int:
    with file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        return len(read(file)[0])
