"""Draws the figures of docs/ellipse-body.md: python scripts/figures_body.py [--out docs/figures]."""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxlatent as jl
from jaxlatent.report.plots.figure import BLUE, GREEN, ORANGE, VERMILION, save_figure
from jaxlatent.sampling.tables.densities import UniformDensity
from jaxlatent.sampling.tables.largest import largest_angle

COLOURS = (BLUE, VERMILION, GREEN, ORANGE)
KEY = jax.random.key(0)


def samplers(k: int) -> tuple[jl.PairwiseSampler, jl.ExactSampler]:
    """Both samplers of the same body, semi-axes 1."""
    pca = jl.PCA(jnp.zeros(k), jnp.eye(k), jnp.ones(k), jnp.full(k, 1 / k))
    body = jl.EllipseBody(jnp.ones(k))
    return jl.PairwiseSampler(pca, body), jl.ExactSampler(pca, body)


def drawn_in_order(n: int, k: int) -> np.ndarray:
    """Component after component, each uniform within what those before it leave."""
    rng = np.random.default_rng(0)
    u = np.zeros((n, k))
    largest = np.zeros(n)
    for j in range(k):
        u[:, j] = rng.uniform(-1, 1, n) * np.sqrt(1 - largest)
        largest = np.maximum(largest, u[:, j] ** 2)
    return u


def figure_body() -> Figure:
    """What the body looks like: two components, three, and the density of a plane of many."""
    figure = Figure(layout="constrained", figsize=(11, 4.4))
    flat = figure.add_subplot(131)
    angle = np.linspace(0, 2 * np.pi, 401)
    points = np.asarray(samplers(2)[1].sample_components(KEY, 1500))
    flat.scatter(points[:, 0], points[:, 1], s=3, color=COLOURS[0], alpha=0.4, linewidth=0)
    flat.plot(np.cos(angle), np.sin(angle), color="black")
    flat.set_title("k = 2: the ellipse")
    solid = figure.add_subplot(132, projection="3d")
    direction = np.stack(
        [
            np.outer(np.cos(angle), np.sin(angle[:201])),
            np.outer(np.sin(angle), np.sin(angle[:201])),
            np.outer(np.ones(401), np.cos(angle[:201])),
        ]
    )
    gauge = jl.EllipseBody(jnp.ones(3)).gauge(direction.reshape(3, -1).T.astype(np.float32))
    surface = direction / np.asarray(gauge).reshape(direction.shape[1:])
    solid.plot_surface(*surface, color="#8CB8DD", rcount=200, ccount=200, linewidth=0)
    solid.set_box_aspect((1, 1, 1))
    solid.set_title("k = 3: three cylinders cut")
    many = figure.add_subplot(133)
    points = np.asarray(samplers(256)[1].sample_components(KEY, 3000))[:, :2]
    many.scatter(points[:, 0], points[:, 1], s=3, color=COLOURS[0], alpha=0.4, linewidth=0)
    many.plot(np.cos(angle), np.sin(angle), color="black", label="the pair's ellipse")
    side = np.sqrt(0.5) * np.array([-1, 1, 1, -1, -1])
    many.plot(side, np.roll(side, 1)[[0, 1, 2, 3, 0]], color=COLOURS[1], label="|u| = 1/√2")
    many.set_title("k = 256: two of the components")
    many.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=8, frameon=False)
    for axes in (flat, many):
        axes.set(xlabel="u₁", ylabel="u₂", aspect="equal", xlim=(-1.1, 1.1), ylim=(-1.1, 1.1))
    solid.set(xlabel="u₁", ylabel="u₂", zlabel="u₃")
    return figure


def figure_largest() -> Figure:
    """The law of the largest component: the exact density, and both samplers' histograms."""
    figure = Figure(layout="constrained", figsize=(11, 3.2))
    for axes, k in zip(figure.subplots(1, 3), (3, 16, 256), strict=True):
        cells = largest_angle(UniformDensity(k))
        there = cells.width > 0
        start, mass = np.sin(cells.start[there]), cells.mass[there].sum(axis=1)
        width = np.sin((cells.start + cells.width)[there]) - start
        for sampler, colour, name in zip(
            samplers(k), COLOURS[1::-1], ("PairwiseSampler", "ExactSampler"), strict=True
        ):
            largest = np.abs(np.asarray(sampler.sample_components(KEY, 100_000))).max(axis=1)
            axes.hist(largest, 120, density=True, histtype="stepfilled", alpha=0.4, color=colour, label=name)
        axes.plot(start + width / 2, mass / width, color="black", lw=1, label="exact p(m)")
        axes.axvline(np.sqrt(0.5), color="grey", lw=0.8, ls=":")
        axes.set(title=f"k = {k}", xlabel="largest |u|", ylabel="density")
    axes.set_xlim(0.64, 0.8)
    axes.legend(fontsize=8)
    return figure


def figure_order() -> Figure:
    """Drawing one component after the other favours the first; the samplers treat all alike."""
    n, k = 100_000, 64
    figure = Figure(layout="constrained", figsize=(11, 3.4))
    left, right = figure.subplots(1, 2)
    pairwise, exact = samplers(k)
    drawn = {
        "one after the other": drawn_in_order(n, k),
        "PairwiseSampler": np.asarray(pairwise.sample_components(KEY, n)),
        "ExactSampler": np.asarray(exact.sample_components(KEY, n)),
    }
    for (name, u), colour in zip(drawn.items(), (COLOURS[2], COLOURS[1], COLOURS[0]), strict=True):
        left.plot(np.arange(1, k + 1), u.std(axis=0), color=colour, label=name)
        order = np.argsort(np.abs(u[:, 0]))
        others = np.abs(u[order, 1:]).mean(axis=1).reshape(50, -1).mean(axis=1)
        right.plot(np.abs(u[order, 0]).reshape(50, -1).mean(axis=1), others, color=colour, label=name)
    left.set(xlabel="component, in the order drawn", ylabel="standard deviation, semi-axes", ylim=0)
    right.set(xlabel="|u₁|", ylabel="mean |u| of the others", ylim=0)
    left.legend(fontsize=8)
    return figure


def figure_limits() -> Figure:
    """The box limit, and why rejection is hopeless."""
    figure = Figure(layout="constrained", figsize=(11, 3.4))
    left, right = figure.subplots(1, 2)
    counts = np.unique(np.geomspace(2, 2000, 60).astype(int))
    deviation = [jl.EllipseBody(jnp.ones(int(k))).uniform_deviation() for k in counts]
    left.semilogx(counts, deviation, color=COLOURS[0], label="uniform on the body")
    left.axhline(6**-0.5, color="black", ls=":", label="box |u| ≤ 1/√2: 1/√6 = 0.408")
    left.set(xlabel="components k", ylabel="standard deviation of u, semi-axes")
    left.legend(fontsize=8)
    levels = np.linspace(1.2, 6, 60)
    for k, colour in zip((10, 50, 105, 256), COLOURS, strict=True):
        masses = [jl.EllipseBody(jnp.full(k, x)).log_mass(np.ones(k)) / np.log(10) for x in levels]
        right.plot(levels, masses, color=colour, label=f"k = {k}")
    right.axvline(2.3548, color="grey", lw=0.8, ls=":")
    right.text(2.42, -28, "FWHM, 2.3548 σ", fontsize=8, color="0.3")
    right.set(
        xlabel="semi-axes, standard deviations", ylabel="log₁₀ of the Gaussian's mass inside", ylim=(-30, 1)
    )
    right.legend(fontsize=8)
    return figure


def main() -> None:
    """Writes all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/figures"), help="folder of the figures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for draw in (figure_body, figure_largest, figure_order, figure_limits):
        path = out / f"{draw.__name__.removeprefix('figure_')}.png"
        save_figure(draw(), path)
        print(path)


if __name__ == "__main__":
    main()
