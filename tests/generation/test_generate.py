from functools import partial
from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl


@pytest.fixture(scope="module")
def sampler():
    return jl.BoxSampler.cube(1.0, 5)


def double(z):
    return z[:, None] * 2


@pytest.mark.parametrize("n", [1, 9, 10, 27])
@pytest.mark.parametrize("batch_size", [1, 10, 64])
def test_image_i_belongs_to_vector_i(sampler, key, n, batch_size):
    images = jl.generate(key, sampler, double, n, batch_size=batch_size)
    assert images.shape == (n, 1, 5)
    np.testing.assert_array_equal(images[:, 0], 2 * sampler.sample(key, n))


def test_batches_have_one_shape_and_the_dtype_stays(sampler, key):
    shapes = []

    def decode(z):
        shapes.append(z.shape)
        return np.asarray(jnp.zeros(z.shape, jnp.uint8))

    assert jl.generate(key, sampler, decode, 23, batch_size=8).dtype == np.uint8
    assert shapes == [(8, 5)] * 3


def test_with_an_autoencoder(key):
    config = jl.AutoencoderConfig(image_size=32, latent_dim=5, filters=(4, 4, 4, 4))
    images = np.zeros((4, 32, 32, 3), np.uint8)
    model, _ = jl.fit_autoencoder(key, images, config, jl.TrainConfig(epochs=1))
    sampler = jl.BoxSampler.cube(1.0, 5)
    faces = jl.generate(key, sampler, partial(jl.decode, model), 3, batch_size=2)
    np.testing.assert_allclose(faces, jl.decode(model, sampler.sample(key, 3)), atol=1e-6)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(sampler, key):
    with pytest.raises(ValueError, match="n: expected at least 1, got 0"):
        jl.generate(key, sampler, double, 0)
    with pytest.raises(ValueError, match="batch_size: expected at least 1"):
        jl.generate(key, sampler, double, 3, batch_size=0)
    with pytest.raises(TypeError, match=r"jax\.random\.key"):
        jl.generate(jax.random.PRNGKey(0), sampler, double, 3)
    with pytest.raises(ValueError, match=r"decode: expected 4 images .* got \(5, 4\)"):
        jl.generate(key, sampler, lambda z: z.T, 3, batch_size=4)


def test_no_tile_is_drawn_twice(sampler, key, monkeypatch):
    """Where a device draws many more vectors at once than are decoded."""
    monkeypatch.setattr(import_module("jaxlatent.generation.generate"), "tile_size", lambda *_: 1024)
    drawn, batches, sample = [], [], jl.BoxSampler.sample

    def counted(self, key, n, *, start=0):
        drawn.append(n)
        return sample(self, key, n, start=start)

    def decode(z):
        batches.append(z.shape)
        return z[:, None, None, :3]

    monkeypatch.setattr(jl.BoxSampler, "sample", counted)
    images = jl.generate(key, sampler, decode, 1950, batch_size=100)
    np.testing.assert_array_equal(images[:, 0, 0], sample(sampler, key, 1950)[:, :3])
    assert drawn == [1000, 1000]
    assert set(batches) == {(100, 5)}
