"""Runs scripts/faults.py in its short form: real kills, real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# What conftest.py says of compiling: here it is done as for a user.
CHANGED = ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS")
SCRIPT = Path(__file__).parents[2] / "scripts" / "faults.py"


@pytest.mark.slow
def test_nothing_is_lost(tmp_path):
    # Its dozens of processes compile the same few programs. A folder of their own, as one that is killed may
    # leave half a file there.
    environment = {name: value for name, value in os.environ.items() if name not in CHANGED} | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, SCRIPT, "--short"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills" in done.stdout
