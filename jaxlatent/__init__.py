"""jaxlatent makes a plain autoencoder generative; see the README for a tour."""

from jaxlatent.latent import PCA as PCA
from jaxlatent.latent import half_width as half_width
from jaxlatent.sampling import BoxSampler as BoxSampler
from jaxlatent.sampling import EllipseBody as EllipseBody
from jaxlatent.sampling import PairwiseSampler as PairwiseSampler
from jaxlatent.storage import load as load
from jaxlatent.storage import save as save
