"""Moves vectors along a direction, an attribute's say, as far as the body of a sampler lets them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_array, as_floats, as_vectors, is_traced
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.rounding import body_extent, round_trip_rounding
from jaxlatent.sampling.bodies.body import Body
from jaxlatent.sampling.sampler import Sampler


def edit(
    z: Float[Array | np.ndarray, " n *latent"],
    direction: Float[Array | np.ndarray, "*latent"],
    strength: int | float | Float[Array | np.ndarray, ""] | Float[Array | np.ndarray, " n"],
    *,
    sampler: Sampler,
) -> Float[Array, " n *latent"]:
    """Moves each vector by `strength` times `direction`, or as far as it stays inside the sampler's body.

    The body bounds the components in the sampler's frame. What stays inside of the line from the vector on is
    found to the precision of float32, also where it leads from one body of several into another. With fewer
    components than dimensions, only the part of `direction` that lies in the frame is taken, as nothing would
    bound the rest; what of z lies outside the frame is left as it is, as it is detail of an image that the
    edit is not about.

    A vector that starts outside the body is first pulled to the boundary, along the straight line to the
    body's centre, of several bodies to that of the one that is reached first. With `strength` 0, vectors
    inside are returned unchanged.

    Every vector of the result is inside: `sampler.contains(result)`. For that it stops short of the boundary
    by the rounding error of float32 numbers of this size; a vector so large that no room is left does not
    move.

    Args:
        z: vectors in the latent frame, floating point (n, d) or (n, c, h, w): z-points, or drawn ones.
        direction: in latent units and the shape of a vector, such as the `vector` of
            `jaxlatent.latent.attribute_direction`.
        strength: how many times the direction, one number for all or (n,); negative for the opposite way,
            infinite for as far as possible.
        sampler: one with a body, such as `PairwiseSampler` or `ClusterRecombinationSampler`.

    Returns:
        float32, in the shape of the sampler's vectors.

    Raises:
        TypeError: if an array is not floating point, or `sampler` has no body.
        ValueError: if an array has another shape, or `direction` or `strength` is NaN.
    """
    body = getattr(sampler, "body", None)
    if not isinstance(sampler, Sampler) or not isinstance(body, Body):
        found = type(sampler).__name__
        raise TypeError(f"sampler: expected one with a body, as PairwiseSampler, got {found}")
    shape = sampler.latent_shape
    size = int(np.prod(shape))
    z = as_vectors("z", z, size)
    direction = as_floats("direction", direction)
    strength = as_array("strength", strength)
    if np.shape(direction) not in (shape, (size,)):
        raise ValueError(f"direction: expected shape {shape}, got {np.shape(direction)}; give one at a time")
    if np.shape(strength) not in ((), (z.shape[0],)):
        raise ValueError(f"strength: expected one number or ({z.shape[0]},), got {np.shape(strength)}")
    for name, value in (("direction", direction), ("strength", strength)):
        if not is_traced(value) and np.isnan(value).any():
            raise ValueError(f"{name}: expected numbers, got NaN")
    z = jnp.asarray(z, jnp.float32)
    step = jnp.asarray(direction, jnp.float32).reshape(-1)
    strengths = jnp.broadcast_to(jnp.asarray(strength, jnp.float32), z.shape[:1])
    y = z if sampler.frame is None else sampler.frame.transform(z)
    return _edit(sampler.frame, body, z, y, step, strengths).reshape(-1, *shape)


@jax.jit
def _edit(
    pca: PCA | None, body: Body, z: jax.Array, y: jax.Array, step: jax.Array, strength: jax.Array
) -> jax.Array:
    centre, square = body.nearest(y)
    gauge = jnp.sqrt(square)
    # How long vectors can be inside the body, and with what of them is outside the frame.
    reach = jnp.minimum(1, 1 / gauge)[:, None]
    if pca is None:
        along, middle, offset = step, centre, z - centre
        size = jnp.abs(centre) + reach * jnp.abs(offset) + body.extent
        rounding = 4 * jnp.finfo(jnp.float32).eps * size
    else:
        along = jnp.matmul(pca.components, step, precision="highest")
        middle = pca.mean.reshape(-1) + jnp.matmul(centre, pca.components, precision="highest")
        offset = z - middle
        extent = reach * jnp.abs(z - pca.mean.reshape(-1)) + body_extent(pca, body.extent)
        rounding = round_trip_rounding(pca, extent)
    # A vector at the centre has no way from there to itself.
    pull = jnp.where(gauge > 0, jnp.minimum(1, body.room(centre, y - centre, rounding)), 1)[:, None]
    way = jnp.where(strength < 0, -1, 1)[:, None] * along
    most = body.room(centre + pull * (y - centre), way, rounding)
    steps = jnp.minimum(jnp.abs(strength), most)[:, None]
    kept = (pull == 1) | ((square <= 1)[:, None] & (steps == 0))
    start = jnp.where(kept, z, middle + pull * offset)
    moved = steps * way
    return start + (moved if pca is None else jnp.matmul(moved, pca.components, precision="highest"))
