"""Bulk generation: sampler -> decoder -> images, in memory or into folders, on every device there is."""

from jaxlatent.generation.bulk import generate_to as generate_to
from jaxlatent.generation.encode import encode_to as encode_to
from jaxlatent.generation.generate import generate as generate
from jaxlatent.generation.manifest import Manifest as Manifest
from jaxlatent.generation.verification import Problem as Problem, repair as repair, verify as verify
