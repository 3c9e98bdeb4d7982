"""The device under test, as JAX and PyTorch see it."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gpu.rows import skipped


def bandwidth(small: bool) -> float:
    """Bytes a second that a copy within the device's memory reads and writes together; the best of nine."""
    numbers = jnp.arange(1 << (18 if small else 29), dtype=jnp.float32)
    # Not a plain copy, which XLA would leave out.
    copy = jax.jit(lambda x: x + 1)
    copy(numbers).block_until_ready()
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        copy(numbers).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * numbers.nbytes / min(seconds)


def on_cpu(tree: Any) -> Any:
    """The same arrays on the host's CPU."""
    return jax.device_put(tree, jax.devices("cpu")[0])


def torch_device() -> str:
    """Where PyTorch works; it is installed."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def prepare_torch() -> bool:
    """Lets PyTorch round factors to TF32, as JAX does by default, and choose among cuDNN's algorithms.

    Returns:
        Whether it is installed; a row says so where it is not.
    """
    try:
        import torch
    except ImportError:
        skipped("PyTorch", "torch")
        return False
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    return True


def wait_for_torch() -> None:
    """Waits for all that PyTorch was told to do."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ulps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By how many float32 numbers those of two arrays lie apart, int64."""

    def place(x: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(x, np.float32).view(np.int32).astype(np.int64)
        return np.where(bits < 0, np.int64(-(2**31)) - bits, bits)

    return np.abs(place(a) - place(b))
