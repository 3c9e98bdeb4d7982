"""Quantiles of the normal distribution between two bounds, far out too."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Standard deviations, beyond which tail probabilities leave the range of float32.
_FAR = np.float32(10)


def truncated_normal(
    w: Float[Array, " b"], low: Float[Array, " b"], high: Float[Array, " b"]
) -> Float[Array, " b"]:
    """The quantile w of the standard normal distribution restricted to [low, high].

    By the inverse of the upper tail probability Q, with signs such that the interval lies mostly on the
    positive side, where Q keeps its digits. Beyond 10, where Q leaves the range of float32, by its asymptotic
    form exp(-x^2 / 2) / x, which misses ratios of tail probabilities by 2e-4 there and less further out.

    Args:
        w: in (0, 1).
        low: lower end, in standard deviations.
        high: upper end, above `low`.

    Returns:
        Numbers in [low, high].
    """
    mirrored = low + high < 0
    a, b, w = (jnp.where(mirrored, x, y) for x, y in ((-high, low), (-low, high), (1 - w, w)))
    # Each form gets numbers that it can take where the other one counts, so that derivatives are finite too.
    tails = (jnp.minimum(a, _FAR), jnp.minimum(b, _FAR + 2))
    upper, lower = (0.5 * jax.lax.erfc(x * np.float32(math.sqrt(0.5))) for x in tails)
    near = -jax.scipy.special.ndtri(upper + w * (lower - upper))
    start = jnp.maximum(a, _FAR)
    stop = jnp.maximum(b, start)
    share = 1 - jnp.exp((start - stop) * (start + stop) / 2) * (start / stop)
    gain = -2 * jnp.log1p(-w * share)
    gain = gain - jnp.log1p(gain / jnp.square(start))
    far = start + gain / (start + jnp.sqrt(jnp.square(start) + gain))
    x = jnp.clip(jnp.where(a < _FAR, near, far), a, b)
    return jnp.where(mirrored, -x, x)
