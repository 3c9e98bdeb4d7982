import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from jaxlatent import PCA
from jaxlatent.latent import moments
from jaxlatent.latent.sharded import ShardedVectors, open_latents, part

N, D, SIZE = 1050, 5, 100


def write_shards(folder, z, size=SIZE):
    folder.mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(z), size)):
        np.save(folder / f"latents-{number:05d}.npy", z[start : start + size])


def write_manifest(folder, n=N, *, complete=True):
    (folder / "manifest.json").write_text(json.dumps({"complete": complete, "layout": {"n": n}}))


@pytest.fixture
def z():
    return np.random.default_rng(0).normal(3, 2, (N, D)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, z):
    write_shards(tmp_path / "shards", z)
    return tmp_path / "shards"


def test_is_like_one_array(folder, z):
    found = open_latents(folder)
    assert isinstance(found, ShardedVectors)
    assert (found.shape, found.ndim, found.dtype, len(found)) == ((N, D), 2, np.float32, N)
    mask = np.random.default_rng(1).random(N) < 0.1
    rows = np.random.default_rng(2).integers(-N, N, 300)
    for index in (
        slice(None),
        slice(0, 100),
        slice(99, 301),
        slice(-7, None),
        slice(40, 20),
        slice(N, None),
        slice(None, None, -3),
        slice(5, 900, 250),
        0,
        -1,
        np.int32(123),
        rows,
        rows.tolist(),
        [],
        mask,
    ):
        np.testing.assert_array_equal(found[index], z[index])
        assert found[index].dtype == np.float32
    np.testing.assert_array_equal(np.asarray(found), z)
    assert np.asarray(found, np.float64).dtype == np.float64
    np.testing.assert_array_equal(list(found), z)


def test_arrays_on_a_mesh_of_explicit_axes():
    """In a process with two devices: `jax.make_mesh` gives such a mesh by default."""
    script = """
import jax, numpy as np, jaxlatent as jl
from jaxlatent.latent import moments
from jaxlatent.sampling.fitting.region import fit_region
mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Explicit,))
rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
z = np.random.default_rng(0).normal(3, [2, 1, 0.5], (400, 3)).astype(np.float32)
both, where, pca = jax.device_put(z, rows), z[:, 0] > 3, jl.PCA.fit(z)
for use in (
    lambda x: moments(x).scatter,
    lambda x: jl.half_width(x),
    lambda x: pca.transform(x),
    lambda x: pca.inverse_transform(x),
    lambda x: pca.distance(x),
    lambda x: jl.PCA.fit(x, max_points=100).mean,
    lambda x: fit_region(x)[1].semi_axes,
    lambda x: fit_region(x, where=where)[1].semi_axes,
    lambda x: fit_region(x, within_sigma=2.0)[1].semi_axes,
    lambda x: jl.attribute_direction(x, where).vector,
):
    np.testing.assert_allclose(use(both), use(z), rtol=1e-4, atol=1e-5)
print("same")
"""
    flags = {
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=os.environ | flags, capture_output=True, text=True, check=False)
    assert done.stdout == "same\n", done.stderr


def test_fits_are_those_of_the_array(folder, z):
    found = open_latents(folder)
    np.testing.assert_array_equal(moments(found).scatter, moments(z).scatter)
    where = z[:, 0] > 4
    for options in ({}, {"n_components": 2}, {"where": where}, {"max_points": 500}, {"within_sigma": 2.5}):
        np.testing.assert_array_equal(
            PCA.fit(found, **options).explained_variance, PCA.fit(z, **options).explained_variance
        )


@pytest.mark.parametrize("count", [1, 3, 7, 2000])
def test_parts_are_disjoint_and_all(folder, z, count):
    for whole in (open_latents(folder), z):
        parts = [part(whole, i, count) for i in range(count)]
        assert {type(each) for each in parts} == {type(whole)}
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        np.testing.assert_array_equal(np.concatenate([np.asarray(each) for each in parts]), z)
    middle = part(part(open_latents(folder), 1, 3), 1, 2)
    np.testing.assert_array_equal(middle[[0, -1]], z[[525, 699]])


def test_one_file(tmp_path, z):
    np.save(tmp_path / "z.npy", z)
    found = open_latents(tmp_path / "z.npy")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, z)


def test_one_shard_and_a_manifest(tmp_path, z):
    write_shards(tmp_path / "job", z, N)
    write_manifest(tmp_path / "job")
    np.testing.assert_array_equal(np.asarray(open_latents(tmp_path / "job")), z)


def test_more_shards_than_open_files(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    z = np.arange(1200, dtype=np.float32)[:, None]
    write_shards(tmp_path / "shards", z, 2)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        found = open_latents(tmp_path / "shards")
        np.testing.assert_array_equal(np.asarray(found), z)
        chosen = [found[i : i + 1] for i in range(0, 1200, 2)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    np.testing.assert_array_equal(np.concatenate(chosen), z[::2])


def test_folders_that_are_not_whole(tmp_path, folder, z):
    with pytest.raises(FileNotFoundError, match="nothing"):
        open_latents(tmp_path / "nothing")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "images-00000.npy").touch()
    with pytest.raises(ValueError, match=r"images: holds no latents-00000.npy"):
        open_latents(tmp_path / "images")
    write_manifest(folder, complete=False)
    with pytest.raises(ValueError, match="shards: not finished"):
        open_latents(folder)
    write_manifest(folder, N + 1)
    with pytest.raises(ValueError, match=f"holds {N} of {N + 1} vectors"):
        open_latents(folder)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"manifest.json: not a manifest"):
        open_latents(folder)
    (folder / "manifest.json").unlink()
    (folder / "latents-00003.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"latents-00003.npy: missing"):
        open_latents(folder)


@pytest.mark.parametrize(
    ("number", "bad", "message"),
    [
        (10, np.zeros((50, D + 1), np.float32), r"latents-00010.npy: expected float32 of shape \(50, 5\)"),
        (
            10,
            np.zeros((SIZE + 1, D), np.float32),
            r"latents-00010.npy: expected .* got float32 of \(101, 5\)",
        ),
        (10, np.zeros((50, D), np.float64), r"latents-00010.npy: expected float32 .* got float64"),
        (0, np.zeros((SIZE, D), np.int32), r"latents-00000.npy: expected floating-point"),
        (0, np.zeros(SIZE, np.float32), r"latents-00000.npy: expected an array of shape \(n, d\)"),
    ],
)
def test_shards_that_do_not_fit_when_opened(folder, number, bad, message):
    np.save(folder / f"latents-{number:05d}.npy", bad)
    with pytest.raises((ValueError, TypeError), match=message):
        open_latents(folder)


def test_shards_that_do_not_fit_when_read(folder, z):
    path = folder / "latents-00004.npy"
    found = open_latents(folder)
    np.save(path, z[: SIZE - 1])
    np.testing.assert_array_equal(found[:400], z[:400])
    with pytest.raises(
        ValueError, match=r"latents-00004.npy: expected .*\(100, 5\) .* got float32 of \(99, 5\)"
    ):
        found[:401]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"latents-00004.npy: not a whole .npy file"):
        moments(found)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"latents-00004.npy: not a whole .npy file"):
        found[450]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"latents-00004.npy"):
        found[[450, 3]]


@pytest.mark.usefixtures("as_without_type_checks")
def test_wrong_arguments(folder, z):
    found = open_latents(folder)
    for index in (N, -N - 1, [3, N], np.array([N], np.uint64)):
        with pytest.raises(IndexError, match=f"out of range for {N} vectors"):
            found[index]
    for index in ((0, 1), 1.5, None, "a", [[1]], np.ones(3, bool), True, (slice(2), 0)):
        with pytest.raises(IndexError):
            found[index]
    with pytest.raises(ValueError, match="without a copy"):
        np.array(found, copy=False)
    for whole in (found, z):
        with pytest.raises(ValueError, match="index: expected at most 2, got 3"):
            part(whole, 3, 3)
        with pytest.raises(ValueError, match="count: expected at least 1"):
            part(whole, 0, 0)
        with pytest.raises(TypeError, match="index: expected an integer"):
            part(whole, 0.5, 2)
