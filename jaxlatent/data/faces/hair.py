"""Hair of a procedural face: one silhouette, seen behind the head, and before it outside a window.

The silhouette is an ellipse about the skull that the hair's length stretches downwards. The window
is what the front hair leaves open: an arch whose top is the hair line, lowered by the fringe and
raised at the parting.
"""

from typing import NamedTuple

import jax.numpy as jnp

from jaxlatent.data.faces.factors import Face
from jaxlatent.data.faces.head import Head
from jaxlatent.data.faces.shapes import Colour, Plane, cover, oval, rgb, soft, spot


class Hair(NamedTuple):
    """The layers of the hair and what it does to the face."""

    back: Colour
    behind: Plane  # opacity of `back`
    front: Colour
    before: Plane  # opacity of `front`
    cast: Plane  # its shadow on the face, 0 to 1
    strands: Plane  # brightness along the strands, -1 to 1


def comb_hair(f: Face, head: Head, colour: Colour) -> Hair:
    """Shapes and lights the hair."""
    length, volume = 0.5 + 0.5 * f.hair_length, 0.5 + 0.5 * f.hair_volume
    fringe = 0.5 + 0.5 * f.fringe
    x, y, u = head.x, head.y, head.u

    # silhouette
    centre = -0.12
    below = y - centre
    stretch = 1.45 * length * length
    beyond = jnp.minimum(below, 0.0) + jnp.maximum(below - stretch, 0.0)
    crown = centre - head.top + 0.03 + 0.13 * volume
    tip = 0.17 + 0.27 * length
    curl = 0.07 * length * volume * jnp.sin(9 * y + 1.2) * jnp.clip(2 * below, 0.0, 1.0)
    width = head.half_width + 0.012 + 0.11 * volume * (0.5 + 0.5 * length) + 0.04 * length
    outline = oval(x + 0.03 * f.yaw, beyond, width * (1 + curl), jnp.where(below < 0, crown, tip), 0.15)
    silhouette = cover(outline, head.pixel)

    # strands fan out from a point above the parting
    parting = 0.22 * f.parting
    fan = (u - parting) / (y - head.top + 0.5)
    fan = fan * (1 + 0.08 * volume * jnp.sin(7 * y))
    strands = 0.5 * jnp.cos(29 * fan) - 0.5 * jnp.cos(17 * fan)

    # window
    arch = 0.12
    lines = 0.012 * fringe * strands
    hair_line = -0.49 + 0.30 * fringe - 0.03 * f.head_length + lines
    # hair is swept up at the parting and falls lower the farther from it
    swept = (0.06 + 0.12 * fringe * (1 - fringe)) * spot(u - parting, 0.0, 0.36, 1.0)
    fall = 0.16 * f.parting * u
    height = arch - hair_line + swept + fall
    opening = head.half_width * (1.03 - 0.14 * length - 0.05 * volume * length)
    window = oval(0.5 * u + 0.5 * x, jnp.minimum(y - arch, 0.0), opening, height, 0.25 + 0.5 * fringe)

    # a ring of gloss where the crown turns towards the lamp
    ring = spot(head.edge + 0.045, y + 0.50 - 0.3 * f.light_direction * x, 0.11, 0.36)
    lamp = 0.80 + 0.22 * f.light_direction * head.across - 0.20 * jnp.clip(head.down, -1.0, 0.6)
    gloss = lamp + 0.08 * strands + (0.30 + 0.20 * strands) * ring
    rim = 1 - 0.28 * soft(window, 0.05)
    return Hair(
        back=colour * rgb(0.55, 0.52, 0.52) * (0.9 + 0.1 * strands),
        behind=silhouette,
        front=colour * (gloss * rim) + 0.05 * ring,
        before=silhouette * cover(-window, head.pixel),
        cast=soft(-window - 0.015, 0.06) * soft(y - 0.1, 0.5),
        strands=strands,
    )
