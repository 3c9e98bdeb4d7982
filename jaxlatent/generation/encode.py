"""Encoding at scale: images of any number into one memory-mapped file of latent vectors."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float, Shaped

from jaxlatent import processes
from jaxlatent._boundary import as_array, as_batch_size, as_images
from jaxlatent._rows import Rows, WithMirrored
from jaxlatent.data.fingerprint import fingerprint
from jaxlatent.generation.digest import identity
from jaxlatent.generation.formats import Item, Layout, Shard
from jaxlatent.generation.formats.rows import RowsFormat
from jaxlatent.generation.job import Job, Part

if TYPE_CHECKING:
    from jaxlatent.autoencoder import Autoencoder

_SHARD_SIZE = 8192


def encode_to(
    path: str | os.PathLike[str],
    model: "Autoencoder",
    images: str | os.PathLike[str] | Shaped[np.ndarray | Rows, "n h w c"] | Any,
    *,
    split: str | None = "train",
    mirror: bool = False,
    batch_size: int | None = None,
    progress: bool = False,
) -> Float[np.ndarray, "n d"]:
    """Maps images to latent vectors as `encode` does, into a .npy file, with constant memory.

    What is finished of an interrupted call is kept in a hidden folder beside the file, and the same call goes
    on there. Where JAX runs in several processes, each encodes its part of the images.

    Args:
        path: the .npy file, float32 (n, d), or (2n, d) with mirror images; one that is there already is
            replaced in the end.
        model: from `fit_autoencoder` or `load_model`.
        images: uint8 or floating point in [0, 1], (n, h, w, c) of the model's size: an array, a memory map or
            anything that has a shape and a dtype and gives arrays for slices, as h5py's and zarr's arrays do;
            or a source as `load_images` takes it, whose images are then kept in its cache on disk.
        split: of a source, "train", "validation" or "test"; None for all images. Arrays are encoded whole.
        mirror: encode the mirror images, left to right, after the images: 2n rows. For images of which either
            could be in the data, these are n more z-points; a training that mirrors has shown them.
        batch_size: images at once; where not given as in `encode`.
        progress: show a bar where standard error is a terminal.

    Returns:
        The file as a read-only memory map.

    Raises:
        ValueError: if the images are not of the model's size, `path` does not end in .npy, or another process
            is writing to it.
        TypeError: if they are neither uint8 nor floating point.
        OSError: if a file cannot be read or written.
    """
    from jaxlatent.autoencoder.inference import encode
    from jaxlatent.data import load_images

    path = Path(path)
    if path.suffix != ".npy":
        raise ValueError(f"path: expected a name that ends in .npy, got {path}")
    batch_size = as_batch_size(batch_size, model.config.image_shape)
    if isinstance(images, (str, os.PathLike)):
        config = model.config
        images = load_images(
            images, image_size=config.image_size, channels=config.channels, split=split, progress=progress
        )
    elif isinstance(images, np.ndarray) or hasattr(images, "detach"):
        images = as_array("images", images)
    if mirror:
        images = WithMirrored(images)
    # Of what is read by slices, `encode` converts each.
    as_images("images", images[0:1], model.config.image_shape, least=1)
    n, dimension = images.shape[0], model.config.latent_dim

    def compute(shards: Iterable[Shard]) -> Iterator[Part]:
        for shard in shards:
            for start in range(shard.start, shard.stop, batch_size):
                part = images[start : min(start + batch_size, shard.stop)]
                z = np.asarray(encode(model, part, batch_size=batch_size))
                yield shard, start, {"latents": z}

    layout = Layout(n, _SHARD_SIZE, {"latents": Item((dimension,), np.dtype(np.float32))})
    folder = path.with_name(f".{path.name}.partial")
    asked = {"model": identity(model), "images": fingerprint(images)}
    with Job(folder, asked, layout, RowsFormat, force=True) as job:
        job.run(compute, "images", progress=progress)
    if jax.process_index() == 0:
        (folder / "latents.npy").replace(path)
        shutil.rmtree(folder)
    processes.agree(None, "encoded")
    return np.load(path, mmap_mode="r")
