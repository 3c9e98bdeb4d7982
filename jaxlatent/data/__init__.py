"""Where images come from."""

from jaxlatent._rows import Rows as Rows
from jaxlatent.data.load import load_images as load_images, load_labelled as load_labelled
from jaxlatent.data.source import Labels as Labels
