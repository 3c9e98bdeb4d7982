"""The head of a procedural face: its colours, its pose, its outline, the light on it."""

from typing import NamedTuple

import jax.numpy as jnp

from jaxlatent.data.faces.factors import Face
from jaxlatent.data.faces.shapes import Colour, Plane, Scalar, oval, over, ramp, rgb

SKIN = (
    (0.99, 0.86, 0.79),
    (0.96, 0.78, 0.67),
    (0.87, 0.65, 0.51),
    (0.65, 0.44, 0.32),
    (0.43, 0.28, 0.21),
)
HAIR = (
    (0.07, 0.055, 0.055),
    (0.19, 0.125, 0.095),
    (0.36, 0.235, 0.15),
    (0.62, 0.45, 0.27),
    (0.90, 0.77, 0.52),
)
IRIS = (
    (0.22, 0.12, 0.06),
    (0.40, 0.24, 0.11),
    (0.38, 0.44, 0.25),
    (0.33, 0.53, 0.57),
    (0.36, 0.58, 0.82),
)
LIPS = (
    (0.80, 0.54, 0.47),
    (0.82, 0.47, 0.43),
    (0.82, 0.37, 0.38),
    (0.80, 0.22, 0.28),
    (0.66, 0.10, 0.22),
)


class Palette(NamedTuple):
    """The colours of one face."""

    skin: Colour
    deep_skin: Colour  # creases, nostrils, corners
    hair: Colour
    iris: Colour
    lips: Colour


class Head(NamedTuple):
    """One head, posed and lit, at every pixel."""

    pixel: float  # edge of a pixel
    x: Plane  # the frame that the tilt turns along
    y: Plane
    u: Plane  # x on the turned surface: the yaw shifts what lies in front
    across: Plane  # (x, y) over the radii of the head: -1 to 1 inside
    down: Plane
    edge: Plane  # signed distance to the outline
    half_width: Scalar
    top: Scalar
    chin: Scalar
    shade: Plane  # brightness under the lamp, 0 to about 1.1


def mix_palette(f: Face) -> Palette:
    """The colours that the factors ask for."""
    skin, shade = ramp(f.skin_tone, SKIN), ramp(f.hair_shade, HAIR)
    ash = shade.mean() * rgb(1.04, 1.0, 0.98) + rgb(0.02, 0.02, 0.03)
    red = shade * rgb(1.08, 0.90, 0.68) + rgb(0.05, 0.0, 0.0)
    return Palette(
        skin=skin,
        deep_skin=skin * rgb(0.45, 0.30, 0.28),
        hair=over(ash, red, 0.5 + 0.5 * f.hair_warmth),
        iris=ramp(f.iris, IRIS),
        lips=over(skin * rgb(0.88, 0.62, 0.60), ramp(f.lip_colour, LIPS), 0.42 + 0.38 * f.lip_colour),
    )


def pose_head(f: Face, image_x: Plane, image_y: Plane, pixel: float) -> Head:
    """Places the head and lights it."""
    cos, sin = jnp.cos(0.16 * f.tilt), jnp.sin(0.16 * f.tilt)
    x = cos * image_x + sin * (image_y - 0.8)
    y = cos * (image_y - 0.8) - sin * image_x + 0.8

    half_width = 0.49 * (1 + 0.12 * f.head_width)
    top, chin = -0.66 - 0.03 * f.head_length, 0.71 + 0.08 * f.head_length
    radius = (chin - top) / 2
    down = (y - (top + chin) / 2) / radius
    low = jnp.maximum(down, 0.0)
    width = half_width * (1 - (0.20 - 0.17 * f.jaw) * low * low)
    # the chin lies before the axis about which the head turns, so the yaw moves it
    centred = x - 0.06 * f.yaw * low
    across = centred / width
    edge = oval(centred, radius * down, width, radius, (0.22 + 0.22 * f.jaw) * low)

    # a dome stands for the depth of the surface: a rotation shifts a point by its depth
    dome = jnp.maximum(1 - 0.9 * across * across - 0.4 * down * down, 0.0)
    u = x - 0.21 * f.yaw * dome
    facing = jnp.sqrt(jnp.maximum(1 - across * across - down * down, 0.0) + 1e-4)
    lambert = 0.62 * f.light_direction * across - 0.40 * down + 0.62 * facing
    shade = jnp.clip(0.44 + 0.62 * lambert, 0.0, 1.1)
    return Head(pixel, x, y, u, across, down, edge, half_width, top, chin, shade)
