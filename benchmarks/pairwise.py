"""The pairwise sampler at 256 components: vectors a second, against a Python loop and NumPy.

    python benchmarks/pairwise.py [--components 256] [--vectors 20000] [--rounds 5]

The peers do the same 32,640 checks per vector: a plain Python loop over pairs in random order, and a
round robin in NumPy that is vectorised over a batch of 10,000. All run in turn in this process.
"""

import argparse
import math
import random

import jax
import jax.numpy as jnp
import numpy as np
from common import alternate, machine, report

import jaxlatent as jl


def python_loop(n: int, k: int) -> list[list[float]]:
    """The method with loops only, in units of the semi-axes."""
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    vectors = []
    for _ in range(n):
        u = [random.uniform(-1, 1) for _ in range(k)]
        random.shuffle(pairs)
        for i, j in pairs:
            if random.random() < 0.5:
                i, j = j, i
            c = math.sqrt(max(0.0, 1 - u[i] * u[i]))
            if abs(u[j]) > c:
                u[j] = random.uniform(-c, c)
        vectors.append(u)
    return vectors


def numpy_batch(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    """A round robin (circle method) over the whole batch, redraws only where they are needed; k even."""
    u = rng.uniform(-1, 1, (k, n)).astype(np.float32)
    order = np.arange(k)
    for _ in range(k - 1):
        first, second = order[: k // 2], order[: k // 2 - 1 : -1]
        kept, redrawn = (first, second) if rng.random() < 0.5 else (second, first)
        bound = 1 - np.square(u[kept])
        rows, columns = np.nonzero(np.square(u[redrawn]) > bound)
        u[redrawn[rows], columns] = np.sqrt(bound[rows, columns]) * rng.uniform(-1, 1, len(rows))
        order[1:] = np.roll(order[1:], 1)
    return u.T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--components", type=int, default=256)
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    k, n = options.components, options.vectors

    print(machine())
    pca = jl.PCA(jnp.zeros(k), jnp.eye(k), jnp.ones(k), jnp.full(k, 1 / k))
    sampler = jl.PairwiseSampler(pca, jl.EllipseBody(jnp.ones(k)))
    key, rng = jax.random.key(0), np.random.default_rng(0)
    counts = {
        "jaxlatent": n,
        "jaxlatent, latent frame": n,
        "NumPy, batch of 10,000": 10_000,
        "Python loop": 20,
    }
    times = alternate(
        {
            "jaxlatent": lambda: sampler.sample_components(key, n),
            "jaxlatent, latent frame": lambda: sampler.sample(key, n),
            "NumPy, batch of 10,000": lambda: numpy_batch(rng, 10_000, k + k % 2),
            "Python loop": lambda: python_loop(20, k),
        },
        options.rounds,
    )
    report(times, "jaxlatent", counts=counts, unit="vectors/s")


if __name__ == "__main__":
    main()
