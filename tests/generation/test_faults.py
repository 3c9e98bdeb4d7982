"""Runs scripts/faults.py in its short form: real kills, real processes."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "faults.py"


@pytest.mark.slow
def test_nothing_is_lost():
    done = subprocess.run([sys.executable, SCRIPT, "--short"], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills" in done.stdout
