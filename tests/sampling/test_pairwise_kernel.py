"""The kernel, interpreted on a CPU, against the plain form; scripts/compile_devices.py compiles it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.sampling.bodies.body import LIMIT
from jaxlatent.sampling.kernels import SWITCH, kernel_platforms
from jaxlatent.sampling.laws import pairwise, pairwise_chip, pairwise_kernel
from jaxlatent.sampling.laws.pairwise import redrawn
from jaxlatent.sampling.laws.pairwise_chip import fits, redrawn_on_chip
from jaxlatent.sampling.words import seed_words
from tests.sampling.test_pairwise import assert_literal_law

SLOW = pytest.mark.slow


@pytest.fixture(autouse=True)
def little_unrolled(monkeypatch):
    """Two rows at a time in place of eight: the same operations, compiled for a CPU in half the time."""
    monkeypatch.setattr(pairwise_kernel, "_LOG_UNROLLED", 1)
    monkeypatch.setattr(pairwise_kernel, "_UNROLLED", 2)


@pytest.fixture
def interpreted(monkeypatch):
    """Samplers take the kernel, interpreted; gives a list with an entry for each time."""
    taken = []

    def kernel(*arguments, platform, **options):
        taken.append(platform)
        return redrawn_on_chip(*arguments, **options, platform="tpu", interpret=True)

    monkeypatch.setattr(pairwise_chip, "redrawn_on_chip", kernel)
    monkeypatch.setattr(pairwise_chip, "fits", lambda *_: True)
    monkeypatch.setattr(pairwise, "kernel_platforms", lambda: ("cpu",))
    return taken


def assert_same_bits(k, rounds, platform):
    """Of a GPU's two blocks and a part of a third; indices pass 2^32."""
    seed, index = seed_words(jax.random.key(k)), jnp.arange(300, dtype=jnp.uint32) - jnp.uint32(20)
    options = {"k": k, "rounds": rounds, "limit": LIMIT, "stream": 2}
    kernel = partial(redrawn_on_chip, **options, platform=platform, interpret=True)
    on_chip = jax.jit(kernel)(seed[:, None], index)
    plain = jax.jit(partial(redrawn, **options))(seed, index)
    np.testing.assert_array_equal(np.asarray(on_chip), np.asarray(plain), strict=True)


@pytest.mark.parametrize(
    ("k", "rounds", "platform"),
    [
        (2, 0, "tpu"),
        (129, 16, "cuda"),
        *(pytest.param(k, 0, "tpu", marks=SLOW) for k in (3, 4, 8, 33, 105, 128)),
        *(pytest.param(k, k // 8, "tpu", marks=SLOW) for k in (9, 64, 129, 130, 255, 256, 257)),
        pytest.param(7, 7, "tpu", marks=SLOW),
        *(pytest.param(k, rounds, "cuda", marks=SLOW) for k, rounds in ((2, 0), (105, 0), (256, 32))),
    ],
)
def test_bits_of_the_plain_form(k, rounds, platform):
    """The two platforms run the same operations on rows of other shapes."""
    assert_same_bits(k, rounds, platform)


@pytest.mark.slow
def test_bits_of_the_plain_form_as_it_is_compiled(monkeypatch):
    monkeypatch.undo()
    assert_same_bits(133, 16, "cuda")


@pytest.mark.parametrize("k", [3, pytest.param(12, marks=SLOW)])
def test_literal_law(identity_pca, interpreted, k):
    sampler = jl.PairwiseSampler(identity_pca(k), jl.EllipseBody(jnp.ones(k)))
    index = jnp.arange(400_000, dtype=jnp.uint32)
    assert_literal_law(np.asarray(jax.jit(sampler._draw)(seed_words(jax.random.key(k)), index)))


def test_samplers_take_the_kernel(identity_pca, interpreted, monkeypatch):
    """With the bits of the plain form, also under vmap over keys and indices, alone and together."""
    k, b = 6, 40
    pca = identity_pca(k)
    sampler = jl.PairwiseSampler(pca, jl.EllipseBody(jnp.ones(k)))
    seeds = jax.vmap(seed_words)(jax.random.split(jax.random.key(0), 3))
    index = jnp.arange(3 * b, dtype=jnp.uint32).reshape(3, b)
    ways = {
        "alone": lambda: sampler._draw(seeds[0], index[0]),
        "indices": lambda: jax.vmap(partial(sampler._draw, seeds[0]))(index),
        "seeds": lambda: jax.vmap(sampler._draw, (0, None))(seeds, index[0]),
        "both": lambda: jax.vmap(sampler._draw)(seeds, index),
        "a seed a vector": lambda: sampler._draw(jnp.repeat(seeds.T, b, axis=1), index.reshape(-1)),
        "gradient": lambda: jax.grad(
            lambda axes: jnp.sum(jl.PairwiseSampler(pca, jl.EllipseBody(axes))._draw(seeds[0], index[0]))
        )(sampler.body.semi_axes),
    }

    def compiled(way):
        # A function of its own, as JAX would know the other one again, and what it was traced to.
        return np.asarray(jax.jit(lambda: way())())

    on_chip = {name: compiled(way) for name, way in ways.items()}
    assert len(interpreted) == len(ways)
    monkeypatch.setattr(pairwise, "kernel_platforms", tuple)
    for name, way in ways.items():
        np.testing.assert_array_equal(on_chip[name], compiled(way), err_msg=name, strict=True)
    assert len(interpreted) == len(ways)


def test_what_fits():
    """256 components do, with their 32 rounds; what does not is drawn by the plain form."""
    assert fits("cuda", 256, 32)
    assert not fits("cuda", 512, 64)
    assert fits("tpu", 1024, 128)
    assert not fits("tpu", 4096, 512)


def test_switch(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    assert kernel_platforms() == ()
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert kernel_platforms() == ("tpu",)
    monkeypatch.setenv(SWITCH, "0")
    assert kernel_platforms() == ()
    monkeypatch.setenv(SWITCH, "1")
    assert kernel_platforms() == ("tpu", "cuda")
    monkeypatch.setenv(SWITCH, "yes")
    with pytest.raises(ValueError, match="JAXLATENT_KERNELS: expected 0 or 1, got 'yes'"):
        kernel_platforms()
