"""Eigenvectors of a covariance, and what rounding leaves of its eigenvalues."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from jaxlatent.latent.moments import Moments


def eigenvectors(
    covariance: Float64[np.ndarray, "d d"],
) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, "d d"]]:
    """Eigenvalues, falling, and eigenvectors in rows, in float64 on the host.

    The entry of largest absolute value of each vector is positive, so that results repeat.
    """
    try:
        cpu = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS may leave it out
        values, vectors = np.linalg.eigh(covariance)
    else:
        with jax.enable_x64(True), jax.default_device(cpu):
            values, vectors = map(np.asarray, jnp.linalg.eigh(jax.device_put(covariance)))
    values, vectors = values[::-1], vectors[:, ::-1].T
    largest = np.take_along_axis(vectors, np.argmax(np.abs(vectors), axis=1)[:, None], axis=1)
    return values, vectors * np.where(largest < 0, -1.0, 1.0)


def rounding_variance(
    found: Moments, vectors: Float64[np.ndarray, "k d"], epsilon: float
) -> Float64[np.ndarray, " k"]:
    """The variance along each vector that numbers of relative spacing `epsilon` may have from rounding alone.

    Rounding moves a number x by a uniform part of its spacing, epsilon |x| at most: a variance of
    epsilon^2 x^2 / 12, and epsilon^2 x^2 / 4 if all of them are moved by as much as possible. Taken is
    epsilon^2 times the mean of x^2, which is clearly more; with d / 12 of epsilon^2 times the variance for
    numbers that are sums of d products, rounded at every step, and with the largest eigenvalue of n such
    vectors over that of infinitely many, (1 + sqrt(d / n))^2 (V. A. Marchenko, L. A. Pastur, "Distribution
    of eigenvalues for some sets of random matrices", Math. USSR Sbornik 1, 1967).
    """
    squares = np.square(found.mean) + (1 + found.mean.size / 12) * np.diag(found.covariance)
    few = (1 + np.sqrt(found.mean.size / found.count)) ** 2
    return few * epsilon**2 * (np.square(vectors) @ squares)


def significant(
    found: Moments, values: Float64[np.ndarray, " d"], vectors: Float64[np.ndarray, "d d"]
) -> Float64[np.ndarray, " d"]:
    """The eigenvalues, 0 where rounding alone might have made them.

    That of the vectors' numbers, see `rounding_variance`, and that of float64 arithmetic, d times 2^-52 of
    the largest eigenvalue. Of n vectors n - 1 eigenvalues at most are positive.
    """
    arithmetic = values.size * np.finfo(np.float64).eps * max(values[0], 0.0)
    noise = np.maximum(arithmetic, rounding_variance(found, vectors, found.epsilon))
    return np.where((values > noise) & (np.arange(values.size) < found.count - 1), values, 0.0)
