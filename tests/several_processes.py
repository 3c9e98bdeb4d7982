"""Run by test_processes.py in each of several processes: COORDINATOR COUNT ID SCENARIO [FOLDER]."""

import json
import os
import signal
import sys
import time

import jax
import numpy as np

from jaxlatent import PCA, BoxSampler, generate_to, processes
from jaxlatent.latent import moments

# Where the vectors of the processes begin and end; one of them has none.
BOUNDS = {1: [0, 3000], 2: [0, 1, 3000], 4: [0, 17, 17, 2000, 3000]}


def vectors():
    """3000 correlated vectors far from the origin, float32 (3000, 6)."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    return (rng.standard_normal((3000, 6)) * np.linspace(2, 0.5, 6) @ rotation + 100).astype(np.float32)


def raised(step):
    """What it raises, as text."""
    try:
        step()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def agree(me, count):
    """Everything that several processes do together, as JSON on standard output."""
    begin, stop = BOUNDS[count][me : me + 2]
    z = vectors()[begin:stop]
    found, pca = moments(z, distributed=True), PCA.fit(z, 4, distributed=True)
    spoilt = np.full_like(z, np.nan) if me == count - 1 else z

    def fail_in_one():
        with processes.together("a step"):
            if me == 1:
                raise ValueError("it broke")

    def fail_at_length():
        with processes.together("a step"):
            if me == 1:
                raise OSError("ü" * 5000)

    result = {
        "devices": [len(jax.devices()), len(jax.local_devices())],
        "sums": [total.tolist() for total in processes.total([np.eye(2) * (me + 0.1), np.float32(me)])],
        "moments": [found.count, found.mean.tolist(), found.scatter.tolist()],
        "explained_variance": np.asarray(pca.explained_variance).tolist(),
        "one failed": raised(fail_in_one),
        "at length": len(raised(fail_at_length) or ""),
        "not a number": raised(lambda: moments(spoilt, distributed=True)),
        "other width": raised(lambda: moments(z[:, : 6 - (me == 1)], distributed=True)),
        "no vectors": raised(lambda: moments(z[:0], distributed=True)),
        "one vector": raised(lambda: PCA.fit(z[: int(me == count - 1)], distributed=True)),
        "elsewhere": raised(lambda: processes.agree(None, f"step {me == 0}")),
    }
    print(json.dumps(result))


def generate(folder):
    """150 images and their vectors, in shards of 40."""

    def decode(z):
        return jax.nn.sigmoid(z[:, :, None, None] * np.ones((1, 1, 4, 3), np.float32))

    sampler, key = BoxSampler.cube(1.0, 4), jax.random.key(3)
    generate_to(folder, sampler, decode, 150, key=key, outputs="both", shard_size=40, decoder_id="stripes")


def lose(me, how):
    """Process 1 ends; one of the others is at a barrier then, one at work."""
    if me == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        print("process 1 says why", file=sys.stderr)
        processes.leave(3)
    if me == (2 if how == "killed" else 0):
        try:
            processes.agree(None, "a step")
        except RuntimeError as error:
            print(error, file=sys.stderr)
            processes.leave(1)
    time.sleep(60)


def main(coordinator, count, me, scenario, *folder):
    processes.start(coordinator, count, me, timeout=6, start_timeout=2 if scenario == "alone" else 60)
    if scenario == "agree":
        agree(me, count)
    elif scenario == "generate":
        generate(*folder)
    elif scenario == "terminated":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    else:
        lose(me, scenario)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
