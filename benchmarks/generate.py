"""Bulk generation at 64 px: the whole pipeline against the decoder alone, and large jobs with their memory.

    python benchmarks/generate.py                # the pipeline and its parts, in turns
    python benchmarks/generate.py --large        # 1,000,000 vectors and 100,000 images into a folder

The network is the default one, untrained, whose cost is that of a trained one. "Decoder alone" is the fastest
of: one call of a compiled decoder after another, at several batch sizes, and the pipeline's own tiles with
neither pairs to check nor files to write. On a GPU also the arithmetic and the memory traffic reached.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from common import alternate, machine, report

import jaxlatent as jl
from jaxlatent.autoencoder import decoder
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.generation.decoder import Decoder, to_uint8
from jaxlatent.generation.formats import Item, Shard
from jaxlatent.generation.formats.base import entry
from jaxlatent.generation.formats.npy import write_npy
from jaxlatent.generation.program import Program

DIMENSION = 256
JOB = 8  # so many times as many images are written, as a job starts and compiles anew each time


def make() -> tuple[jl.PairwiseSampler, jl.Autoencoder]:
    """The default network and the pairwise sampler of 256 components."""
    z = np.random.default_rng(0).standard_normal((4000, DIMENSION)).astype(np.float32)
    sampler = jl.PairwiseSampler.fit(z)
    assert sampler.pca.n_components == DIMENSION
    return sampler, make_autoencoder(jax.random.key(0), jl.AutoencoderConfig())


def plain_decoder(model: jl.Autoencoder, count: int, batch: int) -> Callable[[], None]:
    """`count` images from one compiled decoder, one batch after another."""
    function = decoder(model)
    step = jax.jit(lambda z: to_uint8(function(z)))
    z = jax.random.normal(jax.random.key(1), (batch, DIMENSION))

    def run() -> None:
        pending = None
        for _ in range(count // batch):
            started = step(z)
            if pending is not None:
                np.asarray(pending)
            pending = started
        np.asarray(pending)

    return run


def pipeline(sampler: jl.Sampler, model: jl.Autoencoder, count: int) -> Callable[[], None]:
    """`count` images from the pipeline, not written."""
    decode = Decoder.of(model, (model.config.latent_dim,))
    items = {"images": Item(decode.shape, np.dtype(np.uint8))}
    program = Program(sampler, jax.random.key(2), decode, items)
    shards = [Shard(0, 0, count)]

    def run() -> None:
        for _ in program.stream(shards):
            pass

    return run


def written(sampler: jl.Sampler, model: jl.Autoencoder, count: int, folder: str) -> Callable[[], None]:
    """`count` images from `generate_to`, start and compilation included."""

    def run() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            jl.generate_to(Path(out) / "job", sampler, model, count, key=jax.random.key(2))

    return run


def compare(rounds: int, count: int, folder: str) -> None:
    """Prints the rates of the pipeline and of its parts, all in turns."""
    sampler, model = make()
    box = jl.BoxSampler.cube(1.0, DIMENSION)
    batches = (64, 128, 256, 512) if jax.default_backend() == "cpu" else (1024, 4096, 16384)
    contestants = {f"decoder alone, batches of {b}": plain_decoder(model, count, b) for b in batches}
    contestants |= {
        "decoder alone, tiles": pipeline(box, model, count),
        "with the pairwise sampler": pipeline(sampler, model, count),
        "with files": written(sampler, model, JOB * count, folder),
        "pairwise sampler alone": lambda: jax.block_until_ready(sampler.sample(jax.random.key(2), count)),
    }
    times = alternate(contestants, rounds)
    counts = dict.fromkeys(times, count) | {"with files": JOB * count}
    report(times, "with the pairwise sampler", counts=counts, unit="images/s")
    alone = np.min([times[name] for name in times if name.startswith("decoder")], axis=0)
    low, middle, high = np.percentile(alone * JOB / times["with files"], [25, 50, 75])
    print(f"of the fastest decoder alone, with sampler and files: {middle:.2f} ({low:.2f} to {high:.2f})")
    checks = times["pairwise sampler alone"] / alone
    low, middle, high = np.percentile(checks, [25, 50, 75])
    print(f"32,640 checks a vector take {middle:.1%} of the decoder's time ({low:.1%} to {high:.1%})")


def stages(folder: str, count: int, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of what becomes of a shard of images after it was computed."""
    images = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)
    path = Path(folder) / "shard.npy"
    return alternate(
        {
            "gathering": images.copy,
            "writing and syncing": lambda: write_npy(path, images),
            "SHA-256": lambda: entry(Path(folder), path.name),
        },
        rounds,
    )


def large(outputs: str, count: int, folder: str) -> None:
    """One job in this process; prints time, rate and peak memory."""
    sampler, model = make()
    started = time.perf_counter()
    out = Path(folder) / f"{outputs}-{count}"
    jl.generate_to(out, sampler, model, count, key=jax.random.key(3), outputs=outputs)  # type: ignore[arg-type]
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = sum(path.stat().st_size for path in out.glob("*.npy")) / 1e9
    rate = f"{count:>10,} {outputs:8s} {seconds:8.1f} s {count / seconds:10,.0f}/s"
    line = f"{rate} {size:7.2f} GB, peak memory {peak:.2f} GiB"
    if jax.default_backend() != "cpu":
        line += f", device peak {jax.devices()[0].memory_stats()['peak_bytes_in_use'] / 2**30:.2f} GiB"
    print(line, flush=True)
    shutil.rmtree(out)


def limits(count: int) -> None:
    """Prints arithmetic and traffic of the decoder on an accelerator, a second, at the pipeline's rate."""
    sampler, model = make()
    function = decoder(model)
    z = jnp.zeros((1024, DIMENSION), jnp.float32)
    cost = jax.jit(lambda z: to_uint8(function(z))).lower(z).compile().cost_analysis() or {}
    run = pipeline(sampler, model, count)
    run()
    started = time.perf_counter()
    run()
    rate = count / (time.perf_counter() - started)
    print(
        f"{rate:,.0f} images/s: {cost.get('flops', 0) / 1024 * rate / 1e12:.2f} TFLOP/s, "
        f"{cost.get('bytes accessed', 0) / 1024 * rate / 1e9:.0f} GB/s of device memory (XLA's own count)"
    )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=8192, help="images a round (default 8192)")
    parser.add_argument("--large", action="store_true", help="the large jobs instead")
    parser.add_argument("--vectors", type=int, default=1_000_000, help="of the large job (default 1,000,000)")
    parser.add_argument("--images", type=int, default=100_000, help="of the large job (default 100,000)")
    parser.add_argument("--folder", help="where to write (default: the system's for temporary files)")
    parser.add_argument("--one", nargs=2, metavar=("OUTPUTS", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        large(options.one[0], int(options.one[1]), options.folder)
        return
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if not options.large:
            compare(options.rounds, options.count, folder)
            print("a shard of 4,096 images, 50 MB:")
            report(stages(folder, 4096, 9), "SHA-256")
            if jax.default_backend() != "cpu":
                limits(options.count)
            return
        # Each in a process of its own, for its own peak of memory; a tenth first, to compare it with.
        for outputs, count in (("latents", options.vectors), ("images", options.images)):
            for part in (count // 10, count):
                one = ["--one", outputs, str(part), "--folder", folder]
                subprocess.run([sys.executable, __file__, *one], check=True)


if __name__ == "__main__":
    main()
