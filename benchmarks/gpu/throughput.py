"""Vectors a second of every sampler at one dimension, beside the generator and the memory's bandwidth."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
from constructed import further_samplers, samplers

import jaxlatent as jl
from gpu.device import bandwidth
from gpu.rows import Contestant, Row, arguments, compare, emit, one_line

FEW = 16_384  # to warm up with
SECONDS = 0.25  # of a round at most, if fewer vectors than wanted are enough for that
SWEEPS = 16
GENERATOR = "jax.random.uniform alone"


def main() -> None:
    options = arguments(__doc__, dim=256, vectors=1_000_000)
    d, most = options.dim, options.vectors
    if options.small:
        d, most = 6, 1000
    few = min(FEW, most)
    key, copied = jax.random.key(0), bandwidth(options.small)
    title = f"d = {d}: "
    emit(Row(title + "copy within the memory", copied / 1e12, "TB/s", note="read and written"))

    def share(rate: float) -> str:
        return f"{rate * d * 4 / copied:.1%} of the bandwidth"

    def prepared(make: Callable[[], jl.Sampler]) -> jl.Sampler | str:
        try:
            sampler = make()
            jax.block_until_ready(sampler.sample(key, few))
        except Exception as error:
            return one_line(error)
        return sampler

    # A full chain of many coordinates takes as long as all else together.
    sweeps = None if d <= 256 else SWEEPS
    makers = samplers(d, d) | further_samplers(d, sweeps)
    if options.small:
        makers = {name: makers[name] for name in ("Exact, uniform", "Box", "Tilted, uniform")}
    # Side by side, as it is compiling that takes the time.
    with ThreadPoolExecutor(8) as pool:
        made = dict(zip(makers, pool.map(prepared, makers.values()), strict=True))
    generate = jax.jit(lambda key, n: jax.random.uniform(key, (n, d)), static_argnums=1)
    known: set[int] = set()
    for name, sampler in made.items():
        if isinstance(sampler, str):
            emit(Row(title + name, note=f"failed: {sampler}"))
            continue
        start = time.perf_counter()
        jax.block_until_ready(sampler.sample(key, few))
        seconds = time.perf_counter() - start
        note = f", {sampler.sweeps} sweeps" if isinstance(sampler, jl.TiltedSampler) else ""
        if seconds > 4 * SECONDS:
            emit(Row(title + name, few / seconds, "vectors/s", note=f"{few:,} vectors{note}, once"))
            continue
        # Few sizes, as each joins its tiles by a program of its own.
        n = next((n for n in (most, most // 8) if seconds * n / few < SECONDS), few)
        contestants = {
            GENERATOR: Contestant(partial(generate, key, n), n, f"{n:,} vectors"),
            name: Contestant(partial(sampler.sample, key, n), n, f"{n:,} vectors{note}"),
        }
        rounds = 2 if options.small else 5
        compare(contestants, "vectors/s", rounds, title=title, known=n in known, extra=share)
        known.add(n)


if __name__ == "__main__":
    main()
