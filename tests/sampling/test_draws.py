"""How many vectors are drawn at once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.sampling import draws
from jaxlatent.sampling.draws import largest_tile, tile_size


def cube(k):
    return jl.BoxSampler.cube(1.0, k)


def permutation(k):
    frame = jl.PCA(jnp.zeros(k), jnp.eye(k), jnp.ones(k), jnp.full(k, 1 / k))
    return jl.PairwiseSampler(frame, jl.EllipseBody(jnp.ones(k)), order="permutation")


@pytest.mark.parametrize("platform", ["gpu", "tpu", "a platform that is new"])
@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (cube(2), 16_384),
        (cube(1024), 16_384),
        (cube(1025), 8192),
        (permutation(16), 16_384),
        (permutation(256), 1024),
        (permutation(1024), 64),
    ],
    ids=str,
)
def test_a_tile_fits_the_memory_of_an_accelerator(law, expected, platform):
    assert tile_size(law, platform) == expected <= largest_tile(platform)


def test_a_vector_that_fits_no_tile_is_one(monkeypatch):
    monkeypatch.setattr(draws, "_TILE_BYTES", 1)
    assert tile_size(cube(2), "gpu") == 1


def test_the_tile_of_a_cpu_is_small():
    assert tile_size(cube(4096), "cpu") == tile_size(permutation(256), "cpu") == largest_tile("cpu") == 128


@pytest.mark.parametrize("sampler", [cube(5), permutation(5)], ids=["box", "permutation"])
@pytest.mark.parametrize("traced", [False, True], ids=["call", "traced"])
def test_vectors_do_not_depend_on_the_tile(sampler, traced, key, monkeypatch):
    def sample():
        draw = partial(sampler.sample, n=300)
        return np.asarray(jax.jit(draw)(key) if traced else draw(key))

    expected = sample()
    monkeypatch.setattr(draws, "_TILE_BYTES", 64 * sampler._bytes_a_vector)
    assert tile_size(sampler, "cpu") == 64
    np.testing.assert_array_equal(sample(), expected)
