"""Images as vectors of features, in which generated and real ones are compared.

Features are any function from a batch of images, uint8 (b, h, w, c), to floating-point numbers (b, f):
`EncoderFeatures`, `ClassifierFeatures`, or a network of your own. Nothing is ever downloaded here, so weights
of Inception, DINO or CLIP are yours to bring. With torchvision, for example, and a file of DINO's weights:

    net = torchvision.models.resnet50()
    net.fc = torch.nn.Identity()
    net.load_state_dict(torch.load("dino_resnet50_pretrain.pth"))
    net.eval()

    @torch.inference_mode()
    def dino(images):
        x = torch.tensor(images).permute(0, 3, 1, 2) / 255
        x = torchvision.transforms.functional.resize(x, [224, 224], antialias=True)
        x = torchvision.transforms.functional.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        return net(x)

    real = extract(dino, images)

Resizing belongs to the features: a Fréchet distance moves with the filter it is done by (G. Parmar, R. Zhang
and J.-Y. Zhu, On aliased resizing and surprising subtleties in GAN evaluation, CVPR 2022).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Shaped, UInt8

from jaxlatent._boundary import as_batch_size, as_images, as_vectors
from jaxlatent._progress import progress_bar
from jaxlatent._rows import Rows
from jaxlatent.autoencoder import Autoencoder, encode
from jaxlatent.generation.decoder import to_uint8

Features = Callable[[UInt8[np.ndarray, "b h w c"]], Any]


@dataclass(frozen=True, eq=False)
class EncoderFeatures:
    """The latent vectors of an autoencoder as features, float32 (n, latent_dim).

    They see only what the autoencoder keeps, and its decoder was fitted together with them: fit to find out
    whether images come back to where they were drawn, not to compare autoencoders.

    Attributes:
        model: from `fit_autoencoder` or `load_model`.
    """

    model: Autoencoder

    def __call__(self, images: Shaped[Array | np.ndarray, "b h w c"]) -> Float[Array, "b d"]:
        """Gives the features of a batch.

        Raises:
            ValueError, TypeError: if the images are not of the model's size, uint8 or floating point.
        """
        return encode(self.model, images, batch_size=max(1, len(images)))


def extract(
    features: Features,
    images: Shaped[Array | np.ndarray | Rows, "n h w c"],
    *,
    batch_size: int | None = None,
    progress: bool = False,
) -> Float[np.ndarray, "n f"]:
    """Gives the features of any number of images.

    Every batch has `batch_size` images, the last one padded with black, so that a compiled network is
    compiled once. Floating-point images are rounded to 8 bits first, as they would be stored: real images
    were, and features see the difference.

    Args:
        features: a function from uint8 (batch_size, h, w, c), NumPy, to floating-point numbers
            (batch_size, f), a NumPy or JAX array or a PyTorch tensor; each row must depend on its own image
            alone.
        images: uint8 in [0, 255] or floating point in [0, 1], (n, h, w, c), n >= 1. Memory maps are read a
            batch at a time.
        batch_size: images at once, at least 1; 256 where not given, of more than 64 x 64 pixels fewer.
        progress: show a bar where standard error is a terminal.

    Returns:
        (n, f), on the host: float64 where the features are, else float32.

    Raises:
        ValueError: if the images have another shape, or what `features` gives has, or is not finite.
        TypeError: if either has another dtype.
    """
    images = as_images("images", images, least=1)
    batch_size = as_batch_size(batch_size, images.shape[1:])
    n = images.shape[0]
    result: np.ndarray | None = None
    with progress_bar("features", n, "images", enabled=progress) as advance:
        for start in range(0, n, batch_size):
            part = to_uint8(np.asarray(images[start : start + batch_size]), np)
            count = part.shape[0]
            padding = ((0, batch_size - count), (0, 0), (0, 0), (0, 0))
            found = _checked(features(np.pad(part, padding)), batch_size)[:count]
            if result is None:
                result = np.empty((n, found.shape[1]), found.dtype)
            result[start : start + count] = found
            advance(count)
    assert result is not None
    return result


def _checked(found: Any, count: int) -> np.ndarray:
    """The features of a batch as an array, if they are such."""
    name = "features: of what the function gives"
    values = np.asarray(as_vectors(name, found))
    if values.shape[0] != count:
        raise ValueError(f"{name}: expected {count} rows for {count} images, got {values.shape[0]}")
    values = values.astype(np.float64 if values.dtype == np.float64 else np.float32, copy=False)
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity; check the weights")
    return values
