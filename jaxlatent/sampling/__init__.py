"""How new z-vectors are drawn: the ellipse body, one sampler a file, one shared contract."""

from jaxlatent._pytree import pytree as pytree
from jaxlatent._pytree import static_field as static_field
from jaxlatent.sampling.body import EllipseBody as EllipseBody
from jaxlatent.sampling.bootstrap import BootstrapSampler as BootstrapSampler
from jaxlatent.sampling.box import BoxSampler as BoxSampler
from jaxlatent.sampling.cluster_mixture import ClusterMixtureSampler as ClusterMixtureSampler
from jaxlatent.sampling.cluster_recombination import (
    ClusterRecombinationSampler as ClusterRecombinationSampler,
)
from jaxlatent.sampling.clusters import BodyUnion as BodyUnion
from jaxlatent.sampling.edit import edit as edit
from jaxlatent.sampling.ellipsoid import EllipsoidSampler as EllipsoidSampler
from jaxlatent.sampling.exact import ExactSampler as ExactSampler
from jaxlatent.sampling.gaussian import GaussianSampler as GaussianSampler
from jaxlatent.sampling.interpolation import InterpolationSampler as InterpolationSampler
from jaxlatent.sampling.mixture import GaussianMixtureSampler as GaussianMixtureSampler
from jaxlatent.sampling.pairwise import PairwiseSampler as PairwiseSampler
from jaxlatent.sampling.path import PathSampler as PathSampler
from jaxlatent.sampling.recombination import RecombinationSampler as RecombinationSampler
from jaxlatent.sampling.sampler import Sampler as Sampler
from jaxlatent.sampling.scores import Scores as Scores
from jaxlatent.sampling.scores import Threshold as Threshold
from jaxlatent.sampling.tilted import TiltedSampler as TiltedSampler
from jaxlatent.sampling.tilted_body import TiltedBody as TiltedBody
