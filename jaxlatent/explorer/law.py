"""A sampler of the explorer, and what is measured of it once, when it is first asked for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from jaxlatent.explorer.dials import Dial, dials
from jaxlatent.explorer.region import Region
from jaxlatent.latent.half_width import half_width
from jaxlatent.latent.pca import PCA
from jaxlatent.sampling import GaussianSampler, Sampler

# z-points that half-widths, regions and ranks of densities are measured on.
_SOME = 10_000
_RANKED = 2000


class Points:
    """What samplers are measured on.

    Args:
        z: z-points, (n, d) or (n, c, h, w).
        frame: of all of them.
    """

    def __init__(self, z: Float[np.ndarray, " n *latent"], frame: PCA):
        #: At most 10,000 of them.
        self.z = np.asarray(z[:: -(-len(z) // _SOME)], np.float32)
        self.frame = frame

    @cached_property
    def components(self) -> Float[np.ndarray, "m k"]:
        """Theirs in the frame."""
        return np.asarray(self.frame.transform(self.z))

    @cached_property
    def half_widths(self) -> Float[np.ndarray, " k"]:
        """Full widths at half maximum of the components."""
        return np.asarray(half_width(self.components))

    @cached_property
    def region(self) -> Region:
        """What stands in where a sampler has no region of its own."""
        return Region.stand_in(self.frame, self.components)


@dataclass(frozen=True, eq=False)
class Law:
    """A sampler, its dials, its region, and how dense it finds the z-points.

    Attributes:
        sampler: as fitted.
        points: what it is measured on.
    """

    sampler: Sampler
    points: Points

    @cached_property
    def dials(self) -> list[Dial]:
        """What of it can be turned."""
        return dials(self.sampler, lambda: self.points.half_widths)

    @property
    def has_region(self) -> bool:
        """Whether it has a region of its own."""
        return Region.is_of(self.sampler)

    @cached_property
    def region(self) -> Region:
        """Its own or, where it has none, the one that stands in."""
        return Region(self.sampler) if self.has_region else self.points.region

    @property
    def has_density(self) -> bool:
        """Whether its law has a density in closed form."""
        return self.sampler._log_density is not None

    @cached_property
    def density(self) -> Sampler:
        """Itself or, where it has no density, one Gaussian of all z-points."""
        return self.sampler if self.has_density else GaussianSampler(self.points.frame)

    @cached_property
    def ranks(self) -> Float[np.ndarray, " r"]:
        """Log-densities at some z-points, in order."""
        some = self.points.z[:: -(-len(self.points.z) // _RANKED)]
        return np.sort(np.asarray(self.density.log_prob(some), np.float64))
