"""Every pair of every vector of each constrained sampler, by brute force in float64.

    python benchmarks/violations.py [--vectors 100000] [--components 256]

Looked at are the latent vectors that a user gets, transformed back in float64. The z-points are Gaussian; the
components' widths span four decades, in a rotated frame far from the origin, and the narrow ones are where
rounding would lead outside first. Exits with 1 if any vector violates a condition.
"""

import argparse
import time
from collections.abc import Callable

import jax
import numpy as np
from common import machine

import jaxlatent as jl
from jaxlatent._progress import progress_bar

BATCH = 500


def components(pca: jl.PCA, z: jax.Array) -> np.ndarray:
    """Latent vectors in the frame, in float64."""
    mean, axes = (np.asarray(x, np.float64) for x in (pca.mean, pca.components))
    return (np.asarray(z, np.float64) - mean) @ axes.T


def ellipse_left_sides(sampler: jl.PairwiseSampler | jl.ExactSampler) -> Callable[[jax.Array], np.ndarray]:
    """The largest left side of each vector's pair conditions."""
    axes = np.asarray(sampler.body.semi_axes, np.float64)

    def worst(z: jax.Array) -> np.ndarray:
        q = np.square(components(sampler.pca, z) / axes)
        # All pairs, those that are `apart` places apart at a time.
        return np.max([(q[:, apart:] + q[:, :-apart]).max(axis=1) for apart in range(1, axes.size)], axis=0)

    return worst


def union_left_sides(
    sampler: jl.ClusterMixtureSampler | jl.ClusterRecombinationSampler,
) -> Callable[[jax.Array], np.ndarray]:
    """The same in that body of a union that each vector is deepest in, from the two largest components."""
    centres, axes = (np.asarray(x, np.float64) for x in (sampler.body.centres, sampler.body.semi_axes))

    def worst(z: jax.Array) -> np.ndarray:
        y = components(sampler.pca, z)
        sides = []
        for centre, lengths in zip(centres, axes, strict=True):
            q = np.square((y - centre) / lengths)
            sides.append(np.partition(q, -2, axis=1)[:, -2:].sum(axis=1))
        return np.min(sides, axis=0)

    return worst


def distances(sampler: jl.EllipsoidSampler) -> Callable[[jax.Array], np.ndarray]:
    """Squared Mahalanobis distances over the squared level."""
    scale = np.sqrt(np.asarray(sampler.pca.explained_variance, np.float64)) * float(sampler.level)
    return lambda z: np.square(components(sampler.pca, z) / scale).sum(axis=1)


def tilted_left_sides(sampler: jl.TiltedSampler) -> Callable[[jax.Array], np.ndarray]:
    """The same for tilted ellipses, from vectors of the latent frame."""
    body = sampler.body
    mean, sigma = (np.asarray(x, np.float64) for x in (body.mean, body.sigma))
    rho = np.asarray(body.correlation, np.float64)

    def worst(z: jax.Array) -> np.ndarray:
        s = (np.asarray(z, np.float64) - mean) / (sigma * float(body.level))
        found = []
        for apart in range(1, mean.size):
            r, x, y = np.diag(rho, apart), s[:, :-apart], s[:, apart:]
            found.append(((x * x - 2 * r * x * y + y * y) / (1 - r * r)).max(axis=1))
        return np.max(found, axis=0)

    return worst


def points(k: int) -> tuple[np.ndarray, np.ndarray]:
    """z-points in a rotated frame, and others whose coordinates are correlated."""
    rng = np.random.default_rng(0)
    widths = np.geomspace(5, 5e-4, k)
    rotation = np.linalg.qr(rng.standard_normal((k, k)))[0]
    mean = rng.uniform(-3, 3, k)
    x = rng.standard_normal((20_000, k))
    mixing = np.eye(k) + 0.05 * rng.standard_normal((k, k))
    rotated, tilted = (x * widths) @ rotation + mean, x @ mixing * widths + mean
    return rotated.astype(np.float32), tilted.astype(np.float32)


def ellipse_samplers(z: np.ndarray) -> dict[str, jl.PairwiseSampler | jl.ExactSampler]:
    """Those whose body is one ellipse for each pair of components."""
    return {
        "PairwiseSampler": jl.PairwiseSampler.fit(z),
        "ExactSampler, uniform": jl.ExactSampler.fit(z),
        "ExactSampler, normal": jl.ExactSampler.fit(z, density="normal"),
        "ExactSampler, empirical": jl.ExactSampler.fit(z, density="empirical", fact=1.0),
    }


def samplers(k: int) -> dict[str, tuple[jl.Sampler, Callable[[jax.Array], np.ndarray]]]:
    """What draws, and what measures the vectors."""
    z, tilted = points(k)
    found: dict[str, tuple[jl.Sampler, Callable[[jax.Array], np.ndarray]]] = {
        name: (sampler, ellipse_left_sides(sampler)) for name, sampler in ellipse_samplers(z).items()
    }
    for density in ("uniform", "normal"):
        ellipsoid = jl.EllipsoidSampler.fit(z, density=density)
        found[f"EllipsoidSampler, {density}"] = (ellipsoid, distances(ellipsoid))
        # Few sweeps, as whether a vector is inside does not depend on their number.
        chain = jl.TiltedSampler.fit(tilted, density=density, sweeps=8)
        found[f"TiltedSampler, {density}"] = (chain, tilted_left_sides(chain))
    for cls in (jl.ClusterMixtureSampler, jl.ClusterRecombinationSampler):
        union = cls.fit(z, n_clusters=20, coverage=0.9)
        found[cls.__name__] = (union, union_left_sides(union))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000, help="of each sampler (default 100,000)")
    parser.add_argument("--components", type=int, default=256, help="default 256")
    options = parser.parse_args()
    n, k = options.vectors, options.components
    print(machine())
    print(f"# {n:,} vectors, {k * (k - 1) // 2:,} ellipses each")
    failed, key = False, jax.random.key(1)
    for name, (sampler, worst) in samplers(k).items():
        began = time.perf_counter()
        largest, outside = 0.0, 0
        with progress_bar(name, n, "vectors") as advance:
            for start in range(0, n, 20 * BATCH):
                z = sampler.sample(key, min(20 * BATCH, n - start), start=start)
                for i in range(0, len(z), BATCH):
                    values = worst(z[i : i + BATCH])
                    largest = max(largest, float(values.max()))
                    outside += int((values > 1).sum())
                    advance(len(values))
        seconds = time.perf_counter() - began
        margin = f"the largest left side is 1 - {1 - largest:.2e}"
        print(f"{name:29s} {outside} violations; {margin} ({seconds:.0f} s)")
        failed |= outside > 0
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
