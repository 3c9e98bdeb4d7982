"""The pairwise method to the letter, in NumPy: the reference of its law, and what is compared."""

import numpy as np

# Vectors worked on together: few enough for the caches.
_BLOCK = 4096


def literal_pairwise(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    """Draws n vectors in units of the semi-axes, float64 (n, k).

    Every pair once, in a uniformly random order of its own for every vector; where it is violated, a fair
    coin says which of the two is redrawn. Vectorised over vectors, not over pairs.
    """
    blocks = [_block(rng, min(_BLOCK, n - begin), k) for begin in range(0, n, _BLOCK)]
    return np.concatenate(blocks)


def _block(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    first, second = (side.astype(np.int32) for side in np.triu_indices(k, 1))
    order = np.tile(np.arange(len(first), dtype=np.int32), (n, 1))
    rng.permuted(order, axis=1, out=order)
    u = rng.uniform(-1, 1, n * k)
    square = np.square(u)
    start = np.arange(n, dtype=np.int32) * np.int32(k)
    for pair in np.ascontiguousarray(order.T):
        here, there = start + first[pair], start + second[pair]
        violated = np.flatnonzero(square[here] + square[there] > 1)
        here, there = here[violated], there[violated]
        heads = rng.random(len(violated)) < 0.5
        redrawn, other = np.where(heads, here, there), np.where(heads, there, here)
        u[redrawn] = np.sqrt(1 - square[other]) * rng.uniform(-1, 1, len(violated))
        square[redrawn] = np.square(u[redrawn])
    return u.reshape(n, k)


def statistics(u: np.ndarray) -> dict[str, np.ndarray]:
    """The five numbers of each vector whose means are compared, by name, float64 (n,) each."""
    size = np.abs(u)
    k = size.shape[1]
    largest = np.partition(size, k - 2, axis=1)[:, -2:]
    square = np.square(size, dtype=np.float64)
    above = {level: (size > level).sum(axis=1) for level in (0.4, 0.6)}
    return {
        "P(largest > 0.9)": (largest[:, 1] > 0.9).astype(float),
        "P(second > 0.6)": (largest[:, 0] > 0.6).astype(float),
        "E u^2": square.mean(axis=1),
        "E u^4": np.square(square).mean(axis=1),
        # Over all ordered pairs of different components.
        "P(|u_i| > 0.6, |u_j| > 0.4)": above[0.6] * (above[0.4] - 1) / (k * (k - 1)),
    }


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """The mean, and its standard error."""
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))
