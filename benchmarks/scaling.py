"""How the cost of a vector grows with its dimension and with how many are drawn, as a plot.

Called by `python benchmarks/samplers.py --dims "" --scaling benchmarks/scaling.svg`.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from common import alternate, machine
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

import jaxlatent as jl
from jaxlatent._progress import progress_bar

DIMS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
COUNTS = (100, 1000, 10_000, 100_000)
NUMBERS = 2**20  # in the vectors of one draw, when d varies


def contestants(d: int, n: int) -> dict[str, Callable[[], jax.Array]]:
    """Samplers in the PCA frame, on standard normal components."""
    pca = jl.PCA(jnp.zeros(d), jnp.eye(d), jnp.ones(d), jnp.full(d, 1 / d))
    body = jl.EllipseBody(jnp.full(d, 2.3548))
    key = jax.random.key(0)
    generate = jax.jit(lambda key: jax.random.uniform(key, (n, d)))
    made: dict[str, jl.Sampler] = {
        "PairwiseSampler": jl.PairwiseSampler(pca, body),
        "ExactSampler, uniform": jl.ExactSampler(pca, body),
        "ExactSampler, normal": jl.ExactSampler(pca, body, "normal"),
        "GaussianSampler": jl.GaussianSampler(pca),
    }
    runs: dict[str, Callable[[], jax.Array]] = {
        name: partial(sampler.sample_components, key, n) for name, sampler in made.items()
    }
    return runs | {"jax.random.uniform alone": lambda: generate(key)}


def draw(path: str, rounds: int) -> None:
    """Measures and writes the plot; prints the figures as well."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    FigureCanvasSVG(figure)
    by_dim, by_count = figure.subplots(1, 2)
    with progress_bar("scaling", len(DIMS) + len(COUNTS), "settings") as advance:
        for axes, settings in (
            (by_dim, [(d, max(128, NUMBERS // d)) for d in DIMS]),
            (by_count, [(256, n) for n in COUNTS]),
        ):
            curves: dict[str, list[np.ndarray]] = {}
            for d, n in settings:
                times = alternate(contestants(d, n), rounds)
                for name, seconds in times.items():
                    curves.setdefault(name, []).append(np.percentile(seconds / n * 1e6, [25, 50, 75]))
                    print(f"{name:26s} d = {d:5d}, n = {n:7,d}: {curves[name][-1][1]:10.3f} us a vector")
                advance(1, f"d = {d}, n = {n:,}")
            places = [d if axes is by_dim else n for d, n in settings]
            for (name, values), marker in zip(curves.items(), "osD^v", strict=True):
                low, middle, high = np.array(values).T
                (line,) = axes.loglog(places, middle, marker=marker, markersize=4, label=name)
                axes.fill_between(places, low, high, alpha=0.2, color=line.get_color(), linewidth=0)
            axes.grid(alpha=0.3)
    by_dim.set(xlabel="components of a vector, d", ylabel="time a vector (µs)", title="2²⁰ numbers a draw")
    by_dim.set_xticks(DIMS, [str(d) for d in DIMS], rotation=45)
    by_dim.minorticks_off()
    by_count.set(xlabel="vectors drawn, n", ylabel="time a vector (µs)", title="256 components")
    by_dim.legend(frameon=False)
    figure.suptitle(machine().lstrip("# "), fontsize=9)
    figure.savefig(path, metadata={"Date": None})
