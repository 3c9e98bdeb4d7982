"""Fitting a Gaussian mixture: our expectation-maximisation against scikit-learn's, once each.

    python benchmarks/mixture.py [--vectors 40000] [--dim 256] [--clusters 10] [--max-iter 100]

Both start from k-means++ and stop by the same tolerance. scikit-learn takes minutes at the default size.
"""

import argparse
import time
import warnings

import jax
import numpy as np
from common import machine
from sklearn.mixture import GaussianMixture

from jaxlatent.sampling.em import fit_mixture


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
    options = parser.parse_args()
    z = make_points(options.vectors, options.dim, options.clusters)
    print(machine())
    print(f"# {options.vectors:,} x {options.dim}, {options.clusters} clusters, full covariances")
    warnings.simplefilter("ignore")
    rows = []
    for name in ("jaxlatent, with compilation", "jaxlatent"):
        start = time.perf_counter()
        found = fit_mixture(jax.random.key(0), z, options.clusters, max_iter=options.max_iter)
        rows.append((name, time.perf_counter() - start, found.log_likelihood, found.n_iterations))
    for dtype in (np.float32, np.float64):
        start = time.perf_counter()
        peer = GaussianMixture(
            options.clusters, init_params="k-means++", max_iter=options.max_iter, random_state=0
        ).fit(z.astype(dtype))
        seconds = time.perf_counter() - start
        rows.append((f"scikit-learn, {dtype.__name__}", seconds, peer.score(z.astype(dtype)), peer.n_iter_))
    ours = rows[1][1]
    for name, seconds, likelihood, iterations in rows:
        print(
            f"{name:28s} {seconds:8.1f} s, {iterations:3d} iterations, "
            f"mean log-likelihood {likelihood:.3f}   jaxlatent is {seconds / ours:.3g} times as fast"
        )


if __name__ == "__main__":
    main()
