"""What the benchmark scripts share: alternating rounds, and how their times are printed."""

import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxlatent._cores import cores


def machine() -> str:
    """One line that names the hardware and the versions the figures belong to."""
    cpu = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open() as file:
            cpu = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    device = jax.devices()[0]
    accelerator = "" if device.platform == "cpu" else f", {device.device_kind}"
    return f"# {cpu}, {cores()} cores{accelerator}; Python {platform.python_version()}, jax {jax.__version__}"


def alternate(
    contestants: Mapping[str, Callable[[], Any]], rounds: int, *, warm: bool = False
) -> dict[str, np.ndarray]:
    """Seconds of each contestant in each round, after one round to warm up; all take turns.

    A contestant's result is waited for, so that asynchronous dispatch is no advantage. Those that have run
    before are `warm`.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(int(warm), rounds + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: np.array(seconds) for name, seconds in times.items()}


def report(
    times: Mapping[str, np.ndarray],
    reference: str,
    *,
    counts: Mapping[str, int] | None = None,
    unit: str = "s",
) -> None:
    """Prints the median of each with its quartiles, and its ratio to the reference, round by round.

    With `counts`, items a second (`unit`) instead of seconds; a ratio above 1 always means that the
    reference is the faster one.
    """

    def per_item(name: str) -> np.ndarray:
        return times[name] / counts[name] if counts else times[name]

    for name in times:
        figures = 1 / per_item(name) if counts else per_item(name)
        low, middle, high = np.percentile(figures, [25, 50, 75])
        line = f"{name:34s} {middle:12,.4g} {unit} (quartiles {low:,.4g} to {high:,.4g})"
        if name != reference:
            ratio = np.percentile(per_item(name) / per_item(reference), [25, 50, 75])
            line += f"   {reference} is {ratio[1]:.3g} times as fast ({ratio[0]:.3g} to {ratio[2]:.3g})"
        print(line)
