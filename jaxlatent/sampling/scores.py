"""How unusual vectors are for a sampler, and from where on they count as outliers."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent._boundary import as_choice, as_number

ScoreName = Literal["log_prob", "gauge", "distance"]


class Scores(NamedTuple):
    """How unusual vectors are for a sampler; see `Sampler.score`.

    Attributes:
        log_prob: log density of the component vectors, (n,) float32; None where the law has none.
        gauge: factor by which the support has to be scaled to reach each vector, (n,) float32, at most 1
            inside; None where the support is not bounded.
        distance: from the frame's plane, in latent units, (n,) float32; 0 without a frame.
    """

    log_prob: Float[Array, " n"] | None
    gauge: Float[Array, " n"] | None
    distance: Float[Array, " n"]

    def unusual(self, by: ScoreName | None = None) -> tuple[ScoreName, Float[Array, " n"]]:
        """One number a vector, (n,), that is the larger the more unusual it is, and its name.

        Args:
            by: "log_prob", of which it is the negative, "gauge" or "distance"; the first of them that the
                sampler has where not given.

        Raises:
            ValueError: if the name is unknown, or the sampler has no such score.
        """
        if by is None:
            by = "gauge" if self.log_prob is None else "log_prob"
            by = "distance" if self.gauge is None and by == "gauge" else by
        as_choice("by", by, get_args(ScoreName))
        found = getattr(self, by)
        if found is None:
            has = [name for name in get_args(ScoreName) if getattr(self, name) is not None]
            raise ValueError(f"by: the sampler has no {by}; expected one of {', '.join(has)}")
        return by, -found if by == "log_prob" else found


@dataclass(frozen=True)
class Threshold:
    """From where on a vector counts as an outlier; see `Sampler.threshold`.

    Attributes:
        by: the score that is looked at.
        limit: of that score: an outlier has a smaller log density, or a larger gauge or distance.
        rate: the probability that a vector of the same law as those it was set by counts as one, at most.
        count: number of these vectors.
    """

    by: ScoreName
    limit: float
    rate: float
    count: int

    @classmethod
    def of(cls, scores: Scores, rate: float, by: ScoreName | None = None) -> "Threshold":
        """The threshold that vectors with these scores set, none of which the sampler was fitted to.

        Split conformal prediction: of n vectors, ceil((n + 1) (1 - rate)) are within the limit, and a further
        one of the same law is beyond it with a probability of at most `rate`, whatever law that is (V. Vovk,
        A. Gammerman, G. Shafer, "Algorithmic learning in a random world", Springer, 2005; as a test for
        outliers, S. Bates et al., "Testing for outliers with conformal p-values", Annals of Statistics 51,
        2023).

        Raises:
            TypeError, ValueError: see `Sampler.threshold`.
        """
        rate = as_number("rate", rate)
        if not 0 < rate < 1:
            raise ValueError(f"rate: expected a share in (0, 1), got {rate:g}")
        by, found = scores.unusual(by)
        unusual = np.sort(np.asarray(found))
        n = unusual.size
        within = math.ceil((n + 1) * (1 - rate))
        if within > n:
            raise ValueError(
                f"z: a rate of {rate:g} needs at least {math.ceil(1 / rate) - 1} vectors, got {n}; give "
                "more, or raise the rate"
            )
        limit = float(unusual[within - 1])
        if not math.isfinite(limit):
            raise ValueError(
                f"by: more than {rate:g} of the vectors have no finite {by}, as they lie outside the "
                "support; take another score, or a sampler of unbounded support, as GaussianMixtureSampler"
            )
        return cls(by, -limit if by == "log_prob" else limit, rate, n)

    def exceeded(self, scores: Scores) -> Bool[Array, " n"]:
        """Which vectors are outliers; one with a NaN is."""
        _, found = scores.unusual(self.by)
        return ~(found <= jnp.float32(-self.limit if self.by == "log_prob" else self.limit))
