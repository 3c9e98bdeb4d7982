"""The contract of every sampler, and the one place where vectors are batched.

A sampler writes `_draw`: the vectors of one tile of indices. A tile has the same shape whatever `n` is, so
that vector i has the same bits in every call, and few programs are compiled.
"""

import abc
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from jaxlatent._checks import check_count, check_key
from jaxlatent._cores import cores
from jaxlatent.sampling.words import seed_words

# On a CPU the state of a tile has to stay in the L2 cache, and XLA splits wider ones among threads at
# every single step; an accelerator wants enough vectors to fill it.
_TILE = {"cpu": 128}
_TILE_ACCELERATOR = 16_384
_TILES_PER_CALL = {"cpu": 16}


class Sampler(abc.ABC):
    """Draws latent vectors; subclasses are frozen pytree dataclasses with a class method `fit(z, ...)`.

    Vector i of a key depends on (key, i) alone: `sampler.sample(key, 1000)[:10]` equals
    `sampler.sample(key, 10)` bit for bit on the same kind of device, and `sample(key, 5, start=10)` gives
    vectors 10 to 14 of it.
    """

    @abc.abstractmethod
    def _draw(self, seed: UInt32[Array, "2"], index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        """The vectors `index`, in the frame that the sampler draws in."""

    def _to_latent(self, y: Float[Array, "b k"]) -> Float[Array, "b d"]:
        """From the frame that `_draw` uses to the latent frame."""
        return y

    def sample(self, key: jax.Array, n: int, *, start: int = 0) -> Float[Array, "{n} d"]:
        """Draws the vectors `start` to `start + n - 1` of `key`, in the latent frame.

        Args:
            key: a typed key, `jax.random.key(seed)`.
            n: number of vectors, at least 0.
            start: index of the first vector; `start + n` is at most 2^32.

        Returns:
            float32 (n, d).

        Raises:
            TypeError: if `key` is not a typed key or `n` not an integer.
            ValueError: if `n` or `start` is out of range.
        """
        return _sample(self, key, n, start, latent=True)


class ComponentSampler(Sampler):
    """A sampler that draws in a PCA frame, `pca`, and transforms the vectors back."""

    def sample_components(self, key: jax.Array, n: int, *, start: int = 0) -> Float[Array, "{n} k"]:
        """Draws the same vectors as `sample`, in the PCA frame; arguments and errors as there.

        Returns:
            float32 (n, k).
        """
        return _sample(self, key, n, start, latent=False)

    def _to_latent(self, y: Float[Array, "b k"]) -> Float[Array, "b d"]:
        return self.pca.inverse_transform(y)  # type: ignore[attr-defined]


def tile_size(platform: str) -> int:
    """How many vectors are drawn at once on a platform ("cpu", "gpu", "tpu"); a power of two."""
    return _TILE.get(platform, _TILE_ACCELERATOR)


def draw_latent(
    sampler: Sampler, seed: UInt32[Array, "2"], index: UInt32[Array, " b"]
) -> Float[Array, "b d"]:
    """The vectors `index` in the latent frame, for use inside `jax.jit`.

    A tile of `tile_size` vectors gives the bits of `Sampler.sample`; `seed` is `seed_words(key)`.
    """
    return sampler._to_latent(sampler._draw(seed, index))


def checked_seed(key: jax.Array, n: int, start: int) -> UInt32[Array, "2"]:
    """The cipher's key for the vectors `start` to `start + n - 1`; errors as for `Sampler.sample`."""
    check_key(key)
    check_count("n", n)
    check_count("start", start)
    if start + n > 2**32:
        raise ValueError(f"start + n: expected at most 2^32, got {start + n}; use another key")
    return seed_words(key)


def _sample(sampler: Sampler, key: jax.Array, n: int, start: int, latent: bool) -> jax.Array:
    seed = checked_seed(key, n, start)
    backend = jax.default_backend()
    tile = tile_size(backend)
    most = _TILES_PER_CALL.get(backend, 1)

    def draw(begin: int) -> jax.Array:
        needed = -(-(start + n - begin) // tile)
        # Rounded up to a power of two, so that all values of n share a handful of programs.
        tiles = min(most, 1 << max(needed - 1, 0).bit_length())
        return _draw_tiles(sampler, seed, jnp.uint32(begin % 2**32), tile, tiles, latent)

    begins = range(start, start + max(n, 1), most * tile)
    if len(begins) == 1:
        return draw(start)[:n]
    if backend == "cpu" and not isinstance(key, jax.core.Tracer):
        # XLA runs what one thread dispatches one after the other, on one core where the steps are small.
        with ThreadPoolExecutor(cores()) as pool:
            blocks = list(pool.map(lambda begin: draw(begin).block_until_ready(), begins))
    else:
        blocks = [draw(begin) for begin in begins]
    return jnp.concatenate(blocks)[:n]


@partial(jax.jit, static_argnames=("tile", "tiles", "latent"))
def _draw_tiles(
    sampler: Sampler, seed: jax.Array, begin: jax.Array, tile: int, tiles: int, latent: bool
) -> jax.Array:
    def one_tile(first: jax.Array) -> jax.Array:
        index = first + jnp.arange(tile, dtype=jnp.uint32)
        return draw_latent(sampler, seed, index) if latent else sampler._draw(seed, index)

    firsts = begin + jnp.arange(tiles, dtype=jnp.uint32) * jnp.uint32(tile)
    z = jax.lax.map(one_tile, firsts)
    return z.reshape(tiles * tile, z.shape[-1])
