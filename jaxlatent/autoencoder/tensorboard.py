"""The course of a training for TensorBoard."""

import os
import weakref
from dataclasses import asdict
from functools import partial
from typing import Any

from jaxlatent.autoencoder.history import EpochRecord


class TensorBoard:
    """Writes each epoch's numbers to a folder that `tensorboard --logdir` shows.

    Give it to `fit_autoencoder(callback=...)`. It needs the extra: `pip install "jaxlatent[tensorboard]"`.

    Args:
        folder: made with the first epoch if absent.

    Raises:
        ImportError: if tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        try:
            from tensorboardX import SummaryWriter  # type: ignore[import-untyped]
        except ImportError as error:
            raise ImportError(
                'tensorboard: tensorboardX is not installed; pip install "jaxlatent[tensorboard]"'
            ) from error
        self._open = partial(SummaryWriter, os.fspath(folder), flush_secs=1)
        self._writer: Any = None

    def __call__(self, record: EpochRecord) -> None:
        """Adds an epoch, which can be seen a second later."""
        if self._writer is None:
            # Not before: a training begins with an empty folder, or with none.
            self._writer = self._open()
            # It writes in a thread of its own, which would be cut short where Python ends.
            weakref.finalize(self, self._writer.close)
        for name, value in asdict(record).items():
            if name != "epoch":
                self._writer.add_scalar(name, value, record.epoch)
