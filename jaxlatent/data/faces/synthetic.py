"""Procedural faces: portraits rendered from 31 continuous factors, a data set that needs no files.

Each factor runs from -1 to 1. Their marginals are near normal, and those that nature ties together
are correlated, so that an autoencoder's latent vectors of these pictures form one tilted, roughly
ellipsoidal cloud, as those of photographs do.

| factor | -1 | 1 |
|---|---|---|
| `head_width`, `head_length` | narrow, short | wide, long |
| `jaw` | tapered to the chin | square |
| `skin_tone` | light | dark |
| `hair_shade` | black | blond |
| `hair_warmth` | ash or grey | red |
| `hair_length` | cropped | over the shoulders |
| `hair_volume` | flat | full and wavy |
| `parting` | left in the picture | right |
| `fringe` | high forehead | down to the brows |
| `eye_spacing`, `eye_size` | close, small | wide apart, large |
| `eye_opening` | narrowed | wide open |
| `iris` | dark brown, then hazel, green | blue |
| `brow_height`, `brow_thickness` | low, thin | high, thick |
| `brow_angle` | outer ends down (worried) | outer ends up (stern) |
| `nose_width`, `nose_length` | narrow, short | wide, long |
| `mouth_width` | narrow | wide |
| `mouth_open` | closed | open, teeth shown |
| `smile` | corners down | corners up |
| `lip_colour` | like the skin | deep red |
| `beard` | shaven, then stubble | full beard |
| `glasses` | none, then thin and clear | thick and dark |
| `yaw` | turned to the left of the picture | to the right |
| `tilt` | leaning to the left of the picture | to the right |
| `light_direction` | lamp at the left of the picture | at the right |
| `light_warmth` | cold | warm |
| `background_hue` | green, then blue, rose (clothes follow) | orange |
| `background_light` | dark | bright |

The pictures are centred and cropped like CelebA's. They are drawn from analytic shapes: signed
distances with edges one pixel wide, so that every size shows the same face, and soft bumps for
relief, on an ellipsoid under a directional lamp.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Key, UInt8, UInt32

from jaxlatent._boundary import as_count, as_vectors
from jaxlatent._progress import progress_bar
from jaxlatent._random import as_seed, seed_key
from jaxlatent.data.faces.factors import Face, draw_factors
from jaxlatent.data.faces.render import render_face

FACTORS: tuple[str, ...] = Face._fields
"""Names of the factors, in the order of their columns."""

_SMALLEST = 16
_DRAWN_AT_LEAST = 64  # smaller pictures are averaged down from this size: lids are thin
_FACTOR_BLOCK = 1024
_BLOCK_PIXELS = 2**17  # planes of this size stay in the processor's cache


def sample_factors(seed: int, start: int, count: int) -> Float32[Array, "count f"]:
    """Draws the factors of faces `start` to `start + count - 1`.

    Row i depends on (seed, start + i) alone.

    Args:
        seed: 0 to 2**64 - 1.
        start: index of the first face; `start + count` is at most 2**32.
        count: number of faces.

    Returns:
        Factors in [-1, 1], float32 (count, 31), in the order of `FACTORS`.

    Raises:
        TypeError: if an argument is not an integer.
        ValueError: if an argument is negative or too large.
    """
    start, count = _as_range(start, "count", count)
    first = start // _FACTOR_BLOCK * _FACTOR_BLOCK
    key = seed_key(seed)
    blocks = [_draw_block(key, np.uint32(at)) for at in range(first, start + count, _FACTOR_BLOCK)] or [
        jnp.zeros((0, len(FACTORS)), jnp.float32)
    ]
    return jnp.concatenate(blocks)[start - first :][:count]


def render_faces(
    factors: Float[Array | np.ndarray, "n f"], image_size: int = 64
) -> Float32[Array, "n size size 3"]:
    """Renders faces; differentiable in the factors.

    All faces are rendered at once and each `n` compiles anew: for many, use `synthetic_faces`.

    Args:
        factors: (n, 31), in the order of `FACTORS`, each meant to lie in [-1, 1].
        image_size: edge of the square pictures in pixels, at least 16.

    Returns:
        RGB pictures in [0, 1], float32 (n, image_size, image_size, 3).

    Raises:
        TypeError: if `factors` are not floating-point or `image_size` is not an integer.
        ValueError: if `factors` do not have 31 columns or `image_size` is below 16.
    """
    factors = as_vectors("factors", factors, len(FACTORS))
    image_size = as_count("image_size", image_size, _SMALLEST)
    # channels move last outside the compiled rendering: within it, XLA would compute in that order,
    # ten times slower
    return jnp.moveaxis(_render(jnp.asarray(factors, jnp.float32), image_size), 1, -1)


def synthetic_faces(
    n: int,
    *,
    image_size: int = 64,
    seed: int = 0,
    start: int = 0,
    progress: bool = False,
) -> UInt8[np.ndarray, "n size size 3"]:
    """Draws and renders `n` faces, in batches of one shape.

    Picture i depends on (seed, start + i) and the size alone, bit for bit on the same machine.

    Args:
        n: number of faces.
        image_size: edge of the square pictures in pixels, at least 16.
        seed: 0 to 2**64 - 1; another seed gives other faces.
        start: index of the first face; `start + n` is at most 2**32.
        progress: show a progress bar, where standard error is a terminal.

    Returns:
        RGB pictures, uint8 (n, image_size, image_size, 3), of the factors `sample_factors(seed, start, n)`.

    Raises:
        TypeError: if a number is not an integer.
        ValueError: if a number is out of range.
    """
    seed = as_seed(seed)
    start, n = _as_range(start, "n", n)
    image_size = as_count("image_size", image_size, _SMALLEST)
    # Blocks start at multiples of their length, so that a face has the same place in the same
    # program whatever was asked for: equal bits without a word on how XLA vectorises.
    block = max(1, _BLOCK_PIXELS // max(image_size, _DRAWN_AT_LEAST) ** 2)
    first = start // block * block
    last = min(-(-(start + n) // block) * block, 2**32)
    factors = np.asarray(sample_factors(seed, first, last - first))
    images = np.empty((n, image_size, image_size, 3), np.uint8)
    with progress_bar("Rendering faces", n, "images", enabled=progress) as advance:
        for at in range(first, start + n, block):
            low, high = max(at, start), min(at + block, start + n)
            faces = np.asarray(_render_bytes(factors[at - first :][:block], image_size))
            images[low - start : high - start] = faces[low - at : high - at].transpose(0, 2, 3, 1)
            advance(high - low)
    return images


def _as_range(start: int, name: str, count: int) -> tuple[int, int]:
    start, count = as_count("start", start), as_count(name, count)
    if start + count > 2**32:
        raise ValueError(f"start + {name}: expected at most 2**32, got {start + count}")
    return start, count


@jax.jit
def _draw_block(key: Key[Array, ""], first: UInt32[Array, ""]) -> Float32[Array, "block f"]:
    def draw(i: UInt32[Array, ""]) -> Float32[Array, " f"]:
        return draw_factors(jax.random.fold_in(key, i))

    return jax.vmap(draw)(first + jnp.arange(_FACTOR_BLOCK, dtype=jnp.uint32))


@partial(jax.jit, static_argnums=1)
def _render(factors: Float32[Array, "n f"], image_size: int) -> Float32[Array, "n 3 size size"]:
    times = -(-_DRAWN_AT_LEAST // image_size)
    pictures = jax.vmap(lambda face: render_face(Face(*face), image_size * times))(factors)
    tiles = pictures.reshape(len(factors), 3, image_size, times, image_size, times)
    return tiles.mean((3, 5)) if times > 1 else pictures


@partial(jax.jit, static_argnums=1)
def _render_bytes(factors: Float32[Array, "n f"], image_size: int) -> UInt8[Array, "n 3 size size"]:
    return jnp.round(255 * _render(factors, image_size)).astype(jnp.uint8)
