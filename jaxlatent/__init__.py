"""jaxlatent makes a plain autoencoder generative; see the README for a tour."""

from jaxlatent.autoencoder import Autoencoder as Autoencoder
from jaxlatent.autoencoder import AutoencoderConfig as AutoencoderConfig
from jaxlatent.autoencoder import DivergenceError as DivergenceError
from jaxlatent.autoencoder import History as History
from jaxlatent.autoencoder import TrainConfig as TrainConfig
from jaxlatent.autoencoder import decode as decode
from jaxlatent.autoencoder import encode as encode
from jaxlatent.autoencoder import fit_autoencoder as fit_autoencoder
from jaxlatent.autoencoder import load_model as load_model
from jaxlatent.autoencoder import save_model as save_model
from jaxlatent.data import Labels as Labels
from jaxlatent.data import load_images as load_images
from jaxlatent.generation import generate as generate
from jaxlatent.latent import PCA as PCA
from jaxlatent.latent import half_width as half_width
from jaxlatent.sampling import BoxSampler as BoxSampler
from jaxlatent.sampling import EllipseBody as EllipseBody
from jaxlatent.sampling import ExactSampler as ExactSampler
from jaxlatent.sampling import PairwiseSampler as PairwiseSampler
from jaxlatent.sampling import Sampler as Sampler
from jaxlatent.storage import load as load
from jaxlatent.storage import save as save
