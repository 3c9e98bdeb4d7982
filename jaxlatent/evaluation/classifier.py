"""A small classifier of images, whose pooled activations are features."""

import math
import os
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PyTree, Shaped

from jaxlatent._boundary import as_array, as_images
from jaxlatent._rows import Rows
from jaxlatent.autoencoder.checkpoint import read_checkpoint, read_description, write_checkpoint
from jaxlatent.autoencoder.conv import strided_conv
from jaxlatent.autoencoder.network import to_unit_range
from jaxlatent.autoencoder.padding import padded
from jaxlatent.evaluation.features import extract

_FORMAT = "jaxlatent classifier 1"

Images = Shaped[Array | np.ndarray | Rows, "n h w c"]
LabelValues = Shaped[Array | np.ndarray, "n k"]


class _Layer(nnx.Module):
    """Strided convolution, norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator):
        # NumPy's generator, as XLA would compile one of its own for each shape, for seconds.
        weights = rng.normal(scale=math.sqrt(2 / (9 * inputs)), size=(3, 3, inputs, outputs))
        self.kernel = nnx.Param(jnp.asarray(weights, jnp.float32))
        self.norm = nnx.BatchNorm(outputs, momentum=0.9, rngs=nnx.Rngs(0))

    def __call__(self, x: Array, *, train: bool) -> Array:
        return jax.nn.relu(self.norm(strided_conv(x, self.kernel[...]), use_running_average=not train))


class Classifier(nnx.Module):
    """Strided convolutions, an average over the places, one linear layer."""

    def __init__(self, channels: int, filters: tuple[int, ...], outputs: int, rng: np.random.Generator):
        self.filters = filters
        self.layers = nnx.List([_Layer(*widths, rng) for widths in pairwise((channels, *filters))])
        weights = rng.normal(scale=filters[-1] ** -0.5, size=(filters[-1], outputs))
        self.kernel = nnx.Param(jnp.asarray(weights, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(self, images: Array, *, train: bool = False) -> tuple[Array, Array]:
        """Gives the features and, in units of the standardised labels, the outputs."""
        x = padded(to_unit_range(images), len(self.filters)) - 0.5
        for layer in self.layers:
            x = layer(x, train=train)
        features = jnp.mean(x, axis=(1, 2))
        return features, features @ self.kernel[...] + self.bias[...]


@dataclass(frozen=True, eq=False)
class ClassifierFeatures:
    """Pooled activations of a classifier; from `fit_features`, `cached_features` or `load_classifier`.

    Attributes:
        image_shape: height, width and channels of the images it takes.
        attributes: whether its labels are attributes, present or absent; else continuous factors.
        center: subtracted from the factors in training, float32 (k,); 0 for attributes.
        scale: divided by then; 1 for attributes.
        digest: SHA-256 of key, images, labels and settings that it was fitted with, hexadecimal.
    """

    image_shape: tuple[int, int, int]
    attributes: bool
    center: Float[np.ndarray, " k"]
    scale: Float[np.ndarray, " k"]
    digest: str
    _network: Classifier

    def __call__(self, images: Images) -> Float[Array, "n f"]:
        """Gives the features of a batch, float32 (n, f); `jaxlatent.evaluation.extract` for many images.

        Raises:
            ValueError, TypeError: if the images are not (n, h, w, c) of the size fitted, uint8 or floats.
        """
        return self._run(images)[0]

    def predict(
        self, images: Images, *, batch_size: int | None = None, progress: bool = False
    ) -> Float[np.ndarray, "n k"]:
        """Gives the labels as the classifier sees them, float32 (n, k).

        Attributes come as logits, positive where present; factors in their own units.
        """
        outputs = extract(lambda x: self._run(x)[1], images, batch_size=batch_size, progress=progress)
        return outputs * self.scale + self.center

    def skill(
        self, images: Images, labels: LabelValues, *, batch_size: int | None = None, progress: bool = False
    ) -> Float[np.ndarray, " k"]:
        """Measures how well each label is recognised on labelled images, float64 (k,).

        For attributes the balanced accuracy, the mean of the rates at which present and absent are
        recognised: 1 at best, 1/2 by guessing. For factors the coefficient of determination R^2: 1 at best,
        0 for a constant guess.
        """
        from sklearn.metrics import balanced_accuracy_score, r2_score

        labels = np.asarray(as_array("labels", labels))
        targets, _, _, attributes = standardise(labels)
        if attributes != self.attributes or labels.shape[1] != len(self.scale):
            kind = "attributes" if self.attributes else "factors"
            raise ValueError(
                f"labels: expected the {len(self.scale)} {kind} that the classifier was fitted to, "
                f"got {labels.dtype}{list(labels.shape)}"
            )
        predicted = self.predict(images, batch_size=batch_size, progress=progress)
        if not attributes:
            return r2_score(labels, predicted, multioutput="raw_values")
        pairs = zip(targets.T > 0, predicted.T > 0, strict=True)
        return np.array([balanced_accuracy_score(truth, guess) for truth, guess in pairs])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the classifier to the folder `path`; one that is there already is replaced.

        Raises:
            ValueError: if `path` exists and holds no classifier.
        """
        path = Path(path)
        if path.exists() and not _is_classifier(path):
            raise ValueError(f"path: {path} exists and holds no classifier; choose another folder")
        description = {
            "format": _FORMAT,
            "filters": self._network.filters,
            "image_shape": self.image_shape,
            "attributes": self.attributes,
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "digest": self.digest,
        }
        write_checkpoint(path, nnx.split(self._network)[1], description)

    def _run(self, images: Images) -> tuple[Array, Array]:
        images = as_images("images", images, self.image_shape)
        return _apply(*nnx.split(self._network), jnp.asarray(images))


def load_classifier(path: str | os.PathLike[str]) -> ClassifierFeatures:
    """Reads a classifier that `ClassifierFeatures.save` wrote.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no classifier that this version can read.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"path: there is no folder {path}; fit features and save them there")
    if not _is_classifier(path):
        raise ValueError(f"path: {path} holds no classifier; expected a folder of ClassifierFeatures.save")
    kept = read_description(path)
    center, scale = (np.array(kept[name], np.float32) for name in ("center", "scale"))
    # Those of 0.1 have the side of RGB squares.
    height, width, channels = kept.get("image_shape") or (*[kept["image_size"]] * 2, 3)
    untrained = Classifier(channels, tuple(kept["filters"]), len(scale), np.random.default_rng(0))
    graphdef, state = nnx.split(untrained)
    network = nnx.merge(graphdef, read_checkpoint(path, state))
    shape = height, width, channels
    return ClassifierFeatures(shape, kept["attributes"], center, scale, kept["digest"], network)


@partial(jax.jit, static_argnums=0)
def _apply(graphdef: nnx.GraphDef, state: PyTree, images: Array) -> tuple[Array, Array]:
    return nnx.merge(graphdef, state)(images)


def standardise(labels: Shaped[np.ndarray, "n k"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Targets of the training, float32 (n, k); what was subtracted and divided by; whether attributes."""
    k = labels.shape[1]
    if labels.dtype == bool or np.issubdtype(labels.dtype, np.integer):
        found = np.unique(labels).astype(int).tolist()
        if not (set(found) <= {-1, 1} or set(found) <= {0, 1}):
            raise ValueError(
                f"labels: expected attributes as -1 and 1, or as 0 and 1, got {found[:5]}; "
                "make one column of 0 and 1 for each class"
            )
        return (labels > 0).astype(np.float32), np.zeros(k, np.float32), np.ones(k, np.float32), True
    if not np.issubdtype(labels.dtype, np.floating):
        raise TypeError(f"labels: expected integers, booleans or floating point, got {labels.dtype}")
    if not np.isfinite(labels).all():
        raise ValueError("labels: expected finite factors, got NaN or infinity; leave such images out")
    center = labels.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = labels.std(axis=0, dtype=np.float64).astype(np.float32)
    scale = np.where(spread > 0, spread, np.float32(1))
    return (labels.astype(np.float32) - center) / scale, center, scale, False


def _is_classifier(path: Path) -> bool:
    try:
        return read_description(path).get("format") == _FORMAT
    except (OSError, ValueError, AttributeError):
        return False
