"""How far z-points are from a multivariate normal distribution.

At d = 256 the Henze-Zirkler test has no power: its smoothing parameter shrinks every pair's contribution to
nothing, and it returns p = 0.5 for clearly non-normal data (a test shows that), so it is not offered.
Mardia's moments, the law of the squared radii and tests of each component see what it does not.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float64
from scipy import special

from jaxlatent._boundary import as_count, as_number, as_vectors
from jaxlatent.latent.core import squared_radii
from jaxlatent.latent.eigen import eigenvectors, significant
from jaxlatent.latent.moments import moments

_BLOCK = 2048


@dataclass(frozen=True)
class Mardia:
    """Mardia's measures; both p-values are those of large samples.

    Attributes:
        skewness: b_1 = mean over all pairs of (x_i S^-1 x_j)^3; 0 for a symmetric law.
        skewness_p: of the chi-square law of n b_1 / 6, with k (k + 1) (k + 2) / 6 degrees of freedom.
        kurtosis: b_2 = mean of the squared squared radii; k (k + 2) for a normal law.
        kurtosis_z: (b_2 - k (k + 2) (n - 1) / (n + 1)) / sqrt(8 k (k + 2) / n), standard normal.
        kurtosis_p: two-sided.
        points: n.
        components: k, the directions that have variance.
    """

    skewness: float
    skewness_p: float
    kurtosis: float
    kurtosis_z: float
    kurtosis_p: float
    points: int
    components: int


def mardia(
    z: Float[Array | np.ndarray, " n *latent"], *, max_points: int | None = 20_000, seed: int = 0
) -> Mardia:
    """Mardia's multivariate skewness and kurtosis: exact, in blocks, never n x n in memory.

    K. V. Mardia, "Measures of multivariate skewness and kurtosis with applications", Biometrika 57, 1970.
    S has divisor n. The skewness takes n^2 k / 2 multiplications, two seconds for 20,000 x 256 on two
    cores, so that many random points are taken.

    Args:
        z: z-points, floating point (n, d), n > 2.
        max_points: the most points taken; None takes all.
        seed: of the choice of points.

    Raises:
        TypeError, ValueError: if an argument is out of range or `z` has no variance.
    """
    from scipy import stats

    z = _random_points(as_vectors("z", z, least=3), max_points, 3, seed)
    n = z.shape[0]
    x = _whitened(z)
    k = x.shape[1]
    blocks = [jnp.asarray(x[i : i + _BLOCK]) for i in range(0, n, _BLOCK)]
    total = 0.0
    for i, left in enumerate(blocks):
        # Of the symmetric matrix only the blocks on and above the diagonal.
        sums = [_cube_sum(left, right) for right in blocks[i:]]
        total += float(sums[0]) + 2 * sum(float(s) for s in sums[1:])
    skewness = total / n**2
    radii = np.square(x.astype(np.float64)).sum(axis=1)
    kurtosis = float(np.square(radii).mean())
    expected = k * (k + 2) * (n - 1) / (n + 1)
    score = (kurtosis - expected) / np.sqrt(8 * k * (k + 2) / n)
    return Mardia(
        skewness,
        float(stats.chi2.sf(n * skewness / 6, k * (k + 1) * (k + 2) / 6)),
        kurtosis,
        float(score),
        float(2 * stats.norm.sf(abs(score))),
        n,
        k,
    )


def _random_points(
    z: Float[Array | np.ndarray, " n *latent"], max_points: int | None, least: int, seed: int
) -> Float[Array | np.ndarray, "m d"]:
    """At most `max_points` random rows, in their order; `max_points` has to be at least `least`."""
    seed = as_count("seed", seed)
    if max_points is None:
        return z
    max_points = as_count("max_points", max_points, least)
    if z.shape[0] <= max_points:
        return z
    rows = np.random.default_rng(seed).choice(z.shape[0], max_points, replace=False)
    return z[np.sort(rows)]


def _whitened(z: Float[Array | np.ndarray, " n *latent"]) -> np.ndarray:
    """Centred, of unit covariance (divisor n), without the directions that have no variance; float32."""
    found = moments(z)
    values, vectors = eigenvectors(found.scatter / found.count)
    values = significant(found, values, vectors)
    positive = values > 0
    if not positive.any():
        raise ValueError("z: all vectors are equal")
    centred = np.asarray(z, np.float64) - found.mean
    return (centred @ (vectors[positive].T / np.sqrt(values[positive]))).astype(np.float32)


@jax.jit
def _cube_sum(left: jax.Array, right: jax.Array) -> jax.Array:
    product = jnp.matmul(left, right.T, precision="highest")
    # Row by row first: float32 sums of a few thousand numbers, then of as many sums.
    return jnp.sum(jnp.sum(product * product * product, axis=1))


@dataclass(frozen=True, eq=False)
class ComponentTests:
    """Tests of each component against a normal law with its own mean and variance.

    Attributes:
        anderson_darling: A^2 (1 + 0.75 / n + 2.25 / n^2), (k,).
        kolmogorov_smirnov: largest distance of the distribution functions, (k,).
        p: of Anderson-Darling, (k,), each test by itself.
        rejected: not normal at `alpha`, with multiplicity controlled (Holm), (k,).
        skewness: (k,).
        excess_kurtosis: (k,); 0 for a normal law.
        alpha: probability of rejecting any component were all normal.
    """

    anderson_darling: Float64[np.ndarray, " k"]
    kolmogorov_smirnov: Float64[np.ndarray, " k"]
    p: Float64[np.ndarray, " k"]
    rejected: Bool[np.ndarray, " k"]
    skewness: Float64[np.ndarray, " k"]
    excess_kurtosis: Float64[np.ndarray, " k"]
    alpha: float


def component_tests(
    y: Float[Array | np.ndarray, "n k"],
    *,
    alpha: float = 0.01,
    max_points: int | None = 20_000,
    seed: int = 0,
) -> ComponentTests:
    """Tests every component for normality, mean and variance estimated.

    P-values are those of Anderson and Darling's statistic with estimated parameters: R. B. D'Agostino,
    M. A. Stephens, "Goodness-of-fit techniques", 1986, table 4.9; they hold for independent points and
    n >= 8. Multiplicity: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
    J. Statistics 6, 1979.

    Args:
        y: components, floating point (n, k), n >= 8.
        alpha: in (0, 1).
        max_points: the most points taken, at random; None takes all. With very many points the smallest
            departure is significant; the statistics themselves say how large it is.
        seed: of the choice of points.

    Raises:
        TypeError, ValueError: if an argument is out of range or a component is constant.
    """
    y = as_vectors("y", y, least=8)
    alpha = as_number("alpha", alpha)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: expected a probability in (0, 1), got {alpha}")
    y = _random_points(y, max_points, 8, seed)
    n = y.shape[0]
    values = np.sort(np.asarray(y, np.float64), axis=0)
    mean, sigma = values.mean(axis=0), values.std(axis=0, ddof=1)
    constant = np.flatnonzero(~(sigma > 0))
    if constant.size:
        raise ValueError(f"y: component {constant[0]} is constant or not finite; leave it out")
    standard = (values - mean) / sigma
    below = special.ndtr(standard)
    rank = np.arange(1, n + 1)[:, None]
    distance = np.maximum(rank / n - below, below - (rank - 1) / n).max(axis=0)
    log_below, log_above = special.log_ndtr(standard), special.log_ndtr(-standard[::-1])
    squared = -n - ((2 * rank - 1) * (log_below + log_above)).mean(axis=0)
    corrected = squared * (1 + 0.75 / n + 2.25 / n**2)
    p = _anderson_darling_p(corrected)
    central = values - mean
    variance = np.square(central).mean(axis=0)
    return ComponentTests(
        corrected,
        distance,
        p,
        _holm(p, alpha),
        (central**3).mean(axis=0) / variance**1.5,
        (central**4).mean(axis=0) / variance**2 - 3,
        alpha,
    )


def _anderson_darling_p(a: np.ndarray) -> np.ndarray:
    """Table 4.9 of D'Agostino and Stephens: p for the corrected statistic, both parameters estimated."""
    pieces = [
        (a < 0.2, 1 - np.exp(-13.436 + 101.14 * a - 223.73 * a**2)),
        (a < 0.34, 1 - np.exp(-8.318 + 42.796 * a - 59.938 * a**2)),
        (a < 0.6, np.exp(0.9177 - 4.279 * a - 1.38 * a**2)),
        (a < 10, np.exp(1.2937 - 5.709 * a + 0.0186 * a**2)),
    ]
    return np.clip(np.select([c for c, _ in pieces], [v for _, v in pieces], 0.0), 0, 1)


def _holm(p: np.ndarray, alpha: float) -> np.ndarray:
    order = np.argsort(p)
    passed = p[order] <= alpha / np.arange(p.size, 0, -1)
    rejected = np.zeros(p.size, bool)
    rejected[order[: p.size if passed.all() else int(np.argmin(passed))]] = True
    return rejected


@dataclass(frozen=True, eq=False)
class RadiusLaw:
    """The squared Mahalanobis radii of z-points, beside the chi-square law of a Gaussian.

    Attributes:
        squared_radii: rising, (n,).
        expected: the chi-square quantiles at (i - 1/2) / n, (n,).
        degrees: k, of the chi-square law: the directions that have variance.
        deviation: standard deviation of the squared radii.
    """

    squared_radii: Float64[np.ndarray, " n"]
    expected: Float64[np.ndarray, " n"]
    degrees: int
    deviation: float

    @property
    def gaussian_deviation(self) -> float:
        """What the deviation would be for a Gaussian: sqrt(2 k), 22.6 at k = 256."""
        return float(np.sqrt(2 * self.degrees))


def radius_law(z: Float[Array | np.ndarray, " n *latent"]) -> RadiusLaw:
    """Measures the squared Mahalanobis radii (for the chi-square plot).

    Args:
        z: z-points, floating point (n, d), n >= 2.

    Raises:
        TypeError, ValueError: if `z` is not such an array, or is not finite.
    """
    from scipy import stats

    z = as_vectors("z", z, least=2)
    found = moments(z)
    radii = np.sort(squared_radii(z, found))
    degrees = int((significant(found, *eigenvectors(found.covariance)) > 0).sum())
    expected = stats.chi2.ppf((np.arange(radii.size) + 0.5) / radii.size, degrees)
    return RadiusLaw(radii, expected, degrees, float(radii.std()))
