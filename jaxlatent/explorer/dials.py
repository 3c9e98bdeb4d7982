"""The dials of a sampler: what of its fit can be turned without fitting it again."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from jaxlatent._boundary import on_device
from jaxlatent.sampling import BoxSampler, EllipseBody, Sampler

S = TypeVar("S", bound=Sampler)


@dataclass(frozen=True)
class Dial:
    """One of them.

    Attributes:
        name: the field of `Recipe`.
        value: as fitted.
        least: the smallest value that the page offers.
        most: the largest.
        step: between two values that the page offers.
    """

    name: str
    value: float
    least: float
    most: float
    step: float


def dials(sampler: Sampler, half_widths: Callable[[], np.ndarray]) -> list[Dial]:
    """The dials that a sampler has, but for the number of components, which every vector has.

    Args:
        sampler: any.
        half_widths: gives full widths at half maximum of the leading principal components.
    """
    found = []
    fields = {field.name: getattr(sampler, field.name) for field in dataclasses.fields(sampler)}  # type: ignore[arg-type]
    # A density that was measured inside a body of this size and at this temperature stays as it is; a
    # uniform one has no scale.
    density = fields.get("density", "normal")
    if isinstance(fields.get("body"), EllipseBody) and density != "empirical":
        axes, widths = np.asarray(fields["body"].semi_axes), half_widths()
        fact = float(np.median(axes / widths[: axes.size])) if axes.size <= widths.size else 1.0
        found.append(Dial("fact", fact, 0.1, 2.0, 0.01))
    if "temperature" in fields and density == "normal":
        found.append(Dial("temperature", float(fields["temperature"]), 0.05, 2.0, 0.01))
    if isinstance(sampler, BoxSampler):
        edge = float(np.asarray(sampler.high).flat[0])
        if edge > 0 and (np.asarray(sampler.high) == edge).all() and (np.asarray(sampler.low) == -edge).all():
            found.append(Dial("edge", edge, 0.05, 4.0, 0.05))
    return found


def turned(sampler: S, known: list[Dial], values: Mapping[str, float]) -> S:
    """The sampler with its dials at other values; the same programs draw from it.

    Raises:
        ValueError: if it lacks one of the dials.
    """
    fitted = {dial.name: dial.value for dial in known}
    fields: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fitted:
            has = ", ".join(fitted) or "none"
            raise ValueError(f"state: {name}: this sampler has no such dial; it has {has}")
        if name == "fact":
            ratio = np.float32(value / fitted[name])
            fields["body"] = EllipseBody(sampler.body.semi_axes * ratio)  # type: ignore[attr-defined]
        elif name == "temperature":
            fields["temperature"] = jnp.float32(value)
        else:
            high = on_device(np.full(sampler.latent_shape, value))
            fields |= {"low": -high, "high": high}
    return dataclasses.replace(sampler, **fields) if fields else sampler  # type: ignore[type-var]
