"""Tests of whether two sets of vectors follow one law: a classifier, and the energy distance."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_count, as_key, as_pair, as_vectors
from jaxlatent._random import numpy_generator
from jaxlatent.evaluation.neighbours import block_rows, blocks, filled
from jaxlatent.latent.trim import trim

_LEAST = 20  # vectors of a set that a classifier can learn anything from


@dataclass(frozen=True)
class ClassifierTest:
    """How well a classifier tells two sets of vectors apart.

    Attributes:
        accuracy: on the vectors held out, as many of either set; 0.5 is chance, 1 is perfect.
        deviation: standard deviation of the accuracy by chance, for sets of the same law.
        p: of an accuracy as high by chance, exact.
        held_out: number of vectors that were told apart, of both sets together.
    """

    accuracy: float
    deviation: float
    p: float
    held_out: int


def classifier_two_sample_test(
    a: Float[Array | np.ndarray, "n f"],
    b: Float[Array | np.ndarray, "m f"],
    *,
    key: jax.Array,
    max_points: int = 5000,
    classifier: Any = None,
) -> ClassifierTest:
    """Trains a classifier on half of two sets, and counts how often it is right about the other half.

    D. Lopez-Paz, M. Oquab, "Revisiting classifier two-sample tests", ICLR 2017. Equal numbers of both sets
    are taken, and split in halves at random. The p-value is Fisher's: given the predictions, which vectors
    they fall on is chance. Folds would hold out every vector, but their results depend on each other, and the
    binomial law of independent ones gives p-values that are too small.

    The classifier is a logistic regression on the whitened components, their squares, and the squared radius,
    its square and its logarithm: it sees means, spreads, and radii that vary together, which a Gaussian has
    not. It sees no other structure between components; for that, pass boosted trees, say, which are slower.

    Args:
        a: floating point (n, f), n >= 20; no vector should have its copy in `b`.
        b: floating point (m, f), m >= 20.
        key: of the choice of vectors and the split, `jax.random.key(seed)`.
        max_points: the most vectors of each set, at random, >= 20.
        classifier: any of scikit-learn, unfitted; a copy is trained.

    Raises:
        TypeError, ValueError: if an argument is out of range, or holds a NaN or an infinity, or all vectors
            are equal.
    """
    from scipy import stats
    from sklearn.base import clone

    a, b = as_pair(a, b, _LEAST)
    key = as_key(key)
    max_points = as_count("max_points", max_points, _LEAST)
    half = min(len(a), len(b), max_points) // 2
    train, test = [], []
    for (name, vectors), k in zip({"a": a, "b": b}.items(), jax.random.split(key), strict=True):
        chosen = numpy_generator(k).permutation(len(vectors))[: 2 * half]
        some = _finite(name, vectors[chosen])
        train.append(some[:half])
        test.append(some[half:])
    if not np.ptp(np.concatenate(train), axis=0).any():
        raise ValueError("a, b: all vectors are equal")
    of_a = np.repeat([1, 0], half)
    model = _classifier() if classifier is None else clone(classifier)
    says_a = model.fit(np.concatenate(train), of_a).predict(np.concatenate(test)) == 1
    right = int((says_a == of_a).sum())
    law = stats.hypergeom(2 * half, half, int(says_a.sum()))
    return ClassifierTest(
        right / (2 * half),
        0.5 / np.sqrt(2 * half),
        float(law.sf(int(says_a[:half].sum()) - 1)),
        2 * half,
    )


def _classifier() -> Any:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    return make_pipeline(
        # Components of hardly any variance, blown up, would drown the radius.
        PCA(0.999, whiten=True, svd_solver="covariance_eigh"),
        FunctionTransformer(_with_squares_and_radii),
        StandardScaler(),
        LogisticRegression(C=0.01, max_iter=1000),
    )


def _with_squares_and_radii(x: np.ndarray) -> np.ndarray:
    radius = np.square(x).mean(axis=1, keepdims=True)
    return np.concatenate([x, x**2, radius, radius**2, np.log1p(radius)], axis=1)


@dataclass(frozen=True)
class EnergyDistance:
    """How far two sets of vectors are apart.

    Attributes:
        distance: sqrt(2 E|a - b| - E|a - a'| - E|b - b'|) of the two sets as they are, in the square root of
            their unit; above 0 for finite sets of the same law, so compare sets of equal numbers only.
        unbiased: the estimate of its square for the laws that the sets were drawn from, in their unit; for
            the same law it scatters about 0.
    """

    distance: float
    unbiased: float


class EnergyReference:
    """Vectors whose own pairs are summed once for all that is compared with them.

    Args:
        b: floating point (m, f), m >= 2; a memory map is read block by block.

    Raises:
        TypeError, ValueError: as `energy_distance`.
    """

    def __init__(self, b: Float[Array | np.ndarray, "m f"]):
        self.b = as_vectors("b", b, least=2)
        rows = block_rows(*self.b.shape)
        # Near the vectors, so that float32 holds them; where exactly does not matter.
        self.centre = np.mean(np.asarray(self.b[:rows], np.float64), axis=0).astype(np.float32)
        self.within = _distance_sum(("b", self.b), ("b", self.b), self.centre, rows)

    def compare(self, a: Float[Array | np.ndarray, "n f"]) -> EnergyDistance:
        """The distance of other vectors, see `energy_distance`."""
        a, b = as_pair(a, self.b, 2)
        n, m = len(a), len(b)
        rows = block_rows(max(n, m), a.shape[1])
        between = _distance_sum(("a", a), ("b", b), self.centre, rows) / (n * m)
        within = _distance_sum(("a", a), ("a", a), self.centre, rows)
        squared = 2 * between - within / n**2 - self.within / m**2
        unbiased = 2 * between - within / (n * (n - 1)) - self.within / (m * (m - 1))
        return EnergyDistance(float(np.sqrt(max(squared, 0.0))), unbiased)


def energy_distance(
    a: Float[Array | np.ndarray, "n f"], b: Float[Array | np.ndarray, "m f"]
) -> EnergyDistance:
    """The energy distance, over all pairs, in blocks.

    G. J. Székely, M. L. Rizzo, "Energy statistics: a class of statistics based on distances", J. Statistical
    Planning and Inference 143, 2013. `distance` is what `scipy.stats.energy_distance` calls so in one
    dimension. Distances are float32, their sums float64.

    Args:
        a: floating point (n, f), n >= 2; a memory map is read block by block.
        b: floating point (m, f), m >= 2, likewise.

    Raises:
        TypeError, ValueError: if an argument is not such an array, or holds a NaN or an infinity.
    """
    return EnergyReference(b).compare(a)


def _finite(name: str, vectors: Array | np.ndarray) -> np.ndarray:
    return np.concatenate(
        [x.astype(np.float64) for _, x in blocks(name, vectors, block_rows(*vectors.shape))]
    )


def _distance_sum(
    left: tuple[str, Array | np.ndarray],
    right: tuple[str, Array | np.ndarray],
    centre: np.ndarray,
    rows: int,
) -> float:
    """Sum of the distances of all pairs of two named sets, or of all ordered pairs of one with itself."""
    within, total = left[1] is right[1], 0.0
    for i, x in blocks(*left, rows):
        x_filled = filled(x, centre, rows)
        for j, y in blocks(*right, rows):
            if within and j < i:
                continue
            own = within and i == j
            # Float32 sums of millions of distances would drown the difference between two good sets.
            with jax.enable_x64(True):
                found = _block_sum(x_filled, filled(y, centre, rows), len(x), len(y), own)
            total += (2 if within and not own else 1) * float(found)
    return total


@jax.jit
def _block_sum(
    x: jax.Array, y: jax.Array, n: jax.Array | int, m: jax.Array | int, own: jax.Array | bool
) -> jax.Array:
    """Sum of the distances of the first n to the first m vectors, without those of a vector to itself."""
    norms = [jnp.sum(jnp.square(v), axis=1) for v in (x, y)]
    squared = norms[0][:, None] + norms[1] - 2 * jnp.matmul(x, y.T, precision="highest")
    row, column = jnp.arange(x.shape[0])[:, None], jnp.arange(y.shape[0])
    counted = (row < n) & (column < m) & ~(own & (row == column))
    distances = jnp.sqrt(jnp.maximum(squared, 0))
    return jnp.sum(jnp.where(counted, distances, 0), dtype=jnp.float64)


def energy_test(
    a: Float[Array | np.ndarray, "n f"],
    b: Float[Array | np.ndarray, "m f"],
    *,
    key: jax.Array,
    permutations: int = 999,
    max_points: int = 1000,
) -> float:
    """The p-value of the energy distance: of the hypothesis that both sets follow one law.

    The share of random divisions of all vectors into two sets whose energy distance is as large; exact
    whatever the law, for independent vectors. Its resolution is 1 / (permutations + 1).

    Args:
        a: floating point (n, f), n >= 2.
        b: floating point (m, f), m >= 2.
        key: of the choice of points and the permutations, `jax.random.key(seed)`.
        permutations: >= 1.
        max_points: the most points of each set, at random, >= 2; memory grows with its square.

    Raises:
        TypeError, ValueError: if an argument is out of range, or holds a NaN or an infinity.
    """
    from sklearn.metrics import euclidean_distances

    a, b = as_pair(a, b, 2)
    key = as_key(key)
    permutations, max_points = (
        as_count("permutations", permutations, 1),
        as_count("max_points", max_points, 2),
    )
    left, right, shuffle = jax.random.split(key, 3)
    sets = [trim(x, max_points=max_points, key=k) for x, k in ((a, left), (b, right))]
    n, m = map(len, sets)
    points = np.concatenate([_finite(name, x) for name, x in zip("ab", sets, strict=True)])
    distances = euclidean_distances(points - points.mean(axis=0))
    given = np.tile(np.arange(n + m), (permutations + 1, 1))
    order = np.concatenate([given[:1], numpy_generator(shuffle).permuted(given[1:], axis=1)])
    # The squared energy distance is a quadratic form of the distances, of weights 1 / n and -1 / m.
    weights = np.where(order < n, 1 / n, -1 / m)
    squared = -np.einsum("pi,pi->p", weights @ distances, weights)
    # Equal divisions in another order differ by rounding.
    return float(np.mean(squared >= squared[0] - 1e-12 * distances.mean()))
