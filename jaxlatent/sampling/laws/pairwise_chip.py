"""The pairwise method's redraws as one kernel, whose numbers stay on the chip: for TPUs and, if asked, GPUs.

As a program of XLA's, each of some hundred steps reads and writes the whole tile, and on a TPU looks numbers
up one by one, which takes longer than all else. Here a block of vectors stays in a TPU's VMEM or a GPU's
shared memory. The reference, with the same bits on every device, is
`jaxlatent.sampling.laws.pairwise.redrawn`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jax.experimental import pallas as pl
from jaxtyping import Array, Float, UInt32

from jaxlatent.sampling.laws.pairwise_kernel import pairwise_kernel, square_rows, word_rows
from jaxlatent.sampling.words import Seed

# A row: a vector register of a TPU, a number for each thread of a GPU's warpgroup.
_LANES = {"tpu": (8, 128), "cuda": (128,)}
# VMEM that a kernel has where it asks for no more; shared memory that a block has on Hopper. A TPU's holds
# two results as well, of which one is written back while the other is worked on.
_MEMORY = {"tpu": 15 << 20, "cuda": 225 << 10}
_RESULTS = {"tpu": 2, "cuda": 0}


def fits(platform: str, k: int, rounds: int) -> bool:
    """Whether the chip has room for a block of vectors of k components."""
    rows = square_rows(k, rounds) + word_rows(k, rounds) + _RESULTS[platform] * k
    return 4 * rows * math.prod(_LANES[platform]) <= _MEMORY[platform]


def redrawn_on_chip(
    seed: Seed,
    index: UInt32[Array, " b"],
    *,
    k: int,
    rounds: int,
    limit: float,
    stream: int,
    platform: str,
    interpret: bool = False,
) -> Float[Array, "{k} b"]:
    """The squares of `jaxlatent.sampling.laws.pairwise.redrawn`, bit for bit.

    Args:
        seed: the cipher's key.
        index: the vectors' indices, (b,).
        k: number of components, >= 2, such that it `fits`.
        rounds: of the round robin, >= 0.
        limit: the value of 1 in the pair condition.
        stream: of random words, for the redraws of `redraw_violated`.
        platform: "tpu" or "cuda", for which the kernel is compiled.
        interpret: run the kernel's operations one by one, on any device.
    """
    b = index.shape[0]
    columns = custom_vmap(
        partial(
            _in_blocks, k=k, rounds=rounds, limit=limit, stream=stream, platform=platform, interpret=interpret
        )
    )

    @columns.def_vmap
    def in_a_row(size: int, is_batched: list[bool], seed: Array, index: Array) -> tuple[Array, bool]:
        seeds = seed if is_batched[0] else jnp.broadcast_to(seed, (size, 2, b))
        indices = index if is_batched[1] else jnp.broadcast_to(index, (size, b))
        q = columns(jnp.moveaxis(seeds, 0, 1).reshape(2, -1), indices.reshape(-1))
        return jnp.moveaxis(q.reshape(k, size, -1), 1, 0), True

    squares: Array = columns(jnp.broadcast_to(seed.reshape(2, -1), (2, b)), index)
    return squares


def _in_blocks(
    seed: UInt32[Array, "2 b"],
    index: UInt32[Array, " b"],
    *,
    k: int,
    rounds: int,
    platform: str,
    interpret: bool,
    **options: Any,
) -> Float[Array, "{k} b"]:
    lanes, b = _LANES[platform], index.shape[0]
    blocks = -(-b // math.prod(lanes))
    whole = (blocks * lanes[0], *lanes[1:])

    def in_rows(x: Array) -> Array:
        filled = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, math.prod(whole) - b)])
        return filled.reshape(*x.shape[:-1], *whole)

    kernel = partial(pairwise_kernel, k=k, rounds=rounds, **options)
    scratches = [
        jax.ShapeDtypeStruct((square_rows(k, rounds), *lanes), jnp.float32),
        jax.ShapeDtypeStruct((word_rows(k, rounds), *lanes), jnp.uint32),
    ]
    result = jax.ShapeDtypeStruct((k, *whole), jnp.float32)
    if platform == "cuda" and not interpret:
        launched = _on_gpu(kernel, blocks, scratches, result)
    else:
        launched = _on_tpu(kernel, blocks, scratches, result, interpret)
    return launched(in_rows(seed), in_rows(index)).reshape(k, -1)[:, :b]


def _on_tpu(
    kernel: Callable[..., None],
    blocks: int,
    scratches: list[jax.ShapeDtypeStruct],
    result: jax.ShapeDtypeStruct,
    interpret: bool,
) -> Callable[..., Array]:
    from jax.experimental.pallas import tpu as pltpu

    lanes = scratches[0].shape[1:]

    def block(*rows: int) -> pl.BlockSpec:
        return pl.BlockSpec((*rows, *lanes), lambda i: (*(0 for _ in rows), i, *(0 for _ in lanes[1:])))

    return pl.pallas_call(
        partial(kernel, columns=...),
        name="pairwise",
        grid=(blocks,),
        in_specs=[block(2), block()],
        out_specs=block(result.shape[0]),
        out_shape=result,
        scratch_shapes=[pltpu.VMEM(each.shape, each.dtype) for each in scratches],
        interpret=interpret,
    )


def _on_gpu(
    kernel: Callable[..., None],
    blocks: int,
    scratches: list[jax.ShapeDtypeStruct],
    result: jax.ShapeDtypeStruct,
) -> Callable[..., Array]:
    from jax.experimental.pallas import mosaic_gpu as plgpu

    (size,) = scratches[0].shape[1:]

    def pairwise(*refs: Any) -> None:
        kernel(*refs, columns=pl.ds(lax.axis_index("block") * size, size))

    launched: Callable[..., Array] = plgpu.kernel(
        pairwise,
        out_type=result,
        scratch_types=[plgpu.SMEM(each.shape, each.dtype) for each in scratches],
        grid=(blocks,),
        grid_names=("block",),
        compiler_params=plgpu.CompilerParams(
            # Barriers around each load and store are for threads that read what others wrote. Here each has
            # its own column.
            unsafe_no_auto_barriers=True,
            # With the other semantics, layouts are solved for, which does not end for so many operations.
            lowering_semantics=plgpu.LoweringSemantics.Lane,
        ),
    )
    return launched
