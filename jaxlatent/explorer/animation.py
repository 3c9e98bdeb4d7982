"""Frames as one animated file."""

import io
from typing import Literal, get_args

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxlatent._boundary import as_choice

AnimationFormat = Literal["gif", "webp"]

_LEAST_SIDE = 256


def animate(frames: UInt8[np.ndarray, "n h w c"], kind: AnimationFormat, *, seconds: float = 3.0) -> bytes:
    """There and back again, for ever.

    Args:
        frames: at least 2; small ones are enlarged to 256 pixels, smoothly.
        kind: "gif" or "webp".
        seconds: of the way there.

    Raises:
        ValueError: if there are fewer, or the kind is unknown.
    """
    as_choice("format", kind, get_args(AnimationFormat))
    if len(frames) < 2:
        raise ValueError(f"frames: expected at least 2, got {len(frames)}")
    factor = max(1, -(-_LEAST_SIDE // max(frames.shape[1:3])))
    size = (frames.shape[2] * factor, frames.shape[1] * factor)
    pictures = [to_picture(frame).resize(size, Image.Resampling.BICUBIC) for frame in frames]
    round_trip = pictures + pictures[-2:0:-1]
    out, pause = io.BytesIO(), max(20, round(1000 * seconds / len(frames)))
    options = {"lossless": False, "quality": 90} if kind == "webp" else {}
    first, *others = round_trip
    first.save(out, kind, save_all=True, append_images=others, duration=pause, loop=0, **options)
    return out.getvalue()


def to_picture(pixels: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    """A Pillow image of grey, RGB or RGBA pixels."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
