"""One progress bar for all long work, on standard error, silent where that is not a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _RateColumn(ProgressColumn):
    def __init__(self, unit: str):
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self._unit}/s", style="cyan")


@contextmanager
def progress_bar(
    description: str, total: int, unit: str, *, enabled: bool = True, initial: int = 0
) -> Iterator[Callable[..., None]]:
    """Shows a bar with the rate in `unit`/s and the time left.

    Yields:
        A function `advance(count, note="")`: `count` further units are done; `note` is shown at the end
        of the line, a loss for instance.
    """
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not (enabled and console.is_terminal),
    ) as progress:
        task = progress.add_task(description, total=total, completed=initial, note="")

        def advance(count: int, note: str = "") -> None:
            if note:
                progress.update(task, advance=count, note=note)
            else:
                progress.update(task, advance=count)

        yield advance


class Speed:
    """Tells once, after the first seconds, how many units a second are done.

    Args:
        tell: called with it.
        after: seconds to measure; they begin with the first units that are done, so that what was compiled
            for these does not count.
    """

    def __init__(self, tell: Callable[[float], None], after: float = 5.0):
        self._tell, self._after = tell, after
        self._begun: tuple[float, int] | None = None
        self._told = False

    def note(self, done: int) -> None:
        """So many units are done in all."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = now, done
        elif not self._told and now - self._begun[0] >= self._after:
            self._told = True
            self._tell((done - self._begun[1]) / (now - self._begun[0]))


def in_words(seconds: float) -> str:
    """A length of time as a person would say it."""
    minutes = seconds / 60
    if minutes < 1.5:
        return f"{max(round(seconds / 10), 1) * 10} seconds"
    return f"{round(minutes)} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
