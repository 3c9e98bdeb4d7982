"""PCA, bodies and samplers in one .npz file, without pickle."""

import dataclasses
import json
import os
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent._files import atomic_path
from jaxlatent._pytree import CLASSES

_FORMAT = 1


def save(path: str | os.PathLike[str], obj: Any) -> None:
    """Writes a PCA, a body or a sampler to `path` (.npz); an existing file is replaced in one step.

    The file holds one array per leaf, named by its path in the object ("pca.mean"), and one JSON
    string "structure" with the class names and the options.

    Raises:
        TypeError: if `obj` is not of a class of this package that can be saved.
    """
    arrays: dict[str, np.ndarray] = {}
    structure = {"format": _FORMAT, "object": _describe(obj, "", arrays)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, structure=np.array(json.dumps(structure)), **arrays)


def load(path: str | os.PathLike[str]) -> Any:
    """Reads what `save` wrote; the arrays come back bit for bit.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not one that `save` wrote.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        structure = json.loads(str(arrays.pop("structure")))
        version = structure["format"]
        if version == _FORMAT:
            return _rebuild(structure["object"], arrays)
    except (KeyError, TypeError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a file written by jaxlatent.save ({error!r})") from error
    raise ValueError(f"{path}: format {version}, this version reads {_FORMAT}; update jaxlatent")


def _describe(obj: Any, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    if isinstance(obj, (jax.Array, np.ndarray)):
        arrays[name or "array"] = np.asarray(obj)
        return {"array": name or "array"}
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return {"value": obj}
    class_name = type(obj).__name__
    if class_name not in CLASSES or not dataclasses.is_dataclass(obj):
        raise TypeError(f"obj: cannot save {class_name}; expected one of {', '.join(sorted(CLASSES))}")
    fields = {
        field.name: _describe(getattr(obj, field.name), f"{name}.{field.name}".lstrip("."), arrays)
        for field in dataclasses.fields(obj)
    }
    return {"class": class_name, "fields": fields}


def _rebuild(node: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    if "array" in node:
        return jnp.asarray(arrays[node["array"]])
    if "value" in node:
        return node["value"]
    fields = {key: _rebuild(value, arrays) for key, value in node["fields"].items()}
    return CLASSES[node["class"]](**fields)
