"""Half-widths: how far the density of each component reaches, measured with a resolution of its own."""

from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_choice, as_vectors, on_device
from jaxlatent.latent.centred import centred
from jaxlatent.latent.histogram import component_counts
from jaxlatent.latent.sharded import Vectors, on_host

HalfWidth = Literal["fwhm", "hwhm", "sigma"]

#: Full width at half maximum of a Gaussian of standard deviation 1, 2 sqrt(2 ln 2).
GAUSSIAN_FWHM = 2.3548200450309493

# The histogram spans 6 robust standard deviations to each side of the median; 100 bins to each make the
# error of binning (w^2 / 24 of the variance) a few millionths.
_SPAN, _BINS_PER_SIGMA = 6, 100
_BINS = 2 * _SPAN * _BINS_PER_SIGMA
# Quartiles only set the scale of the histogram, so some of the points are enough.
_QUARTILE_POINTS = 8192
_LEAST_BANDWIDTH = 0.25


def half_width(y: Float[Vectors, "n k"], kind: HalfWidth = "fwhm") -> Float[Array, " k"]:
    """The width of each component's number distribution, in the component's unit.

    "fwhm" is the full width at half maximum of the density, "hwhm" half of it, "sigma" the standard
    deviation (divisor n - 1). For a Gaussian, fwhm = 2.3548 sigma.

    The density is a histogram with bins of 1/100 of the component's own robust standard deviation s
    (interquartile range / 1.349), about its own median, smoothed with a Gaussian kernel of bandwidth
    b = max(0.25, 1.06 n^(-1/5)) s; the width is measured between the half-maximum crossings next to the
    peak, and what the kernel added is taken off: fwhm^2 = measured^2 - (2.3548 b)^2, exact for a Gaussian.
    Far outliers fall outside the histogram and do not matter. The relative standard error is about 0.6 %
    for 100,000 Gaussian points.

    Args:
        y: components, floating point (n, k), n >= 2.
        kind: see above.

    Returns:
        float32 (k,); 0 for a constant component.

    Raises:
        TypeError: if `y` is not floating point.
        ValueError: if `y` is not (n, k) with n >= 2, holds a NaN or an infinity, or `kind` is unknown.
    """
    as_choice("kind", kind, get_args(HalfWidth))
    y = as_vectors("y", y, least=2)
    stride = -(-y.shape[0] // _QUARTILE_POINTS)
    with np.errstate(invalid="ignore"):
        quartiles = np.quantile(np.asarray(y[::stride], np.float64), [0.25, 0.5, 0.75], axis=0)
    # A width does not hang on the place, and about the middle float64 numbers lose nothing to float32.
    y = centred(on_host(y), quartiles[1])
    deviation = _deviation(y)
    if not np.isfinite(np.asarray(deviation)).all():
        raise ValueError("y: NaN or infinite values; remove those vectors")
    if kind == "sigma":
        return deviation
    robust = ((quartiles[2] - quartiles[0]) / 1.349).astype(np.float32)
    # More than half of the values equal: the quartiles say nothing, and the peak is that value.
    scale = np.where(robust > 0, robust, np.asarray(deviation))
    width = np.where(scale > 0, scale, 1) / _BINS_PER_SIGMA
    counts = component_counts(y, -width * (_BINS // 2), width, _BINS)[:, 1:-1]
    fwhm = _fwhm(on_device(counts), on_device(scale), max(_LEAST_BANDWIDTH, 1.06 * y.shape[0] ** -0.2))
    return fwhm if kind == "fwhm" else fwhm / 2


@jax.jit
def _deviation(y: jax.Array) -> jax.Array:
    return jnp.std(y, axis=0, ddof=1)


@partial(jax.jit, static_argnames="bandwidth")
def _fwhm(histogram: jax.Array, scale: jax.Array, bandwidth: float) -> jax.Array:
    density = jax.vmap(partial(jnp.convolve, mode="same", precision="highest"), (0, None))(
        histogram, _kernel(bandwidth)
    )
    width = jax.vmap(width_at_half_maximum)(density) / _BINS_PER_SIGMA
    square = jnp.square(width) - (GAUSSIAN_FWHM * bandwidth) ** 2
    # A peak narrower than the kernel leaves nothing to measure; one bin is the resolution.
    return jnp.sqrt(jnp.maximum(square, 1 / _BINS_PER_SIGMA**2)) * scale


def _kernel(bandwidth: float) -> jax.Array:
    reach = int(np.ceil(4 * bandwidth * _BINS_PER_SIGMA))
    x = np.arange(-reach, reach + 1) / (bandwidth * _BINS_PER_SIGMA)
    weights = np.exp(-0.5 * x**2)
    return jnp.asarray(weights / weights.sum(), jnp.float32)


def width_at_half_maximum(density: jax.Array) -> jax.Array:
    """Distance, in bins, between the crossings of half the maximum that enclose the maximum."""
    peak = jnp.argmax(density).astype(jnp.int32)
    half = density[peak] / 2
    bins = jnp.arange(density.shape[0], dtype=jnp.int32)
    below = density < half
    right = jnp.min(jnp.where(below & (bins > peak), bins, density.shape[0] - 1))
    left = jnp.max(jnp.where(below & (bins < peak), bins, 0))

    def crossing(outer: jax.Array, inner: jax.Array) -> jax.Array:
        rise = density[inner] - density[outer]
        share = jnp.where(rise > 0, (density[inner] - half) / jnp.where(rise > 0, rise, 1.0), 1.0)
        return inner.astype(jnp.float32) + share * (outer - inner).astype(jnp.float32)

    return crossing(right, right - 1) - crossing(left, left + 1)
