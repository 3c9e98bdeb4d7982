"""Training of the classifier whose features are used, on the data's own labels."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Key, PyTree, Shaped

from jaxlatent._boundary import (
    as_array,
    as_count,
    as_counts,
    as_flag,
    as_images,
    as_key,
    as_nonnegative,
    as_positive,
    convert_fields,
)
from jaxlatent._progress import progress_bar
from jaxlatent._random import numpy_generator
from jaxlatent.autoencoder import DivergenceError, TrainConfig
from jaxlatent.autoencoder.trainer import NotFiniteError, Steps, Trainer, mirror_half
from jaxlatent.data.fingerprint import fingerprint
from jaxlatent.evaluation.classifier import (
    Classifier,
    ClassifierFeatures,
    Images,
    LabelValues,
    load_classifier,
    standardise,
)


@dataclass(frozen=True)
class ClassifierConfig:
    """The classifier's shape and how it is fitted.

    Attributes:
        filters: channels after each of the strided convolutions (3 x 3, stride 2); the last number is the
            number of features.
        epochs: passes over the images, at least 1.
        batch_size: images a step, at least 1; at most the number of images is used.
        learning_rate: AdamW's peak learning rate; warmed up linearly, then lowered along a cosine to 0.
        weight_decay: AdamW's decoupled weight decay.
        mirror: show each image mirrored left to right with probability 1/2; None mirrors RGB images whose
            labels are attributes, as factors may tell left from right, and so may grey images.

    Raises:
        ValueError: if a field is out of range.
        TypeError: if a number is not an integer.
    """

    filters: tuple[int, ...] = (16, 32, 64, 256)
    epochs: int = 14
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    mirror: bool | None = None

    def __post_init__(self) -> None:
        convert_fields(self, as_counts, "filters", minimum=1)
        if not self.filters:
            raise ValueError("filters: expected at least one channel count, got none")
        convert_fields(self, as_count, "epochs", "batch_size", minimum=1)
        convert_fields(self, as_positive, "learning_rate")
        convert_fields(self, as_nonnegative, "weight_decay")
        if self.mirror is not None:
            convert_fields(self, as_flag, "mirror")

    def training(self) -> TrainConfig:
        """The settings that an autoencoder's training has too."""
        return TrainConfig(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )


def fit_features(
    key: Key[Array, ""],
    images: Images,
    labels: LabelValues,
    *,
    config: ClassifierConfig | None = None,
    progress: bool = False,
) -> ClassifierFeatures:
    """Trains a small convolutional classifier on labelled images, for its features.

    Features that tell the data's own labels apart see what matters in these images, need no foreign
    weights, and are cheap; Fréchet distances in them compare with each other only, not with the published
    ones, which are in Inception's features. Attributes are learned by binary cross-entropy, factors by the
    squared error of their standardised values. On 18,000 images of CelebA at 64 pixels the defaults take
    two to three minutes on two CPU cores and tell the 40 attributes of unseen people rightly in 0.90 of
    cases, where guessing the commoner value is right in 0.81. The same arguments give the same classifier
    on the same kind of device.

    Args:
        key: one typed key, for the first weights, the order of the images and their mirroring.
        images: uint8 in [0, 255] or floating point in [0, 1], (n, h, w, c), n >= 1. Memory maps are read
            a few batches at a time, or once where they fit into an accelerator's memory.
        labels: (n, k), k >= 1: attributes as integers -1 and 1, or 0 and 1, or as booleans; or finite
            factors, floating point. `load_labelled` gives them as `labels.values`.
        config: network and training; default `ClassifierConfig()`.
        progress: show a bar where standard error is a terminal.

    Raises:
        ValueError: if images or labels do not fit.
        TypeError: if `key` is no typed key, or images or labels are of another dtype.
        DivergenceError: if the loss is no longer finite.
    """
    config, key = config or ClassifierConfig(), as_key(key)
    images, labels = _as_data(images, labels, config)
    targets, center, scale, attributes = standardise(labels)
    network = Classifier(images.shape[3], config.filters, targets.shape[1], numpy_generator(key))
    graphdef, *states = nnx.split(network, nnx.Param, ...)
    batch = min(config.batch_size, images.shape[0])
    mirror = attributes and images.shape[3] == 3 if config.mirror is None else config.mirror
    loss = partial(_batch_loss, graphdef, attributes, mirror)
    steps = Steps.of(loss, config.training(), config.epochs * (images.shape[0] // batch))
    trainer = Trainer(steps, steps.start(*states), (images, targets), key, batch)
    total = config.epochs * trainer.steps * batch
    with progress_bar("train features", total, "images", enabled=progress) as advance:
        try:
            for epoch in range(1, config.epochs + 1):
                trainer.epoch(epoch, [], lambda count, loss: advance(count, f"loss {loss:.4f}"))
        except NotFiniteError as error:
            raise DivergenceError(f"{error}: lower learning_rate (now {config.learning_rate:g})") from error
    network = nnx.merge(graphdef, trainer.state.params, trainer.state.rest)
    digest = _digest(key, images, labels, config)
    _, height, width, channels = images.shape
    return ClassifierFeatures((height, width, channels), attributes, center, scale, digest, network)


def cached_features(
    folder: str | os.PathLike[str],
    key: Key[Array, ""],
    images: Images,
    labels: LabelValues,
    *,
    config: ClassifierConfig | None = None,
    progress: bool = False,
) -> ClassifierFeatures:
    """Gives the classifier in `folder` if key, images, labels and settings are its own; else fits it there.

    Images and labels are compared by their digests, see `jaxlatent.data.fingerprint`.
    A classifier of other data or settings is replaced.

    Args:
        folder: where the classifier is kept; made where it does not exist.
        key: as in `fit_features`, and so are the arguments after it.
        images: (n, h, w, c).
        labels: (n, k).
        config: network and training.
        progress: show a bar where standard error is a terminal.

    Raises:
        ValueError: if `folder` holds something else than a classifier; else as `fit_features`.
        TypeError, DivergenceError: as `fit_features`.
    """
    config, key = config or ClassifierConfig(), as_key(key)
    images, labels = _as_data(images, labels, config)
    folder = Path(folder)
    if folder.exists():
        kept = load_classifier(folder)
        if kept.digest == _digest(key, images, labels, config):
            return kept
    features = fit_features(key, images, labels, config=config, progress=progress)
    features.save(folder)
    return features


def _batch_loss(
    graphdef: nnx.GraphDef,
    attributes: bool,
    mirror: bool,
    params: PyTree,
    rest: PyTree,
    batch: tuple[Shaped[Array, "n h w c"], Float[Array, "n k"]],
    key: Key[Array, ""],
) -> tuple[Float[Array, ""], PyTree]:
    images, targets = batch
    network = nnx.merge(graphdef, params, rest, copy=True)
    _, outputs = network(mirror_half(images, key) if mirror else images, train=True)
    losses = optax.sigmoid_binary_cross_entropy if attributes else optax.squared_error
    with jax.numpy_dtype_promotion("standard"):  # optax adds weak numbers of its own
        return jnp.mean(losses(outputs, targets)), nnx.state(network, nnx.Not(nnx.Param))


def _as_data(images: Any, labels: Any, config: ClassifierConfig) -> tuple[Images, np.ndarray]:
    images, labels = as_images("images", images, least=1), np.asarray(as_array("labels", labels))
    if labels.ndim != 2 or labels.shape[0] != images.shape[0] or not labels.shape[1]:
        raise ValueError(
            f"labels: expected shape ({images.shape[0]}, k), a row for each image, got {labels.shape}"
        )
    return images, labels


def _digest(key: Array, images: Images, labels: LabelValues, config: ClassifierConfig) -> str:
    seen = {
        "key": jax.random.key_data(key).tolist(),
        "config": asdict(config),
        "arrays": [fingerprint(images), fingerprint(labels)],
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()
