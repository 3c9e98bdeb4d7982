"""The way from one vector to another."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlatent.explorer.region import Region
from jaxlatent.sampling.laws.interpolation import interpolate_directions

WayKind = Literal["linear", "spherical"]


def way(
    first: Float[np.ndarray, " d"],
    second: Float[np.ndarray, " d"],
    count: int,
    *,
    kind: WayKind = "linear",
    mean: Float[np.ndarray, " d"],
    region: Region | None = None,
) -> Float[np.ndarray, "n d"]:
    """Vectors between two, both included, float32.

    Args:
        first: where it begins.
        second: where it ends.
        count: of vectors, at least 2.
        kind: a straight line, or a turn about the mean, see `jaxlatent.InterpolationSampler`.
        mean: of the z-points.
        region: what each vector is pulled into; None leaves them.
    """
    place = np.linspace(0, 1, count, dtype=np.float32)[:, None]
    a, b = (np.repeat((each - mean)[None], count, axis=0).astype(np.float32) for each in (first, second))
    between = (
        a + place * (b - a)
        if kind == "linear"
        else np.asarray(interpolate_directions(*map(jnp.asarray, (a, b, place))))
    )
    found = mean + between.astype(np.float64)
    if region is not None:
        found = np.stack([region.pull(z) for z in found])
    return found.astype(np.float32)
