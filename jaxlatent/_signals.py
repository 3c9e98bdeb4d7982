"""Stopping long work at a good moment."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_held() -> Iterator[None]:
    """Lets SIGINT and SIGTERM wait until the block is over, where they act as ever.

    For short work in threads and event loops of a library, which a KeyboardInterrupt would leave hanging.
    Does nothing outside the main thread, where Python has no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    previous = {each: signal.signal(each, lambda number, _: received.append(number)) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
        for number in received:
            signal.raise_signal(number)


@contextmanager
def stop_on_signal(*, enabled: bool = True) -> Iterator[Callable[[], int]]:
    """Takes the first SIGINT or SIGTERM for a request; a second one acts as ever, and at once.

    Does nothing where not enabled, and outside the main thread, where Python has no signals.

    Yields:
        A function that gives the number of the signal that came, 0 if none did.
    """
    received = 0
    previous: dict[signal.Signals, Any] = {}

    def request(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = number
        restore()

    def restore() -> None:
        for each, handler in previous.items():
            signal.signal(each, handler)

    if enabled and threading.current_thread() is threading.main_thread():
        previous = {each: signal.signal(each, request) for each in _SIGNALS}
    try:
        yield lambda: received
    finally:
        restore()
