"""The command and its terminal: where the log of a run folder goes, and how the command is typed."""

import logging
import os
import shutil
import sys
import warnings
from pathlib import Path

from jaxlatent._backend import start_backend
from jaxlatent.run import Run


def open_run(folder: Path) -> Run:
    """Opens the folder and sends the package's log there and to standard error."""
    start_backend()
    open_log(folder / "log.txt")
    return Run(folder, progress=True)


def open_log(path: Path | None = None) -> None:
    """Sends the package's log to standard error, and to a file where one is given."""
    logger = logging.getLogger("jaxlatent")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a library below has set up the root logger
    console = logging.StreamHandler()
    console.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(console)
    if path is not None:
        file = logging.FileHandler(path, encoding="utf-8", delay=True)
        file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.addHandler(file)
    warnings.showwarning = lambda message, *_, **__: logger.warning("warning: %s", message)


def typed() -> str:
    """This command as one can type it here: no shell searches an environment that is not active."""
    script = Path(sys.argv[0])
    found = shutil.which("jaxlatent")
    is_elsewhere = script.stem == "jaxlatent" and script.exists() and not (found and script.samefile(found))
    return os.path.relpath(script) if is_elsewhere else "jaxlatent"


def close_log() -> None:
    """Takes the handlers of `open_log` away again."""
    logger = logging.getLogger("jaxlatent")
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)
