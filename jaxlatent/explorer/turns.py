"""One piece of work at a time, and of what a tab asked for only the newest."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from typing import TypeVar

from anyio import to_thread

T = TypeVar("T")


class StaleRequestError(Exception):
    """The same tab has asked for something newer meanwhile."""


class Turns:
    """Lets one request at a time reach the model.

    A request that waits is dropped as soon as its tab sends another one of the same kind: while a slider is
    dragged, what counts is where it is now.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._newest: dict[tuple[str, str], int] = {}
        self._numbers = count()

    async def take(self, tab: str, kind: str, work: Callable[[], T]) -> T:
        """Does the work in a thread, when it is its turn.

        Raises:
            StaleRequestError: if a newer request of this tab and kind came before it was.
        """
        (answer,) = await self.take_in_parts(tab, kind, ((part(),) for part in (work,)))
        return answer

    async def take_in_parts(self, tab: str, kind: str, parts: Iterator[T | None]) -> T:
        """The same of long work: each part but the last, the answer, is None, and others go in between."""
        key, number = (tab, kind), next(self._numbers)
        if tab:
            self._newest[key] = number
        try:
            while True:
                async with self._lock:
                    if tab and self._newest.get(key) != number:
                        raise StaleRequestError
                    answer = await to_thread.run_sync(next, parts)
                if answer is not None:
                    return answer
        finally:
            if self._newest.get(key) == number:
                del self._newest[key]
