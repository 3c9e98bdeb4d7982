"""Every pair of every vector of each constrained sampler, by brute force in float64.

    python benchmarks/violations.py [--vectors 100000] [--components 256]

The z-points are Gaussian; the components' widths span four decades, and the narrow ones are where rounding
would lead outside first. Exits with 1 if any vector violates a pair condition.
"""

import argparse
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from common import machine

import jaxlatent as jl
from jaxlatent._progress import progress_bar

BATCH = 500


def ellipse_left_sides(sampler: jl.PairwiseSampler | jl.ExactSampler) -> Callable[[jax.Array], np.ndarray]:
    """The largest left side of each vector's pair conditions, from its components."""
    axes = np.asarray(sampler.body.semi_axes, np.float64)

    def worst(y: jax.Array) -> np.ndarray:
        q = np.square(np.asarray(y, np.float64) / axes)
        # All pairs, those that are `apart` places apart at a time.
        return np.max([(q[:, apart:] + q[:, :-apart]).max(axis=1) for apart in range(1, axes.size)], axis=0)

    return worst


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


def samplers(k: int) -> dict[str, tuple[Callable[[int, int], jax.Array], Callable[[jax.Array], np.ndarray]]]:
    """What draws `n` vectors from a start, and what measures them."""
    rng = np.random.default_rng(0)
    axes = np.geomspace(5, 5e-4, k).astype(np.float32)
    x = rng.standard_normal((20_000, k))
    mixing = np.eye(k) + 0.05 * rng.standard_normal((k, k))
    y, tilted = (x * axes).astype(np.float32), (x @ mixing * axes).astype(np.float32)
    key = jax.random.key(1)
    pca, body = jl.PCA.fit(y), jl.EllipseBody(jnp.asarray(axes))
    found: dict = {}
    drawn_in_pca: dict[str, jl.PairwiseSampler | jl.ExactSampler] = {
        "PairwiseSampler": jl.PairwiseSampler(pca, body),
        "ExactSampler, uniform": jl.ExactSampler(pca, body),
        "ExactSampler, normal": jl.ExactSampler(pca, body, "normal"),
        "ExactSampler, empirical": jl.ExactSampler.fit(y, density="empirical", fact=1.0),
    }
    for name, sampler in drawn_in_pca.items():
        found[name] = (
            lambda n, start, s=sampler: s.sample_components(key, n, start=start),
            ellipse_left_sides(sampler),
        )
    for density in ("uniform", "normal"):
        # Few sweeps, as whether a vector is inside does not depend on their number.
        chain = jl.TiltedSampler.fit(tilted, density=density, sweeps=8)
        found[f"TiltedSampler, {density}"] = (
            lambda n, start, s=chain: s.sample(key, n, start=start),
            tilted_left_sides(chain),
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000, help="of each sampler (default 100,000)")
    parser.add_argument("--components", type=int, default=256, help="default 256")
    options = parser.parse_args()
    n, k = options.vectors, options.components
    print(machine())
    print(f"# {n:,} vectors, {k * (k - 1) // 2:,} ellipses each")
    failed = False
    for name, (draw, worst) in samplers(k).items():
        began = time.perf_counter()
        largest, outside = 0.0, 0
        with progress_bar(name, n, "vectors") as advance:
            for start in range(0, n, 20 * BATCH):
                z = draw(min(20 * BATCH, n - start), start)
                for i in range(0, len(z), BATCH):
                    values = worst(z[i : i + BATCH])
                    largest = max(largest, float(values.max()))
                    outside += int((values > 1).sum())
                    advance(len(values))
        seconds = time.perf_counter() - began
        margin = f"the largest left side is 1 - {1 - largest:.2e}"
        print(f"{name:26s} {outside} violations; {margin} ({seconds:.0f} s)")
        failed |= outside > 0
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
