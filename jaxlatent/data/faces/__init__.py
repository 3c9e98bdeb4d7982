"""Procedural faces, drawn by JAX from continuous factors."""

from jaxlatent.data.faces.synthetic import (
    FACTORS as FACTORS,
    render_faces as render_faces,
    sample_factors as sample_factors,
    synthetic_faces as synthetic_faces,
)
