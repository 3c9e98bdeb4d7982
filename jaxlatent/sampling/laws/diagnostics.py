"""Have Markov chains converged, and how many independent draws are they worth?

Split R-hat and the effective sample size without rank normalisation, which bounded coordinates do without:
A. Gelman et al., "Bayesian Data Analysis", 3rd edition, 2013, sections 11.4 and 11.5, the sum of
autocorrelations cut and smoothed as in A. Vehtari, A. Gelman, D. Simpson, B. Carpenter, P.-C. Bürkner,
"Rank-normalization, folding, and localization: an improved R-hat for assessing convergence of MCMC",
Bayesian Analysis 16, 2021 (initial monotone sequence of C. J. Geyer, "Practical Markov chain Monte Carlo",
Statistical Science 7, 1992).
"""

import math
import warnings
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

#: Vehtari et al. 2021: use draws only where R-hat is below 1.01 and a chain is worth at least 100 of them.
MOST_R_HAT = 1.01
LEAST_DRAWS_PER_CHAIN = 100


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """How well chains have mixed, parameter by parameter; NaN for one that is constant.

    Attributes:
        r_hat: split R-hat, (d,) float32; 1 where the halves of all chains agree.
        effective_sample_size: number of independent draws that estimate the mean as well, (d,) float32.
    """

    r_hat: Float[Array, " d"]
    effective_sample_size: Float[Array, " d"]

    @classmethod
    def of(cls, chains: Float[Array | np.ndarray, "chains draws d"]) -> "Diagnostics":
        """Computes both.

        Args:
            chains: floating point (n_chains, n_draws, d), n_draws >= 4.

        Raises:
            ValueError: if `chains` has another shape or fewer draws.
        """
        return cls(split_r_hat(chains), effective_sample_size(chains))

    def warn(self, n_chains: int) -> None:
        """Issues a one-line warning if an R-hat is above 1.01 or a chain is worth fewer than 100 draws."""
        r_hat, size = np.asarray(self.r_hat), np.asarray(self.effective_sample_size)
        least = LEAST_DRAWS_PER_CHAIN * n_chains
        poor = (r_hat > MOST_R_HAT) | (size < least)
        if poor.any():
            warnings.warn(
                f"{poor.sum()} of {poor.size} coordinates have not mixed: split R-hat up to "
                f"{np.nanmax(r_hat):.3f} (at most {MOST_R_HAT} is good), effective sample size down to "
                f"{np.nanmin(size):.0f} (at least {least}); take more draws, or a larger thin or warmup",
                RuntimeWarning,
                stacklevel=3,
            )


@dataclass(frozen=True, eq=False)
class Mixing:
    """How many steps a Markov chain takes to forget a start that is symmetric about the mean.

    Such a start, with steps that are symmetric too, has right from the beginning the expectation 0 of every
    odd function of the vectors. What it gets wrong is their spread, so the times are those of squares.

    Attributes:
        coordinates: autocorrelation time of the square of each standardised coordinate, in steps, (d,)
            float32; NaN for a constant one.
        components: of the square of each principal component of the correlation, the largest first, (d,).
        radius: of the distance from the mean in standard deviations.
        steps: after them 1 % of the start is left in the slowest, if its autocorrelation falls as r^k, as
            that of a process with the time (1 + r) / (1 - r).
    """

    coordinates: Float[Array, " d"]
    components: Float[Array, " d"]
    radius: float
    steps: int

    @classmethod
    def of(
        cls, chains: Float[Array | np.ndarray, "chains draws d"], correlation: Float[np.ndarray, "d d"]
    ) -> "Mixing":
        """Measures them.

        Args:
            chains: standardised, centred vectors, a draw a step, floating point (n_chains, n_draws, d).
            correlation: of the z-points, whose principal components are looked at.

        Raises:
            ValueError: if `chains` has another shape or fewer than 4 draws.
        """
        t = np.asarray(chains, np.float64)
        components = t @ np.linalg.eigh(np.asarray(correlation, np.float64))[1][:, ::-1]
        radius = np.linalg.norm(t, axis=2, keepdims=True)
        functions = (np.square(t), np.square(components), radius)
        times = [t[..., 0].size / effective_sample_size(x) for x in functions]
        slowest = max(float(jnp.nanmax(x)) for x in times)
        rate = max((slowest - 1) / (slowest + 1), 0.01)
        return cls(times[0], times[1], float(times[2][0]), math.ceil(math.log(0.01) / math.log(rate)))


def split_r_hat(chains: Float[Array | np.ndarray, "chains draws d"]) -> Float[Array, " d"]:
    """Potential scale reduction of the half chains: sqrt(1 + (B - W) / (n W)), BDA3 section 11.4.

    B is n times the variance of the means of the half chains of length n, W the mean of their variances.

    Args:
        chains: floating point (n_chains, n_draws, d), n_draws >= 4; of an odd number the last is left out.

    Returns:
        float32 (d,); NaN for a constant parameter, infinite where each half chain stays at its own value.

    Raises:
        ValueError: if `chains` has another shape or fewer draws.
    """
    halves = _halves(chains)
    within = halves.var(axis=1, ddof=1).mean(axis=0)
    n = halves.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        r_hat = np.sqrt((n - 1) / n + halves.mean(axis=1).var(axis=0, ddof=1) / within)
    return jnp.asarray(r_hat, jnp.float32)


def effective_sample_size(chains: Float[Array | np.ndarray, "chains draws d"]) -> Float[Array, " d"]:
    """The number of independent draws that would estimate each mean as well, BDA3 section 11.5.

    N / tau for N draws in all, with the autocorrelation time tau = 1 + 2 sum_t rho_t. The autocorrelations
    rho_t of the half chains, W and B combined, are summed in pairs until a pair is negative, each pair at
    most as large as the one before it. At most N log10 N, where draws alternate about their mean.

    Args:
        chains: floating point (n_chains, n_draws, d), n_draws >= 4.

    Returns:
        float32 (d,); NaN for a constant parameter.

    Raises:
        ValueError: if `chains` has another shape or fewer draws.
    """
    halves = _halves(chains)
    m, n, _ = halves.shape
    covariance = _autocovariance(halves)
    within = covariance[0] * n / (n - 1)
    total = covariance[0] + halves.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1 - (within - covariance) / total
    rho[0] = np.where(total > 0, 1.0, np.nan)
    even, odd = rho[0 : n - n % 2 : 2], rho[1::2]
    pairs = even + odd
    # The first pair counts whatever it is, the last lags are too noisy to.
    kept = np.logical_and.accumulate(pairs >= 0, axis=0)
    kept[0], kept[max(1, n // 2 - 1) :] = True, False
    falling = np.minimum.accumulate(pairs, axis=0)
    # The even half of the first pair left out, which makes up for alternating draws.
    first = np.minimum(kept.sum(axis=0), n // 2 - 1)
    rest = np.maximum(np.take_along_axis(even, first[None], axis=0)[0], 0.0)
    time = -1 + 2 * np.where(kept, falling, 0.0).sum(axis=0) + rest
    return jnp.asarray(m * n / np.maximum(time, 1 / np.log10(m * n)), jnp.float32)


def _halves(chains: Array | np.ndarray) -> np.ndarray:
    """The half chains in float64, (2 n_chains, n_draws // 2, d)."""
    if np.ndim(chains) != 3 or chains.shape[0] < 1 or chains.shape[1] < 4:
        raise ValueError(
            "chains: expected an array of shape (n_chains, n_draws, d) with at least 4 draws, "
            f"got {np.shape(chains)}"
        )
    n = chains.shape[1] // 2
    values = np.asarray(chains, np.float64)
    return np.concatenate([values[:, :n], values[:, n : 2 * n]])


def _autocovariance(chains: np.ndarray) -> np.ndarray:
    """Mean over the chains of the autocovariances with divisor n, (n, d), by FFT (Wiener-Khinchin)."""
    n = chains.shape[1]
    # Zeros to at least twice the length, so that the end of a chain does not meet its beginning.
    padded = 1 << (2 * n - 1).bit_length()
    power = np.zeros((padded // 2 + 1, chains.shape[2]))
    for chain in chains:
        power += np.square(np.abs(np.fft.rfft(chain - chain.mean(axis=0), padded, axis=0)))
    return np.fft.irfft(power, padded, axis=0)[:n] / (n * len(chains))
