"""The compiled program of bulk generation: an index in, a batch of latent vectors and 8-bit images out.

Everything is computed in tiles of one shape: `sampling.tile_size` vectors are drawn at once, and images are
decoded in tiles that start at multiples of `decode_tile`. A batch is a number of such tiles, so that vector i
and image i come out of the same computation whatever the batch size, the number of devices and the range
of indices that is asked for. On a CPU small tiles are also the fastest, as they stay in the caches.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int32, UInt32

from jaxlatent._cores import cores
from jaxlatent.generation.decoder import Decoder, to_numpy, to_uint8
from jaxlatent.generation.formats import Item, Shard
from jaxlatent.sampling.base import Sampler, draw_latent, tile_size
from jaxlatent.sampling.words import seed_words

log = logging.getLogger(__name__)

#: A predicate on latent vectors (b, d), traceable by JAX.
Filter = Callable[[Float[Array, "b d"]], Bool[Array, " b"]]

#: Draws of a vector after which a filter counts as impossible to pass.
MAX_TRIES = 10_000

_TILE_PIXELS = {"cpu": 64 * 64 * 64}
_TILE_PIXELS_ACCELERATOR = 1024 * 64 * 64
# Of results a batch; larger ones gain nothing.
_BATCH_BYTES = {"cpu": 8 << 20}
_BATCH_BYTES_ACCELERATOR = 1 << 30


def decode_tile(shape: tuple[int, int, int], platform: str) -> int:
    """How many images of a shape (h, w, c) are decoded at once on a platform; a power of two."""
    pixels = _TILE_PIXELS.get(platform, _TILE_PIXELS_ACCELERATOR) // (shape[0] * shape[1])
    return min(tile_size(platform), _power_of_two(pixels))


def draw(
    sampler: Sampler, accept: Filter | None, key: jax.Array, begin: UInt32[Array, ""], tile: int
) -> tuple[Float[Array, "{tile} d"], Int32[Array, " {tile}"]]:
    """The vectors `begin` to `begin + tile - 1` of `key`, and how often each was drawn.

    A vector that `accept` refuses is drawn anew as the vector of the same index under the next key,
    `jax.random.fold_in(key, 1)` and so on: it depends on (key, i) alone, too. 0 draws stand for a vector that
    was refused `MAX_TRIES` times.
    """
    index = begin + jnp.arange(tile, dtype=jnp.uint32)
    z = draw_latent(sampler, seed_words(key), index)
    if accept is None:
        return z, jnp.ones(tile, jnp.int32)

    def again(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        z, accepted, tries, turn = state
        new = draw_latent(sampler, seed_words(jax.random.fold_in(key, turn)), index)
        z = jnp.where(accepted[:, None], z, new)
        return z, accepted | accept(new), jnp.where(accepted, tries, turn + 1), turn + 1

    def unfinished(state: tuple[Array, Array, Array, Array]) -> Array:
        _, accepted, _, turn = state
        return (turn < MAX_TRIES) & ~accepted.all()

    start = (z, accept(z), jnp.ones(tile, jnp.int32), jnp.int32(1))
    z, accepted, tries, _ = jax.lax.while_loop(unfinished, again, start)
    return z, jnp.where(accepted, tries, 0)


def decode_tiles(
    call: Callable[[Any, Any], Any],
    params: Any,
    z: Float[Array, "b d"],
    tile: int,
    count: Int32[Array, ""] | None = None,
) -> tuple[Array, Bool[Array, " b"]]:
    """8-bit images of `z`, b a multiple of `tile`, and whether their pixels were finite.

    Of the first `count` tiles only, where that is given.
    """

    def one_tile(z: Float[Array, "t d"]) -> tuple[Array, Array]:
        images = call(params, z)
        is_finite = jnp.ones(images.shape[0], bool)
        if images.dtype != jnp.uint8:
            is_finite = jnp.isfinite(images).all(axis=(1, 2, 3))
        return to_uint8(images), is_finite

    images, is_finite = _map(one_tile, z.reshape(-1, tile, z.shape[-1]), count)
    return images.reshape(-1, *images.shape[2:]), is_finite.reshape(-1)


def _map(function: Callable[[Array], Any], xs: Array, count: Int32[Array, ""] | None) -> Any:
    """`jax.lax.map` over the first `count` rows of `xs`; the other results are 0.

    The compiler does not know the number: a loop that it sees to run once it unrolls, and then computes
    the same with other roundings.
    """
    if count is None:
        return jax.lax.map(function, xs)
    shapes = jax.eval_shape(function, xs[0])
    room = jax.tree.map(lambda s: jnp.zeros((xs.shape[0], *s.shape), s.dtype), shapes)

    def one(i: Array, room: Any) -> Any:
        put = partial(jax.lax.dynamic_update_index_in_dim, index=i, axis=0)
        return jax.tree.map(put, room, function(xs[i]))

    return jax.lax.fori_loop(0, count, one, room)


class Program:
    """Draws, decodes and converts batches on all devices of a mesh.

    Args:
        sampler: draws the vectors.
        key: of the vectors.
        decoder: None where only vectors are wanted.
        items: which arrays of a record are wanted.
        accept: the filter, or None.
        devices: of this process.
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
        self._sampler, self._decoder, self._items, self._accept = sampler, decoder, items, accept
        self._on_host = decoder is not None and decoder.host
        platform = self._devices[0].platform
        self._tile = tile_size(platform) if decoder is None else decode_tile(decoder.shape, platform)
        if batch_size is None:
            record = sum(item.nbytes for item in items.values())
            self._tiles = _power_of_two(_batch_bytes(self._devices[0]) // (record * self._tile))
        else:
            self._tiles = math.ceil(batch_size / (self._tile * len(self._devices)))
        # Computations of a CPU overlap; on an accelerator one runs while the one before is fetched.
        self._workers = 1 if self._on_host else cores() if platform == "cpu" else 2
        mesh = Mesh(np.array(self._devices), ("batch",))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._divided = NamedSharding(mesh, PartitionSpec("batch"))
        params = () if decoder is None or decoder.host else decoder.params
        leaves, self._structure = jax.tree.flatten((params, sampler, key))
        self._leaves = jax.device_put(leaves, self._everywhere)
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

    def _compile(self) -> None:
        if self._compiled is None:
            step = jax.shard_map(
                self._on_device,
                mesh=self._everywhere.mesh,
                in_specs=(PartitionSpec(), PartitionSpec("batch"), PartitionSpec()),
                out_specs=PartitionSpec("batch"),
                check_vma=False,
            )
            self._compiled = jax.jit(step).lower(self._leaves, *self._range(0, 1)).compile()

    def _range(self, begin: int, stop: int) -> tuple[jax.Array, jax.Array]:
        """The first index of each device, and how many tiles each has to compute."""
        local = self._tile * self._tiles
        # Behind the last record, where a batch may reach, indices start again at 0.
        begins = (begin + local * np.arange(len(self._devices), dtype=np.int64)) % 2**32
        count = min(-(-(stop - begin) // self._tile), self._tiles)
        return (
            jax.device_put(begins.astype(np.uint32), self._divided),
            jax.device_put(np.int32(count), self._everywhere),
        )

    def _on_device(
        self, leaves: list[Array], begins: UInt32[Array, "1"], count: Int32[Array, ""]
    ) -> dict[str, Array]:
        params, sampler, key = jax.tree.unflatten(self._structure, leaves)
        size = self._tile * self._tiles
        whole = tile_size(self._devices[0].platform)
        first = begins[0] + jnp.arange(-(-size // whole), dtype=jnp.uint32) * jnp.uint32(whole)
        drawn = (count * self._tile + whole - 1) // whole
        z, tries = _map(lambda begin: draw(sampler, self._accept, key, begin, whole), first, drawn)
        z = z.reshape(-1, z.shape[-1])[:size]
        results = {"tries": tries.reshape(-1)[:size]}
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
            f"accept: refused vector {index} {MAX_TRIES} times in a row; accept a larger part of the vectors"
        )
    is_finite = part.pop("finite", None)
    if is_finite is not None and not is_finite.all():
        index = first + int(np.flatnonzero(~is_finite)[0])
        raise ValueError(f"decode: image {index} has pixels that are NaN or infinite; check the decoder")


def _batch_bytes(device: jax.Device) -> int:
    """How many bytes of results a batch should have on a device."""
    if device.platform in _BATCH_BYTES:
        return _BATCH_BYTES[device.platform]
    stats = device.memory_stats() or {}
    free = stats.get("bytes_limit", 8 << 30) - stats.get("bytes_in_use", 0)
    # Batches are under way twice, and the decoder needs room for what it computes on the way.
    return max(1, min(_BATCH_BYTES_ACCELERATOR, free // 8))


def _power_of_two(most: int) -> int:
    return 1 << max(most, 1).bit_length() - 1


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    # XLA's, CUDA's in PyTorch, and what PyTorch on a CPU and ONNX Runtime say.
    known = ("resource_exhausted", "out of memory", "allocate memory")
    return isinstance(error, MemoryError) or any(words in text for words in known)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
