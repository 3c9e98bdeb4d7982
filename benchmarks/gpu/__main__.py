"""Checks and measures the package on the GPU of this machine, in at most 8 minutes.

    scripts/on_gpu.sh [--out DIR] [--only NAME,...] [--small]

Writes DIR/gpu.json and DIR/gpu.md after every section; one that fails or hangs costs only itself. Exit
status 1 if a check failed, or did not come to its end.
"""

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gpu import record
from gpu.rows import python
from gpu.runner import Result, Section, run_sections

CHECKOUT = Path(__file__).parents[2]
PACKAGES = (
    "jax",
    "jaxlib",
    "nvidia-cuda-runtime",
    "nvidia-cudnn-cu13",
    "torch",
    "cupy-cuda13x",
    "numpy",
    "flax",
)


def sections(small: bool) -> list[list[Section]]:
    """In the order of importance; groups run at once, which is no matter where nothing is timed."""
    tiny = ("--small",) if small else ()

    def section(
        name: str, title: str, seconds: float, module: str, *options: str, checks: bool = False
    ) -> Section:
        return Section(name, title, python(module, *options, *tiny), 300 if small else seconds, checks)

    # Seconds are estimates for an H100 and 16 cores; together they are 8 minutes.
    correct = [
        section("tests", "tests of the package", 80, "suite", checks=True),
        section("contract", "every sampler: vector i depends on (key, i) alone", 80, "contract", checks=True),
        section("inside", "all pairs inside, in float64", 80, "inside", checks=True),
        section("law", "the law of the pairwise sampler", 80, "law", checks=True),
    ]
    timed = [
        section("pairwise", "the pairwise sampler and its kernel", 50, "pairwise_kernel"),
        section("samplers-256", "every sampler, d = 256", 40, "throughput", "--dim=256"),
        section("samplers-64", "every sampler, d = 64", 32, "throughput", "--dim=64"),
        section("samplers-1024", "every sampler, d = 1,024", 43, "throughput", "--dim=1024"),
        section("literal", "the literal method in CuPy", 22, "literal_peer"),
        section("decode", "decode and generate", 65, "decoding"),
        section("train", "training", 72, "training"),
        section("pca", "PCA", 18, "eigen"),
        section("files", "generate_to with files", 26, "files"),
        section("repeatability", "the autotuner and repeated bytes", 32, "repeatability"),
    ]
    # Where no time is of interest, all at once.
    return [correct + timed] if small else [correct, *([each] for each in timed)]


def head() -> dict[str, str]:
    """What the figures belong to; without JAX, which would hold the device."""
    found = {
        "card": _output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader") or "no GPU"
    }
    if driver := _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"):
        found["driver"] = driver
    found["Python"] = sys.version.split()[0]
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    found["date"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    commit = _output("git", "-C", str(CHECKOUT), "rev-parse", "--short=12", "HEAD") or "unknown"
    changed = _output("git", "-C", str(CHECKOUT), "status", "--porcelain", "--untracked-files=no")
    found["commit"] = commit + (" with changes" if changed else "")
    return found


def _output(*command: str) -> str:
    """What a command prints, nothing if there is none or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def metadata(folder: Path) -> str:
    """A path that says the version of a checkout that is not installed, which the package asks for."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    path = folder / f"{project['name']}-{project['version']}.dist-info" / "METADATA"
    path.parent.mkdir()
    path.write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="folder (default gpu-results)")
    parser.add_argument("--only", help="names of sections, between commas")
    parser.add_argument("--small", action="store_true", help="tiny numbers, to try it out on a CPU")
    options = parser.parse_args()
    groups = sections(options.small)
    if options.only:
        chosen = options.only.split(",")
        unknown = set(chosen) - {each.name for group in groups for each in group}
        if unknown:
            parser.error(f"--only: no section is called {sorted(unknown)[0]}")
        groups = [part for group in groups if (part := [each for each in group if each.name in chosen])]
    described = head()

    def write(results: Sequence[Result]) -> None:
        record.write(options.out, described, results)

    with tempfile.TemporaryDirectory() as folder:
        path = os.environ.get("PYTHONPATH", "")
        settings = {
            "PYTHONPATH": os.pathsep.join(filter(None, [path, metadata(Path(folder))])),
            # Several processes share the device, and PyTorch needs memory beside JAX.
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            # So that the last line of a failure is the error's.
            "JAX_TRACEBACK_FILTERING": "off",
        }
        workers = len(os.sched_getaffinity(0)) if options.small else None
        results = run_sections(groups, write, workers=workers, settings=settings)
    print((options.out / record.MARKDOWN).read_text())
    raise SystemExit(int(any(result.failed for result in results)))


if __name__ == "__main__":
    main()
