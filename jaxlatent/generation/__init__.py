"""Bulk generation: sampler -> decoder -> images."""

from jaxlatent.generation.generate import generate as generate
