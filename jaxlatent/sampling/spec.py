"""Samplers by name, NAME[:OPTION=VALUE]...: a line of text that says which one, and how it is fitted."""

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
from jaxtyping import Array, Float

from jaxlatent._pytree import alternatives
from jaxlatent.sampling.laws.bootstrap import BootstrapSampler
from jaxlatent.sampling.laws.box import BoxSampler
from jaxlatent.sampling.laws.cluster_mixture import ClusterMixtureSampler
from jaxlatent.sampling.laws.cluster_recombination import ClusterRecombinationSampler
from jaxlatent.sampling.laws.ellipsoid import EllipsoidSampler
from jaxlatent.sampling.laws.exact import ExactSampler
from jaxlatent.sampling.laws.gaussian import GaussianSampler
from jaxlatent.sampling.laws.interpolation import InterpolationSampler
from jaxlatent.sampling.laws.mixture import GaussianMixtureSampler
from jaxlatent.sampling.laws.pairwise import PairwiseSampler
from jaxlatent.sampling.laws.path import PathSampler
from jaxlatent.sampling.laws.recombination import RecombinationSampler
from jaxlatent.sampling.laws.tilted import TiltedSampler
from jaxlatent.sampling.sampler import Sampler

#: Every sampler that can be named; what its `fit` takes are the options.
SAMPLERS: dict[str, type[Sampler]] = {
    "box": BoxSampler,
    "gaussian": GaussianSampler,
    "pairwise": PairwiseSampler,
    "exact": ExactSampler,
    "tilted": TiltedSampler,
    "ellipsoid": EllipsoidSampler,
    "mixture": GaussianMixtureSampler,
    "interpolation": InterpolationSampler,
    "path": PathSampler,
    "bootstrap": BootstrapSampler,
    "recombination": RecombinationSampler,
    "cluster-mixture": ClusterMixtureSampler,
    "cluster-recombination": ClusterRecombinationSampler,
}

#: Named as samplers are, but only an evaluation fits them: see `jaxlatent.evaluation.rivals`.
RIVALS = ("flow", "diffusion", "kde", "copula", "prior")

#: What a run fits where nothing else is asked for: of all samplers, the one whose images are the most like
#: the data's (docs/study.md).
DEFAULT = "cluster-recombination"
#: The source's method, with its own settings.
SOURCE = "pairwise:fact=0.7:n_components=105"
#: The naive cube that the source tried, and that all others are shown beside.
CUBE = "box:b=1.5"


@dataclass(frozen=True)
class Spec:
    """A sampler and the options of its fit; `str` gives the text that `parse` reads.

    Attributes:
        name: of `SAMPLERS`.
        options: keyword arguments of the sampler's `fit`, in their order in the text.
    """

    #: Every name, and what has the `fit`.
    _known: ClassVar[Mapping[str, Any]] = SAMPLERS

    name: str
    options: tuple[tuple[str, int | float | str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Spec":
        """Reads `NAME[:OPTION=VALUE]...`, such as `pairwise:fact=0.7:n_components=105`.

        Raises:
            ValueError: if the name, an option or a value is not known; the message lists what is.
        """
        name, *parts = text.strip().split(":")
        if name not in cls._known:
            which = f"{name!r}, which only `evaluate` takes" if name in RIVALS else repr(name)
            raise ValueError(f"sampler: expected one of {', '.join(cls._known)}, got {which}")
        known = _options(cls._known[name].fit)
        options: dict[str, int | float | str] = {}
        for part in parts:
            option, sign, value = part.partition("=")
            if not sign:
                raise ValueError(f"sampler: expected OPTION=VALUE after {name}:, got {part!r}")
            if option not in known:
                listed = ", ".join(known)
                raise ValueError(f"sampler: {name} has the options {listed}; got {option!r}")
            if option in options:
                raise ValueError(f"sampler: {option} is given twice in {text!r}; leave one out")
            options[option] = _read(f"{name}:{option}", value, known[option])
        return cls(name, tuple(options.items()))

    @property
    def title(self) -> str:
        """For people: "pairwise, fact 0.7, 105 components"."""
        return ", ".join([self.name, *(_told(*option) for option in self.options)])

    def fit(self, z: Float[Array | np.ndarray, " n *latent"]) -> Sampler:
        """Fits the sampler to z-points (n, d).

        Raises:
            TypeError, ValueError: as the sampler's own `fit`; the message begins with the text of this.
        """
        return self._fit(z)

    def _fit(self, z: Float[Array | np.ndarray, " n *latent"]) -> Any:
        try:
            return self._known[self.name].fit(z, **dict(self.options))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self}: {error}") from error

    def within(self, most: int) -> "Spec":
        """The same for z-points of `most` components: with all of them where more are asked for."""
        asked = dict(self.options).get("n_components", 0)
        if isinstance(asked, int) and asked > most:
            kept = tuple(each for each in self.options if each[0] != "n_components")
            return dataclasses.replace(self, options=kept)
        return self

    def __str__(self) -> str:
        return ":".join([self.name, *(f"{option}={value}" for option, value in self.options)])


def _options(fit: Any) -> dict[str, "_Kind"]:
    """The options of a `fit` that can be written as text, with their types."""
    hints = get_type_hints(fit)
    kinds: dict[str, Any] = {}
    for parameter in inspect.signature(fit).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            kinds[parameter.name] = hints[parameter.name]
        elif parameter.kind is parameter.VAR_KEYWORD:
            (shared,) = get_args(hints[parameter.name])
            kinds |= get_type_hints(shared)
    found = {option: _kind(kind) for option, kind in kinds.items()}
    return {option: kind for option, kind in found.items() if kind is not None}


class _Kind(NamedTuple):
    """What an option may be: a number of a type, or one of some words, or either."""

    number: type[int] | type[float] | None
    words: tuple[str, ...]


def _kind(annotation: Any) -> _Kind | None:
    """None for what cannot be written as text."""
    kinds = alternatives(annotation)
    number = next((kind for kind in kinds if kind in (int, float)), None)
    words = next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())
    return _Kind(number, words) if number or words else None


def _read(where: str, text: str, kind: _Kind) -> int | float | str:
    if text in kind.words:
        return text
    if kind.number is None:
        raise ValueError(f"{where}: expected one of {', '.join(kind.words)}, got {text!r}")
    try:
        value = kind.number(text)
    except ValueError:
        wanted = "a whole number" if kind.number is int else "a number"
        wanted = " or ".join([wanted, *kind.words])
        raise ValueError(f"{where}: expected {wanted}, got {text!r}") from None
    if not np.isfinite(value):
        raise ValueError(f"{where}: expected a finite number, got {text!r}")
    return value


def _told(option: str, value: int | float | str) -> str:
    if option.startswith("n_"):
        return f"{value} {option[2:]}"
    return (
        f"{option.replace('_', ' ')} {value:g}"
        if isinstance(value, float)
        else f"{option.replace('_', ' ')} {value}"
    )
