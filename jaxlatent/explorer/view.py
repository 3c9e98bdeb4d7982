"""A sampler as the explorer sees it: what is measured of it, once that is asked for."""

from functools import cached_property

import numpy as np
from jaxtyping import Float

from jaxlatent.explorer.dials import Dial, dials
from jaxlatent.explorer.region import Region
from jaxlatent.latent.half_width import half_width
from jaxlatent.latent.pca import PCA
from jaxlatent.sampling import GaussianSampler, Sampler
from jaxlatent.sampling.bodies.body import Body

# z-points whose densities give the rank of a vector.
_RANKED = 2000


class Points:
    """Some z-points, and their components in the frame of all.

    Args:
        z: float32 (n, ...).
        frame: of all z-points.
    """

    def __init__(self, z: Float[np.ndarray, " n *latent"], frame: PCA):
        self.z, self.frame = z, frame

    @cached_property
    def components(self) -> Float[np.ndarray, "n k"]:
        """In the frame."""
        return np.asarray(self.frame.transform(self.z))

    @cached_property
    def half_widths(self) -> Float[np.ndarray, " k"]:
        """Full widths at half maximum of the components."""
        return np.asarray(half_width(self.components))

    @cached_property
    def region(self) -> Region:
        """Where most of them lie, for samplers without a region of their own."""
        return Region.around(self.frame, self.components)


class SamplerView:
    """A sampler, and what is measured of it.

    Args:
        sampler: any.
        points: z-points.
    """

    def __init__(self, sampler: Sampler, points: Points):
        self.sampler, self._points = sampler, points
        #: Whether it has a region of its own.
        self.has_region = isinstance(getattr(sampler, "body", None), Body)
        #: Whether its law has a density.
        self.has_density = sampler._log_density is not None

    @cached_property
    def dials(self) -> list[Dial]:
        """What of it can be turned."""
        return dials(self.sampler, lambda: self._points.half_widths)

    @cached_property
    def region(self) -> Region:
        """Its own, or the one that stands in for it."""
        return Region(self.sampler) if self.has_region else self._points.region

    @cached_property
    def density(self) -> Sampler:
        """Whose density counts: its own, or one Gaussian's."""
        return self.sampler if self.has_density else GaussianSampler(self._points.frame)

    @cached_property
    def ranks(self) -> Float[np.ndarray, " r"]:
        """Log densities of z-points, in order."""
        some = self._points.z[:: -(-len(self._points.z) // _RANKED)]
        return np.sort(np.asarray(self.density.log_prob(some), np.float64))
