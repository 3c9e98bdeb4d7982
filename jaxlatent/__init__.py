"""jaxlatent makes a plain autoencoder generative; see the README for a tour.

What brings in Flax, Pillow or Rich is imported when it is first used: an exported model runs without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxlatent.exported import Exported, load_exported
from jaxlatent.latent import PCA, attribute_direction, half_width, open_latents
from jaxlatent.sampling import (
    BodyUnion,
    BootstrapSampler,
    BoxSampler,
    ClusterMixtureSampler,
    ClusterRecombinationSampler,
    EllipseBody,
    EllipsoidSampler,
    ExactSampler,
    GaussianMixtureSampler,
    GaussianSampler,
    InterpolationSampler,
    PairwiseSampler,
    PathSampler,
    RecombinationSampler,
    Sampler,
    Scores,
    Spec,
    Threshold,
    TiltedBody,
    TiltedSampler,
    edit,
)
from jaxlatent.storage import load, save

if TYPE_CHECKING:
    from jaxlatent.autoencoder import (
        Autoencoder,
        AutoencoderConfig,
        DivergenceError,
        History,
        TrainConfig,
        decode,
        encode,
        fit_autoencoder,
        load_model,
        save_model,
    )
    from jaxlatent.data import Labels, load_images, load_labelled
    from jaxlatent.explorer import Explorer, explore
    from jaxlatent.generation.bulk import generate_to
    from jaxlatent.generation.encode import encode_to
    from jaxlatent.generation.export import export, load_safetensors, save_safetensors
    from jaxlatent.generation.generate import generate
    from jaxlatent.generation.verification import repair, verify
    from jaxlatent.run import Run

_LATER = {
    "Autoencoder": "jaxlatent.autoencoder",
    "AutoencoderConfig": "jaxlatent.autoencoder",
    "DivergenceError": "jaxlatent.autoencoder",
    "History": "jaxlatent.autoencoder",
    "TrainConfig": "jaxlatent.autoencoder",
    "decode": "jaxlatent.autoencoder",
    "encode": "jaxlatent.autoencoder",
    "fit_autoencoder": "jaxlatent.autoencoder",
    "load_model": "jaxlatent.autoencoder",
    "save_model": "jaxlatent.autoencoder",
    "Explorer": "jaxlatent.explorer",
    "explore": "jaxlatent.explorer",
    "Labels": "jaxlatent.data",
    "Run": "jaxlatent.run",
    "load_images": "jaxlatent.data",
    "load_labelled": "jaxlatent.data",
    "generate_to": "jaxlatent.generation.bulk",
    "encode_to": "jaxlatent.generation.encode",
    "export": "jaxlatent.generation.export",
    "load_safetensors": "jaxlatent.generation.export",
    "save_safetensors": "jaxlatent.generation.export",
    "generate": "jaxlatent.generation.generate",
    "repair": "jaxlatent.generation.verification",
    "verify": "jaxlatent.generation.verification",
}

_MODULES = {"data", "evaluation", "explorer", "generation", "report", "run"}

__all__ = [
    "PCA",
    "Autoencoder",
    "AutoencoderConfig",
    "BodyUnion",
    "BootstrapSampler",
    "BoxSampler",
    "ClusterMixtureSampler",
    "ClusterRecombinationSampler",
    "DivergenceError",
    "EllipseBody",
    "EllipsoidSampler",
    "ExactSampler",
    "Explorer",
    "Exported",
    "GaussianMixtureSampler",
    "GaussianSampler",
    "History",
    "InterpolationSampler",
    "Labels",
    "PairwiseSampler",
    "PathSampler",
    "RecombinationSampler",
    "Run",
    "Sampler",
    "Scores",
    "Spec",
    "Threshold",
    "TiltedBody",
    "TiltedSampler",
    "TrainConfig",
    "attribute_direction",
    "decode",
    "edit",
    "encode",
    "encode_to",
    "explore",
    "export",
    "fit_autoencoder",
    "generate",
    "generate_to",
    "half_width",
    "load",
    "load_exported",
    "load_images",
    "load_labelled",
    "load_model",
    "load_safetensors",
    "open_latents",
    "repair",
    "save",
    "save_model",
    "save_safetensors",
    "verify",
]


if not TYPE_CHECKING:  # to whom a module with __getattr__ has any name there is

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"jaxlatent.{name}")
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LATER[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _LATER.keys() | _MODULES)
