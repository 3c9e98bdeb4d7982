"""The tiles of bulk generation: vectors drawn, images decoded, always in arrays of one shape.

`sampling.tile_size` vectors are drawn at once, and images are decoded in tiles that start at multiples of
`decode_tile`, in loops whose length the compiler does not know. So vector i and image i come out of the same
computation whatever the batch size, the number of devices and the range of indices that is asked for. On a
CPU small tiles are also the fastest, as they stay in the caches.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, UInt8, UInt32

from jaxlatent.generation.decoder import to_uint8
from jaxlatent.sampling.draws import draw_latent, largest_tile
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.tiles import map_tiles, power_of_two
from jaxlatent.sampling.words import seed_words

#: A predicate on latent vectors (b, d), traceable by JAX.
Filter = Callable[[Float[Array, " b *latent"]], Bool[Array, " b"]]

#: Draws of a vector after which a filter counts as impossible to pass.
MAX_TRIES = 10_000

_TILE_PIXELS = {"cpu": 64 * 64 * 64}
_TILE_PIXELS_ACCELERATOR = 1024 * 64 * 64


def decode_tile(shape: tuple[int, int, int], platform: str) -> int:
    """How many images of a shape (h, w, c) are decoded at once on a platform; a power of two."""
    pixels = _TILE_PIXELS.get(platform, _TILE_PIXELS_ACCELERATOR) // (shape[0] * shape[1])
    return min(largest_tile(platform), power_of_two(pixels))


def draw(
    sampler: Sampler,
    accept: Filter | None,
    key: jax.Array,
    begins: UInt32[Array, " tiles"],
    tile: int,
    count: Int32[Array, ""] | None = None,
) -> tuple[Float[Array, " b *latent"], Int32[Array, " b"]]:
    """Tiles of vectors of `key`, which start at `begins`, and how often each vector was drawn.

    A vector that `accept` refuses is drawn anew as the vector of the same index under the next key,
    `jax.random.fold_in(key, 1)` and so on: it depends on (key, i) alone, too. 0 draws stand for a vector that
    was refused `MAX_TRIES` times. The refused ones of all tiles are drawn together, a tile at a time.

    Args:
        sampler: what draws.
        accept: the filter, or None.
        key: of the vectors.
        begins: index of the first vector of each tile.
        tile: vectors of a tile.
        count: of only so many tiles, where given; the other vectors are no results.
    """
    index = begins[:, None] + jnp.arange(tile, dtype=jnp.uint32)
    z = map_tiles(lambda index: draw_latent(sampler, seed_words(key), index), index, count)
    z, index = z.reshape(-1, *z.shape[2:]), index.reshape(-1)
    if accept is None:
        return z, jnp.ones(len(index), jnp.int32)
    accepted = map_tiles(accept, z.reshape(-1, tile, *z.shape[1:]), count).reshape(-1)
    if count is not None:
        accepted |= jnp.arange(len(index), dtype=jnp.int32) >= count * tile

    def again(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        z, accepted, tries = state
        (rows,) = jnp.nonzero(~accepted & (tries < MAX_TRIES), size=tile, fill_value=len(index))
        turns = tries.at[rows].get(mode="fill", fill_value=0)
        seeds = jax.vmap(lambda turn: seed_words(jax.random.fold_in(key, turn)))(turns).T
        new = draw_latent(sampler, seeds, index.at[rows].get(mode="fill", fill_value=0))
        z = z.at[rows].set(new, mode="drop")
        return z, accepted.at[rows].set(accept(new), mode="drop"), tries.at[rows].add(1, mode="drop")

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        _, accepted, tries = state
        return jnp.any(~accepted & (tries < MAX_TRIES))

    start = (z, accepted, jnp.ones(len(index), jnp.int32))
    z, accepted, tries = jax.lax.while_loop(unfinished, again, start)
    return z, jnp.where(accepted, tries, 0)


def decode_tiles(
    call: Callable[[Any, Any], Any],
    params: Any,
    z: Float[Array, " b *latent"],
    tile: int,
    count: Int32[Array, ""] | None = None,
) -> tuple[UInt8[Array, "b n"], Bool[Array, " b"]]:
    """8-bit images of `z`, b a multiple of `tile`, and whether their pixels were finite.

    An image is a row of n = h * w * c numbers until it is on the host: for an array (b, h, w, c), a TPU
    chooses a layout that it then has to copy into another. Of the first `count` tiles only, where given.
    """

    def one_tile(z: Float[Array, " t *latent"]) -> tuple[Array, Array]:
        images = call(params, z)
        is_finite = jnp.ones(images.shape[0], bool)
        if images.dtype != jnp.uint8:
            is_finite = jnp.isfinite(images).all(axis=(1, 2, 3))
        return to_uint8(images).reshape(tile, -1), is_finite

    images, is_finite = map_tiles(one_tile, z.reshape(-1, tile, *z.shape[1:]), count)
    return images.reshape(-1, images.shape[-1]), is_finite.reshape(-1)
