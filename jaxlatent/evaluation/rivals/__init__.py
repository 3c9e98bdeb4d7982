"""Rivals of our samplers: what others would fit to the same latents, to be measured beside them.

They are named as samplers are, `flow:budget=60`, but only `evaluate` takes them: no run keeps one.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array, Float

from jaxlatent.evaluation.rivals.copula import CopulaRival
from jaxlatent.evaluation.rivals.diffusion import DiffusionRival
from jaxlatent.evaluation.rivals.flow import FlowRival
from jaxlatent.evaluation.rivals.kernel_density import KernelDensityRival
from jaxlatent.evaluation.rivals.prior import PriorRival
from jaxlatent.evaluation.rivals.rival import REMEDY as REMEDY, Rival as Rival, missing as missing
from jaxlatent.sampling import SAMPLERS, Sampler, Spec
from jaxlatent.sampling.spec import RIVALS

log = logging.getLogger(__name__)

#: What `rivals` stands for, as far as it is installed; the prior is that of a VAE alone.
ALL_RIVALS = (
    "kde:bandwidth=scott",
    "kde:bandwidth=likelihood",
    "copula",
    "flow:budget=10",
    "flow:budget=60",
    "diffusion:budget=10",
    "diffusion:budget=60",
)

_FITTED = dict(
    zip(RIVALS, (FlowRival, DiffusionRival, KernelDensityRival, CopulaRival, PriorRival), strict=True)
)


@dataclass(frozen=True)
class Entry(Spec):
    """A sampler or a rival, and the options of its fit; see `jaxlatent.sampling.Spec`."""

    _known: ClassVar[Mapping[str, Any]] = {**SAMPLERS, **_FITTED}

    def fit(self, z: Float[Array | np.ndarray, "n d"]) -> Sampler | Rival | PriorRival:  # type: ignore[override]
        """See `Spec.fit`."""
        return self._fit(z)


def installed_rivals() -> list[Spec]:
    """All of `ALL_RIVALS` that can be fitted here; the log names the others."""
    found: list[Spec] = []
    for text in ALL_RIVALS:
        entry = Entry.parse(text)
        if lacking := missing(entry.name):
            log.warning("%s is left out: it needs %s; install with %s", entry.title, lacking, REMEDY)
        else:
            found.append(entry)
    return found
