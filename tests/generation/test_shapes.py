"""Latents (n, c, h, w), as of an image model: in bulk, in files, exported, edited, reported."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent import report
from jaxlatent.generation.bulk import FormatName
from jaxlatent.latent import load_latents

SHAPE = (4, 2, 2)


@pytest.fixture(scope="module")
def z():
    return np.random.default_rng(0).standard_normal((600, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def sampler(z):
    return jl.GaussianSampler.fit(z)


def decode(z):
    """Images (b, 4, 4, 3) of latents (b, 4, 2, 2), which it insists on."""
    assert z.shape[1:] == SHAPE
    pixels = jax.nn.sigmoid(jnp.einsum("bcij,c->bij", z, jnp.linspace(-1, 1, 4)))
    return jnp.repeat(jnp.repeat(pixels, 2, axis=1), 2, axis=2)[..., None] * jnp.ones(3)


def test_a_few(sampler, key):
    images = jl.generate(key, sampler, decode, 10)
    np.testing.assert_allclose(images, decode(sampler.sample(key, 10)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("format_name", ["npy", "webdataset", "npz"])
def test_in_bulk(format_name: FormatName, sampler, key, tmp_path):
    out = tmp_path / "out"
    jl.generate_to(out, sampler, decode, 300, key=key, outputs="both", format=format_name, shard_size=128)
    assert jl.verify(out) == []
    if format_name == "npy":
        expected = np.asarray(sampler.sample(key, 300))
        shards = jl.open_latents(out)
        assert shards.shape == (300, *SHAPE)
        np.testing.assert_array_equal(np.asarray(shards), expected)
        np.testing.assert_array_equal(shards[[5, 299, 130]], expected[[5, 299, 130]])
        # A frame from shards has their shape, too.
        pca = jl.PCA.fit(shards)
        np.testing.assert_allclose(pca.mean, expected.mean(axis=0), atol=1e-6)
        assert pca.inverse_transform(pca.transform(shards)).shape == (300, *SHAPE)
        assert jl.GaussianSampler(pca).sample(key, 3).shape == (3, *SHAPE)
    if format_name == "npz":
        with np.load(out / "samples.npz") as file:
            assert file["latents"].shape == (300, *SHAPE)


def test_a_filter_sees_the_shape(sampler, key, tmp_path):
    def accept(z):
        return z[:, 0, 0, 0] > 0

    jl.generate_to(tmp_path / "out", sampler, None, 200, key=key, outputs="latents", filter=accept)
    assert (np.asarray(jl.open_latents(tmp_path / "out"))[:, 0, 0, 0] > 0).all()


def test_exported(sampler, key, tmp_path):
    jl.export(tmp_path / "model.jlx", sampler, decode, platforms=["cpu"])
    exported = jl.load_exported(tmp_path / "model.jlx")
    assert exported.latent_shape == SHAPE
    drawn = np.asarray(exported.sample(key, 200))
    np.testing.assert_array_equal(drawn, sampler.sample(key, 200))
    np.testing.assert_allclose(exported.decode(drawn), decode(jnp.asarray(drawn)), rtol=1e-5, atol=1e-6)
    assert exported.generate(key, 20).shape == (20, 4, 4, 3)
    assert "vectors 4x2x2" in repr(exported)


def test_directions_and_edits(z, sampler):
    labels = z[:, 1, 0, 1] > 0
    found = jl.attribute_direction(z, labels)
    assert found.vector.shape == SHAPE
    moved = jl.edit(z[:20], found.vector, 0.5, sampler=jl.ExactSampler.fit(z, fact=2.0))
    assert moved.shape == (20, *SHAPE)
    assert np.asarray(moved - z[:20])[:, 1, 0, 1].mean() > 0.3


@pytest.mark.slow
def test_the_report_of_a_file(z, tmp_path, key):
    np.save(tmp_path / "z.npy", z)
    loaded = load_latents(tmp_path / "z.npy")
    assert loaded.shape == z.shape
    page = report.build(tmp_path / "report", loaded, jl.PairwiseSampler.fit(loaded), title="Shaped", key=key)
    assert "600 z-points of 16 dimensions" in page.read_text()
