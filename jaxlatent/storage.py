"""PCA, bodies and samplers in one .npz file, without pickle.

The file is a .zip of uncompressed .npy members: one for each array of the object, named by its path in it
("pca.mean"), and "structure", a JSON text with the format's number, the class names and everything else.
Reading trusts none of it: sizes are checked before memory is taken, only classes of this package are made,
and what they are made of has to fit the annotations of their fields.
"""

import dataclasses
import io
import json
import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any, Literal, get_args, get_origin, get_type_hints

import jax
import numpy as np
from jaxtyping import jaxtyped

from jaxlatent._backend import start_backend
from jaxlatent._boundary import on_device
from jaxlatent._files import atomic_path
from jaxlatent._pytree import CLASSES, alternatives

_FORMAT = 1

#: Fields that files of 0.1 hold and that are now derived from the others.
RETIRED = {"ExactSampler": ("table",), "EllipsoidSampler": ("table",), "TiltedSampler": ("precision",)}

# Those that both NumPy's files and JAX have.
_DTYPES = frozenset(map(np.dtype, "?bBhHiIlLqQefdFD"))


def save(path: str | os.PathLike[str], obj: Any) -> None:
    """Writes a PCA, a body, a sampler or a direction to `path` (.npz), replacing a file there in one step.

    Fields can hold arrays of NumPy's number types, other objects of this package, None, bool, int, float,
    str, and tuples of all these.

    Raises:
        TypeError: if `obj` is not of a class of this package that can be saved, or something in it is none
            of the above; the message names the field.
    """
    arrays: dict[str, np.ndarray] = {}
    structure = {"format": _FORMAT, "object": describe(obj, "", arrays)}
    arrays["structure"] = np.array(json.dumps(structure))
    # Not by np.savez, which before NumPy 2.2 takes allow_pickle for the name of an array.
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)


def load(path: str | os.PathLike[str]) -> Any:
    """Reads what `save` wrote; the arrays come back bit for bit, as JAX arrays.

    Files of older versions can be read: fields that a class has gained since get their defaults. A damaged
    or forged file can neither run code nor take much more memory than its size.

    Raises:
        OSError: if the file cannot be opened; FileNotFoundError if there is none.
        ValueError: if the file is damaged, not one that `save` wrote, or of a newer version of jaxlatent.
        RuntimeError: if JAX cannot start.
    """
    with Path(path).open("rb") as file:
        start_backend()
        try:
            return _read(file)
        # Damaged bytes make zipfile, NumPy, json and the constructors raise almost anything.
        except Exception as error:
            raise ValueError(
                f"{path}: this version of jaxlatent cannot load it ({_reason(error)})"
            ) from error


def describe(obj: Any, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What makes up `obj`, for JSON; its arrays are put into `arrays`, under their paths in it.

    Raises:
        TypeError: see `save`.
    """

    def inner(value: Any, key: object) -> dict[str, Any]:
        return describe(value, f"{name}.{key}".lstrip("."), arrays)

    if isinstance(obj, (jax.Array, np.ndarray)):
        if obj.dtype not in _DTYPES:
            raise TypeError(f"{name or 'obj'}: cannot save an array of {obj.dtype}; use float32 or the like")
        arrays[name or "array"] = np.asarray(obj)
        return {"array": name or "array"}
    if isinstance(obj, (np.bool_, np.integer, np.floating)):
        obj = obj.item()
    # Not isinstance: an IntEnum, say, would come back as a mere number.
    if obj is None or type(obj) in (bool, int, float, str):
        return {"value": obj}
    if type(obj) is tuple:
        return {"tuple": [inner(item, i) for i, item in enumerate(obj)]}
    cls = type(obj)
    if CLASSES.get(cls.__name__) is not cls:
        expected = ", ".join(sorted(CLASSES))
        raise TypeError(f"{name or 'obj'}: cannot save {cls.__name__}; expected one of {expected}")
    fields = {field.name: inner(getattr(obj, field.name), field.name) for field in dataclasses.fields(cls)}
    return {"class": cls.__name__, "fields": fields}


def _read(file: IO[bytes]) -> Any:
    room = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:

        def member(name: str) -> np.ndarray:
            nonlocal room
            info = archive.getinfo(f"{name}.npy")
            room -= info.file_size
            # Before a byte of it is read: nothing can expand, and all together are no larger than the file.
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or room < 0:
                raise ValueError(f"{name} is compressed, or larger than the file")
            return _array(archive.read(info))

        names = {name.removesuffix(".npy") for name in archive.namelist()}
        if "structure" not in names:
            raise ValueError("it has no structure, so jaxlatent.save did not write it")
        structure = json.loads(str(member("structure")))
        version = structure["format"]
        if type(version) is not int or version < 1:
            raise ValueError(f"unknown format {version!r}")
        if version > _FORMAT:
            raise ValueError(f"format {version}, this version reads {_FORMAT}; update jaxlatent")
        arrays = {name: member(name) for name in names - {"structure"}}
    obj = _rebuild(structure["object"], arrays)
    if arrays:
        raise ValueError(f"no field holds its array {min(arrays)}")
    return obj


def _array(content: bytes) -> np.ndarray:
    """The array in the bytes of a .npy file, which must be whole: NumPy would take memory for any claim."""
    stream = io.BytesIO(content)
    np.lib.format.read_magic(stream)
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    found, claimed = len(content) - stream.tell(), math.prod(shape) * dtype.itemsize
    if dtype.hasobject or found != claimed:
        raise ValueError(f"an array claims to be {shape} of {dtype}, which {found} bytes are not")
    return np.ndarray(shape, dtype, content, stream.tell(), order="F" if fortran_order else "C")


def _rebuild(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The object that `node` describes; takes its arrays out of `arrays`."""
    match node:
        case {"array": str(name)}:
            if name not in arrays:
                raise ValueError(f"the array {name} is missing")
            return _on_device(name, arrays.pop(name))
        case {"value": None | bool() | int() | float() | str() as value}:
            return value
        case {"tuple": list(items)}:
            return tuple(_rebuild(item, arrays) for item in items)
        case {"class": str(name), "fields": dict(fields)}:
            if name not in CLASSES:
                raise ValueError(f"unknown class {name!r}; update jaxlatent if a newer version wrote it")
            cls = CLASSES[name]
            for key in RETIRED.get(name, ()):
                _discard(fields.pop(key, None), arrays)
            return _make(cls, {key: _rebuild(value, arrays) for key, value in fields.items()})
    raise ValueError(f"unknown entry {node!r} in its structure")


def _discard(node: Any, arrays: dict[str, np.ndarray]) -> None:
    """Takes the arrays of what is no longer needed out of `arrays`."""
    if isinstance(node, dict):
        if "array" in node:
            arrays.pop(node["array"], None)
        for value in node.get("fields", {}).values():
            _discard(value, arrays)


def _on_device(name: str, array: np.ndarray) -> jax.Array:
    if array.dtype not in _DTYPES:
        raise ValueError(f"{name} is an array of {array.dtype}")
    result = on_device(array, array.dtype)
    if result.dtype != array.dtype:
        raise ValueError(f"{name} is {array.dtype}; load it under jax.enable_x64(True)")
    return result


def _make(cls: Any, values: dict[str, Any]) -> Any:
    """An object with these fields, if they are the right ones and fit the annotations."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name in values.keys() - fields.keys():
        raise ValueError(f"{cls.__name__} has no field {name}; update jaxlatent if a newer version wrote it")
    for name in fields.keys() - values.keys():
        if fields[name].default is fields[name].default_factory is dataclasses.MISSING:
            raise ValueError(f"{cls.__name__}.{name} is missing")
    hints = get_type_hints(cls)
    # In one context, so that the names of dimensions mean the same in all fields.
    with jaxtyped("context"):
        for name, value in values.items():
            if not isinstance(value, _types(hints[name])):
                found = f"{value.dtype} {value.shape}" if isinstance(value, jax.Array) else repr(value)
                raise ValueError(f"{cls.__name__}.{name} does not fit its type or the other fields: {found}")
    return cls(**values)


def _types(hint: Any) -> tuple[Any, ...]:
    """The classes that a value of this annotation may have."""
    members, origin = alternatives(hint), get_origin(hint)
    if members != (hint,):
        return tuple(kind for member in members for kind in _types(member))
    if origin is Literal:
        return tuple(map(type, get_args(hint)))
    if hint is float:
        return (float, int)
    return (object if hint is Any else origin or hint,)


def _reason(error: Exception) -> str:
    """What went wrong, in one line of moderate length."""
    # Names from a damaged file can hold anything, a terminal's control characters too.
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split())[:200])
    return text if type(error) is ValueError else f"{type(error).__name__}: {text}"
