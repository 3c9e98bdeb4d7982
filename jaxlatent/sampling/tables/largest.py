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

What is tabulated is the angle arcsin m: m and t keep their digits near m = 1, and no slope is infinite.
"""

from typing import Any

import numpy as np

from jaxlatent.sampling.tables.densities import TINY, ProductDensity
from jaxlatent.sampling.tables.table import Cells, integrate


def largest_angle(density: ProductDensity, xp: Any = np, *, reach: Any = 1.0) -> Cells:
    """The law of arcsin m, given that m <= reach; its `log_total` is log Z.

    Args:
        density: of the components, in units of the semi-axes.
        reach: of the largest component, in (0, 1]; then Z is P(u in the body, and no |u_j| above it).
        xp: `numpy`, or `jax.numpy` where the density's parameters are traced.

    Raises:
        ValueError: if, in NumPy, the density vanishes on the body.
    """

    def log_density(angle: Any) -> Any:
        # The cosine of pi / 2, rounded, may be below 0.
        slope = xp.maximum(xp.cos(angle), TINY)
        return density.log_max_density(xp.sin(angle), spread(angle, xp), xp) + xp.log(slope)

    kinks = density.kinks
    if kinks is not None:
        kinks = np.sort(np.concatenate([np.arcsin(kinks), np.arccos(kinks)]))
    # At 1 the arc sine has no slope.
    most = xp.where(reach < 1, xp.arcsin(xp.where(reach < 1, reach, 0)), np.pi / 2)
    middle = xp.minimum(most, np.pi / 4)
    return integrate(log_density, [(0, middle), (middle, most)], kinks=kinks, xp=xp)


def spread(angle: Any, xp: Any) -> Any:
    """t(m), what all other components may reach, where m is the sine of the angle."""
    return xp.minimum(xp.sin(angle), xp.cos(angle))


def mean_square(cells: Cells, k: int) -> float:
    """Mean of u_j^2 over the k components of uniform density: (E m^2 + (k - 1) E t^2 / 3) / k."""
    square = np.sin(cells.nodes) ** 2 + (k - 1) * spread(cells.nodes, np) ** 2 / 3
    return float((cells.mass * square).sum() / k)
