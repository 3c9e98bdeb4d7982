"""Milliseconds an image: the decoder of the explorer's page in Node.js, and `jaxlatent.decode` of one vector.

The page's decoder with WebAssembly, and with the typed arrays that take its place where that is missing.
Random weights, as time does not depend on them. Run `python benchmarks/explorer_network.py`; it needs `node`
on the PATH.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from common import alternate, machine, report
from flax import nnx

import jaxlatent as jl
from jaxlatent.autoencoder.config import ACTIVATIONS, KERNEL_SIZES, NORMS
from jaxlatent.explorer import network

PAGE = Path(network.__file__).parent / "page"

# Decodes all vectors, one by one, for every line of standard input.
SERVE = """
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
if (process.argv[2] === "plain") delete globalThis.WebAssembly;
const { Network } = await import("./network.js");
const read = (name) => new Uint8Array(readFileSync(name)).buffer;
const network = new Network(JSON.parse(readFileSync("description.json")), new Uint16Array(read("weights")));
const z = new Float32Array(read("z"));
const d = network.latent.length;
const pixels = new Uint8ClampedArray(network.shape.reduce((a, b) => a * b));
for await (const _ of createInterface({ input: process.stdin })) {
  for (let i = 0; i < z.length; i += d) network.decode(z.subarray(i, i + d), pixels);
  console.log("done");
}
"""


def write_page(folder: Path, model: jl.Autoencoder, z: np.ndarray) -> None:
    description, weights = network.describe_decoder(model)
    for file in ("network.js", "matmul.js"):
        shutil.copy(PAGE / file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "serve.js").write_text(SERVE)
    (folder / "description.json").write_text(json.dumps(description))
    weights.tofile(folder / "weights")
    z.tofile(folder / "z")


def page(folder: Path, kind: str) -> tuple[subprocess.Popen[str], Callable[[], None]]:
    """A process that waits, and what lets it decode all vectors."""
    command = ["node", "serve.js", kind]
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin is not None
    assert process.stdout is not None
    asked, answers = process.stdin, process.stdout

    def decode() -> None:
        asked.write("\n")
        if answers.readline() != "done\n":
            raise SystemExit("node: the page's decoder failed; its message is above")

    return process, decode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image-size", type=int, default=64, help="pixels (default 64)")
    parser.add_argument("--kernel-size", type=int, choices=KERNEL_SIZES, default=3, help="(default 3)")
    parser.add_argument(
        "--activation", choices=ACTIVATIONS, default="leaky_relu", help="(default leaky_relu)"
    )
    parser.add_argument("--norm", choices=NORMS, default="none", help="(default none)")
    parser.add_argument("--images", type=int, default=20, help="in a row, each by itself (default 20)")
    parser.add_argument("--rounds", type=int, default=50, help="rounds (default 50)")
    args = parser.parse_args()
    if shutil.which("node") is None:
        raise SystemExit("node: not on the PATH; install Node.js 20 or newer")
    config = jl.AutoencoderConfig(
        image_size=args.image_size,
        kernel_size=args.kernel_size,
        activation=args.activation,
        norm=args.norm,
    )
    model = jl.Autoencoder(config, rngs=nnx.Rngs(0))
    z = np.random.default_rng(0).standard_normal((args.images, config.latent_dim), np.float32)

    def one_by_one() -> None:
        for row in z:
            jax.block_until_ready(jl.decode(model, row[None], batch_size=1))

    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{machine()}, node {version}")
    print(f"# {config.image_size} px, kernel {config.kernel_size}, {config.activation}, norm {config.norm}")
    with tempfile.TemporaryDirectory() as name:
        write_page(Path(name), model, z)
        simd, with_simd = page(Path(name), "simd")
        plain, without = page(Path(name), "plain")
        with simd, plain:
            contestants = {"page": with_simd, "page, typed arrays": without, "jaxlatent.decode": one_by_one}
            times = alternate(contestants, args.rounds)
    milliseconds = {name: 1000 * seconds / args.images for name, seconds in times.items()}
    report(milliseconds, "page", unit="ms an image")


if __name__ == "__main__":
    main()
