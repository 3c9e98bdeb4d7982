"""What made a set of records, in a form that can be compared: names and SHA-256 digests."""

import functools
import hashlib
import inspect
import json
from typing import Any

import jax
import numpy as np

from jaxlatent._pytree import CLASSES
from jaxlatent.generation.decoder import to_numpy
from jaxlatent.storage import describe


def identity(obj: Any) -> dict[str, Any]:
    """A name for `obj`, and a digest of all arrays and settings that can be seen in it.

    Args:
        obj: a sampler, an autoencoder or any other pytree; a `jax.tree_util.Partial`, a `functools.partial`,
            a method or a plain function. What a function holds in its closure cannot be seen. An object that
            has a `digest`, a string, is known by it.

    Returns:
        {"name": ..., "sha256": ...}; the digest is None where there is nothing to digest.
    """
    hashed = hashlib.sha256()
    seen = _update(hashed, obj)
    return {"name": _name(obj), "sha256": hashed.hexdigest() if seen else None}


def _name(obj: Any) -> str:
    function = obj.func if isinstance(obj, functools.partial) else obj
    if not hasattr(function, "__qualname__"):
        function = type(function)
    if isinstance(obj, tuple(CLASSES.values())) and function.__module__.startswith("jaxlatent."):
        return f"jaxlatent.{type(obj).__name__}"  # wherever its module lies
    return f"{function.__module__}.{function.__qualname__}"


def _update(hashed: Any, obj: Any) -> bool:
    """Digests what can be seen in `obj`, each array with the path to it; whether there is any."""
    if type(obj).__name__ in CLASSES:
        arrays: dict[str, np.ndarray] = {}
        hashed.update(json.dumps(describe(obj, "", arrays), sort_keys=True).encode())
        _update(hashed, arrays)
        return True
    if isinstance(own := getattr(obj, "digest", None), str):
        hashed.update(own.encode())
        return True
    config: Any = getattr(obj, "config", None)
    if hasattr(config, "to_dict"):  # an autoencoder, whose shape is not among its arrays
        hashed.update(json.dumps(config.to_dict(), sort_keys=True).encode())
    if inspect.ismethod(obj):
        return _update(hashed, obj.__self__)
    if isinstance(obj, functools.partial) and not isinstance(obj, jax.tree_util.Partial):
        # Not a generator: `any` would stop at the first.
        seen = [_update(hashed, part) for part in (*obj.args, *obj.keywords.values())]
        return any(seen)
    is_seen = False
    for path, leaf in jax.tree_util.tree_leaves_with_path(obj):
        if callable(leaf):
            continue
        array = to_numpy(leaf)
        if array.dtype == object:  # a foreign object, seen by its address, new in every run
            continue
        hashed.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        hashed.update(array.tobytes())
        is_seen = True
    return is_seen
