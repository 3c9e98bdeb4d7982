"""The source's two dials, number of components and scale of the half-widths, turned through a grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_count, as_counts, as_key, as_numbers, as_vectors
from jaxlatent.latent import HalfWidth, half_width
from jaxlatent.latent.coverage import coverage_curves
from jaxlatent.sampling import EllipseBody, PairwiseSampler
from jaxlatent.sampling.fitting.region import fit_frame


@dataclass(frozen=True, eq=False)
class SweepCell:
    """One place of the grid. Radii are Mahalanobis radii in the k components; sqrt(k) is a Gaussian's.

    Attributes:
        components: k, the leading PCA components kept.
        fact: semi-axes in units of the half-widths.
        real_inside: share of the z-points inside the body, in [0, 1].
        spread: standard deviation of the generated vectors over that of the z-points, mean of the
            components; 1 where they spread alike.
        radius_mean: of the generated vectors.
        radius_deviation: standard deviation of these radii.
        real_radius_mean: of the z-points.
        real_radius_deviation: of the z-points.
        sampler: the sampler of this place.
    """

    components: int
    fact: float
    real_inside: float
    spread: float
    radius_mean: float
    radius_deviation: float
    real_radius_mean: float
    real_radius_deviation: float
    sampler: PairwiseSampler


def sweep(
    z: Float[Array | np.ndarray, " n *latent"],
    components: Sequence[int],
    facts: Sequence[float],
    key: jax.Array,
    count: int = 2000,
    *,
    kind: HalfWidth = "fwhm",
) -> list[SweepCell]:
    """Measures the pairwise sampler over numbers of components and scales of the half-widths.

    Frame and half-widths are measured once. All cells use the same key, so that cells of equal k differ by
    `fact` alone.

    Args:
        z: z-points, floating point (n, d), n >= 2.
        components: numbers of components, each from 2 to the number that have variance.
        facts: scales of the half-widths, > 0.
        key: a typed key, `jax.random.key(seed)`.
        count: vectors drawn in each cell, >= 2.
        kind: what is scaled, see `jaxlatent.half_width`.

    Returns:
        The cells: all facts of the first number of components, then of the next.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
    """
    key, count, z = as_key(key), as_count("count", count, 2), as_vectors("z", z)
    components, facts = as_counts("components", components), as_numbers("facts", facts)
    pca = fit_frame(z)
    y = pca.transform(z)
    widths = half_width(y, kind)
    sigma = jnp.sqrt(pca.explained_variance)
    inside = coverage_curves(y, widths, facts, components)
    cells = []
    for row, k in zip(inside, components, strict=True):
        frame, unit = pca.keep(k), sigma[:k]
        real = _radii(y[:, :k] / unit)
        for share, fact in zip(row, facts, strict=True):
            sampler = PairwiseSampler(frame, EllipseBody(jnp.float32(fact) * widths[:k]))
            drawn = sampler.sample_components(key, count) / unit
            radii = _radii(drawn)
            cells.append(
                SweepCell(
                    components=k,
                    fact=fact,
                    real_inside=float(share),
                    spread=float(jnp.std(drawn, axis=0, ddof=1).mean()),
                    radius_mean=float(radii.mean()),
                    radius_deviation=float(radii.std()),
                    real_radius_mean=float(real.mean()),
                    real_radius_deviation=float(real.std()),
                    sampler=sampler,
                )
            )
    return cells


def _radii(standard: Float[Array, "n k"]) -> Float[np.ndarray, " n"]:
    return np.asarray(jnp.linalg.norm(standard, axis=1), np.float64)
