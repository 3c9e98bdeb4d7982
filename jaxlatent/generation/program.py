"""The compiled program of bulk generation: an index in, a batch of latent vectors and 8-bit images out."""

import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int32, UInt32

from jaxlatent._backend import free_memory
from jaxlatent._cores import cores
from jaxlatent.generation.decoder import Decoder, to_numpy, to_uint8
from jaxlatent.generation.formats import Item, Shard
from jaxlatent.generation.tiles import (
    MAX_TRIES,
    Filter,
    decode_tile,
    decode_tiles,
    draw,
)
from jaxlatent.sampling.draws import equip, tables, tile_size
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.tiles import power_of_two

log = logging.getLogger(__name__)

# Of results a batch; larger ones gain nothing.
_BATCH_BYTES = {"cpu": 8 << 20}
_BATCH_BYTES_ACCELERATOR = 1 << 30


class Program:
    """Draws, decodes and converts batches on all devices of a mesh.

    Args:
        sampler: draws the vectors.
        key: of the vectors.
        decoder: None where only vectors are wanted.
        items: which arrays of a record are wanted.
        accept: the filter, or None.
        devices: of this process; for `lower` alone, such as `jax.experimental.topologies` describes.
        batch_size: records a batch, over all devices together, rounded up to whole tiles; None for a size
            that fits a part of the device's free memory. It falls where the memory does not suffice.
    """

    def __init__(
        self,
        sampler: Sampler,
        key: jax.Array,
        decoder: Decoder | None,
        items: Mapping[str, Item],
        *,
        accept: Filter | None = None,
        devices: Sequence[jax.Device] | None = None,
        batch_size: int | None = None,
    ):
        self._devices = list(devices or jax.local_devices())
        self._described = not set(self._devices) <= set(jax.local_devices())
        self._decoder, self._items, self._accept = decoder, items, accept
        self._on_host = decoder is not None and decoder.host
        platform = self._devices[0].platform
        self._draw_tile = tile_size(sampler, platform)
        self._tile = self._draw_tile if decoder is None else decode_tile(decoder.shape, platform)
        if batch_size is None:
            record = sum(item.nbytes for item in items.values())
            self._tiles = power_of_two(_batch_bytes(self._devices[0]) // (record * self._tile))
        else:
            self._tiles = math.ceil(batch_size / (self._tile * len(self._devices)))
        # Computations of a CPU overlap; on an accelerator one runs while the one before is fetched.
        self._workers = 1 if self._on_host else cores() if platform == "cpu" else 2
        mesh = Mesh(np.array(self._devices), ("batch",))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._divided = NamedSharding(mesh, PartitionSpec("batch"))
        params = () if decoder is None or decoder.host else decoder.params
        leaves, self._structure = jax.tree.flatten((params, sampler, tables(sampler), key))
        self._leaves = [self._put(leaf, self._everywhere) for leaf in leaves]
        self._compiled: Any = None
        self._is_small = False

    @property
    def batch_size(self) -> int:
        """Records a batch, over all devices."""
        return self._tile * self._tiles * len(self._devices)

    def stream(self, shards: Iterable[Shard]) -> Iterator[tuple[Shard, int, dict[str, np.ndarray]]]:
        """Computes the records of `shards` in order, several batches at a time.

        Yields:
            The shard, the index of the first record, and the values of consecutive records of it: the wanted
            items, and "tries" (count,) int32, how often each vector was drawn.

        Raises:
            MemoryError: if not even a batch of one record a device fits its memory.
            ValueError: if the filter refuses a vector `MAX_TRIES` times, or an image is not finite.
        """
        shards = iter(shards)
        waiting: deque[_Range] = deque()
        running: deque[tuple[_Range, Future[dict[str, np.ndarray]]]] = deque()
        with ThreadPoolExecutor(self._workers) as pool:
            while True:
                try:
                    self._compile()
                    while len(running) <= self._workers and (cut := self._cut(waiting, shards)):
                        running.append((cut, pool.submit(self._batch, cut.begin, cut.stop)))
                    if not running:
                        return
                    arrays = running[0][1].result()
                except Exception as error:
                    if not _is_out_of_memory(error):
                        raise
                    waiting.extendleft(cut for cut, _ in reversed(running))
                    for _, future in running:
                        future.cancel()
                    wait([future for _, future in running])
                    running.clear()
                    self._halve(error)
                    continue
                (shard, begin, stop), _ = running.popleft()
                first = max(begin, shard.start)
                part = {name: array[first - begin : stop - begin] for name, array in arrays.items()}
                _check(part, first)
                yield shard, first, part

    def _cut(self, waiting: "deque[_Range]", shards: Iterator[Shard]) -> "_Range | None":
        """The next batch's range of records."""
        if not waiting:
            shard = next(shards, None)
            if shard is None:
                return None
            waiting.append(_Range(shard, shard.start // self._tile * self._tile, shard.stop))
        shard, begin, stop = waiting.popleft()
        middle = begin + self.batch_size
        if middle < stop:
            waiting.appendleft(_Range(shard, middle, stop))
        return _Range(shard, begin, min(middle, stop))

    def _halve(self, error: Exception) -> None:
        if self._tiles > 1:
            self._tiles //= 2
        elif self._tile > 1:
            self._tile //= 2
            self._is_small = True
        else:
            raise MemoryError(
                f"batch_size: not even one record at a time fits the device's memory ({_line(error)}); "
                "use a device with more memory"
            ) from error
        odd = "; single images may differ by 1/255 from those of other tiles" if self._is_small else ""
        log.warning("out of memory; going on with batches of %d%s", self.batch_size, odd)
        self._compiled = None

    def lower(self) -> jax.stages.Lowered:
        """The program of a batch before it is compiled; the devices need only be described."""
        step = jax.shard_map(
            self._on_device,
            mesh=self._everywhere.mesh,
            in_specs=(PartitionSpec(), PartitionSpec("batch"), PartitionSpec()),
            out_specs=PartitionSpec("batch"),
            check_vma=False,
        )
        return jax.jit(step).lower(self._leaves, *self._range(0, 1))

    def _compile(self) -> None:
        if self._compiled is None:
            self._compiled = self.lower().compile()

    def _put(self, array: Any, sharding: NamedSharding) -> Any:
        """On the devices, or its shape where these are only described."""
        if self._described:
            array = jnp.asarray(array)
            return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding)
        return jax.device_put(array, sharding)

    def _range(self, begin: int, stop: int) -> tuple[jax.Array, jax.Array]:
        """The first index of each device, and how many tiles each has to compute."""
        local = self._tile * self._tiles
        # Behind the last record, where a batch may reach, indices start again at 0.
        begins = (begin + local * np.arange(len(self._devices), dtype=np.int64)) % 2**32
        count = min(-(-(stop - begin) // self._tile), self._tiles)
        return (
            self._put(begins.astype(np.uint32), self._divided),
            self._put(np.int32(count), self._everywhere),
        )

    def _on_device(
        self, leaves: list[Array], begins: UInt32[Array, "1"], count: Int32[Array, ""]
    ) -> dict[str, Array]:
        params, sampler, tables, key = jax.tree.unflatten(self._structure, leaves)
        size = self._tile * self._tiles
        whole = self._draw_tile
        first = begins[0] + jnp.arange(-(-size // whole), dtype=jnp.uint32) * jnp.uint32(whole)
        drawn = (count * self._tile + whole - 1) // whole
        z, tries = draw(equip(sampler, tables), self._accept, key, first, whole, drawn)
        z, results = z[:size], {"tries": tries[:size]}
        if "latents" in self._items or self._on_host:
            results["latents"] = z
        if self._decoder is not None and not self._on_host:
            images, is_finite = decode_tiles(self._decoder.call, params, z, self._tile, count)
            results |= {"images": images, "finite": is_finite}
        return results

    def _batch(self, begin: int, stop: int) -> dict[str, np.ndarray]:
        arrays = jax.device_get(self._compiled(self._leaves, *self._range(begin, stop)))
        if self._decoder is not None and self._on_host:
            z = arrays["latents"]
            size = -(-(stop - begin) // self._tile) * self._tile
            images = np.empty((size, *self._decoder.shape), np.uint8)
            is_finite = np.empty(size, bool)
            for i in range(0, size, self._tile):
                tile = slice(i, i + self._tile)
                # Kept at once, as a decoder may use the same memory for its next images.
                decoded = to_numpy(self._decoder.call((), jnp.asarray(z[tile])))
                images[tile] = to_uint8(decoded, np)
                is_finite[tile] = np.isfinite(decoded).all(axis=(1, 2, 3))
            arrays |= {"images": images, "finite": is_finite}
            if "latents" not in self._items:
                del arrays["latents"]
        elif self._decoder is not None:
            arrays["images"] = arrays["images"].reshape(-1, *self._decoder.shape)
        return arrays


class _Range(NamedTuple):
    """Records of a shard that are computed together; `begin` is the start of a tile, perhaps before it."""

    shard: Shard
    begin: int
    stop: int


def _check(part: dict[str, np.ndarray], first: int) -> None:
    if not part["tries"].all():
        index = first + int(np.flatnonzero(part["tries"] == 0)[0])
        raise ValueError(
            f"filter: refused vector {index} {MAX_TRIES} times in a row; accept a larger part of the vectors"
        )
    is_finite = part.pop("finite", None)
    if is_finite is not None and not is_finite.all():
        index = first + int(np.flatnonzero(~is_finite)[0])
        raise ValueError(f"decode: image {index} has pixels that are NaN or infinite; check the decoder")


def _batch_bytes(device: jax.Device) -> int:
    """How many bytes of results a batch should have on a device."""
    if device.platform in _BATCH_BYTES:
        return _BATCH_BYTES[device.platform]
    free = free_memory(device)
    # Batches are under way twice, and the decoder needs room for what it computes on the way.
    return max(1, min(_BATCH_BYTES_ACCELERATOR, (8 << 30 if free is None else free) // 8))


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    # XLA's, CUDA's in PyTorch, and what PyTorch on a CPU and ONNX Runtime say.
    known = ("resource_exhausted", "out of memory", "allocate memory")
    return isinstance(error, MemoryError) or any(words in text for words in known)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
