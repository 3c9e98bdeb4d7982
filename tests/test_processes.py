import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxlatent import PCA, processes
from jaxlatent.latent import moments

SCRIPT = Path(__file__).with_name("several_processes.py")
SPEC = importlib.util.spec_from_file_location("several_processes", SCRIPT)


def launch(count, *scenario, which=None, devices=1):
    """Runs the script in `which` of `count` processes; their exit statuses, outputs and errors."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_COORDINATOR_BIND_ADDRESS": address,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}",
    }
    running = [
        subprocess.Popen(
            [sys.executable, SCRIPT, address, str(count), str(i), *scenario],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in (range(count) if which is None else [which])
    ]
    try:
        outputs = [process.communicate(timeout=50) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return [(process.returncode, *output) for process, output in zip(running, outputs, strict=True)]


@pytest.fixture
def script():
    module = importlib.util.module_from_spec(SPEC)
    SPEC.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("count", "devices"), [(1, 1), (2, 3), pytest.param(4, 1, marks=pytest.mark.slow)])
def test_they_agree(script, count, devices):
    ended = launch(count, "agree", devices=devices)
    assert [status for status, _, _ in ended] == [0] * count, ended
    found = [json.loads(output.splitlines()[-1]) for _, output, _ in ended]
    z = script.vectors()
    whole, pca = moments(z), PCA.fit(z, 4)
    for result in found:
        assert result["devices"] == [count * devices, devices]
        np.testing.assert_allclose(result["sums"][0], np.eye(2) * sum(i + 0.1 for i in range(count)), 1e-15)
        assert result["sums"][1] == sum(range(count))
        n, mean, scatter = result["moments"]
        assert result["moments"] == found[0]["moments"]
        assert n == whole.count
        np.testing.assert_allclose(mean, whole.mean, rtol=1e-9)
        np.testing.assert_allclose(np.linalg.eigvalsh(scatter), np.linalg.eigvalsh(whole.scatter), rtol=1e-6)
        np.testing.assert_allclose(result["explained_variance"], pca.explained_variance, rtol=1e-6)
        assert result["no vectors"] == "ValueError: z: expected at least 1 vector, got 0"
        assert result["one vector"] == "ValueError: z: expected at least 2 vectors, got 1"
    for process, result in enumerate(found if count > 1 else []):
        own, last = process == 1, process == count - 1
        assert result["one failed"] == (
            "ValueError: it broke" if own else "RuntimeError: a step: process 1 failed: it broke"
        )
        assert 500 < result["at length"] < (6000 if own else 1100)
        assert result["not a number"].startswith("ValueError: z: NaN") == last
        assert f"process {count - 1} failed: z: NaN" in result["not a number"] or last
        assert (
            "RuntimeError: moments of vectors of shape (6,): process 1 is at" in result["other width"] or own
        )
        assert (
            "RuntimeError: step False: process 0 is at 'step True' instead" in result["elsewhere"]
            or process == 0
        )


def test_they_write_the_bytes_of_one_process(script, tmp_path):
    """Two processes, of two devices each, share the shards of a folder."""
    ended = launch(2, "generate", str(tmp_path / "two"), devices=2)
    assert [status for status, _, _ in ended] == [0, 0], ended
    script.generate(tmp_path / "one")
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {f"{item}-{i:05}.npy" for item in ("images", "latents") for i in range(4)} < names
    assert {path.name for path in (tmp_path / "two").iterdir()} == names
    for name in names:
        if name.endswith(".npy"):
            assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


@pytest.mark.parametrize("how", ["killed", pytest.param("failed", marks=pytest.mark.slow)])
def test_one_that_ends_ends_the_others(how):
    began = time.monotonic()
    zero, (status, _, error), two = launch(3, how)
    assert time.monotonic() - began < 40
    assert status == (-signal.SIGKILL if how == "killed" else 3)
    assert ("process 1 says why" in error) == (how == "failed")
    at_barrier, at_work = (two, zero) if how == "killed" else (zero, two)
    assert at_barrier[0] == 1
    assert "processes: lost contact with another one" in at_barrier[2]
    assert at_work[0] != 0
    assert "another task died" in at_work[2]


@pytest.mark.parametrize("which", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_others_that_never_come(which):
    ((status, _, error),) = launch(2, "alone", which=which)
    assert status == 1
    assert error.splitlines()[-1].startswith("processes: not all came within 2 s at 127.0.0.1:")


def test_sigterm_ends_them_as_ever():
    """JAX takes the signal for itself, and ignores it."""
    assert [status for status, _, _ in launch(2, "terminated")] == [-signal.SIGTERM] * 2


def test_one_process_needs_nothing():
    z = {"a": np.ones((2, 3), np.float32), "b": np.arange(3)}
    processes.start(None, None, None)
    processes.start(None, 1, None)
    processes.start("127.0.0.1:1", 1, 0)
    assert not jax.distributed.is_initialized()
    processes.agree("it broke", "a step")
    with pytest.raises(KeyError), processes.together("a step"):
        raise KeyError
    sums = processes.total(z)
    assert {name: total.dtype for name, total in sums.items()} == dict.fromkeys("ab", np.float64)
    np.testing.assert_array_equal(sums["a"], z["a"])
    with pytest.raises(SystemExit) as left:
        processes.leave(3)
    assert left.value.code == 3


SRUN = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_STEP_NODELIST": "node[1-4]", "SLURM_PROCID": "0"}


@pytest.mark.parametrize(
    ("environment", "several"),
    [
        ({}, False),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "4"}, True),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}, False),  # a shell in the allocation
        (SRUN, False),  # the batch script itself
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, False),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}, True),
        ({"TPU_ML_PLATFORM": "JAX"}, True),
    ],
)
def test_launchers(monkeypatch, environment, several):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args, **options: calls.append((args, options)))
    monkeypatch.setenv("XLA_FLAGS", "--a")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    processes.start(None, None, None, timeout=7)
    processes.start(None, 1, None)
    assert len(calls) == several
    if several:
        args, options = calls[0]
        assert args == (None, None, None)
        assert options["cluster_detection_method"] is None
        assert options["heartbeat_timeout_seconds"] == options["shutdown_timeout_seconds"] == 7
        assert os.environ["XLA_FLAGS"].split()[-1] == "--a"


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(monkeypatch):
    for arguments, message in [
        (
            ("a:1", 2, None),
            "process_id: needed as well; coordinator, num_processes, process_id belong together",
        ),
        ((None, 2, 0), "coordinator: needed as well"),
        (("a:1", None, None), "num_processes: needed as well"),
        (("a:1", 2, 2), "process_id: expected at most 1, got 2"),
        (("a:1", 2, -1), "process_id: expected at least 0"),
        (("a:1", 0, 0), "num_processes: expected at least 1"),
        (("a", 2, 0), "coordinator: expected HOST:PORT, got 'a'"),
    ]:
        with pytest.raises(ValueError, match=message):
            processes.start(*arguments)
    with pytest.raises(TypeError, match="process_id: expected an integer"):
        processes.start("a:1", 2, 0.5)
    with pytest.raises(ValueError, match="timeout: expected at least 1"):
        processes.start("a:1", 2, 0, timeout=0)
    monkeypatch.setenv("XLA_FLAGS", "")
    jax.devices()
    with pytest.raises(RuntimeError, match=r"processes: JAX could not join them \(.*must be called before"):
        processes.start("127.0.0.1:1", 2, 0)
