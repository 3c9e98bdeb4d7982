"""How generated records are stored; one format a module."""

from jaxlatent.generation.formats.base import (
    Entry as Entry,
    Format as Format,
    Item as Item,
    Layout as Layout,
    Shard as Shard,
)
from jaxlatent.generation.formats.npy import NpyFormat
from jaxlatent.generation.formats.npz import NpzFormat
from jaxlatent.generation.formats.png import PngFormat
from jaxlatent.generation.formats.rows import RowsFormat as RowsFormat
from jaxlatent.generation.formats.tfds import TfdsFormat
from jaxlatent.generation.formats.webdataset import WebDatasetFormat

FORMATS: dict[str, type[Format]] = {
    "npy": NpyFormat,
    "npz": NpzFormat,
    "png": PngFormat,
    "tfds": TfdsFormat,
    "webdataset": WebDatasetFormat,
}
