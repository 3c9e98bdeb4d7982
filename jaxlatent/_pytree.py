"""Frozen dataclasses that are JAX pytrees and that `jaxlatent.save` can write."""

import dataclasses
import types
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

import jax

from jaxlatent._boundary import as_array, as_choice, as_floats, as_positive_leaf, on_device

T = TypeVar("T")

#: The classes that `save` and `load` know, by name.
CLASSES: dict[str, type] = {}


def static_field(**kwargs: Any) -> Any:
    """A field that is part of the tree's structure: hashable, a constant to `jax.jit`."""
    return dataclasses.field(metadata={"static": True}, **kwargs)


def positive_field(**kwargs: Any) -> Any:
    """A field that holds one positive number: a Python float, or a JAX scalar, which may be traced."""
    return dataclasses.field(metadata={"positive": True}, **kwargs)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(static_field, positive_field))
def pytree(cls: type[T]) -> type[T]:
    """Makes `cls` a frozen dataclass, registers it as a pytree and for `save` / `load`.

    What a user constructs is converted and checked by the annotations of its fields, see `convert`, and then
    by the `__post_init__` of the class, where it has one. What JAX unflattens is not, as its leaves are
    tracers, cotangents, stacks or mere placeholders: see "Custom pytrees and initialization with unexpected
    values" in JAX's guide on pytrees.

    Equality is identity, as that of arrays is no truth value.
    """
    check = cls.__dict__.get("__post_init__")

    def post_init(self: Any) -> None:
        convert(self)
        if check is not None:
            check(self)

    cls.__post_init__ = post_init  # type: ignore[attr-defined]
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    static = tuple(field.name for field in fields if field.metadata.get("static"))
    leaves = tuple(field.name for field in fields if field.name not in static)

    def flatten(obj: T) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return tuple(getattr(obj, name) for name in leaves), tuple(getattr(obj, name) for name in static)

    def flatten_with_keys(obj: T) -> tuple[tuple[tuple[Any, Any], ...], tuple[Any, ...]]:
        children, constants = flatten(obj)
        keys = map(jax.tree_util.GetAttrKey, leaves)
        return tuple(zip(keys, children, strict=True)), constants

    def unflatten(constants: tuple[Any, ...], children: Iterable[Any]) -> T:
        obj = object.__new__(cls)
        obj.__dict__.update(zip(static, constants, strict=True))
        obj.__dict__.update(zip(leaves, children, strict=True))
        return obj

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    CLASSES[cls.__name__] = cls
    return cls


def convert(record: Any) -> None:
    """Puts what the annotations of its fields ask for in the place of what they hold.

    Arrays of jaxtyping become JAX arrays of the annotation's number type (float32 for `Float`, int32 for
    `Int`) and have to agree in the sizes that they name, among each other and with the `n_components` of a
    field like `pca`, which is k. A `Literal` is one of its words, a `positive_field` a positive number. Other
    annotations ask for nothing.

    Raises:
        TypeError, ValueError: if a field is of another kind, size or word; the message names it.
    """
    cls: Any = type(record)
    kinds, sizes = _kinds(cls), dict[str, Any]()
    for field in dataclasses.fields(cls):
        name, value = field.name, getattr(record, field.name)
        if value is None and type(None) in kinds[name]:
            continue
        array = next((kind for kind in kinds[name] if isinstance(getattr(kind, "dtypes", None), tuple)), None)
        words = [word for kind in kinds[name] if get_origin(kind) is Literal for word in get_args(kind)]
        if field.metadata.get("positive"):
            value = as_positive_leaf(name, value)
        elif array is not None:
            value = _as_array(name, value, array, sizes)
        elif words:
            value = as_choice(name, value, tuple(words))
        elif hasattr(kinds[name][0], "n_components") and value.n_components != sizes.setdefault(
            "k", value.n_components
        ):
            raise ValueError(f"{name}: expected {sizes['k']} components, got {value.n_components}")
        object.__setattr__(record, name, value)


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """What a value of an annotation may be: the members of a union, or the annotation alone."""
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if is_union else (annotation,)


@cache
def _kinds(cls: Any) -> dict[str, tuple[Any, ...]]:
    """The annotations of the fields, as tuples of what they may be."""
    hints = get_type_hints(cls)
    return {field.name: alternatives(hints[field.name]) for field in dataclasses.fields(cls)}


def _as_array(name: str, value: Any, kind: Any, sizes: dict[str, Any]) -> jax.Array:
    is_float = any(dtype.startswith("float") for dtype in kind.dtypes)
    value = as_floats(name, value) if is_float else as_array(name, value)
    if not is_float and value.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got {value.dtype}")
    _agree(name, kind.dim_str.split(), value.shape, sizes)
    usual = "float32" if is_float else "int32"
    return on_device(value, usual if usual in kind.dtypes else kind.dtypes[0])


def _agree(name: str, dims: list[str], shape: tuple[int, ...], sizes: dict[str, Any]) -> None:
    """Accepts a shape that has the dimensions of an annotation, and notes the sizes that these name."""
    if "..." in dims:
        return
    starred = [i for i, dim in enumerate(dims) if dim.startswith("*")]
    if starred:
        # The shape of a latent vector, of at least one axis, counts as one size.
        first, behind = starred[0], len(dims) - starred[0] - 1
        last = max(first, len(shape) - behind)
        found: tuple[Any, ...] = (*shape[:first], shape[first:last], *shape[last:])
    else:
        found = shape
    known = [int(dim) if dim.isdigit() else sizes.get(dim, dim) for dim in dims]
    fits = len(found) == len(dims) and not ("*latent" in dims and () in found)
    if not fits or any(a not in (b, dim) for a, b, dim in zip(known, found, dims, strict=True)):
        parts = [part for each in known for part in (each if isinstance(each, tuple) else (each,))]
        wanted = ", ".join(str(part).lstrip("*") for part in parts) + "," * (len(parts) == 1)
        raise ValueError(f"{name}: expected shape ({wanted}), got {shape}")
    sizes.update((dim, size) for dim, size in zip(dims, found, strict=True) if not dim.isdigit())
