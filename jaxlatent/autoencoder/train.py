"""Fitting an autoencoder to images: epochs, validation, checkpoints, resuming."""

import logging
import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Key, PyTree, Shaped

from jaxlatent._boundary import as_images, as_key
from jaxlatent._files import remove_temporaries
from jaxlatent._progress import Speed, progress_bar
from jaxlatent._random import numpy_generator
from jaxlatent._rows import Rows
from jaxlatent._signals import stop_on_signal
from jaxlatent.autoencoder.checkpoint import (
    host_copy,
    load_model,
    read_checkpoint,
    read_description,
    save_model,
    write_checkpoint,
)
from jaxlatent.autoencoder.config import AutoencoderConfig, TrainConfig
from jaxlatent.autoencoder.history import EpochRecord, History
from jaxlatent.autoencoder.losses import kl_divergence, reconstruction_losses
from jaxlatent.autoencoder.network import Autoencoder, make_autoencoder, to_unit_range
from jaxlatent.autoencoder.pca_init import start_as_pca
from jaxlatent.autoencoder.trainer import (
    NotFiniteError,
    Steps,
    Trainer,
    TrainState,
    mirror_half,
    training_devices,
)
from jaxlatent.data.fingerprint import fingerprint

Images = Shaped[Array | np.ndarray | Rows, "n h w c"]

# Between two checkpoints in the middle of an epoch: what an interruption costs at most.
_SECONDS = 120.0

log = logging.getLogger(__name__)


class DivergenceError(RuntimeError):
    """The training left the finite numbers; the message says where and what to try."""


def fit_autoencoder(
    key: Key[Array, ""],
    images: Images,
    config: AutoencoderConfig | None = None,
    train: TrainConfig | None = None,
    *,
    validation: Shaped[Array | np.ndarray | Rows, "m h w c"] | None = None,
    directory: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callback: Callable[[EpochRecord], None] | None = None,
    on_speed: Callable[[float], None] | None = None,
    progress: bool = False,
) -> tuple[Autoencoder, History]:
    """Trains an autoencoder to reproduce images.

    Order and mirroring of the images depend on `key` and the epoch alone, see
    `jaxlatent.autoencoder.trainer.Trainer`.

    With a `directory`, three things are kept in it: `history.csv`; `best`, the model of the lowest
    validation loss so far (without validation, of the last epoch), for `load_model`; and `epoch-N`, the
    whole state after epoch N, or `epoch-N-step-M` in the middle of the next one, every two minutes and when
    SIGINT or SIGTERM stops the training. One that was stopped, even killed, goes on from there with
    `resume=True`, and on a CPU gives exactly the numbers of one that was not. More epochs than before go on,
    too, with the learning rates of the longer training.

    All local devices that divide a batch take a part of each; the numbers are those of one device, up to
    rounding.

    Args:
        key: one typed key, for the first weights, the order and the mirroring.
        images: uint8 in [0, 255] or floating point in [0, 1], (n, h, w, c) of the configured size, n >= 1.
            Memory maps are read a few batches at a time, or once where they fit into an accelerator's memory.
        config: the network's shape; default `AutoencoderConfig` for the images' size and channels.
        train: how to train; default `TrainConfig()`.
        validation: images to measure each epoch on; the best epoch and early stopping go by them.
        directory: where checkpoints are kept; None writes nothing.
        resume: go on with the training in `directory` (start one if there is none). Without it, a
            directory that holds a training is refused.
        callback: called with each epoch once it is kept, see `jaxlatent.autoencoder.TensorBoard`.
        on_speed: called once, after the first seconds of training, with the images per second.
        progress: show a bar where standard error is a terminal.

    Returns:
        The model of the epoch with the lowest validation loss (without validation, of the last epoch)
        and the history of all epochs.

    Raises:
        ValueError: if the images do not fit, if `directory` holds a training and `resume` is False, or
            one with other settings, key or images.
        TypeError: if `key` is no typed key or the images are neither uint8 nor floating point.
        DivergenceError: if the loss is no longer finite; the checkpoints before remain.
        KeyboardInterrupt: after SIGINT, and SystemExit after SIGTERM; with a directory nothing is lost.
    """
    train = train or TrainConfig()
    key = as_key(key)
    images = as_images("images", images, None if config is None else config.image_shape, least=1)
    if config is None:
        _, height, width, channels = images.shape
        config = AutoencoderConfig(image_size=(height, width), channels=channels)
    if validation is not None:
        validation = as_images("validation", validation, config.image_shape, least=1)
    elif train.patience is not None:
        raise ValueError("patience: early stopping needs validation images; pass validation=...")
    if resume and directory is None:
        raise ValueError("resume: needs the directory of the training to go on with")
    run = _Run(key, images, config, train, validation, directory, on_speed or (lambda _: None))
    run.prepare(resume)
    with (
        stop_on_signal(enabled=directory is not None) as stopped,
        progress_bar("train", run.total, "images", enabled=progress, initial=run.done) as advance,
    ):
        while not run.finished():
            record = run.epoch(advance, stopped)
            if callback is not None:
                callback(record)
    return run.best_model(), History(tuple(run.records))


@dataclass(frozen=True)
class _Program:
    """The compiled functions of one pair of configurations."""

    graphdef: nnx.GraphDef
    steps: Steps
    evaluate: Callable[..., Any]


@lru_cache(maxsize=8)
def make_program(
    config: AutoencoderConfig, train: TrainConfig, count: int, devices: int = 1, platform: str | None = None
) -> _Program:
    """Prepares a training of `count` steps; the same arguments give what is already compiled.

    Args:
        config: the network.
        train: how it is trained.
        count: steps.
        devices: that share a batch.
        platform: "cpu", "gpu" or "tpu"; that of JAX where not given.
    """
    on_one_cpu = (platform or jax.default_backend()) == "cpu" and devices == 1
    graphdef, _ = nnx.split(nnx.eval_shape(lambda: Autoencoder(config, rngs=nnx.Rngs(0))))
    steps = Steps.of(partial(_batch_loss, graphdef, train, on_one_cpu), train, count)
    return _Program(graphdef, steps, jax.jit(partial(_evaluate, graphdef, train)))


def _batch_loss(
    graphdef: nnx.GraphDef,
    config: TrainConfig,
    on_one_cpu: bool,
    params: PyTree,
    rest: PyTree,
    batch: tuple[Shaped[Array, "n h w c"]],
    key: Key[Array, ""],
) -> tuple[Float[Array, ""], PyTree]:
    (images,) = batch
    x = to_unit_range(mirror_half(images, key) if config.mirrors(images.shape[3]) else images)
    model = nnx.merge(graphdef, params, rest, copy=True)
    losses = []
    for i, part in enumerate(jnp.split(x, _parts(x.shape[0], model.config.norm, on_one_cpu))):
        losses.append(_losses(model, config, part, jax.random.fold_in(key, i))[0])
    return jnp.mean(jnp.concatenate(losses)), nnx.state(model, nnx.Not(nnx.Param))


def _losses(
    model: Autoencoder, config: TrainConfig, x: Float[Array, "n h w c"], key: Key[Array, ""] | None
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Loss and squared error of each image; in training there is a key, with which a VAE draws."""
    train = key is not None
    if not model.config.variational:
        z = model.encode(x, train=train)
        return reconstruction_losses(x, model.decode_logits(z, train=train), config)
    z, log_variance = model.posterior(x, train=train)
    divergence = kl_divergence(z, log_variance)
    if key is not None:
        z += jnp.exp(log_variance / 2) * jax.random.normal(key, z.shape, z.dtype)
    losses, errors = reconstruction_losses(x, model.decode_logits(z, train=train), config)
    return losses + config.kl_weight * divergence / x[0].size, errors


def _parts(count: int, norm: str, on_one_cpu: bool) -> int:
    """Into how many independent parts a batch is cut.

    On a CPU, XLA runs most convolutions on one core, but side by side what does not depend on each other.
    Batch norm needs the batch as a whole.
    """
    return 2 if on_one_cpu and norm != "batch" and count % 2 == 0 else 1


def _evaluate(
    graphdef: nnx.GraphDef,
    config: TrainConfig,
    state: TrainState,
    images: Shaped[Array, "n h w c"],
    valid: Bool[Array, " n"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Gives the sums of loss and of squared error over the valid images of a batch, outside training."""
    model = nnx.merge(graphdef, state.params, state.rest)
    x = to_unit_range(images)
    losses, errors = _losses(model, config, x, None)
    return jnp.sum(jnp.where(valid, losses, 0)), jnp.sum(jnp.where(valid, errors, 0))


class _Run:
    """One training: its fixed settings, and what changes from epoch to epoch."""

    def __init__(
        self,
        key: Array,
        images: Images,
        config: AutoencoderConfig,
        train: TrainConfig,
        validation: Shaped[Array | np.ndarray | Rows, "m h w c"] | None,
        directory: str | os.PathLike[str] | None,
        on_speed: Callable[[float], None],
    ):
        self.key, self.images, self.config, self.train = key, images, config, train
        self.validation = validation
        self.directory = None if directory is None else Path(directory)
        batch = min(train.batch_size, images.shape[0])
        steps = images.shape[0] // batch
        self.program = make_program(config, train, steps * train.epochs, len(training_devices(batch)))
        _, *states = nnx.split(make_autoencoder(self.first, config), nnx.Param, ...)
        start = self.program.steps.start(*states)
        self.trainer = Trainer(self.program.steps, start, (images,), key, batch)
        self.records: list[EpochRecord] = []
        self.losses: list[float] = []  # of the epoch that has begun
        self.kept = time.monotonic()
        self.speed = Speed(on_speed)
        self.best: TrainState | None = None

    @property
    def first(self) -> Array:
        """The key of the first weights."""
        return jax.random.fold_in(self.key, 0)

    @property
    def total(self) -> int:
        """Images that the whole training takes."""
        return self.train.epochs * self.trainer.steps * self.trainer.batch

    @property
    def done(self) -> int:
        """Images that it has taken."""
        return (len(self.records) * self.trainer.steps + len(self.losses)) * self.trainer.batch

    def prepare(self, resume: bool) -> None:
        """Starts anew or from the last checkpoint in the directory."""
        if self.directory is None:
            self.begin()
            return
        if resume and self.directory.is_dir():
            remove_temporaries(self.directory)
        checkpoints = _checkpoints(self.directory)
        if not checkpoints:
            self.begin()
            self.directory.mkdir(parents=True, exist_ok=True)
            return
        last = checkpoints[-1]
        if not resume:
            raise ValueError(
                f"directory: {self.directory} holds a training at {last.name}; "
                "pass resume=True to go on with it or choose another directory"
            )
        description = read_description(last)
        # A field that has been added since had its default.
        kept = AutoencoderConfig().to_dict() | TrainConfig().to_dict() | description["settings"]
        check_same(
            kept, self.settings, self.directory, "resume with the same settings or choose another directory"
        )
        self.trainer.place(read_checkpoint(last, self.trainer.state))
        self.records = [EpochRecord(**r) for r in description["records"]]
        self.losses = description.get("losses", [])

    def begin(self) -> None:
        """Makes the first weights those of PCA, if they are to be."""
        if self.train.init == "pca":
            model = self.model(self.trainer.state)
            start_as_pca(model, self.images, numpy_generator(self.first))
            _, *states = nnx.split(model, nnx.Param, ...)
            self.trainer.place(self.program.steps.start(*states))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything that the numbers depend on, as plain values; the images are digested for it."""
        return {
            **self.config.to_dict(),
            **self.train.to_dict(),
            "mirror": self.train.mirrors(self.config.channels),
            "key": jax.random.key_data(self.key).tolist(),
            "images": fingerprint(self.images),
            "validation": None if self.validation is None else fingerprint(self.validation),
        }

    def finished(self) -> bool:
        """Whether all epochs are done or the patience is used up."""
        done = len(self.records)
        if done >= self.train.epochs:
            return True
        if self.train.patience is None or not done:
            return False
        return done - History(tuple(self.records)).best().epoch >= self.train.patience

    def epoch(self, advance: Callable[..., None], stopped: Callable[[], int]) -> EpochRecord:
        """Trains one epoch, validates, and keeps what is to be kept."""
        number, done = len(self.records) + 1, len(self.losses)
        start = time.perf_counter()

        def note(count: int, loss: float) -> None:
            advance(count, f"epoch {number}/{self.train.epochs}, loss {loss:.5f}")
            self.speed.note(self.done)

        def due() -> bool:
            return self.directory is not None and (bool(stopped()) or time.monotonic() - self.kept > _SECONDS)

        def keep() -> None:
            self.save()
            if received := stopped():
                log.info(
                    "stopped in epoch %d, after step %d of %d", number, len(self.losses), self.trainer.steps
                )
                raise KeyboardInterrupt if received == signal.SIGINT else SystemExit(128 + received)

        try:
            train_loss = self.trainer.epoch(number, self.losses, note, due=due, keep=keep)
        except NotFiniteError as error:
            raise self.divergence(str(error)) from error
        trained = time.perf_counter() - start
        val_loss, val_mse = self.validate()
        if self.validation is not None and not math.isfinite(val_loss):
            raise self.divergence(f"validation loss became {val_loss} in epoch {number}")
        rate = self.program.steps.learning_rate(number * self.trainer.steps)
        speed = (self.trainer.steps - done) * self.trainer.batch / trained
        seconds = time.perf_counter() - start
        record = EpochRecord(number, train_loss, val_loss, val_mse, speed, rate, seconds)
        self.records.append(record)
        self.losses = []
        log.info(
            "epoch %d of %d: training loss %.5f, validation loss %.5f, %.0f images/s",
            number,
            self.train.epochs,
            train_loss,
            val_loss,
            speed,
        )
        improved = History(tuple(self.records)).best() is record
        if self.directory is not None:
            if improved:
                save_model(self.directory / "best", self.model(self.trainer.state))
            self.save()
            History(tuple(self.records)).to_csv(self.directory / "history.csv")
        elif improved and self.validation is not None:
            self.best = host_copy(self.trainer.state)
        return record

    def divergence(self, what: str) -> DivergenceError:
        """Words the error: what happened, what to try, what remains."""
        clip = " or set gradient_clip=1.0" if self.train.gradient_clip is None else ""
        kept = "no checkpoint was kept"
        if self.directory is not None and (checkpoints := _checkpoints(self.directory)):
            kept = f"the checkpoint {checkpoints[-1].name} is in {self.directory}"
        return DivergenceError(
            f"{what}: check the images for NaN, lower learning_rate "
            f"(now {self.train.learning_rate:g}){clip}; {kept}"
        )

    def validate(self) -> tuple[float, float]:
        """Gives the mean loss and squared error over the validation images; NaN without any."""
        if self.validation is None:
            return math.nan, math.nan
        n, batch = self.validation.shape[0], self.trainer.batch
        sums: list[tuple[Array, Array]] = []
        for start in range(0, n, batch):
            numbers = np.arange(start, start + batch)
            images = jnp.asarray(self.validation[np.minimum(numbers, n - 1)])
            sums.append(self.program.evaluate(self.trainer.state, images, jnp.asarray(numbers < n)))
            # The next images are read while the device works on these, and no further ahead.
            jax.block_until_ready(sums[-2:-1])
        loss, error = (sum(float(part) for part in parts) / n for parts in zip(*sums, strict=True))
        return loss, error

    def save(self) -> None:
        """Writes the state; then drops the one before."""
        assert self.directory is not None
        before = _checkpoints(self.directory)
        description = {
            "settings": self.settings,
            "records": [asdict(r) for r in self.records],
            "losses": self.losses,
        }
        step = f"-step-{len(self.losses):07d}" if self.losses else ""
        path = self.directory / f"epoch-{len(self.records):05d}{step}"
        write_checkpoint(path, self.trainer.state, description)
        for old in before:
            if old != path:
                shutil.rmtree(old)
        self.kept = time.monotonic()

    def model(self, state: TrainState) -> Autoencoder:
        """Puts a network together."""
        return nnx.merge(self.program.graphdef, state.params, state.rest)

    def best_model(self) -> Autoencoder:
        """Gives the model of the best epoch."""
        if self.directory is not None:
            return load_model(self.directory / "best")
        if self.best is not None:
            return self.model(jax.tree.map(jnp.asarray, self.best))
        return self.model(self.trainer.state)


def _checkpoints(directory: Path) -> list[Path]:
    return sorted(directory.glob("epoch-*")) if directory.is_dir() else []


def check_same(kept: Mapping[str, Any], now: Mapping[str, Any], directory: Path, remedy: str) -> None:
    """Accepts the settings of the training in a directory, and more epochs.

    Args:
        kept: names and values of the training.
        now: what is asked; each has to be among `kept`.
        directory: of the training.
        remedy: the end of the error; {option} in it is the setting as the command names it.

    Raises:
        ValueError: if one differs; the message names it alone.
    """
    for name, value in now.items():
        if kept[name] != value and not (name == "epochs" and value > kept[name]):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{name}: the training in {directory} has {kept[name]}, now it is {value}; "
                f"{remedy.format(option=option)}"
            )
