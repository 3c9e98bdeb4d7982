"""Frozen dataclasses that are JAX pytrees and that `jaxlatent.save` can write."""

import dataclasses
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

    Equality is identity, as that of arrays is no truth value.
    """
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    jax.tree_util.register_dataclass(cls)
    CLASSES[cls.__name__] = cls
    return cls
