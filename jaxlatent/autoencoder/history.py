"""The record of a training, one row an epoch."""

import dataclasses
import math
import os
from collections.abc import Iterator

from jaxlatent._records import columns, read_records, write_records


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: its number, from 1.
        train_loss: mean loss of its batches, each before its step.
        val_loss: mean loss over the validation images after the epoch; NaN without any.
        val_mse: mean squared reconstruction error over them, for values in [0, 1]; NaN without any.
        images_per_s: training images a second, compilation included.
        learning_rate: at the end of the epoch.
        seconds: duration with validation, without writing checkpoints.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_mse: float
    images_per_s: float
    learning_rate: float
    seconds: float


_COLUMNS = tuple(columns(EpochRecord))


@dataclasses.dataclass(frozen=True)
class History:
    """The epochs of a training in order; iterates over and indexes its records.

    Attributes:
        records: one `EpochRecord` an epoch.
    """

    records: tuple[EpochRecord, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[EpochRecord]:
        return iter(self.records)

    def __getitem__(self, index: int) -> EpochRecord:
        return self.records[index]

    def column(self, name: str) -> list[float]:
        """Gives one field of all epochs.

        Raises:
            ValueError: if a record has no such field.
        """
        if name not in _COLUMNS:
            raise ValueError(f"name: expected one of {', '.join(_COLUMNS)}, got {name!r}")
        return [float(getattr(r, name)) for r in self.records]

    def best(self) -> EpochRecord:
        """Gives the epoch of the lowest validation loss; the last one where nothing was validated.

        Raises:
            ValueError: if there is no epoch.
        """
        if not self.records:
            raise ValueError("history: holds no epoch yet")
        validated = [r for r in self.records if not math.isnan(r.val_loss)]
        return min(validated, key=lambda r: r.val_loss) if validated else self.records[-1]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes the records with a header; numbers are written so that reading gives them back."""
        write_records(path, EpochRecord, self.records)

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> "History":
        """Reads what `to_csv` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the columns are others.
        """
        return cls(tuple(read_records(path, EpochRecord)))
