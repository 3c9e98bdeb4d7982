"""`generate_to` with files: images a second, and what becomes of a shard after it was computed."""

import tempfile
import time
from pathlib import Path

import jax
from constructed import samplers
from generate import stages

import jaxlatent as jl
from gpu.networks import network
from gpu.rows import Row, arguments, emit, quartiles
from jaxlatent.autoencoder.network import make_autoencoder


def main() -> None:
    options = arguments(__doc__)
    n, shard = (256, 64) if options.small else (131_072, 4096)
    config = network(64, small=options.small)
    sampler = samplers(config.latent_dim, config.latent_dim)["Pairwise"]()
    model = make_autoencoder(jax.random.key(0), config)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "images"
        start = time.perf_counter()
        jl.generate_to(out, sampler, model, n, key=jax.random.key(2), shard_size=shard)
        seconds = time.perf_counter() - start
        title = f"generate_to, npy, {config.image_size} px, {n:,} images"
        note = f"{seconds:.2f} s, start and compilation included"
        emit(Row(title, n / seconds, "images/s", note=note))
        written = sorted(path.stat().st_mtime for path in out.glob("images-*.npy"))
        rate = (n - shard) / (written[-1] - written[0])
        emit(Row(f"{title}, from the first shard to the last", rate, "images/s"))
        count, rounds = (16, 2) if options.small else (4096, 5)
        for name, times in stages(folder, count, rounds).items():
            low, middle, high = quartiles(count / times)
            emit(Row(f"a shard of {count:,} images of 64 px, {name}", middle, "images/s", (low, high)))


if __name__ == "__main__":
    main()
