"""Kernel distance (KID) of two sets of features: the squared maximum mean discrepancy, without bias."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from jaxlatent._boundary import as_count, as_key, as_pair, as_vectors
from jaxlatent._random import numpy_generator

_BLOCK = 2048


@dataclass(frozen=True, eq=False)
class SubsetDistances:
    """Kernel distances of random subsets of two sets of features.

    Attributes:
        mean: of the subsets; like the distance of all vectors it has no bias, but more noise.
        deviation: standard deviation over the subsets (divisor: their number). It says how much the
            distance of `subset_size` vectors scatters, and is no standard error of `mean`.
        values: of the subsets, (subsets,).
        subset_size: vectors on each side.
    """

    mean: float
    deviation: float
    values: Float64[np.ndarray, " subsets"]
    subset_size: int


def kernel_distance(a: Float[Array | np.ndarray, "n f"], b: Float[Array | np.ndarray, "m f"]) -> float:
    """Unbiased squared maximum mean discrepancy of all vectors, with the kernel (x.y / f + 1)^3.

    The KID if the features are those of Inception: M. Binkowski, D. J. Sutherland, M. Arbel, A. Gretton,
    "Demystifying MMD GANs", ICLR 2018; A. Gretton et al., "A kernel two-sample test", JMLR 13, 2012,
    lemma 6. Pairs of a vector with itself are left out, so that the expected value is 0 for equal laws at
    any n, and single values may be negative. Exact, in float64, block by block: never n x m in memory. The
    time grows with (n + m)^2 f.

    Args:
        a: features, floating point (n, f), n >= 2. The kernel is not free of shift and scale: take features
            of one and the same function, unchanged.
        b: features of as many columns, m >= 2.

    Returns:
        The distance, in units of the kernel; often quoted times 1,000.

    Raises:
        TypeError: if the features are not floating point.
        ValueError: if the shapes do not fit, or the features hold a NaN or an infinity, or are too large.
    """
    a, b = as_pair(a, b, 2)
    return _mean_of_pairs("a", a) + _mean_of_pairs("b", b) - 2 * _mean_across(a, b)


class KernelReference:
    """Random subsets of vectors, whose own pairs are summed once for all that is compared with them.

    Args:
        b: features, floating point (m, f), m >= `subset_size`.
        count: n, the number of the vectors that are to be compared, n >= `subset_size`.
        key: a typed key, `jax.random.key(seed)`; it chooses the subsets.
        subsets: their number, >= 1.
        subset_size: vectors on each side of a subset, >= 2.

    Raises:
        TypeError, ValueError: as `subset_kernel_distances`.
    """

    def __init__(
        self,
        b: Float[Array | np.ndarray, "m f"],
        count: int,
        *,
        key: jax.Array,
        subsets: int = 100,
        subset_size: int = 1000,
    ):
        rng = numpy_generator(as_key(key))
        self.size = as_count("subset_size", subset_size, 2)
        self.b, self.count = as_vectors("b", b, least=self.size), as_count("count", count, self.size)
        self.rows = [
            [rng.choice(each, self.size, replace=False) for each in (count, len(self.b))]
            for _ in range(as_count("subsets", subsets, 1))
        ]
        self.within = [_mean_of_pairs("b", self.b[rows]) for _, rows in self.rows]

    def compare(self, a: Float[Array | np.ndarray, "n f"]) -> SubsetDistances:
        """The distances of the subsets, see `subset_kernel_distances`."""
        a, _ = as_pair(a, self.b, self.size)
        if len(a) != self.count:
            raise ValueError(f"a: expected {self.count} vectors, got {len(a)}")
        values = np.array(
            [
                _mean_of_pairs("a", a[left]) + within - 2 * _mean_across(a[left], self.b[right])
                for (left, right), within in zip(self.rows, self.within, strict=True)
            ]
        )
        return SubsetDistances(float(values.mean()), float(values.std()), values, self.size)


def subset_kernel_distances(
    a: Float[Array | np.ndarray, "n f"],
    b: Float[Array | np.ndarray, "m f"],
    *,
    key: jax.Array,
    subsets: int = 100,
    subset_size: int = 1000,
) -> SubsetDistances:
    """The kernel distances of random subsets, as the KID is quoted: their mean and spread.

    The same as in torchmetrics and clean-fid, up to the choice of the subsets. With the same key and sizes
    the vectors of the same places are taken from `a` and `b`.

    Args:
        a: features, floating point (n, f), n >= `subset_size`.
        b: features of as many columns, m >= `subset_size`.
        key: a typed key, `jax.random.key(seed)`; it chooses the subsets.
        subsets: their number, >= 1.
        subset_size: vectors on each side of a subset, drawn without repetition, >= 2.

    Raises:
        TypeError, ValueError: as `kernel_distance`, or if an argument is out of range; the message names it.
    """
    key = as_key(key)
    subsets, subset_size = as_count("subsets", subsets, 1), as_count("subset_size", subset_size, 2)
    a, b = as_pair(a, b, subset_size)
    reference = KernelReference(b, len(a), key=key, subsets=subsets, subset_size=subset_size)
    return reference.compare(a)


def _mean_across(a: Float[Array | np.ndarray, "n f"], b: Float[Array | np.ndarray, "m f"]) -> float:
    return sum(_kernel_sum(x, y) for x in _blocks(a) for y in _blocks(b)) / (len(a) * len(b))


def _mean_of_pairs(name: str, a: Float[Array | np.ndarray, "n f"]) -> float:
    return _sum_of_pairs(name, a) / (len(a) * (len(a) - 1))


def _sum_of_pairs(name: str, a: Float[Array | np.ndarray, "n f"]) -> float:
    """Of the kernel over all pairs of different vectors: twice the blocks above the diagonal."""
    total = 0.0
    for i, x in enumerate(_blocks(a)):
        total += _kernel_sum(x, x) - _kernel_trace(x)
        total += 2 * sum(_kernel_sum(x, y) for y in _blocks(a, (i + 1) * _BLOCK))
    if not np.isfinite(total):
        raise ValueError(f"{name}: NaN, infinite or overflowing features; remove those vectors")
    return total


def _blocks(
    a: Float[Array | np.ndarray, "n f"], begin: int = 0
) -> Iterator[Float[Array | np.ndarray, "block f"]]:
    return (a[i : i + _BLOCK] for i in range(begin, a.shape[0], _BLOCK))


def _kernel_sum(x: Float[Array | np.ndarray, "n f"], y: Float[Array | np.ndarray, "m f"]) -> float:
    with jax.enable_x64(True):
        return float(_sum_of_kernel(x, y))


def _kernel_trace(x: Float[Array | np.ndarray, "n f"]) -> float:
    squares = np.square(np.asarray(x, np.float64)).mean(axis=1)
    return float(((squares + 1) ** 3).sum())


@jax.jit
def _sum_of_kernel(x: jax.Array, y: jax.Array) -> jax.Array:
    # The distance is a small difference of large sums: float64.
    product = jnp.matmul(x.astype(jnp.float64), y.astype(jnp.float64).T) / x.shape[1]
    return jnp.sum((product + 1) ** 3)
