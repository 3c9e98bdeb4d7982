"""How new z-vectors are drawn: the ellipse body, one sampler a file, one shared contract."""

from jaxlatent.sampling.base import ComponentSampler as ComponentSampler
from jaxlatent.sampling.base import Sampler as Sampler
from jaxlatent.sampling.body import EllipseBody as EllipseBody
from jaxlatent.sampling.box import BoxSampler as BoxSampler
from jaxlatent.sampling.exact import ExactSampler as ExactSampler
from jaxlatent.sampling.pairwise import PairwiseSampler as PairwiseSampler
