"""Images to latent vectors and back: the network, its training, its checkpoints."""

from jaxlatent.autoencoder.checkpoint import load_model, save_model
from jaxlatent.autoencoder.config import AutoencoderConfig, TrainConfig
from jaxlatent.autoencoder.history import EpochRecord, History
from jaxlatent.autoencoder.inference import decode, decoder, encode
from jaxlatent.autoencoder.network import Autoencoder
from jaxlatent.autoencoder.tensorboard import TensorBoard
from jaxlatent.autoencoder.train import DivergenceError, fit_autoencoder

__all__ = [
    "Autoencoder",
    "AutoencoderConfig",
    "DivergenceError",
    "EpochRecord",
    "History",
    "TensorBoard",
    "TrainConfig",
    "decode",
    "decoder",
    "encode",
    "fit_autoencoder",
    "load_model",
    "save_model",
]
