"""A folder that is being filled with shards: opened, resumed, locked, written, recorded."""

import errno
import json
import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib.metadata import version
from itertools import count, takewhile
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np

from jaxlatent import processes
from jaxlatent._files import LOCK, lock, remove_temporaries
from jaxlatent._progress import progress_bar
from jaxlatent._signals import stop_on_signal
from jaxlatent.generation.formats import Format, Layout, Shard
from jaxlatent.generation.manifest import LOGS, MANIFEST, Log, Manifest, Record, read_manifest

log = logging.getLogger(__name__)

#: Consecutive records of a shard: the shard, the index of the first, and the arrays; "tries" among them says
#: how often each was drawn, where that is not once.
Part = tuple[Shard, int, dict[str, np.ndarray]]

_LIBRARIES = ("jaxlatent", "jax", "jaxlib", "numpy", "pillow")
# Shards that are written at a time; more wait in memory until one of them is done.
_WRITERS = 2


class Job:
    """Fills a folder with the shards of a layout; a context manager.

    With several processes each writes every so many-th of the shards that are lacking, and the first one
    keeps the manifest. All have to see the same folder.

    Args:
        folder: made if absent.
        asked: what determines the records, for JSON; a folder of other records is refused.
        layout: how they are divided.
        store: makes the format that writes them; it refuses a layout that it cannot hold.
        origin: kept in the manifest beside that, and not compared.
        force: set a folder of other records aside, under another name, instead of refusing it.

    Raises:
        OSError: if the folder cannot be written.
        ValueError: if it holds other things or other records, or another job is writing to it.
        RuntimeError: if another process of this job failed.
    """

    def __init__(
        self,
        folder: Path,
        asked: Mapping[str, Any],
        layout: Layout,
        store: Callable[[Path, Layout], Format],
        *,
        origin: Mapping[str, Any] | None = None,
        force: bool = False,
    ):
        self.folder = folder
        self._asked = json.loads(json.dumps(asked))
        self._layout = layout
        self._format = store(folder, layout)
        self._origin = origin or {}
        self._force = force
        self._first = jax.process_index() == 0
        self._open = ExitStack()

    def __enter__(self) -> "Job":
        with ExitStack() as stack:
            with processes.together("opening the folder"):
                if self._first:
                    self._prepare(stack)
            with processes.together("reading the manifest"):
                self._read()
            self._log = stack.enter_context(closing(Log(self.folder, jax.process_index())))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def _prepare(self, stack: ExitStack) -> None:
        """Locks the folder and brings its manifest up to date."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(lock(self.folder))
        remove_temporaries(self.folder)
        if (self.folder / MANIFEST).exists():
            manifest = read_manifest(self.folder)
            if (reason := self._difference(manifest)) is None:
                manifest.with_logs(self.folder).write(self.folder)
                return
            if not self._force:
                raise ValueError(
                    f"{self.folder}: {reason}; ask for the same, choose another folder, or set this one "
                    "aside (force, --force)"
                )
            names = (self.folder.with_name(f"{self.folder.name}.old-{i}") for i in count(1))
            aside = next(path for path in names if not path.exists())
            self.folder.rename(aside)
            log.warning("%s: %s; the old folder is now %s", self.folder, reason, aside)
            self.folder.mkdir()
            stack.enter_context(lock(self.folder))
        others = sorted({path.name for path in self.folder.iterdir()} - {LOCK, LOGS})
        if others:
            raise ValueError(
                f"{self.folder}: holds other things ({others[0]}); choose an empty folder or a new one"
            )
        versions = {name: version(name) for name in _LIBRARIES}
        Manifest(self._asked, self._layout, versions, self._origin).write(self.folder)

    def _read(self) -> None:
        manifest = read_manifest(self.folder)
        if reason := self._difference(manifest):
            raise ValueError(f"{self.folder}: {reason}; start all processes with the same arguments")
        self.manifest = manifest

    def _difference(self, manifest: Manifest) -> str | None:
        """What a manifest's records were made with that is not asked now."""
        kept = {**manifest.asked, **_layout_to_json(manifest.layout)}
        asked = {**self._asked, **_layout_to_json(self._layout)}
        for name in [*asked, *kept]:
            if kept.get(name) != asked.get(name):
                return f"its {name} was {_short(kept.get(name))}, now it is {_short(asked.get(name))}"
        return None

    @property
    def pending(self) -> list[Shard]:
        """The shards that this process has to write."""
        lacking = [n for n in range(self._layout.n_shards) if n not in self.manifest.shards]
        mine = lacking[jax.process_index() :: jax.process_count()]
        return [self._layout.shard(number) for number in mine]

    def run(
        self, compute: Callable[[Iterable[Shard]], Iterator[Part]], unit: str, *, progress: bool = False
    ) -> Manifest:
        """Computes and writes what is lacking.

        A first SIGINT or SIGTERM lets the shards that have been begun be finished, a second one does not.

        Args:
            compute: gives the records of shards, in their order.
            unit: what the records are, for the progress bar.
            progress: show a bar where standard error is a terminal.

        Returns:
            The manifest, complete.

        Raises:
            OSError: if a shard cannot be written; those before it are kept.
            KeyboardInterrupt: after SIGINT; SystemExit after SIGTERM.
            RuntimeError: if another process of this job failed.
        """
        pending = self.pending
        if pending or not self.manifest.complete:
            with stop_on_signal() as stopped:
                undisturbed = takewhile(lambda _: not stopped(), pending)
                done = self._write(compute(undisturbed), pending, unit, progress and self._first)
                number = stopped()
            if number and done < len(pending):
                self._log.write("stopped", signal=number)
                log.info("stopped after %d of %d shards; the same again goes on", done, len(pending))
                raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
            processes.agree(None, "writing the shards")
            with processes.together("finishing"):
                if self._first:
                    self._finish()
        return read_manifest(self.folder)

    def _write(self, parts: Iterator[Part], pending: list[Shard], unit: str, progress: bool) -> int:
        """Gathers parts to shards and writes them; the number of shards written."""
        total, started = sum(shard.count for shard in pending), time.monotonic()
        self._log.write("start", shards=len(pending), records=total, process_count=jax.process_count())
        already = self._layout.n - total if jax.process_count() == 1 else 0
        computed = done = 0
        writing: deque[Future[None]] = deque()
        with (
            progress_bar("generate", already + total, unit, enabled=progress, initial=already) as advance,
            ThreadPoolExecutor(_WRITERS) as pool,
        ):
            arrays: dict[str, np.ndarray] = {}
            drawn = 0
            for shard, first, part in parts:
                tries = part.pop("tries", None)
                if not arrays:
                    arrays = {k: np.empty((shard.count, *v.shape[1:]), v.dtype) for k, v in part.items()}
                for name, values in part.items():
                    arrays[name][first - shard.start :][: len(values)] = values
                size = len(values)
                computed += size
                drawn += size if tries is None else int(tries.sum())
                if first + size == shard.stop:
                    while len(writing) > _WRITERS or (writing and writing[0].done()):
                        writing.popleft().result()
                        done += 1
                    rate = computed / (time.monotonic() - started)
                    left = (total - computed) / rate
                    writing.append(pool.submit(self._write_shard, shard, arrays, drawn, rate, left))
                    arrays, drawn = {}, 0
                advance(size, f"{done} of {len(pending)} shards written")
            for future in writing:
                future.result()
                done += 1
        return done

    def _write_shard(
        self, shard: Shard, arrays: dict[str, np.ndarray], drawn: int, rate: float, left: float
    ) -> None:
        try:
            files = self._format.write(shard, arrays)
            self._log.shard(Record(shard, files, drawn), per_second=round(rate, 1), seconds_left=round(left))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OSError(
                    error.errno,
                    f"{error.strerror}; what is finished is kept: free some space and ask for the same again",
                    str(self.folder),
                ) from error
            raise

    def _finish(self) -> None:
        manifest = read_manifest(self.folder).with_logs(self.folder)
        lacking = self._layout.n_shards - len(manifest.shards)
        if lacking:
            raise ValueError(f"{self.folder}: the logs lack {lacking} shards; ask for the same again")
        replace(manifest, files=self._format.finish(), complete=True).write(self.folder)
        self._log.write("complete", acceptance=manifest.acceptance)


def _short(value: Any) -> Any:
    """An identity as a person tells it from others: "PairwiseSampler 9d8fec3f"."""
    if isinstance(value, dict) and "sha256" in value:
        parts = [value["name"].rpartition(".")[2], (value["sha256"] or "")[:8], value.get("id")]
        return " ".join(filter(None, parts))
    return value


def _layout_to_json(layout: Layout) -> dict[str, Any]:
    items = {name: (str(item.dtype), *item.shape) for name, item in layout.items.items()}
    return {"number of records": layout.n, "shard size": layout.shard_size, "content": items}
