"""Frozen dataclasses that are JAX pytrees and that `jaxlatent.save` can write."""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")

#: The classes that `save` and `load` know, by name.
CLASSES: dict[str, type] = {}


def static_field(**kwargs: Any) -> Any:
    """A field that is part of the tree's structure: hashable, a constant to `jax.jit`."""
    return dataclasses.field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(static_field,))
def pytree(cls: type[T]) -> type[T]:
    """Makes `cls` a frozen dataclass, registers it as a pytree and for `save` / `load`.

    What a user constructs goes through `__init__` and `__post_init__`, which convert and check. What JAX
    unflattens does not, as its leaves are tracers, cotangents, stacks or mere placeholders: see "Custom
    pytrees and initialization with unexpected values" in JAX's guide on pytrees.

    Equality is identity, as that of arrays is no truth value.
    """
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
