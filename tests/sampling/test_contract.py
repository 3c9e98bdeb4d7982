"""What every sampler has to fulfil, each on the same z-points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.sampling.base import ComponentSampler, _draw_tiles

D = 12
SAMPLERS = {
    "pairwise": lambda z: jl.PairwiseSampler.fit(z, n_components=7),
    "pairwise-all": lambda z: jl.PairwiseSampler.fit(z, fact=0.5, half_width="sigma"),
    "pairwise-permutation": lambda z: jl.PairwiseSampler.fit(z, n_components=4, order="permutation"),
    "box": lambda z: jl.BoxSampler.fit(z),
    "box-cube": lambda z: jl.BoxSampler.fit(z, b=1.5),
}


@pytest.fixture(scope="module", params=SAMPLERS)
def sampler(request, make_z):
    return SAMPLERS[request.param](make_z(3000, D))


def test_shape_and_dtype(sampler, key):
    z = sampler.sample(key, 37)
    assert z.shape == (37, D)
    assert z.dtype == jnp.float32
    assert jnp.isfinite(z).all()


@pytest.mark.parametrize("n", [1, 127, 128, 129, 2500])
def test_vector_depends_on_key_and_index_alone(sampler, key, n):
    """Across tiles, programs and threads: bit for bit."""
    reference = np.asarray(sampler.sample(key, 5000))
    np.testing.assert_array_equal(sampler.sample(key, n), reference[:n])
    np.testing.assert_array_equal(sampler.sample(key, 40, start=n), reference[n : n + 40])


def test_repeats_and_keys_differ(sampler, key):
    first = np.asarray(sampler.sample(key, 50))
    np.testing.assert_array_equal(first, sampler.sample(key, 50))
    other = np.asarray(sampler.sample(jax.random.key(99), 50))
    assert not (first == other).all(axis=1).any()
    assert len(np.unique(first, axis=0)) == 50


def test_none_asked_for(sampler, key):
    assert sampler.sample(key, 0).shape == (0, D)


def test_is_a_pytree_and_traceable(sampler, key):
    leaves, structure = jax.tree.flatten(sampler)
    again = jax.tree.unflatten(structure, leaves)
    traced = jax.jit(lambda s, k: s.sample(k, 300))(again, key)
    np.testing.assert_allclose(traced, sampler.sample(key, 300), rtol=1e-5, atol=1e-6)


def test_few_programs(sampler, key):
    """Any two numbers of vectors that need as many tiles share a program."""
    sampler.sample(key, 5000)
    before = _draw_tiles._cache_size()
    for n in (4100, 5000, 6000, 8192):
        sampler.sample(key, n)
    sampler.sample(jax.random.key(5), 5000, start=77)
    assert _draw_tiles._cache_size() == before


def test_saved_and_loaded(sampler, key, tmp_path):
    jl.save(tmp_path / "sampler.npz", sampler)
    again = jl.load(tmp_path / "sampler.npz")
    assert type(again) is type(sampler)
    np.testing.assert_array_equal(again.sample(key, 20), sampler.sample(key, 20))


def test_components_are_the_same_vectors(sampler, key):
    if not isinstance(sampler, ComponentSampler):
        pytest.skip("draws in the latent frame only")
    y = sampler.sample_components(key, 60)
    assert y.shape == (60, sampler.pca.n_components)
    np.testing.assert_allclose(
        sampler.pca.inverse_transform(y), sampler.sample(key, 60), rtol=1e-5, atol=1e-5
    )


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(sampler, key):
    with pytest.raises(TypeError, match=r"jax\.random\.key"):
        sampler.sample(jax.random.PRNGKey(0), 3)
    with pytest.raises(ValueError, match="single key"):
        sampler.sample(jax.random.split(key), 3)
    with pytest.raises(ValueError, match="n: expected at least 0, got -1"):
        sampler.sample(key, -1)
    with pytest.raises(TypeError, match="n: expected an integer"):
        sampler.sample(key, 2.5)
    with pytest.raises(ValueError, match="start"):
        sampler.sample(key, 2, start=-4)
    with pytest.raises(ValueError, match="another key"):
        sampler.sample(key, 2, start=2**32 - 1)
