"""What the samplers do, in one line for people who meet them on the page."""

import inspect

from jaxlatent.sampling import Sampler

_LINES = {
    "BoxSampler": "Naive: every latent coordinate uniform in a box, independently. What fails.",
    "GaussianSampler": "One Gaussian with the mean and covariance of the z-points.",
    "PairwiseSampler": "The source’s method: uniform components, redrawn until every pair is in its ellipse.",
    "ExactSampler": "A density restricted to the source’s region, drawn exactly.",
    "TiltedSampler": "Inside the ellipses of the latent coordinates, tilted by their correlations.",
    "EllipsoidSampler": "Inside the joint ellipsoid of all components.",
    "GaussianMixtureSampler": "A mixture of Gaussians, fitted to the z-points.",
    "InterpolationSampler": "Between pairs of z-points.",
    "PathSampler": "Along a path in a plane.",
    "BootstrapSampler": "Single z-points with noise: close to the training images.",
    "RecombinationSampler": "A few random z-points, combined so that mean and covariance stay.",
    "ClusterMixtureSampler": "A Gaussian in each of many clusters of z-points.",
    "ClusterRecombinationSampler": "Some z-points of one cluster, combined: images most like the data’s.",
}


def about(sampler: Sampler) -> str:
    """The line; of a sampler of one's own, the first of its docstring."""
    cls = type(sampler)
    return _LINES.get(cls.__name__) or str(inspect.getdoc(cls)).partition("\n")[0]
