"""Procedural faces, drawn by JAX from continuous factors."""

from jaxlatent.data.faces.synthetic import FACTORS as FACTORS
from jaxlatent.data.faces.synthetic import render_faces as render_faces
from jaxlatent.data.faces.synthetic import sample_factors as sample_factors
from jaxlatent.data.faces.synthetic import synthetic_faces as synthetic_faces
