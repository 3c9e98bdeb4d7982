"""Features of a procedural face: nose, beard, mouth, eyes, brows and glasses, painted on the skin.

Eyes, brows, nostrils and cheeks are drawn once, in |u|, and so appear on both sides.
"""

from typing import NamedTuple

import jax.numpy as jnp

from jaxlatent.data.faces.factors import Face
from jaxlatent.data.faces.hair import Hair
from jaxlatent.data.faces.head import Head, Palette
from jaxlatent.data.faces.shapes import (
    Colour,
    Plane,
    Scalar,
    band,
    cover,
    lit,
    oval,
    over,
    rgb,
    soft,
    spot,
)


class Places(NamedTuple):
    """Where the features sit and how large they are; scalars in head units."""

    eye_x: Scalar
    eye_width: Scalar  # half
    eye_height: Scalar  # half
    eye_scale: Scalar
    nose_y: Scalar
    nose_width: Scalar
    mouth_y: Scalar
    mouth_width: Scalar  # half
    mouth_open: Scalar  # 0 to 1


def place_features(f: Face) -> Places:
    """Lays the face out."""
    scale = 1 + 0.22 * f.eye_size
    nose_y = 0.265 + 0.05 * f.nose_length + 0.02 * f.head_length
    return Places(
        eye_x=0.222 + 0.034 * f.eye_spacing + 0.012 * f.head_width,
        eye_width=0.116 * scale,
        eye_height=0.066 * scale * (0.80 + 0.45 * f.eye_opening),
        eye_scale=scale,
        nose_y=nose_y,
        nose_width=0.088 * (1 + 0.36 * f.nose_width),
        mouth_y=nose_y + 0.205 - 0.015 * f.nose_length + 0.02 * f.head_length,
        mouth_width=0.182 * (1 + 0.2 * f.mouth_width + 0.1 * f.smile),
        mouth_open=0.5 + 0.5 * f.mouth_open,
    )


def paint_skin(f: Face, head: Head, at: Places, palette: Palette, cast: Plane) -> Colour:
    """Skin with the relief of nose, eyes, lips and cheeks, and the shadow that hair casts."""
    u, y, lamp = head.u, head.y, f.light_direction
    # the tip of the nose stands out farther than the surface
    n = u - 0.06 * f.yaw * spot(u, y - at.nose_y + 0.03, 0.22, 0.42)
    below = y - at.nose_y
    away = jnp.clip(-14 * n * lamp, 0.0, 1.0)  # the side of the nose that the lamp does not reach
    side = spot(n + 0.055 * lamp, y - 0.45 * at.nose_y, 0.085, 0.75 * at.nose_y) * away
    under_nose = spot(n, below - 0.045, 1.5 * at.nose_width, 0.05)
    under_lip = spot(u, y - at.mouth_y - 0.125 - 0.02 * at.mouth_open, 0.13, 0.05)
    socket = spot(jnp.abs(u) - at.eye_x, y + 0.02, 0.17, 0.13)
    run = jnp.abs(u) - 0.5 * at.mouth_width - 0.05 - 0.30 * (below + 0.03)
    fold = soft(jnp.abs(run), 0.032) * spot(jnp.abs(u) - 0.16, below - 0.09, 0.17, 0.14)
    shade = (
        head.shade
        - 0.20 * socket
        - 0.42 * side
        - 0.40 * under_nose
        - 0.25 * under_lip
        - (0.10 + 0.12 * f.smile) * fold
        - 0.36 * cast
    )
    face = lit(palette.skin, jnp.clip(shade, 0.0, 1.1))

    cheek = spot(jnp.abs(u) - 0.28, y - 0.23 + 0.02 * f.smile, 0.18, 0.14)
    face = over(face, palette.skin * rgb(0.98, 0.62, 0.57), 0.28 * cheek)
    shine = (
        0.5 * spot(n - 0.02 * lamp, below + 0.01, 0.045, 0.045)
        + 0.22 * spot(n - 0.015 * lamp, y - 0.06, 0.03, 0.17)
        + 0.22 * spot(u - 0.16 * lamp, y + 0.33, 0.22, 0.13)
        + 0.5 * lamp * (spot(u - 0.27, y - 0.19, 0.12, 0.09) - spot(u + 0.27, y - 0.19, 0.12, 0.09))
    )
    face = over(face, rgb(1.0, 0.96, 0.90), 0.30 * jnp.maximum(shine, 0.0))

    nostril = spot(jnp.abs(n) - 0.5 * at.nose_width, below - 0.022, 0.36 * at.nose_width, 0.020)
    ring = oval(jnp.abs(n) - 0.62 * at.nose_width, below, 0.46 * at.nose_width, 0.045)
    outer = soft(0.3 * at.nose_width - jnp.abs(n) + 0.02, 0.03) * soft(-0.01 - below, 0.03)
    wing = soft(jnp.abs(ring) - 0.004, 0.016) * outer
    return over(face, palette.deep_skin, jnp.minimum(0.75 * nostril + 0.38 * wing, 1.0))


def paint_beard(
    f: Face, head: Head, at: Places, palette: Palette, hair: Hair, face: Colour
) -> tuple[Colour, Plane]:
    """Moustache and beard, from stubble to full; also how far the beard stands out."""
    amount = 0.5 + 0.5 * f.beard
    u, y = head.u, head.y
    side = jnp.maximum(jnp.abs(u) / head.half_width - 0.62, 0.0)
    jaw = soft(0.32 - 0.9 * side + 0.10 * soft(jnp.abs(u) - 0.2, 0.1) - y, 0.05)
    lips = jnp.minimum(1.6 * spot(u, y - at.mouth_y - 0.01, 1.2 * at.mouth_width, 0.11), 1.0)
    moustache = spot(u, y - at.mouth_y + 0.085, 1.1 * at.mouth_width, 0.05)
    where = jnp.maximum(jaw * (1 - 0.92 * lips), jnp.minimum(1.5 * moustache, 1.0))
    alpha = jnp.clip(1.35 * amount - 0.22, 0.0, 0.97) * where
    shaded = palette.hair * (0.52 + 0.4 * head.shade + 0.06 * hair.strands)
    return over(face, shaded, alpha), 0.05 * jnp.clip(2 * amount - 1, 0.0, 1.0) * jaw


def paint_mouth(f: Face, head: Head, at: Places, palette: Palette, face: Colour) -> Colour:
    """Lips, teeth and the dark between."""
    u, lamp = head.u, f.light_direction
    along = u / at.mouth_width
    bow = jnp.maximum(1 - along * along, 0.0)
    corner_y = at.mouth_y + 0.012 - 0.036 * f.smile
    w = head.y - corner_y - (0.075 * f.smile + 0.004) * bow
    gap = (0.005 + 0.085 * at.mouth_open) * bow
    upper = -0.4 * gap - 0.042 * bow * (1 - 0.28 * spot(along, 0.0, 0.24, 1.0))
    lower = 0.6 * gap + 0.055 * bow * (0.75 + 0.25 * bow)
    ends = soft(jnp.abs(u) - at.mouth_width, 0.012)

    shade = 0.84 + 0.18 * jnp.clip(20 * w, -1.0, 1.0) + 0.1 * lamp * head.across
    gloss = spot(u - 0.04 * lamp, w - 0.6 * gap - 0.022, 0.08, 0.018)
    lips = over(palette.lips * shade, rgb(1.0, 0.95, 0.93), 0.25 * gloss)
    whole = cover(upper - w, head.pixel) * cover(w - lower, head.pixel) * ends
    face = over(face, lips, whole)

    teeth = soft(w + 0.4 * gap - 0.6 * gap, 0.012) * jnp.clip(4 * at.mouth_open - 0.8, 0.0, 1.0)
    inner = over(rgb(0.32, 0.09, 0.09), rgb(0.95, 0.93, 0.90), teeth)
    hollow = cover(-0.4 * gap - w, head.pixel) * cover(w - 0.6 * gap, head.pixel) * ends
    face = over(face, inner, hollow * jnp.clip(0.7 + at.mouth_open, 0.0, 1.0))
    corner = spot(jnp.abs(u) - at.mouth_width, head.y - corner_y, 0.035, 0.022)
    return over(face, palette.deep_skin, 0.5 * corner)


def paint_eyes(f: Face, head: Head, at: Places, palette: Palette, face: Colour) -> Colour:
    """Eyeballs with iris, pupil and glint, lids and lashes."""
    u, y, pixel = head.u, head.y, head.pixel
    e = jnp.abs(u) - at.eye_x  # from the middle of the eye outwards
    along = e / at.eye_width
    bow = jnp.maximum(1 - along * along, -1.0)
    upper = -at.eye_height * bow - 0.10 * e
    lower = 0.62 * at.eye_height * bow - 0.10 * e

    # the eyes stay on the onlooker while the head turns
    across = u - jnp.sign(u) * at.eye_x + 0.018 * f.yaw
    up = y + 0.006
    radius = 0.060 * at.eye_scale
    r = jnp.sqrt(across * across + up * up + 1e-9)
    eye = rgb(0.97, 0.955, 0.94) * (0.97 - 0.25 * soft(y - upper - 0.01, 0.03))
    glow = 0.62 + 0.75 * jnp.clip(up / radius + 0.3, -0.4, 1.0)
    eye = over(
        eye,
        palette.iris * (glow - 0.3 * soft(radius - r - 0.008, 0.008)),
        cover(r - radius, pixel),
    )
    eye = over(eye, rgb(0.03, 0.025, 0.03), cover(r - 0.46 * radius, pixel))
    gx, gy = across - 0.028 * f.light_direction, up + 0.024
    glint = cover(jnp.sqrt(gx * gx + gy * gy + 1e-9) - 0.018 * at.eye_scale, 1.2 * pixel)
    eye = over(eye, rgb(1.0, 1.0, 1.0), 0.9 * glint)
    face = over(face, eye, cover(upper - y, pixel) * cover(y - lower, pixel))

    ends = soft(jnp.abs(e) - at.eye_width - 0.008, 0.02)
    lashes = band(y - upper + 0.004, 0.012 + 0.005 * (along + 1), pixel) * ends
    face = over(face, rgb(0.10, 0.06, 0.055), 0.88 * lashes)
    crease = soft(jnp.abs(y - upper + 0.038) - 0.002, 0.014) * soft(jnp.abs(e) - 0.8 * at.eye_width, 0.04)
    lower_lid = band(y - lower, 0.005, pixel) * ends
    return over(face, palette.deep_skin, 0.38 * jnp.maximum(crease, lower_lid))


def paint_brows(f: Face, head: Head, at: Places, palette: Palette, face: Colour) -> Colour:
    """Eyebrows."""
    e = jnp.abs(head.u) - at.eye_x - 0.005
    along = e / 0.14
    line = -0.145 - 0.036 * f.brow_height - 0.012 * f.eye_size
    line = line - 0.034 * (f.brow_angle + 0.2) * along - 0.030 * (1 - along * along)
    half = (0.023 + 0.011 * f.brow_thickness) * (1 - 0.45 * jnp.clip(along, -1.0, 1.2))
    brow = band(head.y - line, half, head.pixel) * soft(jnp.abs(e) - 0.14, 0.03)
    colour = over(0.6 * palette.hair, palette.skin * rgb(0.4, 0.3, 0.28), 0.25)
    return over(face, colour, 0.85 * brow)


def paint_glasses(f: Face, head: Head, at: Places, face: Colour) -> Colour:
    """Glasses whose frame grows and darkens from nothing."""
    amount = 0.5 + 0.5 * f.glasses
    u, y, pixel = head.u, head.y, head.pixel
    wide, half = 0.168, 0.004 + 0.018 * amount
    e = jnp.abs(u) - at.eye_x - 0.008
    lens = oval(e, y - 0.02, wide, 0.130, 0.25)
    bridge = band(y + 0.012 - 0.7 * u * u, half, pixel) * cover(e + wide - 0.012, pixel)
    bow = band(y + 0.03, half, pixel) * cover(wide - e, pixel)
    frame = jnp.maximum(jnp.maximum(band(lens, half, pixel), bridge), bow)
    opacity = soft(0.40 - amount, 0.17)
    streak = soft(jnp.abs(e + 0.6 * y - 0.02) - 0.03, 0.02)
    face = over(face, rgb(0.92, 0.96, 1.0), opacity * cover(lens, pixel) * (0.06 + 0.14 * streak))
    return over(face, rgb(0.09, 0.07, 0.08), opacity * frame)
