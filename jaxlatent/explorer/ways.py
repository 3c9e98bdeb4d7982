"""The way from one vector to another."""

from typing import Literal

import jax
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
    place = np.linspace(0, 1, count)[:, None]
    if kind == "linear":
        found = first + place * (second - first)
    else:
        ends = (np.repeat((each - mean)[None], count, axis=0) for each in (first, second))
        a, b, t = (jnp.asarray(each, jnp.float32) for each in (*ends, place))
        found = mean + np.asarray(_turned(a, b, t), np.float64)
        found[0], found[-1] = first, second
    if region is not None:
        found = np.stack([region.pull(z) for z in found])
    return found.astype(np.float32)


_turned = jax.jit(interpolate_directions)
