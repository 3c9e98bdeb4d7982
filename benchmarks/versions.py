"""Every sampler from 64 to 4,096 components, in turns with an older version of the package.

    python benchmarks/versions.py [--old DIR] [--sizes 64/64,256/256,1024/1024,256/4096,4096/4096]

DIR holds the older `jaxlatent` folder, as `git archive v0.1.0 jaxlatent | tar -x -C DIR` leaves it. Each
version runs in a process of its own, on the same frame and points; a size is components / latent coordinates.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

POINTS = 6000
LEVEL = 2.3548  # semi-axes, in standard deviations
CLUSTERS = {64: 150, 256: 150, 1024: 30, 4096: 4}  # of the mixtures, which keep a square of numbers for each


def samplers(k: int, d: int) -> dict[str, Callable]:
    """What makes each sampler, by constructors that all versions have."""
    import jax.numpy as jnp

    import jaxlatent as jl

    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((d, k)))[0].T
    leaves = np.zeros(d), axes, np.ones(k), np.full(k, 1 / d)
    pca = jl.PCA(*(jnp.asarray(x, jnp.float32) for x in leaves))
    body = jl.EllipseBody(jnp.full(k, LEVEL, jnp.float32))
    points = rng.standard_normal((POINTS, k)).astype(np.float16)

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


def work() -> None:
    """A worker: reads sizes, names and numbers, a line each, and answers with seconds."""
    import jax

    made: dict[str, Callable] = {}
    size, name = None, None
    sampler: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        if size != asked["size"]:
            size, name = asked["size"], None
            made = samplers(*size)
        if name != asked["name"]:
            name, sampler = asked["name"], None
            sampler = made[name]()
        key = jax.random.key(asked["seed"])
        draw = sampler.sample if asked["latent"] else sampler.sample_components
        start = time.perf_counter()
        jax.block_until_ready(draw(key, asked["n"]))
        print(json.dumps(time.perf_counter() - start), flush=True)


def start(folder: str | None) -> subprocess.Popen:
    """A worker of the version in `folder`, or of the one that is installed."""
    environment = dict(os.environ)
    if folder is not None:
        environment["PYTHONPATH"] = str(Path(folder).resolve())
    command = [sys.executable, __file__, "--worker"]
    return subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment)


def ask(worker: subprocess.Popen, **asked: object) -> float:
    """Seconds of one draw."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(asked) + "\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"a worker failed at {asked}; see its message above")
    return json.loads(answer)


def compare(
    workers: dict[str, subprocess.Popen], size: tuple[int, int], rounds: int, names: list[str]
) -> None:
    """Prints the table of one size."""
    k, d = size
    n = 8192 if k <= 256 else 2048 if k <= 1024 else 512
    print(f"\n### {k} components of {d} coordinates, {n:,} vectors a draw\n")
    heads = " | ".join(f"{where}, {version}" for where in ("components", "latent") for version in workers)
    ratio = " | ratio to old (quartiles)" if len(workers) > 1 else ""
    print(f"| sampler | {heads}{ratio} |\n|---|{'---|' * (2 * len(workers) + bool(ratio))}")
    for name in names:
        rates = {}
        for latent in (False, True):
            seconds: dict[str, list[float]] = {version: [] for version in workers}
            for turn in range(rounds + 1):
                for version, worker in workers.items():
                    found = ask(worker, size=size, name=name, n=n, latent=latent, seed=turn)
                    if turn:
                        seconds[version].append(found)
            rates[latent] = {version: n / np.array(found) for version, found in seconds.items()}
        cells = [f"{np.median(rate):,.0f}" for found in rates.values() for rate in found.values()]
        if ratio:
            low, middle, high = np.percentile(rates[True]["new"] / rates[True]["old"], [25, 50, 75])
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", metavar="DIR", help="folder of an older version")
    parser.add_argument("--sizes", default="64/64,256/256,1024/1024,256/4096,4096/4096")
    parser.add_argument("--samplers", help="only these, with semicolons between them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work()
        return
    from common import machine

    print(machine())
    workers = {"new": start(None)} | ({"old": start(options.old)} if options.old else {})
    for text in options.sizes.split(","):
        k, d = map(int, text.split("/"))
        names = options.samplers.split(";") if options.samplers else list(samplers(2, 2))
        compare(workers, (k, d), options.rounds, names)


if __name__ == "__main__":
    main()
