"""Several processes of one job, by JAX's own distributed runtime: start, agree, add up, end together."""

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from jaxlatent._boundary import as_count

# Processes may come to a barrier hours apart, where XLA's collectives on CPUs would give up after half an
# hour. jaxlib 0.8.1 does not know the option yet, and ends a process that has it.
_PATIENCE = "--xla_cpu_collective_timeout_seconds=2000000"
_PATIENCE_SINCE = (0, 8, 2)

# Bytes of what a process says at a barrier.
_LONGEST = 1024


def start(
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    *,
    timeout: int = 30,
    start_timeout: int = 300,
) -> None:
    """Makes this process one of several; has to come before any computation of JAX.

    Without arguments it is one of several where a launcher that JAX knows has started several: SLURM's srun,
    Open MPI's mpirun, an indexed job of Kubernetes, or Cloud TPU. JAX then finds out the rest, and gives each
    task of srun and mpirun one of its machine's GPUs. Otherwise, and with one process, nothing is done.

    From here on the death of a process ends all others, by JAX and with its message, after `timeout` seconds,
    or at once if it was process 0. If not all processes come within `start_timeout` seconds, those that did
    say so and end with status 1.

    Args:
        coordinator: where process 0 listens, "HOST:PORT", the same for all; the port has to be free there.
        num_processes: how many there are.
        process_id: which one this is, from 0.
        timeout: seconds without a sign of life after which a process counts as dead.
        start_timeout: seconds to wait for the other processes.

    Raises:
        TypeError, ValueError: if an argument is out of range, or only some are given.
        RuntimeError: if JAX cannot join the processes, or has already been used.
    """
    timeout, start_timeout = as_count("timeout", timeout, 1), as_count("start_timeout", start_timeout, 1)
    num_processes = None if num_processes is None else as_count("num_processes", num_processes, 1)
    process_id = None if process_id is None else as_count("process_id", process_id)
    if not _one_of_several(coordinator, num_processes, process_id):
        return
    if jax.__version_info__ >= _PATIENCE_SINCE:
        os.environ["XLA_FLAGS"] = f"{_PATIENCE} {os.environ.get('XLA_FLAGS', '')}"
    where = coordinator or "the coordinator that JAX found"
    # JAX would abort with a stack trace.
    waiting = threading.Timer(start_timeout, _give_up, [f"{start_timeout} s at {where}"])
    waiting.daemon = True
    waiting.start()
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            # What is given is not for the launcher to add to: it would leave one device to each process.
            cluster_detection_method="deactivate" if coordinator else None,
            initialization_timeout=start_timeout + 60,
            heartbeat_timeout_seconds=timeout,
            shutdown_timeout_seconds=timeout,
        )
        # The first collective connects the processes, and it alone has a limit of 30 seconds.
        agree(None, "start")
    except Exception as error:  # what a launcher's own library raises as well
        raise RuntimeError(
            f"processes: JAX could not join them ({error}); check coordinator, num_processes and process_id, "
            "or run alone with num_processes 1"
        ) from error
    finally:
        waiting.cancel()
        if threading.current_thread() is threading.main_thread():
            # JAX has taken it, and ignores it.
            signal.signal(signal.SIGTERM, on_sigterm or signal.SIG_DFL)


def _one_of_several(coordinator: str | None, num_processes: int | None, process_id: int | None) -> bool:
    given = {"coordinator": coordinator, "num_processes": num_processes, "process_id": process_id}
    if all(value is None for value in given.values()):
        return _launched_together()
    if num_processes == 1:
        return False
    if coordinator is None or num_processes is None or process_id is None:
        missing = next(name for name, value in given.items() if value is None)
        raise ValueError(f"{missing}: needed as well; {', '.join(given)} belong together")
    if process_id >= num_processes:
        raise ValueError(f"process_id: expected at most {num_processes - 1}, got {process_id}")
    if not re.fullmatch(r".+:\d+", coordinator):
        raise ValueError(f"coordinator: expected HOST:PORT, got {coordinator!r}")
    return True


def _launched_together() -> bool:
    """Whether `jax.distributed.initialize()` has a reason to look for other processes.

    There is no way to ask JAX itself, and in a single task it would open a port for nothing, wait for others
    (in the shell of a SLURM allocation) or fail (in a pod that belongs to no job).
    """
    here = os.environ
    tasks = max(int(here.get(name, 1)) for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"))
    indexed_job = "KUBERNETES_SERVICE_HOST" in here and "JOB_COMPLETION_INDEX" in here
    # JAX sets it when it is imported on a machine that has TPUs.
    return tasks > 1 or indexed_job or "TPU_ML_PLATFORM" in here


def _give_up(waited: str) -> None:
    print(
        f"processes: not all came within {waited}; start all with the same coordinator and num_processes, "
        "and let its port through between them",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)


def agree(error: str | None, name: str) -> None:
    """Waits until all processes are here, and lets each know whether another one has failed.

    In a single process it does nothing.

    Args:
        error: what went wrong in this process; None if nothing did. A process that failed returns, to raise
            its own error.
        name: what the processes have done, the same in all.

    Raises:
        RuntimeError: if another process failed, is at another point of the program, or was lost.
    """
    if jax.process_count() == 1:
        return
    said = np.zeros(_LONGEST, np.uint8)
    words = f"{name}\n{error or ''}".encode()[:_LONGEST]
    said[: len(words)] = np.frombuffer(words, np.uint8)
    rows = _across_processes(_all, said)
    if error is not None:
        return
    for process, row in enumerate(rows):
        at, _, failure = row.tobytes().rstrip(b"\0").decode(errors="ignore").partition("\n")
        if failure:
            raise RuntimeError(f"{name}: process {process} failed: {failure}")
        if at != name:
            raise RuntimeError(
                f"{name}: process {process} is at {at!r} instead; start all processes with the same arguments"
            )


@contextmanager
def together(name: str) -> Iterator[None]:
    """Runs a block in all processes; where it fails in one, it fails in all.

    Raises:
        RuntimeError: see `agree`.
    """
    try:
        yield
    except Exception as error:
        agree(str(error) or type(error).__name__, name)
        raise
    agree(None, name)


def total(tree: PyTree) -> PyTree:
    """Sums NumPy arrays over all processes.

    Args:
        tree: arrays, of the same shapes in all processes.

    Returns:
        The sums, float64; the same bits in all processes, and in a single process the arrays themselves.

    Raises:
        RuntimeError: if a process was lost.
    """
    tree = jax.tree.map(lambda x: np.asarray(x, np.float64), tree)
    if jax.process_count() == 1:
        return tree
    with jax.enable_x64(True):
        return _across_processes(_sums, tree)


def leave(status: int) -> NoReturn:
    """Ends a process that has failed.

    One of several ends without a word to JAX, and the others miss its signs of life: an ordinary exit would
    wait for them, and then abort.
    """
    if not jax.distributed.is_initialized():
        sys.exit(status)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(1)  # the end of process 0 cuts the others short, who may be about to say why they end
    os._exit(status)


def _across_processes(function: Callable[[PyTree], PyTree], tree: PyTree) -> PyTree:
    """Calls `function` on the arrays of all processes, stacked; gives the result to each."""
    devices = [jax.local_devices(process_index=i)[0] for i in range(jax.process_count())]
    mesh = Mesh(np.array(devices), ("process",))
    stacked, everywhere = (NamedSharding(mesh, PartitionSpec(*axis)) for axis in (["process"], []))

    def stack(x: np.ndarray) -> jax.Array:
        mine = jax.device_put(x[None], devices[jax.process_index()])
        return jax.make_array_from_single_device_arrays((len(devices), *x.shape), stacked, [mine])

    try:
        found = jax.jit(function, out_shardings=everywhere)(jax.tree.map(stack, tree))
        return jax.tree.map(lambda x: np.asarray(x.addressable_data(0)), found)
    except (RuntimeError, ValueError) as error:  # JAX raises either
        reason = str(error).splitlines()[0]
        raise RuntimeError(
            f"processes: lost contact with another one ({reason}); see what it said, then start all again"
        ) from error


def _all(tree: PyTree) -> PyTree:
    return tree


def _sums(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jnp.sum(x, axis=0), tree)
