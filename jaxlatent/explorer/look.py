"""What there is to say of a vector."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Look:
    """A vector and its numbers.

    Attributes:
        vector: in the latent frame, float32 (d,).
        components: the leading ones, in standard deviations, (m,).
        intervals: what the others leave to each of them, (m, 2); NaN where they leave nothing.
        gauge: of the region: at most 1 inside.
        inside: whether it is.
        log_density: natural logarithm, of the sampler's law or, where it has none, of one Gaussian.
        rank: share of the z-points that lie where it is less dense, in [0, 1].
    """

    vector: Float[np.ndarray, " d"]
    components: Float[np.ndarray, " m"]
    intervals: Float[np.ndarray, "m 2"]
    gauge: float
    inside: bool
    log_density: float
    rank: float
