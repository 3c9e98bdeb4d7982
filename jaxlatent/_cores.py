"""How much of the machine this process may use."""

import os


def cores() -> int:
    """The number of CPU cores that this process may run on; where only that is known, of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
