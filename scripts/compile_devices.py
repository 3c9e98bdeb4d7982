"""Compiles the package's programs for an accelerator that need not be here, and checks what comes of it.

    python scripts/compile_devices.py tpu|cuda [--only NAME,...]

Nothing runs on a device: what is seen is the temporary memory, the loops, the kernels, the gathers and the
precision of the compiled programs, at the tiles of accelerators and 256 components. For a TPU v5e it needs

    pip install libtpu

and for an H100, of the same version as jaxlib,

    pip install --no-deps jax-cuda12-plugin jax-cuda12-pjrt nvidia-cuda-nvcc-cu12

or the same for CUDA 13: jax-cuda13-plugin, jax-cuda13-pjrt, nvidia-cuda-nvcc, nvidia-nvvm, nvidia-cuda-crt.
Where they are not installed it says so and ends well. Exit status 1 if a program exceeds `LIMITS`.
"""

import argparse
import math
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Before JAX is imported: what there is of an accelerator here is none of this script's business.
os.environ |= {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "JAXLATENT_KERNELS": "1",
}

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

import jaxlatent as jl
from jaxlatent.autoencoder import inference
from jaxlatent.autoencoder.feed import steps_a_call
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.autoencoder.train import make_program
from jaxlatent.generation.decoder import Decoder
from jaxlatent.generation.formats import Item
from jaxlatent.generation.program import Program
from jaxlatent.latent.half_width import _BINS, _fwhm
from jaxlatent.latent.pca import _inverse_transform, _transform
from jaxlatent.sampling.draws import _draw_tiles, largest_tile, tables, tile_size
from jaxlatent.sampling.kernels import SWITCH

#: One of these is needed.
NEEDED = {"tpu": ("libtpu",), "cuda": ("jax_cuda12_plugin", "jax_cuda13_plugin")}
DIMENSIONS, IMAGE = 256, (64, 64, 3)
# Results of a gather from which on it takes longer than all else, if they are fetched one by one: in pieces
# of less than a row.
LARGE, ROW = 1 << 20, 128
# Operations of a compiled program that cost nothing.
NOT_RUN = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id"}


@dataclass(frozen=True)
class Limit:
    """What a compiled program may have at most.

    Attributes:
        temporary: memory beside arguments and results, in MiB.
        loops: of the compiled program; those within a kernel do not count.
        kernels: programs that the device is told to run, in the main part and in the loops.
        gathers: of `LARGE` results or more.
        exact: whether its products of float32 numbers have to be exact.
    """

    temporary: int
    loops: int
    kernels: int
    gathers: int = 0
    exact: bool = True


#: What was found with jax 0.10.2, and of memory and kernels a third more. A program that needs more has
#: changed for the worse.
#: Decoding and training take the device's default precision.
LIMITS: dict[str, dict[str, Limit]] = {
    "tpu": {
        "pairwise": Limit(10, 1, 49),
        "pairwise-105": Limit(10, 1, 44),
        "permutation": Limit(860, 2, 96),
        "exact-uniform": Limit(10, 1, 48),
        "exact-normal": Limit(10, 1, 74),
        "exact-empirical": Limit(118, 1, 510),
        "tilted-uniform": Limit(32, 4, 114),
        "tilted-normal": Limit(339, 5, 364),
        "ellipsoid-normal": Limit(10, 1, 50),
        "gaussian": Limit(10, 1, 29),
        "mixture": Limit(10, 2, 53),
        "box": Limit(10, 1, 24),
        "interpolation": Limit(10, 2, 58),
        "bootstrap": Limit(10, 1, 41),
        "recombination": Limit(10, 2, 56),
        "cluster-mixture": Limit(203, 2, 138),
        "cluster-recombination": Limit(226, 2, 184),
        "path": Limit(10, 1, 29),
        "encode": Limit(8, 0, 32),
        "decode": Limit(180, 0, 26, exact=False),
        "train": Limit(18, 1, 538, exact=False),
        "transform": Limit(8, 0, 5),
        "inverse-transform": Limit(8, 0, 5),
        "half-width": Limit(8, 0, 24),
        "bulk": Limit(271, 3, 174, exact=False),
        "bulk-4": Limit(271, 3, 174, exact=False),
    },
    "cuda": {
        "pairwise": Limit(52, 1, 22),
        "pairwise-105": Limit(27, 1, 22),
        "permutation": Limit(1370, 2, 32),
        "exact-uniform": Limit(31, 1, 20),
        "exact-normal": Limit(31, 1, 29),
        "exact-empirical": Limit(31, 1, 25),
        "tilted-uniform": Limit(74, 4, 52),
        "tilted-normal": Limit(651, 5, 92),
        "ellipsoid-normal": Limit(31, 1, 24),
        "gaussian": Limit(31, 1, 16),
        "mixture": Limit(52, 2, 26),
        "box": Limit(31, 1, 14),
        "interpolation": Limit(10, 2, 21),
        "bootstrap": Limit(31, 1, 16),
        "recombination": Limit(31, 2, 21),
        "cluster-mixture": Limit(52, 2, 38),
        "cluster-recombination": Limit(31, 2, 37),
        "path": Limit(31, 1, 12),
        "pairwise-plain": Limit(98, 4, 62),
        "encode": Limit(98, 0, 22),
        "decode": Limit(362, 0, 21, exact=False),
        "train": Limit(206, 1, 232, exact=False),
        "transform": Limit(8, 0, 4),
        "inverse-transform": Limit(8, 0, 4),
        "half-width": Limit(11, 0, 9),
        "bulk": Limit(448, 2, 56, exact=False),
    },
}


def programs(kind: str, devices: list[Any]) -> dict[str, Callable[[], Any]]:
    """Names of programs, and how each is lowered for the devices."""
    one = SingleDeviceSharding(devices[0])
    platform = {"tpu": "tpu", "cuda": "gpu"}[kind]
    key = jax.random.key(0)
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((DIMENSIONS, DIMENSIONS)))[0]
    spread = np.logspace(0, -2, DIMENSIONS)
    z = ((rng.standard_normal((6000, DIMENSIONS)) * spread) @ basis + 1).astype(np.float32)

    def described(tree: Any) -> Any:
        def shape(x: Any) -> jax.ShapeDtypeStruct:
            x = x if hasattr(x, "dtype") else jnp.asarray(x)
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one)

        return jax.tree.map(shape, tree)

    def draw(make: Callable[[], jl.Sampler], *, plain: bool = False) -> Any:
        # The switch is read when a program is traced.
        jax.clear_caches()
        os.environ[SWITCH] = "0" if plain else "1"
        sampler = make()
        tile = tile_size(sampler, platform)
        words = described((np.zeros(2, np.uint32), np.uint32(0), np.int32(1)))
        return _draw_tiles.lower(described(sampler), described(tables(sampler)), *words, 1, tile, True)

    samplers: dict[str, Callable[[], jl.Sampler]] = {
        "pairwise": lambda: jl.PairwiseSampler.fit(z),
        "pairwise-105": lambda: jl.PairwiseSampler.fit(z, n_components=105),
        "permutation": lambda: jl.PairwiseSampler.fit(z, order="permutation"),
        "exact-uniform": lambda: jl.ExactSampler.fit(z),
        "exact-normal": lambda: jl.ExactSampler.fit(z, density="normal"),
        "exact-empirical": lambda: jl.ExactSampler.fit(z, density="empirical"),
        "tilted-uniform": lambda: jl.TiltedSampler.fit(z),
        "tilted-normal": lambda: jl.TiltedSampler.fit(z, density="normal"),
        "ellipsoid-normal": lambda: jl.EllipsoidSampler.fit(z, density="normal"),
        "gaussian": lambda: jl.GaussianSampler.fit(z),
        "mixture": lambda: jl.GaussianMixtureSampler.fit(z, n_clusters=4, max_iter=2, tol=1e9),
        "box": lambda: jl.BoxSampler.fit(z),
        "interpolation": lambda: jl.InterpolationSampler.fit(z),
        "bootstrap": lambda: jl.BootstrapSampler.fit(z),
        "recombination": lambda: jl.RecombinationSampler.fit(z),
        "cluster-mixture": lambda: jl.ClusterMixtureSampler.fit(z, n_clusters=20),
        "cluster-recombination": lambda: jl.ClusterRecombinationSampler.fit(z, n_clusters=20),
        "path": lambda: jl.PathSampler.fit(z),
    }
    pca = jl.PCA.fit(z)
    vectors = described(np.empty((largest_tile(platform), DIMENSIONS), np.float32))
    config = jl.AutoencoderConfig(image_size=IMAGE[0], latent_dim=DIMENSIONS)
    model = make_autoencoder(key, config)
    graphdef, state = nnx.split(model)

    def bulk(count: int) -> Any:
        decoder = Decoder.of(model, (DIMENSIONS,))
        items = {"images": Item(IMAGE, np.dtype(np.uint8))}
        return Program(samplers["exact-uniform"](), key, decoder, items, devices=devices[:count]).lower()

    def train() -> Any:
        settings = jl.TrainConfig(batch_size=128)
        program = make_program(config, settings, 1000, 1, platform)
        start = program.steps.start(*nnx.split(model, nnx.Param, ...)[1:])
        # As many faces as the README trains on, in the device's memory.
        images = np.empty((18_000, int(np.prod(IMAGE))), np.uint8)
        rows, number = np.empty((steps_a_call(platform), 128), np.int32), np.int32(1)
        call = described(((images,), rows, key, number, number))
        run: Any = program.steps.run
        return run.lower(described(start), *call, shapes=(IMAGE,))

    found: dict[str, Callable[[], Any]] = {name: partial(draw, make) for name, make in samplers.items()}
    if kind == "cuda":
        # What GPUs take where the kernel is not asked for.
        found["pairwise-plain"] = partial(draw, samplers["pairwise"], plain=True)
    found |= {
        "encode": lambda: inference._encode.lower(
            graphdef, described(state), described(np.empty((256, *IMAGE), np.uint8))
        ),
        "decode": lambda: inference._decode.lower(
            graphdef, described(state), described(np.empty((1024, DIMENSIONS), np.float32))
        ),
        "train": train,
        "transform": lambda: _transform.lower(described(pca), vectors),
        "inverse-transform": lambda: _inverse_transform.lower(described(pca), vectors),
        "half-width": lambda: _fwhm.lower(
            *described((np.empty((DIMENSIONS, _BINS), np.float32), np.empty(DIMENSIONS, np.float32))), 0.1
        ),
        "bulk": partial(bulk, 1),
    }
    if len(devices) >= 4:
        found["bulk-4"] = partial(bulk, 4)
    return found


def large_gathers(text: str) -> int:
    """Gathers of many single numbers in an optimized program; rows of them are copied, and fast."""

    def size(shape: str) -> int:
        return int(np.prod([int(x) for x in shape.split(",") if x]))

    found = re.findall(r"= \w+\[([\d,]*)\]\S* gather\(.*?slice_sizes=\{([\d,]*)\}", text)
    return sum(size(shape) >= LARGE and size(piece) < ROW for shape, piece in found)


def inexact_products(text: str) -> int:
    """Products of float32 numbers whose factors may be rounded, in a program that is not compiled yet."""
    lines = [line for line in text.splitlines() if re.search(r"stablehlo\.(dot_general|convolution)", line)]
    return sum("xf32>" in line and "HIGHEST" not in line for line in lines)


def kernels(text: str) -> int:
    """Programs that an optimized program tells the device to run, in the main part and in its loops."""
    text = re.sub(r"/\*.*?\*/", "", text)
    parts = dict(re.findall(r"^(ENTRY |%[\w.\-]+ ).*?\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    waiting, count = ["ENTRY"], 0
    while waiting:
        part = parts[waiting.pop() + " "]
        for operation, rest in re.findall(r" = [^=]*?[\])}] ([a-z][\w\-]*)\((.*)", part):
            if operation in ("while", "conditional", "call"):
                waiting += [name for name in re.findall(r"%[\w.\-]+", rest) if f"{name} " in parts]
            elif operation not in NOT_RUN and not operation.endswith("-done"):
                count += 1
    return count


def main() -> None:
    """Compiles, prints a table, and fails where a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kind", choices=NEEDED)
    parser.add_argument("--only", help="names of programs, between commas")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(LIMITS[options.kind])
    if unknown := [name for name in chosen if name not in LIMITS[options.kind]]:
        parser.error(
            f"--only: no program is called {unknown[0]}; there are {', '.join(LIMITS[options.kind])}"
        )
    if not any(map(find_spec, NEEDED[options.kind])):
        print(f"skipped: {NEEDED[options.kind][0]} is not installed; see the head of {Path(__file__).name}")
        return
    if options.kind == "tpu":
        topology = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2")
    else:
        described = Path(__file__).with_name("h100.txtpb").read_text()
        topology = topologies.get_topology_desc(platform="cuda", target_config=described, topology="1x1x1")
    first: Any = topology.devices[0]
    print(f"# {first.device_kind}, described; jax {jax.__version__}")
    print("| program | temporary, MiB | loops | kernels | large gathers | inexact products | seconds |")
    print("|---|---|---|---|---|---|---|")
    failed = []
    for name, lower in programs(options.kind, list(topology.devices)).items():
        if name not in chosen:
            continue
        start = time.monotonic()
        lowered = lower()
        inexact = inexact_products(lowered.as_text())
        compiled = lowered.compile()
        text = compiled.as_text()
        temporary = compiled.memory_analysis().temp_size_in_bytes / 2**20
        found = {
            "MiB of temporary memory": math.ceil(temporary),
            "loops": len(re.findall(r" while\(", text)),
            "kernels": kernels(text),
            f"gathers of {LARGE:,} numbers or more": large_gathers(text),
            "products whose factors the device may round": inexact,
        }
        seconds = time.monotonic() - start
        figures = " | ".join(f"{value:,}" for value in found.values())
        print(f"| {name} | {figures} | {seconds:.1f} |", flush=True)
        limit = LIMITS[options.kind][name]
        most = (limit.temporary, limit.loops, limit.kernels, limit.gathers, 0 if limit.exact else math.inf)
        for (what, value), bound in zip(found.items(), most, strict=True):
            if value > bound:
                failed.append(f"{name}: {value:,} {what}, at most {bound:,}")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
