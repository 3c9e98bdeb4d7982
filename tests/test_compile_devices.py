"""What scripts/compile_devices.py reads in programs; .ci/run compiles them."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    before = dict(os.environ)
    yield importlib.import_module("compile_devices")
    os.environ.clear()
    os.environ.update(before)


def test_gathers_of_single_numbers_count(script):
    line = "  %g = f32[{}]{{1,0}} gather(%a, %b), offset_dims={{1}}, slice_sizes={{{}}}, metadata={{}}"
    single, row, few = line.format("4194304", "1,1"), line.format("257,1,16384", "1,16384"), line.format(9, 1)
    assert script.large_gathers("\n".join([single, row, few, single])) == 2


def test_products_that_may_be_rounded_count(script):
    factors = "(tensor<4x4xf32>, tensor<4x4xf32>)"
    exact = f"%3 = stablehlo.dot_general %1, %2, precision = [HIGHEST, HIGHEST] : {factors}"
    rounded = exact.replace("HIGHEST", "DEFAULT")
    convolution = f"%4 = stablehlo.convolution(%1, %2) : {factors} -> tensor<4x4xf32>"
    halves = convolution.replace("f32", "bf16")
    assert script.inexact_products("\n".join([exact, rounded, convolution, halves])) == 2


def test_the_same_programs_have_limits_on_all_devices(script):
    tpu, cuda = (set(script.LIMITS[kind]) for kind in ("tpu", "cuda"))
    assert tpu - cuda == {"bulk-4"}
    assert not cuda - tpu


def test_without_the_wheels_it_says_so(script):
    if all(importlib.util.find_spec(name) for names in script.NEEDED.values() for name in names):
        pytest.skip("the wheels for all devices are installed")
    for kind, names in script.NEEDED.items():
        if importlib.util.find_spec(names[0]) is None:
            command = [sys.executable, SCRIPTS / "compile_devices.py", kind]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            assert done.stdout.startswith(f"skipped: {names[0]} is not installed")
