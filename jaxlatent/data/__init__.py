"""Where images come from."""

from jaxlatent.data.load import load_images
from jaxlatent.data.source import Labels

__all__ = ["Labels", "load_images"]
