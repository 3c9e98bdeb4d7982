"""Vectors seen from a centre, as float32 JAX arrays."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import is_traced
from jaxlatent.latent.sharded import Vectors

_BATCH = 8192


def centred(
    z: Float[Vectors, "n d"],
    centre: Float[Array | np.ndarray, " d"] | None = None,
    rest: Float[Array | np.ndarray, " d"] | None = None,
) -> Float[Array, "n d"]:
    """What z - centre - rest is in float32, with float64 numbers rounded after the subtraction; traceable.

    A memory map, or shards, are read batch by batch.

    Args:
        z: vectors (n, d), floating point, as `as_vectors` returns them.
        centre: (d,); 0 where not given.
        rest: (d,), added to the centre before that; 0 where not given.
    """
    if isinstance(z, jax.Array) or is_traced(centre, rest):
        return _centred(z, centre, rest)
    if z.dtype == np.float32 and isinstance(z, np.ndarray):
        # In the accelerator, with the bits of the same numbers in a JAX array.
        return _centred(z, centre, rest)
    shift = sum((np.asarray(x, np.float64) for x in (centre, rest) if x is not None), np.float64(0))
    result = np.empty(z.shape, np.float32)
    for begin in range(0, z.shape[0], _BATCH):
        result[begin : begin + _BATCH] = z[begin : begin + _BATCH] - shift
    return jax.device_put(result)


@jax.jit
def _centred(z: jax.Array, centre: jax.Array | None, rest: jax.Array | None) -> jax.Array:
    z = z.astype(jnp.promote_types(z.dtype, jnp.float32))
    for shift in (centre, rest):
        if shift is not None:
            z = z - shift.astype(z.dtype)
    return z.astype(jnp.float32)
