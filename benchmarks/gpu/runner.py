"""Runs sections, each a process of its own with a limit of time; what it has found by then is kept."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu.rows import ROWS, SCRATCH

LINES = 20  # of what a failed section printed


@dataclass(frozen=True)
class Section:
    """What is run as a whole.

    Attributes:
        name: short, unique.
        title: what it is about.
        command: the process.
        seconds: it may take; what those before it did not use is added.
        checks: whether the run fails if this does not come to its end.
    """

    name: str
    title: str
    command: Sequence[str]
    seconds: float
    checks: bool = False


@dataclass
class Result:
    """What came of a section.

    Attributes:
        name: of the section.
        title: of it.
        status: "waiting", "done", or what went wrong, in a line.
        seconds: it took.
        rows: as `gpu.rows.Row` has them.
        log: the last lines of what it printed, if it failed.
        failed: whether it stands in the way of a good end.
    """

    name: str
    title: str
    status: str = "waiting"
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    failed: bool = False


def run_sections(
    groups: Sequence[Sequence[Section]],
    write: Callable[[Sequence[Result]], None],
    *,
    workers: int | None = None,
    settings: Mapping[str, str] | None = None,
) -> list[Result]:
    """Runs groups of sections one after the other, those of a group at once.

    Args:
        groups: of sections; a group's time is that of its longest.
        write: called with all results after each section, by one thread at a time.
        workers: how many processes run at once; as many as a group has where not given.
        settings: further environment variables of the processes.

    Returns:
        A result for each section, in their order.
    """
    results = {section.name: Result(section.name, section.title) for group in groups for section in group}
    deadline = time.monotonic()
    for group in groups:
        # With fewer workers than sections, they take turns.
        turns = -(-len(group) // (workers or len(group)))
        deadline += turns * max(section.seconds for section in group)
        with ThreadPoolExecutor(workers or len(group)) as pool:
            pending = [pool.submit(_run, section, deadline, settings or {}) for section in group]
            for future in pending:
                result = future.result()
                results[result.name] = result
                write(list(results.values()))
    return list(results.values())


def _run(section: Section, deadline: float, settings: Mapping[str, str]) -> Result:
    start = time.monotonic()
    result = Result(section.name, section.title)
    with tempfile.TemporaryDirectory() as folder:
        rows, log = Path(folder) / "rows.jsonl", Path(folder) / "log.txt"
        variables = {**os.environ, **settings, ROWS: str(rows), SCRATCH: folder}
        with log.open("w") as file:
            # A group of its own, so that what it starts ends with it.
            process = subprocess.Popen(
                section.command, env=variables, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code = process.wait(max(0.0, deadline - start))
                result.status = "done" if code == 0 else f"failed with exit status {code}"
            except subprocess.TimeoutExpired:
                code = None
                result.status = f"cut off after {deadline - start:.0f} s"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        result.seconds = time.monotonic() - start
        if rows.exists():
            # The last line may be half a line of a section that was cut off.
            result.rows = [
                json.loads(line) for line in rows.read_text().splitlines(True) if line.endswith("\n")
            ]
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if code != 0:
        result.log = lines[-LINES:]
        if code is not None and lines:
            result.status = f"failed: {lines[-1].strip()[:300]}"
    if code == 0 and not result.rows:
        result.status = "failed: it found nothing"
    is_wrong = any(row["passed"] is False for row in result.rows)
    result.failed = is_wrong or (section.checks and result.status != "done")
    return result
