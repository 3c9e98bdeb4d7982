"""The pairwise sampler in its plain form and with the kernel, by `JAXLATENT_KERNELS`: speed and bits.

Each form runs in a process of its own; a form that fails costs only itself.
"""

import hashlib
import os
import re
import subprocess
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from constructed import LEVEL, frame

import jaxlatent as jl
from gpu.device import bandwidth
from gpu.rows import SCRATCH, Contestant, Row, arguments, compare, emit, environment, one_line, python
from jaxlatent.sampling.words import seed_words

FORMS = {0: "plain form", 1: "kernel"}
TILE = 16_384
SECONDS = 24  # of each form at most


def program(sampler: jl.Sampler, key: jax.Array) -> str:
    """What draws a tile, before it is compiled."""
    draw = jax.jit(lambda sampler, seed, index: sampler._draw(seed, index))
    return draw.lower(sampler, seed_words(key), jnp.arange(TILE, dtype=jnp.uint32)).as_text()


def measure(form: int, d: int, copied: float, small: bool, scratch: Path) -> None:
    """Emits the speed at one dimension; leaves some components, and the program's digest."""
    key = jax.random.key(0)
    sampler = jl.PairwiseSampler(frame(d, d), jl.EllipseBody(jnp.full(d, LEVEL, jnp.float32)))
    text = program(sampler, key)
    few = np.asarray(sampler.sample_components(key, 300 if small else 20_000))
    np.savez(scratch / f"{form}-{d}.npz", y=few, program=hashlib.sha256(text.encode()).hexdigest())
    n = 500 if small else 1_000_000 if d < 1000 else 131_072
    calls = ", ".join(sorted(set(re.findall(r"custom_call @(\S+?)\(", text)))) or "none"
    note = f"{n:,} vectors; custom calls: {calls}"
    contestant = Contestant(partial(sampler.sample_components, key, n), n, note)

    def share(rate: float) -> str:
        return f"{rate * d * 4 / copied:.1%} of the memory's {copied / 1e12:.2f} TB/s"

    rounds = 2 if small else 5
    compare({f"{FORMS[form]}, d = {d}": contestant}, "vectors/s", rounds, extra=share)


def same_bits(scratch: Path) -> None:
    """Compares what the two forms left."""
    for plain in sorted(scratch.glob("0-*.npz"), key=lambda path: int(path.stem[2:])):
        other = plain.with_name(f"1{plain.name[1:]}")
        if not other.exists():
            continue
        with np.load(plain) as a, np.load(other) as b:
            differ = float((a["y"] != b["y"]).mean())
            note = f"largest difference {np.abs(a['y'] - b['y']).max():.1e}"
            if a["program"] == b["program"]:
                note += "; both forms are the same program: there is no kernel for this"
        title = f"numbers that differ between the forms, d = {plain.stem[2:]}"
        emit(Row(title, differ, "of all", passed=differ == 0, note=note))


def main() -> None:
    options = arguments(__doc__, form=-1)
    small = ["--small"] if options.small else []
    scratch = Path(os.environ[SCRATCH])
    if options.form >= 0:
        copied = bandwidth(options.small)
        for d in (130,) if options.small else (64, 256, 1024):
            try:
                measure(options.form, d, copied, options.small, scratch)
            except Exception as error:
                emit(Row(f"{FORMS[options.form]}, d = {d}", note=f"failed: {one_line(error)}"))
        return
    for form, name in FORMS.items():
        command = python("pairwise_kernel", "--form", str(form), *small)
        try:
            subprocess.run(
                command,
                env=environment(JAXLATENT_KERNELS=str(form)),
                check=True,
                capture_output=True,
                text=True,
                timeout=None if options.small else SECONDS,
            )
        except subprocess.CalledProcessError as error:
            emit(Row(name, note=f"failed: {error.stderr.strip().splitlines()[-1][:300]}"))
        except subprocess.TimeoutExpired:
            emit(Row(name, note=f"cut off after {SECONDS} s"))
    same_bits(scratch)


if __name__ == "__main__":
    main()
