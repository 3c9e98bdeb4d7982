"""The analysis of a latent space: seconds of each part.

python benchmarks/analysis.py [--vectors 170000] [--dim 256]
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import machine

from jaxlatent.latent.contours import contour_fits
from jaxlatent.latent.core import robust_core
from jaxlatent.latent.coverage import coverage_curves
from jaxlatent.latent.distribution import number_distribution
from jaxlatent.latent.normality import component_tests, mardia, radius_law
from jaxlatent.latent.spectrum import correlation, spectrum


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=170_000)
    parser.add_argument("--dim", type=int, default=256)
    options = parser.parse_args()
    n, d = options.vectors, options.dim
    z = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
    counts = sorted({min(k, d) for k in (50, 105, d)})
    parts: dict[str, Callable[[], Any]] = {
        "number distributions": lambda: number_distribution(z),
        "spectrum": lambda: spectrum(z),
        "correlation": lambda: correlation(z),
        "contours of a plane": lambda: contour_fits(z[:, :2]),
        "robust core": lambda: robust_core(z),
        "Mardia, 20,000 points": lambda: mardia(z),
        "component tests, 20,000 points": lambda: component_tests(z),
        "radii": lambda: radius_law(z),
        "coverage, 81 levels": lambda: coverage_curves(
            z, np.ones(d, np.float32), np.linspace(1, 5, 81), counts
        ),
    }
    print(machine())
    print(f"# {n:,} x {d}, with compilation")
    total = 0.0
    for name, run in parts.items():
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        total += seconds
        print(f"{name:32s} {seconds:6.2f} s")
    print(f"{'all':32s} {total:6.2f} s")


if __name__ == "__main__":
    main()
