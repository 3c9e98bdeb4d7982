"""Bulk generation into a folder: any number of latent vectors and images, nothing lost."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np
from jax.sharding import Mesh

from jaxlatent._boundary import as_choice, as_count, as_key
from jaxlatent.generation.decoder import Decoder
from jaxlatent.generation.digest import identity
from jaxlatent.generation.formats import FORMATS, Item, Layout
from jaxlatent.generation.job import Job
from jaxlatent.generation.manifest import MANIFEST, Manifest, read_manifest
from jaxlatent.generation.program import Program
from jaxlatent.generation.tiles import Filter
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.tiles import power_of_two

Outputs = Literal["images", "latents", "both"]
FormatName = Literal["npy", "webdataset", "png", "tfds", "npz"]

_SHARD_BYTES = 64 << 20


def generate_to(
    path: str | os.PathLike[str],
    sampler: Sampler,
    decode: Any,
    n: int,
    *,
    key: jax.Array,
    outputs: Outputs = "images",
    format: FormatName = "npy",
    batch_size: int | None = None,
    shard_size: int | None = None,
    filter: Filter | None = None,
    decoder_id: str | None = None,
    origin: Mapping[str, Any] | None = None,
    mesh: Mesh | None = None,
    force: bool = False,
    progress: bool = False,
) -> Manifest:
    """Draws `n` latent vectors, decodes them to 8-bit images, and writes them to a folder.

    Vector i is vector i of `sampler.sample(key, n)`. It depends on (key, i) alone, and so does image i: both
    are the same for any batch size, number of devices and of processes, and after any number of
    interruptions. Images are so bit for bit on one kind of device, and within 1/255 on different kinds.

    A call on a folder that was not finished, for whatever reason, goes on there. Memory does not grow with n.
    Where JAX runs in several processes (`jax.distributed`), each writes its own shards of the same folder.

    Args:
        path: the folder; made if absent.
        sampler: any sampler of this package.
        decode: an `Autoencoder`, or a function from latent vectors (b, d) to images (b, h, w, c), uint8 or
            floating point in [0, 1], of JAX or of any other framework; None if outputs is "latents". Arrays
            that a `jax.tree_util.Partial` holds are arguments of the compiled program, others constants.
        n: number of vectors, from 1 to 2^32.
        key: a typed key, `jax.random.key(seed)`.
        outputs: "images" (uint8, rounded and clipped), "latents" (float32), or "both".
        format: "npy" (shards of one memory-mappable array each), "webdataset" (.tar shards), "png" (folders
            of files), "tfds" (array_record, for `tfds.builder_from_directory`), or "npz" (one file with the
            images as `arr_0`, as evaluators of generative models read it).
        batch_size: vectors at once over all devices, rounded up to whole tiles (64 images of 64 pixels a side
            on a CPU); None for what suits the device's free memory. Halved where memory does not suffice.
        shard_size: records in a shard; None for about 64 MiB.
        filter: a predicate, traceable by JAX, from latent vectors (b, d) to booleans (b,). A vector that it
            refuses is drawn anew under the next key, see `jaxlatent.generation.tiles.draw`.
        decoder_id: names the decoder in the manifest, where `decode` is a function whose weights cannot be
            seen; a call with another name on the same folder is refused.
        origin: what else the manifest should say of where the records come from, for JSON.
        mesh: whose devices to use, those of this process; None for all of them.
        force: if the folder holds other records, set it aside under a new name instead of refusing it.
        progress: show a bar where standard error is a terminal.

    Returns:
        The manifest of the finished folder.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the folder holds other things or other
            records than asked for; the message names it.
        OSError: if the folder cannot be written; what is finished is kept.
        MemoryError: if not even one record at a time fits the devices' memory.
        KeyboardInterrupt: after SIGINT, when the shards that were begun are written; SystemExit after
            SIGTERM.
    """
    key, n = as_key(key), as_count("n", n, 1)
    if n > 2**32:
        raise ValueError(f"n: expected at most 2^32, got {n}; use further keys for more")
    as_choice("outputs", outputs, get_args(Outputs))
    as_choice("format", format, get_args(FormatName))
    batch_size = None if batch_size is None else as_count("batch_size", batch_size, 1)
    shard_size = None if shard_size is None else as_count("shard_size", shard_size, 1)
    decoder = None
    items: dict[str, Item] = {}
    if outputs != "latents":
        if decode is None:
            raise ValueError('decode: needed for images; give one, or ask for outputs="latents"')
        decoder = Decoder.of(decode, sampler.latent_shape)
        items["images"] = Item(decoder.shape, np.dtype(np.uint8))
    if outputs != "images":
        items["latents"] = Item(sampler.latent_shape, np.dtype(np.float32))
    folder = Path(path)
    layout = Layout(n, shard_size or _shard_size(folder, items), items)
    asked = {
        "format": format,
        "key": {"impl": str(jax.random.key_impl(key)), "data": jax.random.key_data(key).tolist()},
        "sampler": identity(sampler),
        "decoder": None if decoder is None else {**identity(decode), "id": decoder_id},
        "filter": None if filter is None else identity(filter),
    }
    devices = None
    if mesh is not None:
        devices = [each for each in mesh.devices.flat if each.process_index == jax.process_index()]
        if not devices:
            raise ValueError("mesh: has no device of this process")
    with Job(folder, asked, layout, FORMATS[format], origin=origin, force=force) as job:
        program = Program(sampler, key, decoder, items, accept=filter, devices=devices, batch_size=batch_size)
        unit = "images" if decoder else "vectors"
        return job.run(program.stream, unit, progress=progress)


def _shard_size(folder: Path, items: dict[str, Item]) -> int:
    """That of the folder, so that a later version with another default goes on there; else the default."""
    if (folder / MANIFEST).is_file():
        return read_manifest(folder).layout.shard_size
    record = sum(item.nbytes for item in items.values())
    return power_of_two(_SHARD_BYTES // record)
