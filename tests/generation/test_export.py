import json
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import jaxlatent as jl
from jaxlatent import exported as module
from jaxlatent.autoencoder.network import make_autoencoder

HERE = Path(__file__).parent


def mixture(z):
    """Not fitted, which takes longer than all else."""
    pca = jl.PCA.fit(z)
    scale = jnp.asarray([0.5, 1.0])[:, None, None]
    means = jnp.stack([jnp.ones(5), -jnp.ones(5)])
    return jl.GaussianMixtureSampler(pca, jnp.asarray([0.25, 0.75]), means, scale * jnp.eye(5), 0.9)


SAMPLERS = {
    "box": jl.BoxSampler.fit,
    "ellipsoid": partial(jl.EllipsoidSampler.fit, n_components=4, density="normal"),
    "exact": partial(jl.ExactSampler.fit, temperature=0.8),
    "gaussian": jl.GaussianSampler.fit,
    "interpolation": jl.InterpolationSampler.fit,
    "mixture": mixture,
    "path": jl.PathSampler.fit,
    "recombination": partial(jl.RecombinationSampler.fit, weights="random"),
    # Whose bits change if the program has a symbolic size.
    "tilted": partial(jl.TiltedSampler.fit, density="normal", sweeps=4),
}


@pytest.fixture(scope="module")
def model(key):
    config = jl.AutoencoderConfig(image_size=32, latent_dim=5, filters=(4, 4, 4, 4), norm="batch")
    return make_autoencoder(key, config)


@pytest.fixture(scope="module")
def path(sampler, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.jlx"
    jl.export(path, sampler, model)
    return path


@pytest.fixture(scope="module")
def exported(path):
    return jl.load_exported(path)


@pytest.fixture(scope="module")
def images(sampler, model, key, tmp_path_factory):
    """The first images of `generate_to`."""
    folder = tmp_path_factory.mktemp("images")
    jl.generate_to(folder, sampler, model, 256, key=key)
    return np.load(folder / "images-00000.npy")


def weighted(weights, z, *, scale):
    return jax.nn.sigmoid(scale * (z @ weights)).reshape(-1, 2, 3, 1)


def as_bytes(z):
    return (128 + 40 * z[:, :3]).astype(jnp.uint8).reshape(-1, 1, 1, 3)


def rewrite(path, new, **changes):
    """Copies a file with other members; None leaves one out."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()} | changes
    with zipfile.ZipFile(new, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


def describe(path, **changes):
    with zipfile.ZipFile(path) as archive:
        return json.dumps(json.loads(archive.read("model.json")) | changes)


def test_says_what_it_is(exported):
    assert (exported.sampler, exported.latent_shape) == ("PairwiseSampler", (5,))
    assert exported.image_shape == (32, 32, 3)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert exported.description["jax"] == jax.__version__
    assert len(exported.description["decoder"]["sha256"]) == 64
    assert repr(exported) == "<Exported: PairwiseSampler, vectors 5, images 32x32x3, for cpu, cuda, tpu>"


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 1000, 5000])
@pytest.mark.parametrize("start", [0, 7])
def test_vectors_have_the_bits_of_the_live_sampler(exported, sampler, key, n, start):
    drawn = exported.sample(key, n, start=start)
    assert isinstance(drawn, jax.Array)
    np.testing.assert_array_equal(drawn, sampler.sample(key, n, start=start))


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_kind_of_sampler(name, key, tmp_path):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((500, 5)) @ rng.standard_normal((5, 5)) + 2
    sampler = SAMPLERS[name](jnp.asarray(z, jnp.float32))
    jl.export(tmp_path / "model.jlx", sampler, as_bytes, platforms=["cpu"])
    drawn = jl.load_exported(tmp_path / "model.jlx").sample(key, 200, start=2**32 - 200)
    np.testing.assert_array_equal(drawn, sampler.sample(key, 200, start=2**32 - 200))


def test_images_have_the_bits_of_a_job(exported, images, key):
    assert len(np.unique(images)) > 50
    found = exported.generate(key, 256)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, images)
    for start, n in [(0, 1), (63, 2), (100, 129), (255, 1), (5, 0)]:
        np.testing.assert_array_equal(exported.generate(key, n, start=start), images[start : start + n])
    assert exported.generate(key, 3, start=2**32 - 3).shape == (3, 32, 32, 3)


@pytest.mark.parametrize("n", [0, 1, 130])
def test_decode(exported, model, sampler, key, n):
    z = sampler.sample(key, n)
    found = exported.decode(z)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, jl.decode(model, z), atol=1e-6)
    np.testing.assert_array_equal(found, exported.decode(np.asarray(z, np.float64)))


def test_decode_inside_a_program(exported, model, sampler, key):
    """By the program of a symbolic batch."""
    twice = jax.jit(lambda z: exported.decode(z) + exported.decode(z[:2]).mean())
    for n in (3, 70):
        z = sampler.sample(key, n)
        images = jl.decode(model, z)
        np.testing.assert_allclose(twice(z), images + images[:2].mean(), atol=1e-5)


def test_keys_of_any_kind(exported, sampler):
    key = jax.random.key(3, impl="rbg")
    np.testing.assert_array_equal(exported.sample(key, 5), sampler.sample(key, 5))


def test_without_flax(path, exported, key):
    command = [sys.executable, HERE / "without_flax.py", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["absent"] == "flax"
    assert bytes.fromhex(found["z"]) == np.asarray(exported.sample(key, 10, start=3)).tobytes()
    assert bytes.fromhex(found["images"]) == exported.generate(key, 10, start=3).tobytes()


def test_each_platform_has_its_own_program(path):
    with zipfile.ZipFile(path) as archive:
        programs = {
            name: jax.export.deserialize(bytearray(archive.read(name)))
            for name in archive.namelist()
            if "/" in name
        }
    assert {(program.platforms, program.nr_devices) for program in programs.values()} == {
        (("cpu",), 1),
        (("cuda",), 1),
        (("tpu",), 1),
    }
    for platform in ("cuda", "tpu"):
        assert "stablehlo.sort" in programs[f"{platform}/sample"].mlir_module()
        assert "lhs_dilate = [2, 2]" in programs[f"{platform}/images"].mlir_module()
        assert programs[f"{platform}/sample"].out_avals[0].shape == (16_384, 5)
    # A network of comparisons in place of a sort, plain convolutions in place of transposed ones.
    assert "stablehlo.sort" not in programs["cpu/sample"].mlir_module()
    assert "lhs_dilate = [2, 2]" not in programs["cpu/images"].mlir_module()
    assert not any("custom_call" in program.mlir_module() for program in programs.values())


def test_the_same_bytes_without_paths(path, sampler, model, tmp_path):
    jl.export(tmp_path / "again.jlx", sampler, model)
    content = path.read_bytes()
    assert (tmp_path / "again.jlx").read_bytes() == content
    assert str(HERE.parents[1]).encode() not in content
    assert jax.config.jax_traceback_in_locations_limit != 0


def test_weights_are_kept_once(path, model):
    """Those of the decoder, by the names that the network has for them."""
    with zipfile.ZipFile(path) as archive:
        weights = safetensors.numpy.load(archive.read("decoder.safetensors"))
        arrays = safetensors.numpy.load(archive.read("sampler.safetensors"))
        assert max(info.file_size for info in archive.infolist() if "/" in info.filename) < 40_000
    np.testing.assert_array_equal(weights["up1.kernel"], model.up1.kernel[...])
    np.testing.assert_array_equal(weights["up3.norm.var"], model.up3.norm.var[...])
    assert {name.split(".")[0] for name in weights} == {"from_latent", "up1", "up2", "up3", "up4"}
    assert {"pca.mean", "body.semi_axes"} <= arrays.keys()


def test_functions_with_arrays_of_their_own(sampler, key, tmp_path):
    weights = jnp.linspace(-1, 1, 30, dtype=jnp.float32).reshape(5, 6)
    function = jax.tree_util.Partial(weighted, weights, scale=jnp.float32(2))
    jl.export(tmp_path / "model.jlx", sampler, function, platforms=["cpu"])
    exported = jl.load_exported(tmp_path / "model.jlx")
    z = sampler.sample(key, 9)
    np.testing.assert_allclose(exported.decode(z), function(z), atol=1e-6)


@pytest.mark.parametrize("dtype", module._DTYPES)
def test_every_dtype_is_read(dtype):
    arrays = {
        "scalar": np.ones((), module._DTYPES[dtype]),
        "empty": np.ones((0, 2), module._DTYPES[dtype]),
        "matrix": np.arange(6).reshape(2, 3).astype(module._DTYPES[dtype]),
    }
    found = module._tensors(safetensors.numpy.save(arrays, {"some": "text"}))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_functions_that_give_bytes(sampler, key, tmp_path):
    jl.export(tmp_path / "model.jlx", sampler, as_bytes, platforms=["cpu"])
    exported = jl.load_exported(tmp_path / "model.jlx")
    bytes_ = np.asarray(as_bytes(sampler.sample(key, 9)))
    np.testing.assert_array_equal(exported.generate(key, 9), bytes_)
    np.testing.assert_allclose(exported.decode(sampler.sample(key, 9)), bytes_ / 255, atol=1e-6)


def test_an_image_that_is_not_finite(sampler, key, tmp_path):
    first = float(sampler.sample(key, 6)[5, 0])

    def broken(z):
        return jnp.where(z[:, :1] == first, jnp.nan, 0.5).reshape(-1, 1, 1, 1)

    jl.export(tmp_path / "model.jlx", sampler, broken, platforms=["cpu"])
    exported = jl.load_exported(tmp_path / "model.jlx")
    assert (exported.generate(key, 5) == 128).all()
    with pytest.raises(ValueError, match=r"image 5 has pixels that are NaN"):
        exported.generate(key, 4, start=3)


@pytest.mark.usefixtures("as_without_type_checks")
def test_arguments(exported, sampler, decode, key, tmp_path):
    with pytest.raises(TypeError, match=r"jax\.random\.key"):
        exported.sample(jax.random.PRNGKey(0), 3)
    with pytest.raises(ValueError, match="n: expected at least 0, got -1"):
        exported.generate(key, -1)
    with pytest.raises(ValueError, match="start"):
        exported.sample(key, 1, start=-1)
    with pytest.raises(ValueError, match="another key"):
        exported.generate(key, 2, start=2**32 - 1)
    with pytest.raises(ValueError, match=r"z: expected an array of shape \(n, 5\)"):
        exported.decode(np.zeros((3, 4), np.float32))
    write = partial(jl.export, tmp_path / "model.jlx")
    with pytest.raises(TypeError, match="sampler: expected a sampler of this package, got PCA"):
        write(sampler.pca, decode)
    with pytest.raises(TypeError, match="decode: expected an Autoencoder or a function"):
        write(sampler, 3)
    with pytest.raises(TypeError, match="decode: JAX cannot trace it"):
        write(sampler, lambda z: np.zeros((len(np.array(z)), 2, 2, 3), np.float32))
    with pytest.raises(ValueError, match="platforms: expected one of cpu, cuda, rocm, tpu, got 'gpu'"):
        write(sampler, decode, platforms=["gpu"])
    with pytest.raises(ValueError, match=r"platforms: .*got none"):
        write(sampler, decode, platforms=[])

    def calls_python(z):
        shape = jax.ShapeDtypeStruct((z.shape[0], 1, 1, 1), jnp.float32)
        return jax.pure_callback(lambda z: np.ones((len(z), 1, 1, 1), np.float32), shape, z)

    with pytest.raises(
        ValueError, match=r"decode: jax\.export refuses it for cpu, cuda, tpu and a batch of any"
    ):
        write(sampler, calls_python)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("as_without_type_checks")
def test_files_that_are_refused(path, sampler, tmp_path, monkeypatch):
    bad = tmp_path / "bad.jlx"

    def refusal():
        with pytest.raises(ValueError, match=f"^{bad}: ") as caught:
            jl.load_exported(bad)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    with pytest.raises(FileNotFoundError):
        jl.load_exported(bad)
    content = path.read_bytes()
    for damaged in (b"", b"text", content[:100], content[:-1], content[: len(content) // 2]):
        bad.write_bytes(damaged)
        assert "damaged, or not written by jaxlatent.export" in refusal()
    for place in range(60, len(content) - 2000, len(content) // 20):
        flipped = bytearray(content)
        flipped[place] ^= 16
        bad.write_bytes(flipped)
        assert "damaged" in refusal()
    jl.save(bad, sampler)
    assert "damaged" in refusal()
    rewrite(path, bad, **{"decoder.safetensors": None})
    assert "damaged" in refusal()
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    rewrite(path, bad, **{"sampler.safetensors": len(header).to_bytes(8, "little") + header})
    assert "damaged" in refusal()
    with zipfile.ZipFile(bad, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", describe(path))
    assert "damaged" in refusal()
    rewrite(path, bad, **{"model.json": describe(path, format=module.FORMAT + 1)})
    assert "format 2, this version reads 1; update jaxlatent" in refusal()
    rewrite(path, bad, **{"model.json": describe(path, jax="99.0"), "cpu/sample": b"from the future"})
    assert f"written by JAX 99.0, which JAX {jax.__version__} cannot read; update JAX" in refusal()
    rewrite(path, bad)
    monkeypatch.setattr(jax.export, "default_export_platform", lambda: "rocm")
    assert refusal().endswith("exported for cpu, cuda, tpu, JAX runs on rocm; export it for rocm as well")


def test_replaced_in_one_step(path, sampler, decode, tmp_path, monkeypatch):
    kept = tmp_path / "model.jlx"
    kept.write_bytes(path.read_bytes())

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space left"):
        jl.export(kept, sampler, decode, platforms=["cpu"])
    assert kept.read_bytes() == path.read_bytes()
    assert list(tmp_path.iterdir()) == [kept]


def test_safetensors_there_and_back(model, tmp_path):
    path = tmp_path / "model.safetensors"
    jl.save_safetensors(path, model)
    again = jl.load_safetensors(path)
    assert again.config == model.config
    here, there = (jax.tree.leaves_with_path(jax.tree.map(np.asarray, m)) for m in (model, again))
    assert [name for name, _ in here] == [name for name, _ in there]
    for (_, x), (_, y) in zip(here, there, strict=True):
        np.testing.assert_array_equal(x, y)
    arrays = safetensors.numpy.load_file(path)
    np.testing.assert_array_equal(arrays["down2.conv.kernel"], model.down2.conv.kernel[...])
    np.testing.assert_array_equal(arrays["to_latent.bias"], model.to_latent.bias[...])
    content = path.read_bytes()
    jl.save_safetensors(path, again)
    assert path.read_bytes() == content


@pytest.mark.usefixtures("as_without_type_checks")
def test_safetensors_that_are_refused(model, tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(TypeError, match="model: expected an Autoencoder, got int"):
        jl.save_safetensors(path, 3)
    with pytest.raises(FileNotFoundError):
        jl.load_safetensors(path)
    jl.save_safetensors(path, model)
    arrays = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"^{path}: damaged"):
        jl.load_safetensors(path)
    safetensors.numpy.save_file(arrays, path)
    with pytest.raises(ValueError, match=r"not written by jaxlatent\.save_safetensors"):
        jl.load_safetensors(path)
    safetensors.numpy.save_file(arrays | {"up1.bias": np.zeros(4, np.float32)}, path, metadata)
    with pytest.raises(ValueError, match=r"up1\.bias is float32\[4\], expected float32\[3\]"):
        jl.load_safetensors(path)
    del arrays["up1.bias"]
    safetensors.numpy.save_file(arrays, path, metadata)
    with pytest.raises(ValueError, match=r"up1\.bias is nothing, expected float32\[3\]"):
        jl.load_safetensors(path)


def test_names_of_the_package():
    assert set(jl.__all__) <= set(dir(jl))
    for name in jl.__all__:
        assert getattr(jl, name).__name__.rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="No jaxlatent attribute nothing"):
        _ = jl.nothing
