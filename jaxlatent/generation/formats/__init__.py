"""How generated records are stored; one format a module."""

from jaxlatent.generation.formats.base import Entry as Entry
from jaxlatent.generation.formats.base import Format as Format
from jaxlatent.generation.formats.base import Item as Item
from jaxlatent.generation.formats.base import Layout as Layout
from jaxlatent.generation.formats.base import Shard as Shard
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
