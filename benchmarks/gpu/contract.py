"""Every sampler: vector i depends on (key, i) alone, across the tiles of the device; bits beside the CPU's.

The tests of the package ask the same of few vectors, which one tile holds on an accelerator.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import numpy as np
from constructed import further_samplers, samplers

import jaxlatent as jl
from gpu.device import on_cpu, ulps
from gpu.rows import Row, arguments, emit, one_line

DIMENSION = 64
TILE = 16_384  # a multiple of all tiles of an accelerator
SWEEPS = 4  # of the chains, whose law is not looked at here


def depends_on_key_and_index(sampler: jl.Sampler, key: jax.Array, tile: int) -> str:
    """Compares bits across n, start and batch size; says where they differ, nothing if they do not."""
    n = 2 * tile + tile // 3
    reference = np.asarray(sampler.sample(key, n))
    wrong = [
        f"n = {few:,}"
        for few in (1, tile - 1, tile, tile + 1)
        if not np.array_equal(sampler.sample(key, few), reference[:few])
    ]
    wrong += [
        f"start = {start:,}"
        for start in (1, tile - 3, tile + 5)
        if not np.array_equal(sampler.sample(key, 9, start=start), reference[start : start + 9])
    ]
    for size in (tile // 2 + 1, tile + 7):
        if not np.array_equal(np.concatenate(list(sampler.batches(key, n, size))), reference):
            wrong.append(f"batches of {size:,}")
    if not np.isfinite(reference).all():
        wrong.append("numbers that are not finite")
    return ", ".join(wrong)


def beside_cpu(name: str, sampler: jl.Sampler, key: jax.Array, n: int) -> None:
    """Emits how far numbers are from the CPU's, and checks that nearly all are the same up to rounding."""
    here, there = (sampler, key), on_cpu((sampler, key))
    draws = {"components": lambda s, k: s.sample_components(k, n), "latents": lambda s, k: s.sample(k, n)}
    for what, draw in draws.items():
        a, b = (np.asarray(draw(*each)) for each in (here, there))
        apart = np.abs(a - b) / (b.std(axis=0) + np.finfo(np.float32).tiny)
        alike = float((apart < 1e-3).mean())
        steps = ulps(a, b)
        note = (
            f"99 % within {np.percentile(steps, 99):,.0f} units in the last place, all within "
            f"{steps.max():,}; at most {apart.max():.1e} deviations apart; {alike:.3%} within 0.001 of one"
        )
        row = f"{name}: {what} equal to the CPU's"
        emit(Row(row, float((steps == 0).mean()), "of all numbers", passed=alike > 0.99, note=note))


def examine(key: jax.Array, tile: int, few: int, item: tuple) -> None:
    """All of one sampler."""
    name, make = item
    try:
        sampler = make()
        wrong = depends_on_key_and_index(sampler, key, tile)
        emit(Row(f"{name}: vector i depends on (key, i) alone", passed=not wrong, note=wrong))
        beside_cpu(name, sampler, key, few)
    except Exception as error:
        emit(Row(f"{name}: drawn at all", passed=False, note=one_line(error)))


def main() -> None:
    options = arguments(__doc__)
    d = 8 if options.small else DIMENSION
    makers = samplers(d, d) | further_samplers(d, SWEEPS)
    if options.small:
        makers = {name: makers[name] for name in ("Pairwise", "Box")}
    tile, few = (128, 64) if options.small else (TILE, 4096)
    # Side by side, as most of the time goes into compiling.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(examine, jax.random.key(7), tile, few), makers.items()))


if __name__ == "__main__":
    main()
