"""Gaussian mixtures with full covariances by expectation-maximisation, on the device.

A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
Journal of the Royal Statistical Society B 39, 1977. In many dimensions nearly every vector belongs to one
cluster alone, and a textbook step spends most of its time on responsibilities of 0. So both steps visit only
the pairs of vector and cluster that count, in blocks of rows that a loop gathers. Which pairs these are is
asked of all pairs every few iterations, as in the sparse variant of R. M. Neal, G. E. Hinton, "A view of
the EM algorithm that justifies incremental, sparse, and other variants", 1998, section 5.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_count, as_key, as_number, as_positive, as_vectors
from jaxlatent.latent.moments import moments
from jaxlatent.sampling.fitting.k_means import k_means, padded
from jaxlatent.sampling.laws.gaussian import inverse_factor, log_normal

T = TypeVar("T")
_Sums = tuple[jax.Array, jax.Array, jax.Array]

_BLOCK = 1024
# Responsibilities below this are taken for 0.
_NEGLIGIBLE = 1e-5
# Of so many iterations, only the first computes all responsibilities, but not before the gain of one is
# down to so many times the tolerance: while clusters still move, vectors would be kept from changing over.
_CYCLE, _NEARLY = 5, 10


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """A Gaussian mixture and how well it describes the vectors that it was fitted to.

    Attributes:
        weights: shares of the clusters, (c,) float32, sum 1; 0 for one that found no vectors.
        means: (c, d) float32.
        cholesky: lower triangular factors L of the covariances L L^T, (c, d, d) float32.
        log_likelihood: mean of the log-density of a vector, in nats.
        n_iterations: how often the clusters were fitted anew.
        converged: whether the log-likelihood had come to rest.
    """

    weights: Float[Array, " c"]
    means: Float[Array, "c d"]
    cholesky: Float[Array, "c d d"]
    log_likelihood: float
    n_iterations: int
    converged: bool


class _Mixture(NamedTuple):
    weights: jax.Array
    means: jax.Array
    cholesky: jax.Array
    inverse: jax.Array


class _Floor(NamedTuple):
    share: jax.Array
    least_variance: jax.Array


def fit_mixture(
    key: jax.Array,
    z: Float[Array | np.ndarray, " n *latent"],
    n_clusters: int,
    *,
    max_iter: int = 100,
    tol: float = 1e-3,
    covariance_floor: float = 1e-6,
) -> MixtureFit:
    """Fits a Gaussian mixture by maximum likelihood, from a k-means start.

    The start is `k_means`, in the units of z. A cluster of at most d vectors has a singular covariance,
    with which it would only learn these by heart; it starts anew as one half of the largest cluster, if that
    has at least 4 (d + 1) vectors. Memory: a float32 copy of z, some arrays of n * n_clusters and of
    n_clusters * d^2 numbers.

    Everything is float32, with z centred first and each Gram matrix taken about the cluster's own mean.
    Where coordinates are so correlated that their correlation matrix has eigenvalues near 1e-6, give
    principal components, as `GaussianMixtureSampler` does.

    Args:
        key: for the start.
        z: vectors, floating point (n, d), n >= n_clusters.
        n_clusters: at least 1.
        max_iter: the most iterations, >= 1.
        tol: stop once an iteration raises `log_likelihood` by less, >= 0, in nats.
        covariance_floor: added to the variances of each cluster, > 0, as a share of them, and so the least
            eigenvalue of the cluster's correlation matrix; 1e-6 is what float32 can tell from 0. A cluster
            without extent counts as one of this share of the variance of all vectors. Where rounding still
            keeps a matrix from being positive definite, 10, 100, ... times as much is added.

    Returns:
        The mixture, in the units of z. A `UserWarning` says so if it has not converged.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
    """
    key, z = as_key(key), as_vectors("z", z)
    n_clusters, max_iter = as_count("n_clusters", n_clusters, 1), as_count("max_iter", max_iter, 1)
    tol, covariance_floor = as_number("tol", tol), as_positive("covariance_floor", covariance_floor)
    if not tol >= 0:
        raise ValueError(f"tol: expected a number of at least 0, got {tol:g}")
    found = moments(z)
    count = found.count
    if n_clusters > count:
        raise ValueError(f"n_clusters: expected at most {count}, the number of vectors, got {n_clusters}")
    centre = found.mean.astype(np.float32)
    variance = np.diag(found.scatter) / count
    scale = np.float32(np.sqrt(variance.mean()) or 1.0)
    least = jnp.asarray(covariance_floor * np.maximum(variance / scale**2, covariance_floor), jnp.float32)
    floor = _Floor(jnp.float32(covariance_floor), least)
    x = jnp.asarray(padded((np.asarray(z, np.float32) - centre) / scale))

    centres, share = k_means(key, x, count, n_clusters)
    mixture, _ = _maximise(x, share, centres, floor)
    # No row of padding has a part in anything.
    every_pair = jnp.asarray(np.broadcast_to(np.arange(len(x)) < count, share.shape))
    before, done, steps = -math.inf, 0, 1
    restarted = jnp.bool_(False)
    while True:
        share, log_density = _expect(x, mixture, every_pair)
        # The sum over many vectors in float32 would be less exact than `tol`.
        now = float(np.mean(np.asarray(log_density, np.float64)[:count]))
        gain = (now - before) / steps
        converged = gain < tol and not restarted
        if converged or done == max_iter:
            break
        steps = min(_CYCLE if gain < _NEARLY * tol else 1, max_iter - done)
        before, restarted = now, jnp.bool_(False)
        for step in range(steps):
            if step:
                share, _ = _expect(x, mixture, share > _NEGLIGIBLE)
            mixture, anew = _maximise(x, share, mixture.means, floor)
            restarted |= anew
        done += steps
    if not converged:
        warnings.warn(
            f"max_iter: the mixture has not converged after {done} iterations, the last of which raised the "
            f"log-likelihood by {gain:.2g}; raise max_iter or tol",
            stacklevel=2,
        )
    return MixtureFit(
        mixture.weights,
        mixture.means * scale + centre,
        mixture.cholesky * scale,
        now - z.shape[1] * math.log(scale),
        done,
        converged,
    )


def _for_blocks(chosen: jax.Array, visit: Callable[[jax.Array, T], T], state: T) -> T:
    """Calls `visit` with `_BLOCK` of the row numbers chosen at a time; the last are filled up by n."""
    n = chosen.shape[0]
    rows = jnp.nonzero(chosen, size=n + _BLOCK, fill_value=n)[0]

    def block(i: jax.Array, state: T) -> T:
        return visit(jax.lax.dynamic_slice(rows, (i * _BLOCK,), (_BLOCK,)), state)

    return jax.lax.fori_loop(0, -(-jnp.sum(chosen) // _BLOCK), block, state)


@jax.jit
def _expect(x: jax.Array, mixture: _Mixture, pairs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Responsibilities (c, n), 0 but for `pairs`, and log-densities (n,), -inf where a row has no pair."""

    def cluster(inputs: tuple[jax.Array, ...]) -> jax.Array:
        chosen, weight, mean, inverse = inputs

        def visit(rows: jax.Array, joint: jax.Array) -> jax.Array:
            density = log_normal(x.at[rows].get(mode="fill", fill_value=0), mean, inverse)
            return joint.at[rows].set(jnp.log(weight) + density, mode="drop")

        return _for_blocks(chosen, visit, jnp.full(x.shape[0], -jnp.inf, jnp.float32))

    joint = jax.lax.map(cluster, (pairs, mixture.weights, mixture.means, mixture.inverse))
    log_density = jax.nn.logsumexp(joint, axis=0)
    return jnp.where(pairs, jnp.exp(joint - log_density), 0.0), log_density


@jax.jit
def _maximise(x: jax.Array, share: jax.Array, means: jax.Array, floor: _Floor) -> tuple[_Mixture, jax.Array]:
    """The mixture of responsibilities (c, n), and whether a cluster of too few vectors starts anew.

    Gram matrices are taken about the old `means`, which lie close to the new ones. The two halves of a
    cluster are copies of it, half a standard deviation of the first coordinate to either side, which in a
    PCA frame is the most important one.
    """
    d = x.shape[1]

    def cluster(inputs: tuple[jax.Array, jax.Array]) -> _Sums:
        share, mean = inputs

        def visit(rows: jax.Array, sums: _Sums) -> _Sums:
            weight = share.at[rows].get(mode="fill", fill_value=0)
            offset = x.at[rows].get(mode="fill", fill_value=0) - mean
            weighted = weight[:, None] * offset
            gram = jnp.matmul(weighted.T, offset, precision="highest")
            return sums[0] + jnp.sum(weight), sums[1] + jnp.sum(weighted, axis=0), sums[2] + gram

        zeros = (jnp.zeros((), jnp.float32), jnp.zeros(d, jnp.float32), jnp.zeros((d, d), jnp.float32))
        size, total, gram = _for_blocks(share > _NEGLIGIBLE, visit, zeros)
        some = jnp.maximum(size, jnp.finfo(jnp.float32).tiny)
        shift = total / some
        return size, mean + shift, gram / some - jnp.outer(shift, shift)

    size, means, covariance = jax.lax.map(cluster, (share, means))
    few = size < d + 1
    largest = jax.lax.top_k(jnp.where(few, 0.0, size), size.shape[0])[1]
    source = largest[jnp.maximum(jnp.cumsum(few) - 1, 0)]
    anew = few & (size[source] >= 4 * (d + 1))
    halved = jnp.zeros_like(few).at[source].max(anew)
    origin = jnp.where(anew, source, jnp.arange(size.shape[0], dtype=source.dtype))
    cholesky = _cholesky(covariance[origin], floor)
    side = 0.5 * (anew.astype(jnp.float32) - halved.astype(jnp.float32))
    means = means[origin] + side[:, None] * cholesky[:, :, 0]
    size = size[origin] * jnp.where(anew | halved, 0.5, 1.0)
    return _Mixture(size / jnp.sum(size), means, cholesky, inverse_factor(cholesky)), jnp.any(anew)


def _cholesky(covariance: jax.Array, floor: _Floor) -> jax.Array:
    """Factors of covariance + floor, the floor raised tenfold as long as a matrix has no factor."""
    variance = jnp.maximum(jnp.diagonal(covariance, axis1=1, axis2=2), floor.least_variance)

    def failed(cholesky: jax.Array) -> jax.Array:
        return jnp.any(jnp.isnan(cholesky), axis=(1, 2))

    def attempt(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        share, cholesky = state
        share = jnp.where(failed(cholesky), 10 * share, share)
        added = jax.vmap(jnp.diag)(share[:, None] * variance)
        return share, jnp.linalg.cholesky(covariance + added)

    state = jnp.full(covariance.shape[0], floor.share / 10), jnp.full_like(covariance, jnp.nan)
    return jax.lax.while_loop(lambda state: jnp.any(failed(state[1])), attempt, state)[1]
