"""The command and its terminal: where the log of a run folder goes, and how the command is typed."""

import logging
import os
import shutil
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxlatent.run import Run

_warnings = ExitStack()


def open_run(folder: Path, data: str | None = None) -> "Run":
    """Opens the folder and sends the package's log there and to standard error; notes where the data are."""
    # Here, as the command's help does without JAX.
    from jaxlatent._backend import start_backend
    from jaxlatent.run import Run

    start_backend()
    open_log(folder / "log.txt")
    run = Run(folder, progress=True)
    if data is not None:
        run.moved_to(data)
    return run


class _LogFile(logging.FileHandler):
    """A log that can be lacking: of a folder that may only be read, or a disk that is full."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            logging.getLogger("jaxlatent").removeHandler(self)


def open_log(path: Path | None = None) -> None:
    """Sends the package's log to standard error, and to a file where one is given."""
    close_log()
    logger = logging.getLogger("jaxlatent")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a library below has set up the root logger
    console = logging.StreamHandler()
    console.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(console)
    if path is not None:
        file = _LogFile(path, encoding="utf-8", delay=True)
        file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.addHandler(file)
    # In this context until `close_log`, as a notebook that runs the command goes on after it.
    _warnings.enter_context(warnings.catch_warnings())
    warnings.showwarning = lambda message, *_, **__: logger.warning("warning: %s", message)


def typed() -> str:
    """This command as one can type it here: no shell searches an environment that is not active."""
    script = Path(sys.argv[0])
    found = shutil.which("jaxlatent")
    is_elsewhere = script.stem == "jaxlatent" and script.exists() and not (found and script.samefile(found))
    return os.path.relpath(script) if is_elsewhere else "jaxlatent"


def close_log() -> None:
    """Takes the handlers of `open_log` away again."""
    _warnings.close()
    logger = logging.getLogger("jaxlatent")
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)
