"""The law of the pairwise sampler against the method taken literally: five statistics for each k.

    python benchmarks/pairwise_law.py [--samples 400000] [--components 2 3 4 ...] [--orders round_robin]
    python benchmarks/pairwise_law.py --reference tests/sampling/literal.json

The reference is plain NumPy: every pair once, in an order of its own for every vector, see
tests/sampling/literal.py. Its means and standard errors are in literal.json beside it; the second form
measures them anew, which takes some minutes. All semi-axes are 1. z is the difference in standard errors, of
both sides together.
"""

import argparse
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from common import machine

import jaxlatent as jl

TESTS = Path(__file__).parents[1] / "tests" / "sampling"
# Vectors of the reference for each k.
REFERENCE = dict.fromkeys((2, 3, 4, 5, 7, 8, 12, 16), 4_000_000)
REFERENCE |= {24: 2_000_000, 33: 1_500_000, 64: 600_000, 105: 300_000, 256: 80_000}
BLOCK = 65_536


def literal_module() -> Any:
    """tests/sampling/literal.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("literal", TESTS / "literal.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def means_and_errors(draw: Callable[[int, int], np.ndarray], n: int) -> dict[str, tuple[float, float]]:
    """Mean and standard error of each statistic over n vectors, of which draw(begin, count) makes some."""
    sums: dict[str, np.ndarray] = {}
    for begin in range(0, n, BLOCK):
        for name, values in literal_module().statistics(draw(begin, min(BLOCK, n - begin))).items():
            sums[name] = sums.get(name, 0) + np.array([values.sum(), np.square(values).sum()])
    moments = {name: total / n for name, total in sums.items()}
    return {name: (float(m), float(np.sqrt((s - m * m) / n))) for name, (m, s) in moments.items()}


def reference(k: int) -> dict[str, tuple[float, float]]:
    """The literal method's statistics."""
    rng = np.random.default_rng([k, 1])
    return means_and_errors(lambda _, n: literal_module().literal_pairwise(rng, n, k), REFERENCE[k])


def sampled(k: int, order: str, n: int) -> dict[str, tuple[float, float]]:
    """The sampler's statistics."""
    pca = jl.PCA(jnp.zeros(k), jnp.eye(k), jnp.ones(k), jnp.full(k, 1 / k))
    sampler = jl.PairwiseSampler(pca, jl.EllipseBody(jnp.ones(k)), order)  # type: ignore[arg-type]
    key = jax.random.key(k)
    return means_and_errors(
        lambda begin, n: np.asarray(sampler.sample_components(key, n, start=begin), np.float64), n
    )


class Deviation(NamedTuple):
    """The mean of a statistic beside that of the literal method, and the difference in standard errors."""

    mean: float
    expected: float
    z: float


def deviations(k: int, order: str, n: int) -> dict[str, Deviation]:
    """How far n vectors of the sampler are from the stored reference, by statistic."""
    stored = json.loads((TESTS / "literal.json").read_text())[str(k)]["means"]
    found = {}
    for name, (mean, error) in sampled(k, order, n).items():
        expected, uncertainty = stored[name]
        found[name] = Deviation(
            mean, expected, (mean - expected) / max(float(np.hypot(error, uncertainty)), 1 / n)
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=400_000, help="vectors of the sampler for each k")
    parser.add_argument("--components", type=int, nargs="+", default=list(REFERENCE), choices=list(REFERENCE))
    parser.add_argument(
        "--orders", nargs="+", default=["round_robin"], choices=["round_robin", "permutation"]
    )
    parser.add_argument("--reference", type=Path, help="measure the literal method into this file, and stop")
    options = parser.parse_args()
    if options.reference:
        results = {k: {"vectors": REFERENCE[k], "means": reference(k)} for k in options.components}
        options.reference.write_text(json.dumps(results, indent=1) + "\n")
        return

    print(machine())
    print("| k | order | statistic | sampler | literal | deviation | z |\n|---|---|---|---|---|---|---|")
    for k in options.components:
        for order in options.orders:
            for name, each in deviations(k, order, options.samples).items():
                # At k = 256, a component above 0.9 is one of a million.
                relative = (each.mean - each.expected) / each.expected if each.expected else 0.0
                print(
                    f"| {k} | {order} | {name} | {each.mean:.5f} | {each.expected:.5f} | {relative:+.2%} "
                    f"| {each.z:+.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
