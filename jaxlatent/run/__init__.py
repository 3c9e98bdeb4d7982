"""A run folder: what lies in it, what it was made from, and the steps that make it."""

from jaxlatent.run.origin import StaleError as StaleError
from jaxlatent.run.steps import Run as Run
