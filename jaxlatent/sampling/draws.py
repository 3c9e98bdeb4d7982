"""How the vectors of a sampler are drawn: tile by tile, within a program and from the host.

A tile has the same shape whatever the number of vectors, so that vector i has the same bits in every call,
and few programs are compiled.
"""

import abc
import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, UInt32

from jaxlatent._boundary import as_count, as_key, is_traced
from jaxlatent.sampling.tiles import aligned, fill, map_tiles, power_of_two, to_jax
from jaxlatent.sampling.words import Seed, seed_words

L = TypeVar("L", bound="Law")

# On a CPU the state of a tile has to stay in the L2 cache, and XLA splits wider ones among threads at
# every single step; an accelerator wants enough vectors to fill it.
_TILE = {"cpu": 128}
_TILE_ACCELERATOR = 16_384
# Memory that drawing a tile may take; a law that needs much of it for each vector gets a smaller tile.
_TILE_BYTES = 1 << 30
_MOST_TILES = 16
# In a block of tiles on a CPU. It is memory that is new in every call, which costs more than the call.
_NUMBERS = 1 << 20
_DERIVED = "_derived"


class Law(abc.ABC):
    """What draws the components of vectors, and the way from them to the latent frame."""

    #: Computes from the leaves what `_draw` looks up by `tables`.
    _derive: ClassVar[Callable[..., Any] | None] = None

    @property
    @abc.abstractmethod
    def n_components(self) -> int:
        """The number of components k."""

    @property
    @abc.abstractmethod
    def latent_shape(self) -> tuple[int, ...]:
        """Of a vector in the latent frame."""

    @property
    def _bytes_a_vector(self) -> int:
        """Memory that a draw takes for each vector, at most: by it, an accelerator's tile is chosen."""
        # Compiled for an H100 and a TPU, laws take up to 41 bytes for each component.
        return 64 * self.n_components

    @abc.abstractmethod
    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        """The components of the vectors `index`."""

    @abc.abstractmethod
    def _to_latent(self, y: Float[Array, "b k"]) -> Float[Array, " b *latent"]:
        """The latent vectors of components."""


def largest_tile(platform: str) -> int:
    """How many vectors are at most computed at once on a platform ("cpu", "gpu", "tpu"); a power of two."""
    return _TILE.get(platform, _TILE_ACCELERATOR)


def tile_size(law: Law, platform: str) -> int:
    """How many vectors of a law are drawn at once on a platform; a power of two."""
    return min(largest_tile(platform), power_of_two(_TILE_BYTES // law._bytes_a_vector))


def tables(sampler: Law) -> Any:
    """What the sampler's draws look up; derived from its leaves once, where these are known.

    In a program whose argument the sampler is, it is derived there, unless `equip` brought it along.
    """
    if sampler._derive is None:
        return None
    values = sampler.__dict__
    if _DERIVED not in values:
        if is_traced(sampler):
            return _derive_traced(sampler)
        with jax.ensure_compile_time_eval():
            values[_DERIVED] = sampler._derive()
    return values[_DERIVED]


@jax.jit
def _derive_traced(sampler: Law) -> Any:
    # As one program also where `jax.grad` or `jax.vmap` would go through it step by step.
    return sampler._derive()  # type: ignore[misc]


def equip(sampler: L, tables: Any) -> L:
    """The same sampler with its `tables`, so that a program it is an argument of need not derive them."""
    leaves, structure = jax.tree.flatten(sampler)
    equipped = jax.tree.unflatten(structure, leaves)
    equipped.__dict__[_DERIVED] = tables
    return equipped


def draw_latent(sampler: Law, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, " b *latent"]:
    """The vectors `index` in the latent frame, for use inside `jax.jit`.

    A tile of `tile_size` vectors gives the bits of `Sampler.sample`; `seed` is `seed_words(key)`, or a column
    for each vector.
    """
    # Drawn before the product with the frame begins: XLA would fuse the two, in the wrong order of memory.
    return sampler._to_latent(jax.lax.optimization_barrier(sampler._draw(seed, index)))


def checked_range(key: jax.Array, n: int, start: int) -> tuple[UInt32[Array, "2"], int, int]:
    """The cipher's key, `n` and `start` for the vectors `start` to `start + n - 1`; errors as in `sample`."""
    key, n, start = as_key(key), as_count("n", n), as_count("start", start)
    if start + n > 2**32:
        raise ValueError(f"start + n: expected at most 2^32, got {start + n}; use another key")
    return seed_words(key), n, start


def sample_range(sampler: Law, key: jax.Array, n: int, start: int, latent: bool) -> jax.Array:
    """The vectors `start` to `start + n - 1`, in the latent frame or in components; errors as in `sample`."""
    seed, n, start = checked_range(key, n, start)
    if is_traced(seed, sampler):
        # Within somebody's program, or one of JAX's transformations: one loop over all tiles, whose length is
        # known, as gradients go backwards through it.
        tile = tile_size(sampler, jax.default_backend())
        begin = jnp.uint32(start % 2**32)
        tiles = max(-(-n // tile), 1)
        return _draw_tiles(sampler, tables(sampler), seed, begin, None, tiles, tile, latent)[:n]
    platform = _platform((seed, sampler))
    tile = tile_size(sampler, platform)
    # A Python number would be of another type in a thread without the caller's settings.
    fixed = jax.tree.map(lambda leaf: np.float32(leaf) if isinstance(leaf, float) else leaf, sampler)
    arguments = (fixed, tables(sampler), seed)

    def begin_and_count(first: int, count: int) -> tuple[np.uint32, np.int32]:
        return np.uint32((start + first) % 2**32), np.int32(count)

    if platform != "cpu":
        firsts = range(0, max(n, 1), tile)
        blocks = [_draw_tiles(*arguments, *begin_and_count(i, 1), 1, tile, latent) for i in firsts]
        return _joined(blocks, n)
    width = math.prod(sampler.latent_shape) if latent else sampler.n_components
    most = max(1, min(_MOST_TILES, _NUMBERS // (tile * width)))
    if n <= most * tile:
        block = _draw_tiles(*arguments, *begin_and_count(0, -(-n // tile)), most, tile, latent)
        # A copy, as a part of the block would keep all of it in memory.
        drawn = aligned((n, *block.shape[1:]))
        drawn[:] = np.asarray(block)[:n]
        return to_jax(drawn, block.sharding)
    whole = _draw_tiles.lower(*arguments, *begin_and_count(0, most), most, tile, latent).compile()
    drawn = aligned((n, *whole.out_info.shape[1:]))
    fill((drawn,), tile, most, lambda first, count: (whole(*arguments, *begin_and_count(first, count)),))
    return to_jax(drawn, whole.output_shardings)


def _platform(tree: Any) -> str:
    """Where the arrays of a tree are, the accelerator if there is one among their devices."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
    platforms = {device.platform for array in arrays for device in array.devices()}
    return next(iter(platforms - {"cpu"}), "cpu")


@partial(jax.jit, static_argnames="n")
def _joined(blocks: list[jax.Array], n: int) -> jax.Array:
    return jnp.concatenate(blocks)[:n]


@partial(jax.jit, static_argnames=("most", "tile", "latent"))
def _draw_tiles(
    sampler: Law,
    tables: Any,
    seed: jax.Array,
    begin: jax.Array | np.uint32,
    count: Int32[Array | np.integer, ""] | None,
    most: int,
    tile: int,
    latent: bool,
) -> jax.Array:
    sampler = equip(sampler, tables)

    def one_tile(first: jax.Array) -> jax.Array:
        index = first + jnp.arange(tile, dtype=jnp.uint32)
        return draw_latent(sampler, seed, index) if latent else sampler._draw(seed, index)

    z = map_tiles(one_tile, begin + jnp.arange(most, dtype=jnp.uint32) * jnp.uint32(tile), count)
    return z.reshape(most * tile, *z.shape[2:])


def sample_sharded(
    sampler: Law, key: jax.Array, n: int, start: int, sharding: jax.sharding.Sharding
) -> jax.Array:
    """The vectors of `sample_range` in the latent frame, each part drawn on the device that is to hold it."""
    shape = jax.eval_shape(lambda s, k: sample_range(s, k, n, start, latent=True), sampler, key).shape
    parts = []
    for device, place in sharding.addressable_devices_indices_map(shape).items():
        assert place is not None
        rows, *columns = place
        first, stop, _ = rows.indices(n)
        here, key_here = jax.device_put((sampler, key), device)
        with jax.default_device(device):
            drawn = sample_range(here, key_here, stop - first, start + first, latent=True)
            parts.append(drawn[:, *columns])
    return jax.make_array_from_single_device_arrays(shape, sharding, parts)
