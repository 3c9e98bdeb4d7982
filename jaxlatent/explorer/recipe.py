"""What a vector of the explorer is made from, as one line of text.

    sampler=pairwise:fact=0.7&seed=0&index=17&components=105&fact=0.8&c1=1.25&a.smile=0.5&inside=1

The page keeps it in its address, `Space.vector` takes it in Python, and `jaxlatent explore --state` on the
command line: the same text, the same face.
"""

import base64
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote

import numpy as np

from jaxlatent._random import MAX_SEED

#: The longest text that is read: a vector of 16,384 numbers and many edits.
LONGEST = 100_000
_MOST_EDITS = 1000
_MOST_INDEX = 2**32 - 1
# Sums and products of such numbers still fit float32.
_LARGEST = 1e30
_EDIT = re.compile(r"c[1-9]\d{0,6}|z[1-9]\d{0,6}|a\..+", re.DOTALL)
_SAFE = ":.,-_~"


@dataclass(frozen=True)
class Recipe:
    """A vector: where it begins, the dials, what is changed of it; `str` gives the text that `parse` reads.

    Attributes:
        sampler: the name of the sampler that draws it, and whose region counts; the first one where empty.
        seed: of the draw, 64 bits.
        index: of the vector among those of this seed, 32 bits.
        image: in place of a draw the z-point of this training image, from 0.
        vector: in place of a draw this vector, float32 in bytes of little-endian order.
        components: of the vector only so many principal components are kept, the others put at their mean;
            all where None.
        fact: semi-axes in half-widths (FWHM), of a sampler with an ellipse body; as fitted where None.
        temperature: factor of the sampler's deviations, of one that has it; as fitted where None.
        edge: half the edge of the naive cube; as fitted where None.
        edits: what is changed, one after the other: "c3" sets the third component, in standard deviations;
            "z3" the third latent coordinate, in latent units; "a.NAME" goes along an attribute, 1 being the
            distance between the means with and without it.
        inside: keeps the vector inside the sampler's region, at every edit.
    """

    sampler: str = ""
    seed: int = 0
    index: int = 0
    image: int | None = None
    vector: bytes | None = None
    components: int | None = None
    fact: float | None = None
    temperature: float | None = None
    edge: float | None = None
    edits: tuple[tuple[str, float], ...] = ()
    inside: bool = False

    @classmethod
    def parse(cls, text: str) -> "Recipe":
        """Reads the text.

        Raises:
            TypeError: if it is none.
            ValueError: if a part of it is not understood, or out of range; one line that names it.
        """
        if not isinstance(text, str):
            raise TypeError(f"state: expected text, got {type(text).__name__}")
        if len(text) > LONGEST:
            raise ValueError(f"state: expected at most {LONGEST:,} characters, got {len(text):,}")
        fields: dict[str, Any] = {}
        edits: dict[str, float] = {}
        for name, value in parse_qsl(text.lstrip("?#"), keep_blank_values=True):
            if name.startswith("v."):  # what else the page has in its address
                continue
            if _EDIT.fullmatch(name):
                edits.pop(name, None)  # the last one counts, in its place
                edits[name] = _number(repr(name[:40])[1:-1], value)
            elif name not in _FIELDS:
                known = ", ".join(_FIELDS)
                raise ValueError(
                    f"state: {name[:40]!r} is not known; expected one of {known}, c1, z1 or a.NAME"
                )
            elif name in fields:
                raise ValueError(f"state: {name} is given twice; leave one out")
            else:
                fields[name] = _FIELDS[name](name, value)
        if len(edits) > _MOST_EDITS:
            raise ValueError(f"state: expected at most {_MOST_EDITS} edits, got {len(edits)}")
        if "image" in fields and "vector" in fields:
            raise ValueError("state: image and vector exclude each other; leave one out")
        return cls(edits=tuple(edits.items()), **fields)

    @classmethod
    def of_vector(cls, z: np.ndarray, sampler: str = "") -> "Recipe":
        """The recipe of a vector that comes from elsewhere, (d,).

        Raises:
            ValueError: if a number is not finite, or above 1e30.
        """
        z = np.asarray(z, "<f4")
        if not _are_numbers(z):
            raise ValueError("vector: expected finite numbers, up to 1e30")
        return cls(sampler=sampler, vector=z.tobytes())

    @property
    def is_draw(self) -> bool:
        """Whether it is `sampler.sample(jax.random.key(seed), 1, start=index)` of a sampler as fitted.

        JAX drops what a seed has beyond 32 bits.
        """
        return self == Recipe(self.sampler, self.seed, self.index) and self.seed < 2**32

    def at(self, index: int) -> "Recipe":
        """The same with another vector of the seed."""
        return replace(self, index=index)

    def __str__(self) -> str:
        parts: dict[str, Any] = {"sampler": self.sampler} if self.sampler else {}
        if self.vector is not None:
            parts["vector"] = base64.urlsafe_b64encode(self.vector).decode().rstrip("=")
        elif self.image is None:
            parts |= {"seed": self.seed, "index": self.index}
        for name in ("image", "components", "fact", "temperature", "edge"):
            if getattr(self, name) is not None:
                parts[name] = getattr(self, name)
        parts |= dict(self.edits)
        if self.inside:
            parts["inside"] = 1
        quoted = ((quote(name, _SAFE), quote(_text(value), f"{_SAFE}=")) for name, value in parts.items())
        return "&".join(f"{name}={value}" for name, value in quoted)


def _text(value: Any) -> str:
    """Of a float the shortest text that gives the same one again."""
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not abs(number) <= _LARGEST:
        raise ValueError(f"state: {name}: expected a number, got {value[:40]!r}")
    return number


def _positive(name: str, value: str) -> float:
    number = _number(name, value)
    if not 0.001 <= number <= 1000:
        raise ValueError(f"state: {name}: expected a number from 0.001 to 1000, got {value[:40]!r}")
    return number


def _whole(least: int, most: int) -> Callable[[str, str], int]:
    def read(name: str, value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) <= 20 and least <= int(value) <= most):
            raise ValueError(
                f"state: {name}: expected a whole number from {least} to {most}, got {value[:40]!r}"
            )
        return int(value)

    return read


def _vector(name: str, value: str) -> bytes:
    try:
        raw = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        good = bool(raw) and _are_numbers(np.frombuffer(raw, "<f4"))
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"state: {name}: expected finite numbers of float32 as base64, got {value[:40]!r}")
    return raw


def _are_numbers(z: np.ndarray) -> bool:
    return bool((np.abs(z) <= _LARGEST).all())


def _flag(name: str, value: str) -> bool:
    if value not in ("0", "1"):
        raise ValueError(f"state: {name}: expected 0 or 1, got {value[:40]!r}")
    return value == "1"


def _name(name: str, value: str) -> str:
    return value


_FIELDS: dict[str, Callable[[str, str], Any]] = {
    "sampler": _name,
    "seed": _whole(0, MAX_SEED),
    "index": _whole(0, _MOST_INDEX),
    "image": _whole(0, _MOST_INDEX),
    "vector": _vector,
    "components": _whole(1, 10**6),
    "fact": _positive,
    "temperature": _positive,
    "edge": _positive,
    "inside": _flag,
}
