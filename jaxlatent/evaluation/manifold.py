"""Fidelity and diversity apart: precision, recall, density and coverage of generated features."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float64

from jaxlatent._boundary import as_count, as_vectors
from jaxlatent.evaluation.neighbours import block_rows, blocks, filled, nearest_distances

# Bounds of the rounding of |x|^2 + |y|^2 - 2 x.y in float32, as a part of |x|^2 + |y|^2, and of a distance
# from the differences in float64.
_SCREENED, _MEASURED = 2e-6, 1e-12


@dataclass(frozen=True)
class ManifoldMetrics:
    """How far generated vectors lie where real ones are, and reach wherever real ones are.

    The ball of a vector reaches to its k-th nearest neighbour within its own set.

    Attributes:
        precision: share of the generated vectors inside the ball of any real one, in [0, 1].
        recall: share of the real vectors inside the ball of any generated one, in [0, 1].
        density: number of real balls that a generated vector is in, over k, mean; near 1 for equal laws,
            and larger where the generated vectors keep to the dense places.
        coverage: share of the real vectors with a generated one in their ball, in [0, 1]; for equal laws
            near 1 - 2^-k where both sets are equally large.
    """

    precision: float
    recall: float
    density: float
    coverage: float


class Manifold:
    """Real vectors and their balls, measured once for all that is compared with them.

    Args:
        real: features, floating point (n, f), n > k.
        k: neighbours, >= 1.

    Raises:
        TypeError, ValueError: as `manifold_metrics`.
    """

    def __init__(self, real: Float[Array | np.ndarray, "n f"], *, k: int = 5):
        self.real, self.k = as_vectors("real", real), as_count("k", k, 1)
        self.total = self._checked("real", self.real)
        self.radii = _radii(self.real, self.k)

    def compare(self, generated: Float[Array | np.ndarray, "m f"]) -> ManifoldMetrics:
        """Measures generated vectors, see `manifold_metrics`."""
        real, k = self.real, self.k
        generated = as_vectors("generated", generated, real.shape[1])
        total = self.total + self._checked("generated", generated)
        centre = np.asarray(total / (len(real) + len(generated)), np.float32)
        radii = _radii(generated, k)
        rows = block_rows(max(len(real), len(generated)), real.shape[1])
        around = np.zeros(len(generated), np.int64)
        recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
        for i, x in blocks("real", real, rows):
            of_x = slice(i, i + len(x))
            for j, y in blocks("generated", generated, rows):
                of_y = slice(j, j + len(y))
                in_x, in_y = _inside(x, y, self.radii[of_x], radii[of_y], centre, rows)
                around[of_y] += in_x.sum(axis=0)
                recalled[of_x] |= in_y.any(axis=1)
                covered[of_x] |= in_x.any(axis=1)
        return ManifoldMetrics(
            precision=float((around > 0).mean()),
            recall=float(recalled.mean()),
            density=float(around.mean() / k),
            coverage=float(covered.mean()),
        )

    def _checked(self, name: str, features: Float[Array | np.ndarray, "n f"]) -> Float64[np.ndarray, " f"]:
        """The sum of the vectors, if they are enough and finite."""
        if len(features) <= self.k:
            raise ValueError(f"{name}: expected more than k = {self.k} vectors, got {len(features)}")
        rows = block_rows(*features.shape)
        sums = (block.sum(axis=0, dtype=np.float64) for _, block in blocks(name, features, rows))
        return sum(sums, start=np.zeros(features.shape[1]))


def manifold_metrics(
    real: Float[Array | np.ndarray, "n f"], generated: Float[Array | np.ndarray, "m f"], *, k: int = 5
) -> ManifoldMetrics:
    """Precision, recall, density and coverage by k-th nearest neighbours.

    T. Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS
    2019; M. F. Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML 2020,
    whose package `prdc` gives the same numbers. Exact, in blocks, never n x m in memory: distances in
    float32 decide for most pairs, and those too near to a radius are measured again in float64. A distance
    equal to a radius is outside; so a ball whose vector has k copies holds nothing, not even these. All
    four depend on n and m: compare equal numbers of vectors.

    Args:
        real: features, floating point (n, f), n > k.
        generated: features of as many columns, m > k.
        k: neighbours, >= 1; 3 and 5 are usual.

    Raises:
        TypeError: if the features are not floating point.
        ValueError: if shapes or `k` do not fit, or the features hold a NaN or an infinity.
    """
    return Manifold(real, k=k).compare(generated)


def _radii(features: Float[Array | np.ndarray, "n f"], k: int) -> Float64[np.ndarray, " n"]:
    """Distance to the k-th neighbour, less what rounding may add to an equal one."""
    found = nearest_distances(features, features, k=k, exclude_self=True)
    return found.distance[:, -1] * (1 - _MEASURED)


def _inside(
    x: np.ndarray,
    y: np.ndarray,
    x_radii: Float64[np.ndarray, " n"],
    y_radii: Float64[np.ndarray, " m"],
    centre: np.ndarray,
    rows: int,
) -> tuple[Bool[np.ndarray, "n m"], Bool[np.ndarray, "n m"]]:
    """Of all pairs whether y is in the ball of x, and x in that of y."""
    squares = [np.pad(np.square(r).astype(np.float32), (0, rows - r.size)) for r in (x_radii, y_radii)]
    screened = _screened(filled(x, centre, rows), filled(y, centre, rows), *squares)
    in_x, in_y, doubtful = (np.array(part[: len(x), : len(y)]) for part in screened)
    for row in np.flatnonzero(doubtful.any(axis=1)):
        near = np.flatnonzero(doubtful[row])
        distance = np.linalg.norm(np.subtract(y[near], x[row], dtype=np.float64), axis=1)
        in_x[row, near] = distance < x_radii[row]
        in_y[row, near] = distance < y_radii[near]
    return in_x, in_y


@jax.jit
def _screened(
    x: jax.Array, y: jax.Array, x_squares: jax.Array, y_squares: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Squared distances below the squared radii of x, and of y, and whether rounding might decide."""
    size = jnp.sum(x * x, axis=1)[:, None] + jnp.sum(y * y, axis=1)
    squared = size - 2 * jnp.matmul(x, y.T, precision="highest")
    of_x, of_y = squared - x_squares[:, None], squared - y_squares
    doubtful = jnp.minimum(jnp.abs(of_x), jnp.abs(of_y)) <= _SCREENED * size
    return of_x < 0, of_y < 0, doubtful
