"""The picture of one procedural face: the layers from the background to the hair."""

import jax.numpy as jnp

from jaxlatent.data.faces.factors import Face
from jaxlatent.data.faces.features import (
    paint_beard,
    paint_brows,
    paint_eyes,
    paint_glasses,
    paint_mouth,
    paint_skin,
    place_features,
)
from jaxlatent.data.faces.hair import comb_hair
from jaxlatent.data.faces.head import Head, mix_palette, pose_head
from jaxlatent.data.faces.shapes import (
    Colour,
    Plane,
    cover,
    lit,
    oval,
    over,
    ramp,
    rgb,
    soft,
    spot,
)

BACKGROUND = (
    (0.47, 0.62, 0.50),
    (0.45, 0.66, 0.68),
    (0.60, 0.68, 0.78),
    (0.80, 0.66, 0.72),
    (0.90, 0.70, 0.54),
)
CLOTH = (
    (0.62, 0.30, 0.26),
    (0.84, 0.60, 0.36),
    (0.34, 0.42, 0.56),
    (0.26, 0.34, 0.48),
    (0.20, 0.40, 0.42),
)
VIEW, RISE = 0.90, 0.03  # half of the picture's edge, and its centre's y, in head units


def paint_background(f: Face, x: Plane, y: Plane) -> Colour:
    """A wall, brighter towards the lamp."""
    glow = spot(x - 0.5 * f.light_direction, y + 0.3, 1.7, 1.5)
    wall = ramp(f.background_hue, BACKGROUND) * (1 + 0.32 * f.background_light)
    return wall * (0.70 + 0.42 * glow)


def paint_bust(f: Face, x: Plane, y: Plane, head: Head, skin: Colour, below: Colour) -> Colour:
    """Neck and shoulders."""
    half = 0.22 + 0.03 * f.head_width + 0.02 * f.jaw
    flare = jnp.maximum(y - 0.72, 0.0)
    neck = cover(jnp.abs(x) - half - 1.6 * flare * flare, head.pixel) * cover(0.3 - y, head.pixel)
    under_chin = soft(head.edge - 0.06, 0.10)
    shade = 0.72 + 0.22 * f.light_direction * x / half - 0.55 * under_chin
    picture = over(below, lit(skin, jnp.clip(shade, 0.0, 1.0)), neck)

    shoulder = 0.82 + 0.24 * x * x
    collar = 0.985 - 0.75 * jnp.maximum(jnp.abs(x) - 0.08, 0.0)
    edge = 0.8 * (jnp.maximum(shoulder, collar) - y)
    light = 0.88 + 0.22 * f.light_direction * x - 0.12 * soft(jnp.abs(edge) - 0.02, 0.02)
    cloth = ramp(f.background_hue, CLOTH) * light
    return over(picture, cloth, cover(edge, head.pixel))


def paint_ears(f: Face, head: Head, skin: Colour, below: Colour) -> Colour:
    """Ears; the one that the head turns away hides behind it."""
    x = head.x + 0.03 * f.yaw
    long = 0.5 + 0.5 * f.hair_length
    out = jnp.abs(x) - 0.985 * head.half_width + 0.07 * long * long  # long hair holds them close
    hollow = spot(out - 0.005, head.y - 0.06, 0.045, 0.09)
    shade = 0.72 + 0.25 * f.light_direction * jnp.sign(x) - 0.5 * hollow
    ear = cover(oval(out, head.y - 0.07, 0.065, 0.125), head.pixel)
    return over(below, lit(skin, jnp.clip(shade, 0.0, 1.0)), ear)


def render_face(f: Face, size: int) -> Colour:
    """Renders one face: red, green and blue planes (3, size, size) in [0, 1]."""
    pixel = 2 * VIEW / size
    line = (jnp.arange(size, dtype=jnp.float32) + 0.5) * pixel - VIEW
    x, y = jnp.meshgrid(line, line + RISE)
    palette = mix_palette(f)
    head = pose_head(f, x, y, pixel)
    hair = comb_hair(f, head, palette.hair)
    at = place_features(f)

    picture = paint_background(f, x, y)
    picture = over(picture, hair.back, hair.behind)
    picture = paint_bust(f, x, y, head, palette.skin, picture)
    picture = paint_ears(f, head, palette.skin, picture)

    face = paint_skin(f, head, at, palette, hair.cast)
    face, beard = paint_beard(f, head, at, palette, hair, face)
    face = paint_mouth(f, head, at, palette, face)
    face = paint_eyes(f, head, at, palette, face)
    face = paint_brows(f, head, at, palette, face)
    face = paint_glasses(f, head, at, face)
    picture = over(picture, face, cover(head.edge - beard, pixel))
    picture = over(picture, hair.front, hair.before)

    lamp = rgb(1.0, 1.0, 1.0) + f.light_warmth * rgb(0.07, 0.0, -0.11)
    return jnp.clip(picture * lamp, 0.0, 1.0)
