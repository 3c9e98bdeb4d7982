"""How new z-vectors are drawn: the ellipse body, one sampler a file, one shared contract."""

from jaxlatent._pytree import pytree as pytree, static_field as static_field
from jaxlatent.sampling.bodies.ellipse import EllipseBody as EllipseBody
from jaxlatent.sampling.bodies.tilted import TiltedBody as TiltedBody
from jaxlatent.sampling.bodies.union import BodyUnion as BodyUnion
from jaxlatent.sampling.edit import edit as edit
from jaxlatent.sampling.fitting.region import FitOptions as FitOptions, RegionOptions as RegionOptions
from jaxlatent.sampling.laws.bootstrap import BootstrapSampler as BootstrapSampler
from jaxlatent.sampling.laws.box import BoxSampler as BoxSampler
from jaxlatent.sampling.laws.cluster_mixture import ClusterMixtureSampler as ClusterMixtureSampler
from jaxlatent.sampling.laws.cluster_recombination import (
    ClusterRecombinationSampler as ClusterRecombinationSampler,
)
from jaxlatent.sampling.laws.ellipsoid import EllipsoidSampler as EllipsoidSampler
from jaxlatent.sampling.laws.exact import ExactSampler as ExactSampler
from jaxlatent.sampling.laws.gaussian import GaussianSampler as GaussianSampler
from jaxlatent.sampling.laws.interpolation import InterpolationSampler as InterpolationSampler
from jaxlatent.sampling.laws.mixture import GaussianMixtureSampler as GaussianMixtureSampler
from jaxlatent.sampling.laws.pairwise import PairwiseSampler as PairwiseSampler
from jaxlatent.sampling.laws.path import PathSampler as PathSampler
from jaxlatent.sampling.laws.recombination import RecombinationSampler as RecombinationSampler
from jaxlatent.sampling.laws.tilted import TiltedSampler as TiltedSampler
from jaxlatent.sampling.sampler import Sampler as Sampler
from jaxlatent.sampling.scores import Scores as Scores, Threshold as Threshold
from jaxlatent.sampling.spec import SAMPLERS as SAMPLERS, Spec as Spec
