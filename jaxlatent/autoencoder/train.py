"""Fitting an autoencoder to images: epochs, validation, checkpoints, resuming."""

import logging
import math
import os
import shutil
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Key, Shaped

from jaxlatent._boundary import as_images, as_key
from jaxlatent._progress import progress_bar
from jaxlatent._random import numpy_generator
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
from jaxlatent.autoencoder.network import Autoencoder, make_autoencoder
from jaxlatent.autoencoder.state import TrainState, make_program, make_state

Images = Shaped[Array | np.ndarray, "n h w c"]

# Steps that one call of the compiled program takes (measured on a CPU: 4 are 10 %, 8 are 13 % quicker).
STEPS_A_CALL = 8
# Images handed over at a time, of large size or in float32: the device holds two such blocks.
BYTES_A_CALL = 2**27

log = logging.getLogger(__name__)


class DivergenceError(RuntimeError):
    """The training left the finite numbers; the message says where and what to try."""


def fit_autoencoder(
    key: Key[Array, ""],
    images: Images,
    config: AutoencoderConfig | None = None,
    train: TrainConfig | None = None,
    *,
    validation: Shaped[Array | np.ndarray, "m h w c"] | None = None,
    directory: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = False,
) -> tuple[Autoencoder, History]:
    """Trains an autoencoder to reproduce images.

    The order of the images and their mirroring depend on `key` and the epoch alone. An epoch leaves out
    the images that fill no whole batch, others each time; with fewer images than a batch, all of them
    are one batch.

    With a `directory`, three things are kept in it: `history.csv`; `best`, the model of the lowest
    validation loss so far (without validation, of the last epoch), for `load_model`; and `epoch-N`, the
    whole state after epoch N. A training that was stopped, even killed, goes on from there with
    `resume=True`, and on a CPU gives exactly the numbers of one that was not.

    Args:
        key: one typed key, for the first weights, the order and the mirroring.
        images: uint8 in [0, 255] or floating point in [0, 1], (n, h, w, 3) of the configured size, n >= 1.
            Memory maps are read a batch at a time.
        config: the network's shape; default `AutoencoderConfig()`.
        train: how to train; default `TrainConfig()`.
        validation: images to measure each epoch on; the best epoch and early stopping go by them.
        directory: where checkpoints are kept; None writes nothing.
        resume: go on with the training in `directory` (start one if there is none). Without it, a
            directory that holds a training is refused.
        progress: show a bar an epoch where standard error is a terminal.

    Returns:
        The model of the epoch with the lowest validation loss (without validation, of the last epoch)
        and the history of all epochs.

    Raises:
        ValueError: if the images do not fit, if `directory` holds a training and `resume` is False, or
            one with other settings, key or images.
        TypeError: if `key` is no typed key or the images are neither uint8 nor floating point.
        DivergenceError: if the loss is no longer finite; the checkpoints before remain.
    """
    config = config or AutoencoderConfig()
    train = train or TrainConfig()
    key = as_key(key)
    images = as_images("images", images, config.image_size, least=1)
    if validation is not None:
        validation = as_images("validation", validation, config.image_size, least=1)
    elif train.patience is not None:
        raise ValueError("patience: early stopping needs validation images; pass validation=...")
    if resume and directory is None:
        raise ValueError("resume: needs the directory of the training to go on with")
    run = _Run(key, images, config, train, validation, directory)
    run.prepare(resume)
    total = train.epochs * run.steps * run.batch
    done = len(run.records) * run.steps * run.batch
    with progress_bar("train", total, "images", enabled=progress, initial=done) as advance:
        while not run.finished():
            run.epoch(advance)
    return run.best_model(), History(tuple(run.records))


class _Run:
    """One training: its fixed settings, and what changes from epoch to epoch."""

    def __init__(
        self,
        key: Array,
        images: Images,
        config: AutoencoderConfig,
        train: TrainConfig,
        validation: Shaped[Array | np.ndarray, "m h w c"] | None,
        directory: str | os.PathLike[str] | None,
    ):
        self.key, self.images, self.config, self.train = key, images, config, train
        self.validation = validation
        self.directory = None if directory is None else Path(directory)
        self.batch = min(train.batch_size, images.shape[0])
        self.steps = images.shape[0] // self.batch
        self.program = make_program(config, train, self.steps * train.epochs)
        model = make_autoencoder(jax.random.fold_in(key, 0), config)
        _, self.state = make_state(model, self.program.optimizer)
        self.records: list[EpochRecord] = []
        self.best: TrainState | None = None

    def prepare(self, resume: bool) -> None:
        """Starts anew or from the last checkpoint in the directory."""
        if self.directory is None:
            return
        checkpoints = _checkpoints(self.directory)
        if resume:
            _clear_leftovers(self.directory)
        if not checkpoints:
            self.directory.mkdir(parents=True, exist_ok=True)
            return
        last = checkpoints[-1]
        if not resume:
            raise ValueError(
                f"directory: {self.directory} holds a training at {last.name}; "
                "pass resume=True to go on with it or choose another directory"
            )
        description = read_description(last)
        _check_same(description["settings"], self.settings(), self.directory)
        self.state = read_checkpoint(last, self.state)
        self.records = [EpochRecord(**r) for r in description["records"]]

    def settings(self) -> dict[str, Any]:
        """Everything that the numbers depend on, as plain values."""
        return {
            **self.config.to_dict(),
            **self.train.to_dict(),
            "key": jax.random.key_data(self.key).tolist(),
            "images": _fingerprint(self.images),
            "validation": None if self.validation is None else _fingerprint(self.validation),
        }

    def finished(self) -> bool:
        """Whether all epochs are done or the patience is used up."""
        done = len(self.records)
        if done >= self.train.epochs:
            return True
        if self.train.patience is None or not done:
            return False
        return done - History(tuple(self.records)).best().epoch >= self.train.patience

    def epoch(self, advance: Callable[..., None]) -> None:
        """Trains one epoch, validates, and keeps what is to be kept."""
        number = len(self.records) + 1
        start = time.perf_counter()
        train_loss = self.train_epoch(number, advance)
        trained = time.perf_counter() - start
        val_loss, val_mse = self.validate()
        if self.validation is not None and not math.isfinite(val_loss):
            raise self.divergence(f"validation loss became {val_loss} in epoch {number}")
        rate = float(self.program.schedule(number * self.steps))
        speed = self.steps * self.batch / trained
        seconds = time.perf_counter() - start
        record = EpochRecord(number, train_loss, val_loss, val_mse, speed, rate, seconds)
        self.records.append(record)
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
            self.save(improved)
        elif improved and self.validation is not None:
            self.best = host_copy(self.state)

    def train_epoch(self, number: int, advance: Callable[..., None]) -> float:
        """Takes the epoch's steps; gives their mean loss."""
        key = jax.random.fold_in(self.key, number)
        order = numpy_generator(key).permutation(self.images.shape[0])
        batches = order[: self.steps * self.batch].reshape(self.steps, self.batch)
        batch_bytes = self.batch * self.images[:1].nbytes
        block = max(1, min(STEPS_A_CALL, self.steps, BYTES_A_CALL // batch_bytes))
        losses: list[float] = []
        pending: tuple[Array, int] | None = None
        for start in range(0, self.steps, block):
            count = min(block, self.steps - start)
            numbers = np.minimum(np.arange(start, start + block), self.steps - 1)
            # Sorted, so that a memory map is read forwards; the order within a batch is no matter.
            images = jnp.asarray(self.images[np.sort(batches[numbers], axis=1)])
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(numbers, jnp.uint32))
            self.state, new = self.program.steps(self.state, images, keys, jnp.int32(count))
            # One call late, so that the device never waits for the check.
            if pending is not None:
                self.note_losses(losses, pending, number, advance)
            pending = new, count
        assert pending is not None
        self.note_losses(losses, pending, number, advance)
        if not self.program.finite(self.state.params):
            raise self.divergence(f"weights were no longer finite after epoch {number}")
        return float(np.mean(losses))

    def note_losses(
        self, losses: list[float], new: tuple[Array, int], epoch: int, advance: Callable[..., None]
    ) -> None:
        """Appends a call's losses, if they are numbers, and shows the last."""
        values, count = new
        for loss in np.asarray(values)[:count].tolist():
            losses.append(loss)
            if not math.isfinite(loss):
                raise self.divergence(f"training loss became {loss} in epoch {epoch}, step {len(losses)}")
        advance(count * self.batch, f"epoch {epoch}/{self.train.epochs}, loss {losses[-1]:.5f}")

    def divergence(self, what: str) -> DivergenceError:
        """Words the error: what happened, what to try, what remains."""
        clip = " or set gradient_clip=1.0" if self.train.gradient_clip is None else ""
        kept = "no checkpoint was kept"
        if self.directory is not None and self.records:
            kept = f"the checkpoint of epoch {len(self.records)} is in {self.directory}"
        return DivergenceError(
            f"{what}: check the images for NaN, lower learning_rate "
            f"(now {self.train.learning_rate:g}){clip}; {kept}"
        )

    def validate(self) -> tuple[float, float]:
        """Gives the mean loss and squared error over the validation images; NaN without any."""
        if self.validation is None:
            return math.nan, math.nan
        n = self.validation.shape[0]
        loss = error = 0.0
        for start in range(0, n, self.batch):
            rows = np.minimum(np.arange(start, start + self.batch), n - 1)
            valid = np.arange(start, start + self.batch) < n
            batch = jnp.asarray(self.validation[rows])
            sums = self.program.evaluate(self.state, batch, jnp.asarray(valid))
            loss, error = loss + float(sums[0]), error + float(sums[1])
        return loss / n, error / n

    def save(self, improved: bool) -> None:
        """Writes the best model, the state and the history; then drops the state before."""
        assert self.directory is not None
        before = _checkpoints(self.directory)
        if improved:
            save_model(self.directory / "best", self.model(self.state))
        description = {
            "settings": self.settings(),
            "records": [asdict(r) for r in self.records],
        }
        path = self.directory / f"epoch-{len(self.records):05d}"
        write_checkpoint(path, self.state, description)
        History(tuple(self.records)).to_csv(self.directory / "history.csv")
        for old in before:
            shutil.rmtree(old)

    def model(self, state: TrainState) -> Autoencoder:
        """Puts a network together."""
        return nnx.merge(self.program.graphdef, state.params, state.rest)

    def best_model(self) -> Autoencoder:
        """Gives the model of the best epoch."""
        if self.directory is not None:
            return load_model(self.directory / "best")
        if self.best is not None:
            return self.model(jax.tree.map(jnp.asarray, self.best))
        return self.model(self.state)


def _checkpoints(directory: Path) -> list[Path]:
    return sorted(directory.glob("epoch-*")) if directory.is_dir() else []


def _clear_leftovers(directory: Path) -> None:
    """Undoes what a killed process left half done."""
    for old in directory.glob(".best.*.old"):
        if not (directory / "best").exists():
            old.rename(directory / "best")
    for pattern in (".best.*", ".epoch-*"):
        for leftover in directory.glob(pattern):
            shutil.rmtree(leftover)
    for leftover in directory.glob(".history.*.tmp.csv"):
        leftover.unlink()


def _check_same(kept: dict[str, Any], now: dict[str, Any], directory: Path) -> None:
    # A field that has been added since had its default.
    kept = AutoencoderConfig().to_dict() | TrainConfig().to_dict() | kept
    for name, value in now.items():
        if kept.get(name) != value:
            raise ValueError(
                f"{name}: the training in {directory} has {kept.get(name)}, now it is {value}; "
                "resume with the same settings or choose another directory"
            )


def _fingerprint(images: Images) -> str:
    """Shape, dtype and a checksum of up to 64 images spread over all, in one word."""
    rows = np.unique(np.linspace(0, images.shape[0] - 1, 64).astype(int))
    checksum = zlib.crc32(np.ascontiguousarray(images[rows]).tobytes())
    return f"{images.dtype}{list(images.shape)}:{checksum:08x}"
