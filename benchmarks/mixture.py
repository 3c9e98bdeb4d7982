"""Fitting a Gaussian mixture: our expectation-maximisation against scikit-learn's.

    python benchmarks/mixture.py [--vectors 40000] [--dim 256] [--clusters 10] [--max-iter 100] [--starts 3]

Both start from k-means and stop by the same tolerance. The likelihood has many local maxima at this size, and
each start ends in another one: compare the ranges. scikit-learn takes minutes at the default size.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from common import machine
from sklearn.mixture import GaussianMixture

from jaxlatent.sampling.fitting.em import fit_mixture


def make_points(n: int, d: int, clusters: int) -> np.ndarray:
    """Overlapping clusters of different size and shape, rotated, with a falling spectrum."""
    rng = np.random.default_rng(0)
    spread = np.geomspace(1, 0.05, d)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    centres = 0.5 * rng.standard_normal((clusters, d))
    shapes = 1 + 0.3 * rng.standard_normal((clusters, d))
    member = rng.choice(clusters, n, p=rng.dirichlet(np.full(clusters, 5.0)))
    y = (rng.standard_normal((n, d)) * shapes[member] + centres[member]) * spread
    return (y @ rotation).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=40_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--max-iter", type=int, default=100)
    parser.add_argument("--starts", type=int, default=3, help="fits of each, other seeds (default 3)")
    options = parser.parse_args()
    z = make_points(options.vectors, options.dim, options.clusters)
    print(machine())
    print(f"# {options.vectors:,} x {options.dim}, {options.clusters} clusters, full covariances")
    warnings.simplefilter("ignore")
    fits: dict[str, Callable[[int], tuple[float, int]]] = {}

    def ours(seed: int) -> tuple[float, int]:
        found = fit_mixture(jax.random.key(seed), z, options.clusters, max_iter=options.max_iter)
        return found.log_likelihood, found.n_iterations

    def peer(dtype: type, seed: int) -> tuple[float, int]:
        points: np.ndarray = z.astype(dtype)
        found = GaussianMixture(options.clusters, max_iter=options.max_iter, random_state=seed).fit(points)
        return found.score(points), found.n_iter_

    fits["jaxlatent"] = ours
    fits["scikit-learn, float32"] = partial(peer, np.float32)
    fits["scikit-learn, float64"] = partial(peer, np.float64)
    start = time.perf_counter()
    ours(0)
    print(f"first fit of jaxlatent, with compilation: {time.perf_counter() - start:.1f} s")
    mean_seconds = {}
    for name, fit in fits.items():
        results = []
        for seed in range(options.starts):
            start = time.perf_counter()
            likelihood, iterations = fit(seed)
            results.append((time.perf_counter() - start, likelihood, iterations))
        seconds, likelihoods, iterations = np.array(results).T
        mean_seconds[name] = seconds.mean()
        print(
            f"{name:22s} {seconds.mean():7.1f} s a fit ({iterations.mean():.0f} iterations), mean "
            f"log-likelihood {likelihoods.mean():.2f} ({likelihoods.min():.2f} to {likelihoods.max():.2f})"
            f"   jaxlatent is {mean_seconds[name] / mean_seconds['jaxlatent']:.3g} times as fast"
        )


if __name__ == "__main__":
    main()
