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
    assert cuda - tpu == {"pairwise-plain"}


def test_kernels_of_loops_and_branches_count_once(script):
    """Of fused computations, only the fusion counts; types may hold an equals sign in a comment."""
    text = """
%fused (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  ROOT %n = f32[4]{0} negate(%p)
}

%body (c: (s32[], f32[4])) -> (s32[], f32[4]) {
  %c = (s32[], f32[4]{0}) parameter(0)
  %x = f32[4]{0} get-tuple-element(%c), index=1
  %f = f32[4]{0} fusion(%x), kind=kLoop, calls=%fused
  ROOT %t = (s32[], /*index=1*/f32[4]{0}) tuple(%i, %f)
}

%condition (c: (s32[], f32[4])) -> pred[] {
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %a = f32[4]{0} parameter(0)
  %s = f32[4]{0} custom-call(%a), custom_call_target="mosaic_gpu_v2"
  %w = (s32[], /*index=1*/f32[4]{0}) while(%a), condition=%condition, body=%body
  ROOT %r = f32[4]{0} get-tuple-element(%w), index=1
}
"""
    assert script.kernels(text) == 3


def test_without_the_wheels_it_says_so(script):
    if all(any(map(importlib.util.find_spec, names)) for names in script.NEEDED.values()):
        pytest.skip("the wheels for all devices are installed")
    for kind, names in script.NEEDED.items():
        if not any(map(importlib.util.find_spec, names)):
            command = [sys.executable, SCRIPTS / "compile_devices.py", kind]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            assert done.stdout.startswith(f"skipped: {names[0]} is not installed")


def test_a_program_that_is_not_there(script):
    command = [sys.executable, SCRIPTS / "compile_devices.py", "cuda", "--only", "box,bulk-4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--only: no program is called bulk-4; there are pairwise, " in done.stderr
