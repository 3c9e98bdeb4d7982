"""Half-widths by one sampling interval for all components: a demonstration of what goes wrong."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_choice, as_positive, as_vectors
from jaxlatent.latent.half_width import width_at_half_maximum
from jaxlatent.latent.histogram import component_counts

_MOST_BINS = 20_000


def fixed_interval_half_width(
    y: Float[Array | np.ndarray, "n k"], interval: float, kind: Literal["fwhm", "hwhm"] = "fwhm"
) -> Float[Array, " k"]:
    """The width of each component's density, with ONE sampling interval for all components.

    This is the source's estimate, kept for comparison; use `jaxlatent.half_width` to measure. The density is
    a plain histogram of bins as wide as `interval`, one of them about 0, and the width is the distance of
    the crossings of half its maximum, linear between the middles of the bins. An interval that suits wide
    components is too coarse for narrow ones: no full width comes out below about one interval. One that
    suits narrow components leaves few points in a bin of the wide ones, and the noise of the highest bin
    makes these widths too small.

    Args:
        y: components about 0, floating point (n, k), n >= 1.
        interval: width of all bins, in the components' unit, > 0 and at least 1/10,000 of the largest value.
        kind: "fwhm", the full width at half maximum, or "hwhm", half of it.

    Returns:
        float32 (k,), in the components' unit.

    Raises:
        TypeError: if `y` is not floating point, or `interval` no number.
        ValueError: if `y` is not (n, k), is not finite, or an option is out of range.
    """
    as_choice("kind", kind, get_args(Literal["fwhm", "hwhm"]))
    y = as_vectors("y", y, least=1)
    interval = as_positive("interval", interval)
    largest = float(max(np.max(y), -np.min(y)))
    if not np.isfinite(largest):
        raise ValueError("y: NaN or infinite values; remove those vectors")
    # An empty bin on each side, so that every density falls below half its maximum.
    reach = int(largest / interval + 0.5) + 1
    bins = 2 * reach + 1
    if bins > _MOST_BINS:
        raise ValueError(
            f"interval: {interval:g} makes {bins} bins of values up to {largest:g}; take at least "
            f"{2.1 * largest / _MOST_BINS:.2g}"
        )
    width = np.full(y.shape[1], interval)
    histogram = jnp.asarray(component_counts(y, -(reach + 0.5) * width, width, bins)[:, 1:-1], jnp.float32)
    fwhm = _widths(histogram) * jnp.float32(interval)
    return fwhm if kind == "fwhm" else fwhm / 2


_widths = jax.jit(jax.vmap(width_at_half_maximum))
