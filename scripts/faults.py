"""What generation survives: kills, a full disk, damage, missing rights, two writers, the wrong model.

    python scripts/faults.py            # 200,000 vectors and 50 kills, some minutes
    python scripts/faults.py --short    # what CI runs

Every fault is a real one that happens to the real command, in processes of its own; the result of each is
compared byte by byte with that of an undisturbed run. Prints a table; exits with 1 if anything differs.
"""

import argparse
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

import jaxlatent as jl
from jaxlatent.autoencoder import AutoencoderConfig, save_model
from jaxlatent.autoencoder.network import make_autoencoder

DIMENSION = 16


def make_run(folder: Path, seed: int) -> None:
    """A run folder with a small, untrained network and a sampler."""
    config = AutoencoderConfig(image_size=32, latent_dim=DIMENSION, filters=(4, 4, 4, 4))
    (folder / "training").mkdir(parents=True)
    save_model(folder / "training" / "best", make_autoencoder(jax.random.key(seed), config))
    z = np.random.default_rng(seed).standard_normal((2000, DIMENSION)).astype(np.float32)
    np.save(folder / "latents.npy", z)
    run = jl.Run(folder)
    run.path("config.json").write_text("{}")
    run.record("latents.npy", ("encode",), "model", "images")
    run.fit("pairwise")


def command(*arguments: object) -> list[str]:
    """The command of this installation."""
    code = "from jaxlatent.cli import main; main()"
    return [sys.executable, "-c", code, *map(str, arguments)]


def generate(run: Path, out: Path, count: int, *options: object) -> list[str]:
    """The command that every fault happens to."""
    size = max(count // 200, 1)
    return command("generate", run, "--out", out, "--count", count, "--shard-size", size, *options)


def call(arguments: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, with some more variables in its environment."""
    everything = os.environ | (environment or {})
    return subprocess.run(arguments, capture_output=True, text=True, timeout=600, env=everything)


def content(folder: Path) -> dict[str, bytes]:
    """All records' files."""
    return {path.name: path.read_bytes() for path in folder.glob("*.npy")}


def listed(numbers: Sequence[int]) -> str:
    """Numbers as in a sentence."""
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


class Bench:
    """A run folder, an undisturbed result, and the table of what was tried."""

    def __init__(self, folder: Path, count: int, rng: random.Random):
        self.folder, self.count, self.rng = folder, count, rng
        self.run, self.other = folder / "run", folder / "other"
        make_run(self.run, 0)
        make_run(self.other, 1)
        started = time.monotonic()
        self.check(call(generate(self.run, folder / "whole", count, "--outputs", "latents")), 0)
        print(f"undisturbed: {count:,} vectors in {time.monotonic() - started:.1f} s, start included")
        self.expected = content(folder / "whole")
        self.images: dict[str, bytes] = {}

    def check(self, done: subprocess.CompletedProcess[str], status: int, *words: str) -> str:
        """Accepts an exit status and, on standard error, one line with these words."""
        said = done.stderr.strip().splitlines()
        last = said[-1] if said else ""
        if done.returncode != status or any(word not in last for word in words):
            raise AssertionError(f"exit status {done.returncode}, said: {done.stdout}{done.stderr}")
        return last

    def same(self, folder: Path) -> None:
        """Accepts a folder whose files are those of the undisturbed run, bit for bit."""
        found = content(folder)
        assert found.keys() == self.expected.keys(), "other files"
        assert found == self.expected, "other bytes"
        assert not jl.verify(folder)

    def vectors(self, out: Path, *options: object) -> list[str]:
        """The command whose undisturbed result is known."""
        return generate(self.run, out, self.count, "--outputs", "latents", *options)

    def pictures(self, out: Path, *options: object) -> list[str]:
        """The command for a tenth as many images."""
        return generate(self.run, out, self.count // 10, *options)

    def start(self, out: Path, number: int) -> list[subprocess.Popen[str]]:
        """Starts several processes that make these images together, on this machine."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        options = ["--coordinator", address, "--num-processes", number, "--process-timeout", 10]
        return [
            subprocess.Popen(
                self.pictures(out, *options, "--process-id", i), stderr=subprocess.PIPE, text=True
            )
            for i in range(number)
        ]


def kills(bench: Bench, times: int) -> str:
    """SIGKILL at random moments, again and again, in one job."""
    out = bench.folder / "killed"
    log = out / "log" / "process-00000.jsonl"
    shards = bench.count // max(bench.count // 200, 1)
    done: list[int] = []
    killed = torn = 0
    while killed < times:
        child = subprocess.Popen(bench.vectors(out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        before = log.stat().st_size if log.exists() else 0
        left = shards - (done[-1] if done else 0)
        lines = bench.rng.randrange(1 + left // (times - killed + 1))
        while child.poll() is None:
            grown = log.read_bytes()[before:].count(b'"shard"') if log.exists() else 0
            if grown > lines:
                break
            time.sleep(0.001)
        time.sleep(bench.rng.random() * 0.005)
        child.send_signal(signal.SIGKILL)
        if child.wait() == -signal.SIGKILL:
            killed += 1
        else:
            break
        done.append(len(content(out)))
        torn += any("tmp" in path.name for path in out.iterdir())
    bench.check(call(bench.vectors(out)), 0)
    bench.same(out)
    assert killed == times, f"finished after {killed} kills"
    return f"{killed} kills, {torn} while a file was half written; shards after each: {done[0]} to {done[-1]}"


def full_disk(bench: Bench) -> str:
    """A file system with too little room, then with enough."""
    small = bench.folder / "small"
    small.mkdir()
    size = sum(map(len, bench.expected.values()))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size // 2}", "tmpfs", str(small)]
    if not shutil.which("mount") or call(mount).returncode:
        return "not tried: no right to mount a small file system"
    try:
        said = bench.check(call(bench.vectors(small / "out")), 1, "No space left on device", "is kept")
        before = len(content(small / "out"))
        assert 0 < before < len(bench.expected)
        call(["mount", "-o", f"remount,size={3 * size}", str(small)])
        bench.check(call(bench.vectors(small / "out")), 0)
        bench.same(small / "out")
    finally:
        call(["umount", str(small)])
    return f"stopped at {before} of {len(bench.expected)} shards: {said!r}; went on with more room"


def damage(bench: Bench) -> str:
    """A truncated, a bit-flipped and a deleted shard."""
    out = bench.folder / "damaged"
    shutil.copytree(bench.folder / "whole", out)
    cut, flipped, gone = bench.rng.sample(sorted(out.glob("*.npy")), 3)
    cut.write_bytes(cut.read_bytes()[:-5])
    bits = bytearray(flipped.read_bytes())
    bits[bench.rng.randrange(len(bits))] ^= 1 << bench.rng.randrange(8)
    flipped.write_bytes(bits)
    gone.unlink()
    others = {path: path.stat().st_mtime_ns for path in out.glob("*.npy")} | {cut: 0, flipped: 0}
    found = call(command("verify", out))
    bench.check(found, 1, "3 problems")
    assert {line.split(":")[0] for line in found.stdout.splitlines()} == {cut.name, flipped.name, gone.name}
    bench.check(call(command("verify", out, "--repair")), 0)
    bench.same(out)
    assert all(path.stat().st_mtime_ns == at for path, at in others.items() if at), "wrote more than needed"
    return "all three found by name and repaired, the others left alone"


def no_rights(bench: Bench) -> str:
    """A folder that may not be written."""
    out = bench.folder / "closed"
    out.mkdir(mode=0o555)
    arguments = bench.vectors(out)
    if os.geteuid() == 0:  # whom rights do not bind, unless this is taken away
        if not shutil.which("setpriv"):
            return "not tried: run as root, and without setpriv"
        arguments = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *arguments]
    said = bench.check(call(arguments), 1, "Permission denied", str(out))
    assert not list(out.iterdir())
    return f"exit status 1: {said!r}"


def two_writers(bench: Bench) -> str:
    """The same command twice at once."""
    out = bench.folder / "twice"
    both = [
        subprocess.Popen(bench.vectors(out), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [child.communicate(timeout=600)[1].strip() for child in both]
    statuses = sorted(child.returncode for child in both)
    bench.same(out)
    refused = [line for line in said if "another process is writing" in line]
    assert statuses == [0, len(refused)], said
    return "one was refused, the other finished" if refused else "one came when the other had finished"


def wrong_model(bench: Bench) -> str:
    """Another model for a folder, to go on with and to repair with."""
    out = bench.folder / "models"
    count = bench.count // 100
    bench.check(call(generate(bench.run, out, count)), 0)
    before = content(out)
    said = bench.check(call(generate(bench.other, out, count)), 1, "was", "now it is", "--force")
    sorted(out.glob("*.npy"))[0].unlink()
    bench.check(call(command("verify", out, "--repair", "--run", bench.other)), 1, "was", "now it is")
    bench.check(call(command("verify", out, "--repair")), 0)
    assert content(out) == before
    return f"refused: {said.split(': ', 2)[-1][:60]!r}..."


def devices(bench: Bench, numbers: Sequence[int]) -> str:
    """The same from several numbers of devices, which XLA makes of this CPU."""
    contents = []
    for number in numbers:
        out = bench.folder / f"devices-{number}"
        flags = f"--xla_force_host_platform_device_count={number}"
        bench.check(call(bench.pictures(out), {"XLA_FLAGS": flags}), 0)
        contents.append(content(out))
    assert all(each == contents[0] for each in contents)
    bench.images = contents[0]
    return f"the same bytes from {listed(numbers)} devices"


def several(bench: Bench, numbers: Sequence[int]) -> str:
    """The same from several numbers of processes; then one of the most is killed, and others finish."""
    for number in numbers[:-1]:
        out = bench.folder / f"processes-{number}"
        for child in bench.start(out, number):
            assert child.wait(timeout=300) == 0, child.stderr.read() if child.stderr else ""
        assert content(out) == bench.images
    out = bench.folder / "processes-killed"
    children = bench.start(out, numbers[-1])
    log = out / "log" / "process-00001.jsonl"
    while not (log.exists() and b'"shard"' in log.read_bytes()):
        assert children[1].poll() is None, "finished before it could be killed"
        time.sleep(0.001)
    children[1].kill()
    killed = time.monotonic()
    said = [child.communicate(timeout=300)[1] for child in children]
    seconds = time.monotonic() - killed
    assert all(child.returncode for child in children), [child.returncode for child in children]
    assert re.search("another (task died|one)", said[0]), said[0]
    before = len(content(out))
    for child in bench.start(out, 3):
        assert child.wait(timeout=300) == 0, child.stderr.read() if child.stderr else ""
    assert content(out) == bench.images
    assert not jl.verify(out)
    return (
        f"the same bytes from {listed(numbers)} processes; of {numbers[-1]} one was killed, the others "
        f"ended after {seconds:.0f} s with {before} of {len(bench.images)} shards; 3 others finished"
    )


def main() -> None:
    """Tries every fault and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--short", action="store_true", help="20,000 vectors and 3 kills")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills (default 0)")
    options = parser.parse_args()
    count, times, numbers = (20_000, 3, (1, 2)) if options.short else (200_000, 50, (1, 2, 4))
    with tempfile.TemporaryDirectory(prefix="jaxlatent-faults-") as folder:
        bench = Bench(Path(folder), count, random.Random(options.seed))
        faults = {
            "kills": lambda: kills(bench, times),
            "full disk": lambda: full_disk(bench),
            "damaged shards": lambda: damage(bench),
            "no write permission": lambda: no_rights(bench),
            "two writers": lambda: two_writers(bench),
            "wrong model": lambda: wrong_model(bench),
            "devices": lambda: devices(bench, numbers),
            "processes": lambda: several(bench, numbers),
        }
        failed = []
        for name, try_it in faults.items():
            started = time.monotonic()
            try:
                came = try_it()
            except (AssertionError, subprocess.TimeoutExpired) as error:
                failed.append(name)
                came = f"FAILED: {error}"
            print(f"{name:20s} {time.monotonic() - started:6.1f} s  {came}", flush=True)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
