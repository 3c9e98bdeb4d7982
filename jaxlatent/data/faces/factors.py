"""The factors of a procedural face and how they are drawn.

The factors follow a linear Gaussian network: where nature ties two properties, the mean of one
follows the other. A smooth squash keeps them within (-1, 1), so that they form one tilted, roughly
ellipsoidal cloud without edges.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key


class Face(NamedTuple):
    """Everything that tells one face from another; each factor runs from -1 to 1."""

    head_width: Float[Array, ""]
    head_length: Float[Array, ""]
    jaw: Float[Array, ""]
    skin_tone: Float[Array, ""]
    hair_shade: Float[Array, ""]
    hair_warmth: Float[Array, ""]
    hair_length: Float[Array, ""]
    hair_volume: Float[Array, ""]
    parting: Float[Array, ""]
    fringe: Float[Array, ""]
    eye_spacing: Float[Array, ""]
    eye_size: Float[Array, ""]
    eye_opening: Float[Array, ""]
    iris: Float[Array, ""]
    brow_height: Float[Array, ""]
    brow_thickness: Float[Array, ""]
    brow_angle: Float[Array, ""]
    nose_width: Float[Array, ""]
    nose_length: Float[Array, ""]
    mouth_width: Float[Array, ""]
    mouth_open: Float[Array, ""]
    smile: Float[Array, ""]
    lip_colour: Float[Array, ""]
    beard: Float[Array, ""]
    glasses: Float[Array, ""]
    yaw: Float[Array, ""]
    tilt: Float[Array, ""]
    light_direction: Float[Array, ""]
    light_warmth: Float[Array, ""]
    background_hue: Float[Array, ""]
    background_light: Float[Array, ""]


# (mean, spread, what it follows and how strongly); 0, 0.4 and nothing where a factor is not named
_Law = tuple[float, float, dict[str, float]]
_LAWS: dict[str, _Law] = {
    "build": (0.0, 0.4, {}),  # no factor of its own: what jaw, beard, hair and lips have in common
    "head_width": (0.0, 0.4, {"build": 0.2}),
    "head_length": (0.0, 0.4, {"build": 0.2}),
    "jaw": (0.0, 0.35, {"build": 0.6}),
    "skin_tone": (-0.3, 0.45, {}),
    "hair_shade": (-0.2, 0.4, {"skin_tone": -0.6}),
    "hair_warmth": (0.0, 0.4, {"hair_shade": 0.2}),
    "hair_length": (-0.05, 0.25, {"build": -1.4}),
    "hair_volume": (0.0, 0.45, {}),
    "parting": (0.0, 0.5, {}),
    "fringe": (-0.1, 0.5, {}),
    "eye_size": (0.0, 0.4, {"build": -0.3}),
    "eye_opening": (0.15, 0.4, {"smile": -0.2}),
    "iris": (-0.3, 0.35, {"skin_tone": -0.5, "hair_shade": 0.4}),
    "brow_thickness": (0.0, 0.35, {"build": 0.6}),
    "nose_width": (0.0, 0.4, {"build": 0.2, "skin_tone": 0.2}),
    "nose_length": (0.0, 0.4, {"build": 0.2}),
    "mouth_width": (0.0, 0.4, {"smile": 0.3}),
    "mouth_open": (-0.4, 0.4, {"smile": 0.5}),
    "smile": (0.3, 0.4, {}),
    "lip_colour": (0.0, 0.4, {"build": -0.6}),
    "beard": (-0.6, 0.25, {"build": 1.3}),
    "glasses": (-0.5, 0.4, {}),
    "light_direction": (0.0, 0.5, {}),
    "background_hue": (0.0, 0.5, {}),
}


def _network() -> tuple[np.ndarray, np.ndarray]:
    """Mean (f,) and mixing matrix (f, f + 1) of the factors before the squash."""
    names = (*Face._fields, "build")
    mean, spread, follows = np.zeros(len(names)), np.zeros(len(names)), np.eye(len(names))
    for row, name in enumerate(names):
        mean[row], spread[row], parents = _LAWS.get(name, (0.0, 0.4, {}))
        for parent, weight in parents.items():
            follows[row, names.index(parent)] = -weight
    # g = mean + parents' weights @ g + spread * noise, solved for g
    inverse = np.linalg.inv(follows)
    factors = len(Face._fields)
    mixing = inverse[:factors] * spread
    return (inverse[:factors] @ mean).astype(np.float32), mixing.astype(np.float32)


_MEAN, _MIXING = _network()


def draw_factors(key: Key[Array, ""]) -> Float[Array, " f"]:
    """Draws the factors of one face, in the order of `Face`."""
    noise = jax.random.normal(key, (_MIXING.shape[1],), jnp.float32)
    free = _MEAN + jnp.matmul(_MIXING, noise, precision="highest")
    return jnp.divide(free, (1 + free**4) ** 0.25)
