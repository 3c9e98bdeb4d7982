"""Whether fresh processes decode the same vectors to the same bytes, with and without XLA's autotuner."""

import os
import subprocess
import time
from pathlib import Path

import jax
import numpy as np

from gpu.networks import network
from gpu.rows import SCRATCH, Row, arguments, emit, environment, python
from jaxlatent.autoencoder import decoder
from jaxlatent.autoencoder.network import make_autoencoder

REPEATABLE = "--xla_gpu_autotune_level=0 --xla_gpu_deterministic_ops=true"
SETTINGS = {
    "as by default": "",
    "--xla_gpu_autotune_level=0": "--xla_gpu_autotune_level=0",
    "and --xla_gpu_deterministic_ops=true": REPEATABLE,
}
SECONDS = 28


def decode_once(path: Path, small: bool) -> None:
    """Leaves the images of some vectors."""
    model = make_autoencoder(jax.random.key(0), network(64, small=small))
    z = jax.random.normal(jax.random.key(3), (16 if small else 1024, model.config.latent_dim))
    np.save(path, jax.jit(lambda function, z: function(z))(decoder(model), z))


def main() -> None:
    options = arguments(__doc__, part=-1)
    scratch = Path(os.environ[SCRATCH])
    if options.part >= 0:
        decode_once(scratch / f"part-{options.part}.npy", options.small)
        return
    settings = list(SETTINGS)[-1:] if options.small else list(SETTINGS)
    names = [name for name in settings for _ in range(2 if options.small else 3)]
    running = []
    # All at once: what disturbs the autotuner's measurements is what is looked for.
    for part, name in enumerate(names):
        command = python("repeatability", "--part", str(part), *(["--small"] if options.small else []))
        flags = f"{os.environ.get('XLA_FLAGS', '')} {SETTINGS[name]}".strip()
        running.append(subprocess.Popen(command, env=environment(XLA_FLAGS=flags)))
    found: dict[str, list[np.ndarray]] = {name: [] for name in SETTINGS}
    deadline = time.monotonic() + (300 if options.small else SECONDS)
    for part, (name, process) in enumerate(zip(names, running, strict=True)):
        try:
            code = process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code:
            emit(Row(f"decode, {name}", note=f"failed: a process ended with {code}"))
        else:
            found[name].append(np.load(scratch / f"part-{part}.npy"))
    for name, images in found.items():
        if not images:
            continue
        kinds = len({each.tobytes() for each in images})
        apart = max(float(np.abs(each - images[0]).max()) for each in images)
        pixels = max(float((np.rint(each * 255) != np.rint(images[0] * 255)).mean()) for each in images)
        note = f"of {len(images)} processes; at most {apart:.1e} apart; {pixels:.2%} of 8-bit numbers differ"
        passed = kinds == 1 if SETTINGS[name] == REPEATABLE else None
        emit(Row(f"different results of decode, {name}", kinds, passed=passed, note=note))


if __name__ == "__main__":
    main()
