"""How examples reach the training program: from the device's memory, or read block by block."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PyTree, Shaped

from jaxlatent._backend import free_memory
from jaxlatent._rows import Rows

# Steps that one call of the program takes. On a CPU 4 are 10 %, 8 are 13 % quicker than one (measured). An
# accelerator is to be busy for longer than the host takes between two calls, but only for seconds: a call is
# what a signal to stop has to wait for.
_STEPS_A_CALL = {"cpu": 8}
_STEPS_ELSEWHERE = 64
# Examples that one call works on, which bounds its time for large images, and what the device holds of
# examples that do not fit: two such blocks.
BYTES_A_CALL = 2**27
# Of the memory that is free on a device, what examples may take for good; the training needs the rest.
_SHARE = 1 / 4


class Call(NamedTuple):
    """What one call of the program works on: step i on `x[rows[i]]` of each array x of the examples.

    Attributes:
        examples: all of them, flat (n, m), or a block (s, b, ...) of whole batches.
        rows: int32: numbers of examples (s, b), or of the block's batches (s,).
        first: number of the first step, from 0 in each epoch.
        steps: how many to take, at most s.
    """

    examples: tuple[Shaped[Array, "..."], ...]
    rows: Int[Array, " s *b"]
    first: np.int32
    steps: np.int32


def steps_a_call(platform: str) -> int:
    """How many steps a call of the program takes on devices of a platform ("cpu", "gpu", "tpu")."""
    return _STEPS_A_CALL.get(platform, _STEPS_ELSEWHERE)


def placed(tree: PyTree, mesh: Mesh | None, *, axis: int | None = None) -> PyTree:
    """Puts arrays on the devices of a mesh: divided along an axis, or whole on each; without mesh, on one."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    spec = PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, "data")
    return jax.device_put(tree, NamedSharding(mesh, spec))


class Feed:
    """The examples, and how they get to the devices.

    Where they fit, they are put there once, and the program gathers each batch from them: between two calls
    nothing but row numbers is sent. Each device of several has them all, since any example may be in its part
    of a batch, whatever the order; divided among the devices, they would have to be exchanged in every step.
    Others are read and sent block by block, ahead of the program. So they are on a CPU, where the memory is
    the same and reading beside the program costs nothing.

    Args:
        examples: arrays of n >= 1 entries; memory maps are read when they are needed.
        mesh: of the devices that share batches; None for one device.

    Attributes:
        shapes: of one example, in each array.
    """

    def __init__(self, examples: Sequence[Shaped[Array | np.ndarray | Rows, "n ..."]], mesh: Mesh | None):
        self.examples: tuple[Any, ...] = tuple(examples)
        self._mesh = mesh
        devices = jax.local_devices()[:1] if mesh is None else list(mesh.devices.flat)
        self._most = steps_a_call(devices[0].platform)
        self.shapes = tuple(each.shape[1:] for each in self.examples)
        self._resident = _fit(self.examples, devices)
        if self._resident:
            # Flat, as a TPU would copy (n, h, w, c) in each call, to an order in which it can gather images.
            flat = (each.reshape(each.shape[0], -1) for each in self.examples)
            self.examples = placed(tuple(flat), mesh)

    def calls(self, rows: Int[np.ndarray, "steps b"], done: int) -> Iterator[Call]:
        """What the calls of an epoch work on, from step `done` on.

        Args:
            rows: int32: numbers of the examples in each step.
            done: steps that were taken before.
        """
        steps, batch = rows.shape
        batch_bytes = batch * sum(each.nbytes // each.shape[0] for each in self.examples)
        block = max(1, min(self._most, steps, BYTES_A_CALL // batch_bytes))
        starts = range(done, steps, block)
        sent = self._sent_rows if self._resident else self._sent_blocks
        for start, (examples, numbers) in zip(starts, sent(rows, starts), strict=True):
            yield Call(examples, numbers, np.int32(start), np.int32(min(block, steps - start)))

    def _sent_rows(self, rows: np.ndarray, starts: range) -> Iterator[tuple[tuple[Array, ...], Array]]:
        for start in starts:
            yield self.examples, placed(_block(rows, start, starts.step), self._mesh, axis=1)

    def _sent_blocks(self, rows: np.ndarray, starts: range) -> Iterator[tuple[tuple[Array, ...], Array]]:
        """The next block is read while the program works on this one."""

        def read(start: int) -> tuple[Array | np.ndarray, ...]:
            chosen = _block(rows, start, starts.step)
            return tuple(each[chosen] for each in self.examples)

        numbers = placed(np.arange(starts.step, dtype=np.int32), self._mesh)
        with ThreadPoolExecutor(1) as reader:
            ahead = [reader.submit(read, start) for start in starts[:1]]
            for start in starts:
                block = ahead.pop().result()
                if start + starts.step < starts.stop:
                    ahead.append(reader.submit(read, start + starts.step))
                yield placed(block, self._mesh, axis=1), numbers


def _block(rows: np.ndarray, start: int, size: int) -> np.ndarray:
    """The rows of `size` steps, of one shape always: where there are no more, the last step's again."""
    return rows[np.minimum(np.arange(start, start + size), len(rows) - 1)]


def _fit(examples: Sequence[Array | np.ndarray | Rows], devices: Sequence[jax.Device]) -> bool:
    """Whether every device has room for all examples; a CPU's memory is the one that they are in."""
    free = min(free_memory(device) or 0 for device in devices)
    return sum(each.nbytes for each in examples) <= _SHARE * free
