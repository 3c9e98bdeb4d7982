"""A header and arrays in one message: what the server sends, and what a page that needs none holds.

Four bytes of little-endian length, the header as JSON, then the arrays, each at a multiple of eight bytes.
The header's "arrays" says of each its type, shape and offset behind the header. `page/wire.js` reads it.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

_TYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "|u1"}
_ALIGN = 8


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """The message of a header, JSON with a field "arrays" of its own, and arrays by name.

    Raises:
        TypeError: if an array is not of float32, float16, int32 or uint8.
    """
    described, parts, offset = {}, [], 0
    for name, array in (arrays or {}).items():
        kind = np.dtype(array.dtype).name
        if kind not in _TYPES:
            raise TypeError(f"{name}: expected one of {', '.join(_TYPES)}, got {kind}")
        raw = np.ascontiguousarray(array, _TYPES[kind]).tobytes()
        described[name] = {"type": kind, "shape": list(array.shape), "offset": offset}
        padding = b"\0" * (-len(raw) % _ALIGN)
        parts += [raw, padding]
        offset += len(raw) + len(padding)
    text = json.dumps({**header, "arrays": described}, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % _ALIGN)
    return b"".join([struct.pack("<I", len(text)), text, *parts])
