"""The exact law of the largest component of a product density restricted to the ellipse body.

In units of the semi-axes, components u_j have independent densities p_j on [-1, 1], with
F_j(t) = P(|u_j| <= t) and s_j(m) = p_j(m) + p_j(-m). Let m = |u_k| be the largest. All pair conditions hold
exactly when every other |u_j| is at most t(m) = min(m, sqrt(1 - m^2)): pairs with k by the definition of t,
and two others because t^2 <= 1/2. So the event "k is the largest, at m, and u is in the body" has density
s_k(m) prod_{j != k} F_j(t), and

    p(m) = [sum_k s_k(m) / F_k(t)] prod_j F_j(t),    Z = integral of p over [0, 1] = P(u in the body).

Given m, the index is k with probability proportional to s_k(m) / F_k(t), its sign is + with probability
p_k(m) / s_k(m), and the others are independent draws from p_j restricted to [-t, t]. Nothing in this needs
the densities to be alike or symmetric.

Everything here is float64 on the host, once for each sampler.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

#: The log of p(m) for given m and t: (nodes,), (nodes,) -> (nodes,).
LogDensity = Callable[[np.ndarray, np.ndarray], np.ndarray]

_CELLS = 2048  # on each side of m = 1 / sqrt(2)
_DEPTH = 45.0  # what lies exp(-45) below the mode is left out: 3e-20 of it
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_CHUNK = 2**11


@dataclass(frozen=True, eq=False)
class MaxLaw:
    """The law of m, the largest |u_j|, as a table.

    Attributes:
        knots: rising places of m in [0, 1] that bound the cells, (c + 1,).
        log_density: log p(m) at the knots, not normalised, (c + 1,).
        mass: probability of each cell, (c,), summing to 1.
        log_total: log Z, the log of the body's probability.
        mean_square: mean of u_j^2 over components, for uniform densities: (E m^2 + (k - 1) E t^2 / 3) / k.
    """

    knots: Float64[np.ndarray, " e"]
    log_density: Float64[np.ndarray, " e"]
    mass: Float64[np.ndarray, " c"]
    log_total: float
    mean_square: float


def max_law(log_density: LogDensity, k: int, kinks: np.ndarray | None = None) -> MaxLaw:
    """Tabulates the law of the largest component.

    Args:
        log_density: log p(m), smooth between the kinks except at m = 1 / sqrt(2).
        k: number of components.
        kinks: values of |u| where the densities p_j are not smooth.

    Raises:
        ValueError: if the density vanishes on the body.
    """

    def at(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # m = sin(angle), and t = cos(angle) beyond pi / 4: no rounding near m = 1, and no
        # infinite slope of t there.
        m = np.sin(angle)
        return m, np.where(angle <= np.pi / 4, m, np.cos(angle))

    def evaluate(angle: np.ndarray) -> np.ndarray:
        flat = angle.ravel()
        parts = [log_density(*at(flat[i : i + _CHUNK])) for i in range(0, flat.size, _CHUNK)]
        return np.concatenate(parts).reshape(angle.shape)

    bounds = _important(evaluate)
    edges = np.concatenate([np.linspace(low, high, _CELLS + 1) for low, high in bounds])
    if kinks is not None:
        places = np.concatenate([np.arcsin(kinks), np.arccos(kinks)])
        within = np.any([(places > low) & (places < high) for low, high in bounds], axis=0)
        edges = np.concatenate([edges, places[within]])
    edges = np.unique(edges)
    half = np.diff(edges) / 2
    angle = (edges[:-1] + half)[:, None] + half[:, None] * _NODES
    values = evaluate(angle) + np.log(np.cos(angle))
    top = values.max()
    node_mass = np.exp(values - top) * _WEIGHTS * half[:, None]
    total = node_mass.sum()
    node_mass /= total
    m, t = at(angle)
    mean_square = float((node_mass * (m**2 + (k - 1) * t**2 / 3)).sum() / k)
    # Just inside the cells, since a kink's own value may be that of the wrong side.
    log_at_edges = evaluate(np.clip(edges, edges[0] + 1e-12, edges[-1] - 1e-12))
    return MaxLaw(np.sin(edges), log_at_edges, node_mass.sum(axis=1), float(top + np.log(total)), mean_square)


def _important(evaluate: Callable[[np.ndarray], np.ndarray]) -> list[tuple[float, float]]:
    """The angles, on each side of pi / 4, where the density is not negligible; zooms in three times."""
    sides = [(0.0, np.pi / 4), (np.pi / 4, np.pi / 2)]
    for _ in range(3):
        grids = [np.linspace(low, high, 1025) for low, high in sides]
        values = [evaluate((grid[1:] + grid[:-1]) / 2) for grid in grids]
        top = max(v.max() for v in values)
        if not np.isfinite(top):
            raise ValueError("body: the density vanishes on all of it; enlarge the semi-axes")
        found = []
        for grid, value in zip(grids, values, strict=True):
            kept = np.flatnonzero(value > top - _DEPTH)
            if kept.size:
                # One cell more to each side, as the density may rise above the limit within it.
                found.append((grid[max(kept[0] - 1, 0)], grid[min(kept[-1] + 2, grid.size - 1)]))
        sides = found
    return [(float(low), float(high)) for low, high in sides]
