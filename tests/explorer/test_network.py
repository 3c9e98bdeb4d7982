"""The page's decoder beside `jaxlatent.decode`. One Node process decodes all that the tests look at."""

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

import jaxlatent as jl
from jaxlatent.autoencoder.config import ACTIVATIONS, KERNEL_SIZES, NORMS
from jaxlatent.explorer import network

PAGE = Path(network.__file__).parent / "page"
# Group norm takes 4, 8 and 2 channels at a time; the page's maps have one, none and three that are padding.
SMALL = jl.AutoencoderConfig(image_size=32, latent_dim=7, filters=(6, 8, 12, 5))
COMBINATIONS = list(product(NORMS, KERNEL_SIZES, ACTIVATIONS))
LAYERS = ("from_latent", "up4", "up3", "up2", "up1")  # of SMALL
# The limit is 2 / 255; what a wrong network does has to be far beyond.
LIMIT, SEEN = 2, 20

# With WebAssembly, then as where it is missing.
RUN = """
import { readFileSync, writeFileSync } from "node:fs";
import { Network } from "./network.js";

const cases = JSON.parse(readFileSync("cases.json"));
const read = (name) => new Uint8Array(readFileSync(name)).buffer;
for (const simd of [true, false]) {
  if (!simd) delete globalThis.WebAssembly;
  for (const [name, { description, count }] of Object.entries(cases)) {
    const network = new Network(description, new Uint16Array(read(`${name}.weights`)));
    if (network.simd !== simd) throw new Error(`${name}: simd is ${network.simd}`);
    const z = new Float32Array(read(`${name}.z`));
    const [d, image] = [description.latent_dim, network.shape.reduce((a, b) => a * b)];
    const pixels = new Uint8ClampedArray(count * image);
    // Backwards: no image may depend on the one before it.
    for (let i = count - 1; i >= 0; i--) {
      network.decode(z.subarray(i * d, (i + 1) * d), pixels.subarray(i * image, (i + 1) * image));
    }
    writeFileSync(`${name}.${simd ? "simd" : "plain"}`, pixels);
    try {
      network.decode(new Float32Array(d + 1), pixels);
    } catch (error) {
      writeFileSync(`${name}.error`, error.message);
    }
  }
}
"""


def trained_like(config):
    """A network of random weights, its biases and running averages not those of an untrained one."""
    rng = np.random.default_rng(0)
    model = jl.Autoencoder(config, rngs=nnx.Rngs(0))

    def put(parameter, values):
        parameter[...] = jax.numpy.asarray(values, jax.numpy.float32)

    for name in ("from_latent", *model.up_names):
        layer = getattr(model, name)
        affine, norm = getattr(layer, "conv", layer), getattr(layer, "norm", None)
        shape = affine.kernel.shape
        fan_in = shape[0] if len(shape) == 2 else shape[3] * config.kernel_size**2 / 4
        gain = 3 if name == "up1" else np.sqrt(2)  # pixels from 0 to 255
        put(affine.kernel, gain / np.sqrt(fan_in) * rng.standard_normal(shape))
        put(affine.bias, 0.3 * rng.standard_normal(affine.bias.shape))
        if norm is not None:
            put(norm.scale, rng.uniform(0.5, 1.5, norm.scale.shape))
            put(norm.bias, 0.3 * rng.standard_normal(norm.bias.shape))
        if isinstance(norm, nnx.BatchNorm):
            put(norm.mean, rng.standard_normal(norm.mean.shape))
            put(norm.var, rng.uniform(0.3, 3, norm.var.shape))
    return model


def latents(config):
    return np.random.default_rng(1).standard_normal((4, config.latent_dim), np.float32)


@dataclass
class Case:
    model: jl.Autoencoder
    z: np.ndarray
    flipped: str | None = None  # a layer whose kernel is wrong on the page


def combination(norm, size, activation):
    return f"{norm}-{size}-{activation}"


def make_cases():
    cases = {}
    for norm, size, activation in COMBINATIONS:
        config = replace(SMALL, norm=norm, kernel_size=size, activation=activation)
        cases[combination(norm, size, activation)] = Case(trained_like(config), latents(config))
    for size in KERNEL_SIZES:
        model, z = cases[combination("batch", size, "leaky_relu")].model, latents(SMALL)
        cases |= {f"{size}-wrong-{layer}": Case(model, z, layer) for layer in LAYERS}
    shapes = {
        "three-columns": replace(SMALL, image_size=48),
        "one-channel": replace(SMALL, latent_dim=1, filters=(1, 1, 1, 1), norm="group", activation="elu"),
        "large": replace(SMALL, image_size=256, filters=(2, 3, 4, 5)),
        "two-stages": replace(SMALL, image_size=16, filters=(6, 5), norm="batch"),
        "six-stages": replace(SMALL, image_size=128, filters=(2, 3, 4, 5, 6, 7)),
        "grey": replace(SMALL, image_size=28, channels=1, filters=(4, 6, 5)),
        "odd-sides": replace(SMALL, image_size=(33, 17), filters=(4, 6, 5), norm="group", kernel_size=4),
    }
    cases |= {name: Case(trained_like(config), latents(config)) for name, config in shapes.items()}
    default = jl.AutoencoderConfig()
    near = latents(default)
    # As in a box about thousands of them.
    far = np.random.default_rng(2).uniform(-4, 4, near.shape).astype(np.float32)
    cases["default"] = Case(trained_like(default), np.concatenate([near, far]))
    cases["layers-out-of-range"] = Case(scaled(1e9, [1e-7]), latents(SMALL))
    cases["channels-out-of-range"] = Case(scaled(1.0, 10.0 ** np.arange(-6, 6)), latents(SMALL))
    return cases


def scaled(first, channels):
    """The same network with other weights: leaky relu does not mind what its argument is multiplied by."""
    model = trained_like(SMALL)
    factor = np.resize(channels, model.up4.conv.bias.shape).astype(np.float32)
    linear, up4, up3 = model.from_latent, model.up4.conv, model.up3.conv
    linear.kernel[...] *= np.float32(first)
    linear.bias[...] *= np.float32(first)
    up4.kernel[...] *= (factor / np.float32(first))[:, None]
    up4.bias[...] *= factor
    up3.kernel[...] /= factor
    return model


@pytest.fixture(scope="module")
def cases():
    return make_cases()


@pytest.fixture(scope="module")
def folder(cases, tmp_path_factory):
    """Where Node has put what the page's decoder makes of each case, with and without WebAssembly."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js to run the page's decoder: install it, and have node on the PATH")
    folder = tmp_path_factory.mktemp("page")
    for file in ("network.js", "matmul.js"):
        shutil.copy(PAGE / file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "run.js").write_text(RUN)
    manifest = {}
    for name, case in cases.items():
        description, weights = network.describe_decoder(case.model)
        if case.flipped:
            flip(description, weights, case.flipped)
        weights.tofile(folder / f"{name}.weights")
        case.z.tofile(folder / f"{name}.z")
        manifest[name] = {"description": description, "count": len(case.z)}
    (folder / "cases.json").write_text(json.dumps(manifest))
    done = subprocess.run([node, "run.js"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def page(cases, folder):
    """Pixels by the page's decoder."""

    def pixels(name, variant):
        shape = cases[name].model.config.image_shape
        return np.fromfile(folder / f"{name}.{variant}", np.uint8).reshape(-1, *shape)

    return pixels


def flip(description, weights, layer):
    """Puts a kernel's rows upside down, or those of the matrix that is the first kernel."""
    (place,) = [described["kernel"] for described in description["layers"] if described["name"] == layer]
    count = int(np.prod(place["shape"]))
    kernel = weights[place["offset"] :][:count].reshape(place["shape"])
    kernel[:] = kernel[::-1].copy()


@pytest.fixture(scope="module")
def expected(cases):
    """Pixels from 0 to 255 by JAX, as floats. Each network is compiled once."""
    decoded = {}

    def expect(name):
        if name not in decoded:
            case = cases[name]
            decoded[name] = 255 * np.asarray(jl.decode(case.model, case.z, batch_size=len(case.z)))
        return decoded[name]

    return expect


def assert_as_expected(page, expected, name):
    reference = expected(name)
    assert reference.min() < 32
    assert reference.max() > 224
    for variant in ("simd", "plain"):
        pixels = page(name, variant)
        assert np.abs(pixels - reference).max() <= LIMIT, variant


@pytest.mark.parametrize(("norm", "size", "activation"), COMBINATIONS)
def test_every_configuration_decodes_as_in_jax(page, expected, norm, size, activation):
    assert_as_expected(page, expected, combination(norm, size, activation))


@pytest.mark.parametrize(
    "name",
    [
        "three-columns",
        "one-channel",
        "large",
        "two-stages",
        "six-stages",
        "grey",
        "odd-sides",
        "default",
    ],
)
def test_every_shape_decodes_as_in_jax(page, expected, name):
    assert_as_expected(page, expected, name)


@pytest.mark.parametrize("name", ["layers-out-of-range", "channels-out-of-range"])
def test_weights_beyond_half_floats_decode_as_in_jax(cases, page, expected, name):
    description, _ = network.describe_decoder(cases[name].model)
    dtypes = {layer["name"]: layer["kernel"]["dtype"] for layer in description["layers"]}
    assert dtypes["up4"] == "float32"
    assert dtypes["up2"] == "float16"
    assert_as_expected(page, expected, name)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("size", KERNEL_SIZES)
def test_a_wrong_kernel_is_seen(page, expected, size, layer):
    pixels = page(f"{size}-wrong-{layer}", "simd")
    difference = np.abs(pixels - expected(combination("batch", size, "leaky_relu")))
    assert (difference > LIMIT).mean() > 0.25
    assert difference.max() > SEEN


@pytest.mark.parametrize("norm", NORMS)
def test_a_wrong_activation_is_seen(expected, norm):
    images = [expected(combination(norm, 3, activation)) for activation in ACTIVATIONS]
    for i, image in enumerate(images):
        for other in images[:i]:
            assert np.abs(image - other).max() > SEEN


def test_a_vector_of_another_length_is_refused(folder):
    assert (folder / "default.error").read_text() == "z: expected 256 numbers, got 257"


def test_bfloat16_changes_nothing():
    for norm in NORMS:
        config = replace(SMALL, norm=norm)
        described = network.describe_decoder(trained_like(config))
        short = network.describe_decoder(trained_like(replace(config, dtype="bfloat16")))
        assert short[0] == described[0]
        np.testing.assert_array_equal(short[1].view(np.uint16), described[1].view(np.uint16))


def test_the_description_is_plain_and_covers_the_array():
    description, weights = network.describe_decoder(trained_like(jl.AutoencoderConfig(norm="group")))
    assert json.loads(json.dumps(description)) == description
    assert weights.dtype == np.float16
    places = []
    for layer in description["layers"]:
        places += [layer["kernel"], layer["bias"]]
        if norm := layer.get("norm"):
            places += [norm["scale"], norm["bias"]]
    end = 0
    for place in places:
        assert place["dtype"] == ("float16" if len(place["shape"]) > 1 else "float32")
        assert place["offset"] == end
        end += int(np.prod(place["shape"])) * (1 if place["dtype"] == "float16" else 2)
    assert end == weights.size


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value):
    model = trained_like(replace(SMALL, norm="batch"))
    model.up3.conv.bias[...] = model.up3.conv.bias[...].at[0].set(value)
    with pytest.raises(ValueError, match=r"^model: expected finite weights, up3.bias has NaN or infinity"):
        network.describe_decoder(model)
