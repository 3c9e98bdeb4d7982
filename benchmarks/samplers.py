"""Every sampler and the peers one would use instead: vectors a second at several dimensions, in one run.

    python benchmarks/samplers.py [--dims 64,256,512] [--vectors 10000] [--rounds 5] [--scaling FILE.svg]

All are fitted to the same z-points, then take turns in this process. "of the generator" compares with
`jax.random.uniform` making as many numbers. Of Markov chains the effective sample size counts, of the worst
component. BoTorch and hopsy run where they are installed (`pip install botorch hopsy`); both know only
linear constraints, so they sample the box |y_i| <= a_i / sqrt(2) inside the body. `--scaling` draws how the
cost grows with d and with n.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from common import alternate, machine
from pairwise import numpy_batch, python_loop
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import jaxlatent as jl
from jaxlatent._progress import progress_bar
from jaxlatent.sampling.laws.diagnostics import effective_sample_size

FACT = 1.0
CLUSTERS = 10
POINTS = 20_000
CHAIN = 2000


class Contestant(NamedTuple):
    """One row of the table.

    Attributes:
        run: draws.
        vectors: how many a run draws (effective ones of a chain).
        fit_seconds: time to fit, NaN where there is nothing to fit.
        note: printed behind the figures.
    """

    run: Callable[[], Any]
    vectors: float
    fit_seconds: float = float("nan")
    note: str = ""


def make_points(d: int) -> np.ndarray:
    """z-points of a few clusters, with a spectrum that falls as that of an autoencoder does."""
    rng = np.random.default_rng(d)
    spread = np.geomspace(1, 0.03, d)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    centres = 0.7 * rng.standard_normal((5, d))
    y = (rng.standard_normal((POINTS, d)) + centres[rng.integers(5, size=POINTS)]) * spread
    return (y @ rotation + rng.uniform(-2, 2, d)).astype(np.float32)


def samplers(z: np.ndarray, n: int) -> dict[str, Contestant]:
    """All samplers of the package, fitted to z."""
    key = jax.random.key(0)
    makers: dict[str, Callable[[], jl.Sampler]] = {
        "PairwiseSampler": lambda: jl.PairwiseSampler.fit(z, fact=FACT),
        "ExactSampler, uniform": lambda: jl.ExactSampler.fit(z, fact=FACT),
        "ExactSampler, normal": lambda: jl.ExactSampler.fit(z, fact=FACT, density="normal"),
        "ExactSampler, empirical": lambda: jl.ExactSampler.fit(z, fact=FACT, density="empirical"),
        "TiltedSampler, uniform": lambda: jl.TiltedSampler.fit(z),
        "TiltedSampler, normal": lambda: jl.TiltedSampler.fit(z, density="normal"),
        "EllipsoidSampler, uniform": lambda: jl.EllipsoidSampler.fit(z),
        "EllipsoidSampler, normal": lambda: jl.EllipsoidSampler.fit(z, density="normal"),
        "GaussianSampler": lambda: jl.GaussianSampler.fit(z),
        "GaussianMixtureSampler, 10": lambda: jl.GaussianMixtureSampler.fit(z, n_clusters=CLUSTERS),
        "BoxSampler, ranges": lambda: jl.BoxSampler.fit(z),
        "InterpolationSampler, linear": lambda: jl.InterpolationSampler.fit(z),
        "InterpolationSampler, spherical": lambda: jl.InterpolationSampler.fit(z, kind="spherical"),
        "RecombinationSampler, 2": lambda: jl.RecombinationSampler.fit(z),
        "PathSampler": lambda: jl.PathSampler.fit(z),
    }
    found: dict[str, Contestant] = {}
    exact = jl.ExactSampler.fit(z, fact=FACT)
    found["ExactSampler, uniform, components"] = Contestant(lambda: exact.sample_components(key, n), n)
    with progress_bar("fit", len(makers), "samplers") as advance:
        for name, make in makers.items():
            start = time.perf_counter()
            sampler = jax.block_until_ready(make())
            seconds = time.perf_counter() - start
            count = max(128, n // 40) if name.startswith("Tilted") else n
            found[name] = Contestant(partial(sampler.sample, key, count), count, seconds)
            advance(1, name)
    return found


def peers(z: np.ndarray, n: int) -> dict[str, Contestant]:
    """What one would use without this package."""
    d = z.shape[1]
    rng = np.random.default_rng(0)
    covariance, mean = np.cov(z.T), z.mean(axis=0)
    found = {
        "Python loop, pairwise": Contestant(lambda: python_loop(3, d), 3),
        "NumPy, pairwise": Contestant(lambda: numpy_batch(rng, n, d + d % 2), n),
        "NumPy multivariate_normal": Contestant(
            lambda: rng.multivariate_normal(mean, covariance, n, method="eigh"), n
        ),
    }
    start = time.perf_counter()
    # Two iterations, as only the speed of its draws is compared here; all of them take minutes.
    mixture = GaussianMixture(CLUSTERS, init_params="random_from_data", max_iter=2, random_state=0)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        mixture.fit(z)
    seconds = time.perf_counter() - start

    def draw_from_mixture() -> np.ndarray:
        # It calls covariances indefinite that its own float32 fit rounded.
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            return mixture.sample(n)[0]

    found["scikit-learn GaussianMixture, 10"] = Contestant(
        draw_from_mixture, n, seconds, "fitted with 2 iterations only"
    )
    found["NumPy rejection, uniform"] = numpy_rejection(d)
    return found | chains(z)


def numpy_rejection(d: int) -> Contestant:
    """Uniform vectors of the cube, kept if they are in the body; the rate is exact, not counted."""
    rng, tried = np.random.default_rng(0), 20_000

    def attempt() -> np.ndarray:
        u = rng.uniform(-1, 1, (tried, d)).astype(np.float32)
        largest = np.partition(np.square(u), d - 2, axis=1)[:, -2:]
        return u[largest.sum(axis=1) <= 1]

    log_volume = jl.EllipseBody(jnp.ones(d)).log_volume() - d * np.log(2)
    accepted = np.exp(log_volume)
    return Contestant(attempt, tried * accepted, note=f"accepts 10^{log_volume / np.log(10):.1f}")


def chains(z: np.ndarray) -> dict[str, Contestant]:
    """Markov chains of other packages on the box inside the body, the Gaussian or the uniform density."""
    d = z.shape[1]
    pca = jl.PCA.fit(z)
    bound = np.asarray(jl.half_width(pca.transform(z))) / np.sqrt(2)
    sigma = np.sqrt(np.asarray(pca.explained_variance))
    A = np.concatenate([np.eye(d), -np.eye(d)])
    b = np.concatenate([bound, bound]) / np.tile(sigma, 2)
    found = {}
    try:
        import torch
        from botorch.utils.probability.lin_ess import LinearEllipticalSliceSampler
    except ImportError:
        print("BoTorch is not installed: left out")
    else:
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        slice_sampler = LinearEllipticalSliceSampler(
            inequality_constraints=(torch.tensor(A), torch.tensor(b)[:, None]),
            interior_point=torch.zeros(d, 1),
        )
        chain = slice_sampler.draw(CHAIN).numpy()
        found["BoTorch LinearEllipticalSlice"] = effective(lambda: slice_sampler.draw(CHAIN), chain)
    try:
        import hopsy
    except ImportError:
        print("hopsy is not installed: left out")
    else:
        problem = hopsy.Problem(A, b)
        walker = hopsy.MarkovChain(
            problem, proposal=hopsy.UniformCoordinateHitAndRunProposal, starting_point=np.zeros(d)
        )
        random = hopsy.RandomNumberGenerator(0)

        def walk() -> np.ndarray:
            return hopsy.sample(walker, random, CHAIN, thinning=d)[1]

        found["hopsy coordinate hit-and-run"] = effective(walk, walk()[0])
    return found


def effective(run: Callable[[], Any], chain: np.ndarray) -> Contestant:
    """A chain counts as many vectors as its worst component has effective ones."""
    count = float(np.min(effective_sample_size(jnp.asarray(chain[None], jnp.float32))))
    return Contestant(run, count, note=f"{count:.0f} effective of {len(chain)}")


def table(d: int, n: int, rounds: int) -> None:
    """Prints the table of one dimension, in Markdown."""
    z = make_points(d)
    generate = jax.jit(lambda key: jax.random.uniform(key, (n, d)))
    key = jax.random.key(0)
    rows = {"jax.random.uniform alone": Contestant(lambda: generate(key), n)}
    rows |= samplers(z, n) | peers(z, n)
    times = alternate({name: row.run for name, row in rows.items()}, rounds)
    base = times["jax.random.uniform alone"] / n
    print(f"\n### d = {d}, {n:,} vectors\n")
    print("| sampler | fit, s | vectors/s | quartiles | of the generator | |")
    print("|---|---|---|---|---|---|")
    for name, row in rows.items():
        low, middle, high = np.percentile(row.vectors / times[name], [25, 50, 75])
        share = np.median(base / (times[name] / row.vectors)) if row.vectors else 0.0
        fit = "" if np.isnan(row.fit_seconds) else f"{row.fit_seconds:.2f}"
        rate = f"{middle:,.3g}" if middle < 1000 else f"{middle:,.0f}"
        print(f"| {name} | {fit} | {rate} | {low:,.4g} to {high:,.4g} | {share:.3g} | {row.note} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="64,256,512", help="dimensions, with commas (default 64,256,512)")
    parser.add_argument("--vectors", type=int, default=10_000, help="vectors a draw (default 10,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--scaling", metavar="FILE", help="draw the cost over d and over n into this file")
    options = parser.parse_args()
    print(machine())
    for d in map(int, filter(None, options.dims.split(","))):
        table(d, options.vectors, options.rounds)
    if options.scaling:
        from scaling import draw

        draw(options.scaling, options.rounds)


if __name__ == "__main__":
    main()
