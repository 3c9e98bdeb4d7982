"""What ellipse bodies leave to single components, in closed form."""

import numpy as np
from jaxtyping import Float, Int

# What rounding may leave between two bodies that touch, or take from a vector at the border.
_TOUCHING = 1e-9


def of_components(
    y: Float[np.ndarray, " k"],
    steps: Float[np.ndarray, " m"],
    moved: Int[np.ndarray, " m"],
    centres: Float[np.ndarray, "c k"],
    axes: Float[np.ndarray, "c k"],
) -> Float[np.ndarray, "m 2"]:
    """The intervals in which single components can be moved inside a union of ellipse bodies.

    In body i component j is left |y_j - m_ij| <= s_ij sqrt(1 - u^2), with u the largest of its other
    |y_l - m_il| / s_il, if the two largest of these satisfy their own pair's condition. Intervals of several
    bodies that touch are one. Where y is outside, that counts in which the vector gets deepest.

    Args:
        y: a vector.
        steps: what a step of 1 adds to the component; 0 gives NaN.
        moved: which component.
        centres: m, of the bodies.
        axes: s, of the bodies.

    Returns:
        From which number of steps to which; NaN where all of the line is outside.
    """
    first, second, third = _three_largest(u := np.abs((y - centres) / axes))
    own = u[:, moved]
    largest = np.where(own >= first, second, first)
    least = np.square(largest) + np.square(np.where(own >= second, third, second))
    half = np.sqrt(np.maximum(1 - np.square(largest), 0)) * axes[:, moved]
    found = np.full((len(moved), 2), np.nan)
    for row, j in enumerate(moved):
        there = least[:, row] <= 1
        if not there.any() or steps[row] == 0:
            continue
        middle, reach = centres[there, j], half[there, row]
        margin = _TOUCHING * max(1.0, abs(y[j]))
        begin = y[j]
        if not (np.abs(begin - middle) <= reach + margin).any():
            begin = middle[np.argmin(least[there, row])]
        ends = np.array(_around(begin, middle - reach, middle + reach, margin))
        found[row] = np.sort((ends - y[j]) / steps[row])
    return found


def _three_largest(u: Float[np.ndarray, "c k"]) -> list[Float[np.ndarray, "c 1"]]:
    """Of each row, the largest first; 0 for what there is not."""
    padded = np.pad(u, ((0, 0), (0, max(0, 3 - u.shape[1]))))
    top = np.sort(np.partition(padded, -3, axis=1)[:, -3:], axis=1)
    return [top[:, column, None] for column in (2, 1, 0)]


def _around(begin: float, low: np.ndarray, high: np.ndarray, margin: float) -> tuple[float, float]:
    """The ends of the intervals that hang together around a place."""
    bottom = top = begin
    while True:
        reached = (low <= top + margin) & (high >= bottom - margin)
        wider = min(bottom, low[reached].min()), max(top, high[reached].max())
        if wider == (bottom, top):
            return wider
        bottom, top = wider
