"""Samplers of any size from their constructors: what a draw costs hangs on the size, not on z-points.

The package is imported when they are made, as versions.py chooses between two versions of it.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    import jaxlatent as jl

POINTS = 6000
LEVEL = 2.3548  # semi-axes, in standard deviations
CLUSTERS = {64: 150, 256: 150, 1024: 30, 4096: 4}  # of the mixtures, which keep a square of numbers for each


def samplers(k: int, d: int) -> "dict[str, Callable[[], jl.Sampler]]":
    """What makes each sampler of k components of d coordinates, by constructors that all versions have."""
    import jax.numpy as jnp

    import jaxlatent as jl

    rng = np.random.default_rng(0)
    pca, points = frame(k, d), rng.standard_normal((POINTS, k)).astype(np.float16)
    body = jl.EllipseBody(jnp.full(k, LEVEL, jnp.float32))

    def union(c: int) -> "jl.BodyUnion":
        centres = rng.standard_normal((c, k)).astype(np.float32)
        return jl.BodyUnion(jnp.asarray(centres), jnp.full((c, k), 3, jnp.float32))

    def mixture() -> "jl.GaussianMixtureSampler":
        c = CLUSTERS[min(CLUSTERS, key=lambda size: abs(size - k))]
        factors = jnp.broadcast_to(0.7 * jnp.eye(k, dtype=jnp.float32), (c, k, k)) + 0
        means = jnp.asarray(union(c).centres)
        return jl.GaussianMixtureSampler(pca, jnp.full(c, 1 / c, jnp.float32), means, factors)

    def cluster_mixture() -> "jl.ClusterMixtureSampler":
        made = mixture()
        return jl.ClusterMixtureSampler(made, jl.BodyUnion(made.means, jnp.full_like(made.means, 3)))

    def cluster_recombination() -> "jl.ClusterRecombinationSampler":
        bounds = np.arange(0, POINTS + 1, 100, dtype=np.int32)
        return jl.ClusterRecombinationSampler(pca, union(len(bounds) - 1), points, bounds)

    def empirical() -> "jl.ExactSampler":
        below = special.ndtr(np.linspace(-LEVEL, LEVEL, 129))
        marginals = (below - below[0]) / (below[-1] - below[0])
        return jl.ExactSampler(pca, body, density="empirical", marginals=np.tile(marginals, (k, 1)))

    return {
        "Pairwise": lambda: jl.PairwiseSampler(pca, body),
        "Exact, uniform": lambda: jl.ExactSampler(pca, body),
        "Exact, normal": lambda: jl.ExactSampler(pca, body, "normal"),
        "Exact, empirical": empirical,
        "Ellipsoid, uniform": lambda: jl.EllipsoidSampler(pca, float(np.sqrt(k))),
        "Ellipsoid, normal": lambda: jl.EllipsoidSampler(pca, float(np.sqrt(k)), "normal"),
        "Gaussian": lambda: jl.GaussianSampler(pca),
        "Mixture": mixture,
        "Bootstrap": lambda: jl.BootstrapSampler(pca, jnp.asarray(points)),
        "Recombination": lambda: jl.RecombinationSampler(pca, jnp.asarray(points)),
        "Cluster mixture": cluster_mixture,
        "Cluster recombination": cluster_recombination,
    }


def frame(k: int, d: int) -> "jl.PCA":
    """A rotated frame of k components of deviation 1."""
    import jax.numpy as jnp

    import jaxlatent as jl

    axes = np.linalg.qr(np.random.default_rng(1).standard_normal((d, k)))[0].T
    leaves = np.zeros(d), axes, np.ones(k), np.full(k, 1 / d)
    return jl.PCA(*(jnp.asarray(x, jnp.float32) for x in leaves))


def further_samplers(d: int, sweeps: int | None = None) -> "dict[str, Callable[[], jl.Sampler]]":
    """What makes those of the other laws, all of d coordinates; `sweeps` of the tilted ones as by default."""
    import jax.numpy as jnp

    import jaxlatent as jl

    def tilted() -> "jl.TiltedBody":
        mixing = np.eye(d) + np.random.default_rng(2).standard_normal((d, d)) / d
        covariance = mixing @ mixing.T
        sigma = np.sqrt(np.diag(covariance))
        rho = covariance / np.outer(sigma, sigma)
        np.fill_diagonal(rho, 1)
        as_jax = partial(jnp.asarray, dtype=jnp.float32)
        return jl.TiltedBody(as_jax(np.zeros(d)), as_jax(sigma), as_jax(rho), level=LEVEL)

    def points() -> np.ndarray:
        return np.random.default_rng(3).standard_normal((POINTS, d)).astype(np.float32)

    return {
        "Box": lambda: jl.BoxSampler.cube(1.5, d),
        "Interpolation, linear": lambda: jl.InterpolationSampler(points()),
        "Interpolation, spherical": lambda: jl.InterpolationSampler(points(), "spherical"),
        "Path": lambda: jl.PathSampler.in_plane(frame(d, d)),
        "Tilted, uniform": lambda: jl.TiltedSampler(tilted(), sweeps=sweeps),
        "Tilted, normal": lambda: jl.TiltedSampler(tilted(), "normal", sweeps),
    }
