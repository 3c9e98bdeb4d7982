"""Small pieces of two-dimensional drawing: colours, anti-aliased edges, soft spots, layers.

Lengths are in head units (the head is about one unit wide), y points down, and a signed distance is
negative inside. Channels come first, (3, h, w): XLA then computes a layer's opacity once for all
three, in long vector loops.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

Scalar = Float[Array, ""]
Plane = Float[Array, "h w"]
Value = Scalar | Plane | float
Colour = Float[Array, "3 #h #w"]  # red, green, blue in [0, 1]; of one tone, or a picture


def rgb(red: float, green: float, blue: float) -> Colour:
    """A colour of one tone."""
    return jnp.array([red, green, blue], jnp.float32)[:, None, None]


def ramp(t: Scalar, stops: tuple[tuple[float, float, float], ...]) -> Colour:
    """The colour at t in [-1, 1] between equally spaced stops."""
    knots = jnp.linspace(-1.0, 1.0, len(stops), dtype=jnp.float32)
    channels = [jnp.interp(t, knots, jnp.array(c, jnp.float32)) for c in zip(*stops, strict=True)]
    return jnp.stack(channels)[:, None, None]


def over(below: Colour, above: Colour, alpha: Value) -> Colour:
    """Lays `above`, with opacity `alpha` in [0, 1], over `below`."""
    return below + (above - below) * alpha


def lit(colour: Colour, shade: Value) -> Colour:
    """Skin and the like in light (shade 1) or in shadow (0): darker and redder, not grey."""
    return colour * over(rgb(0.62, 0.47, 0.45), rgb(1.0, 1.0, 1.0), shade)


def cover(distance: Plane, pixel: float) -> Plane:
    """The part of a pixel that lies inside an edge at this signed distance."""
    return jnp.clip(0.5 - distance / pixel, 0.0, 1.0)


def band(offset: Plane, half: Value, pixel: float) -> Plane:
    """The part of a pixel within the strip |offset| < half, also where the strip is the thinner."""
    return cover(offset - half, pixel) * cover(-offset - half, pixel)


def soft(distance: Value, width: float) -> Array:
    """A smooth step from 1 (distance <= -width) to 0 (distance >= width)."""
    t = jnp.clip(0.5 - 0.5 * distance / width, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def spot(x: Value, y: Value, rx: Value, ry: Value) -> Array:
    """A soft round bump: 1 at the origin, smoothly 0 on the ellipse of radii rx and ry."""
    t = jnp.maximum(1 - (x / rx) ** 2 - (y / ry) ** 2, 0.0)
    return t * t


def oval(x: Plane, y: Plane, rx: Value, ry: Value, square: Value = 0.0) -> Plane:
    """Signed distance, to first order (f / |grad f|), to an ellipse of radii rx and ry.

    `square` in [0, 1) bulges the ellipse towards its bounding box.
    """
    x2, y2 = (x / rx) ** 2, (y / ry) ** 2
    k = jnp.sqrt(x2 + y2 - square * jnp.minimum(x2, 1.0) * jnp.minimum(y2, 1.0) + 1e-9)
    slope = jnp.sqrt(x2 / (rx * rx) + y2 / (ry * ry) + 1e-9)
    return k * (k - 1) / slope
