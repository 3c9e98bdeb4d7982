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
from constructed import samplers


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
