"""Samplers under JAX's transformations and settings: what holds for 100 vectors holds for 9,000."""

import dataclasses
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.sampling import pytree, static_field
from jaxlatent.sampling.tiles import aligned, to_jax
from jaxlatent.sampling.words import seed_words, uniforms

MANY = 3000  # more than one call of a CPU draws


@pytree
class Recording(jl.Sampler):
    """Uniform vectors, but for one that is NaN; remembers the settings that it is traced under."""

    scale: float = 1.0
    nan_at: int = static_field(default=-1)
    settings = ()

    def _draw(self, seed, index):
        config = jax.config
        type(self).settings += (
            (config.jax_enable_x64, config.jax_default_matmul_precision, threading.get_ident()),
        )
        w = self.scale * uniforms(seed, index, 0, 3).T
        return jnp.where((index == self.nan_at)[:, None], jnp.nan, w).astype(jnp.float32)


@pytest.fixture(scope="module")
def gaussian(make_z):
    return jl.GaussianSampler.fit(make_z(500, 5), temperature=0.7)


@pytest.mark.parametrize("n", [100, 9000])
def test_settings_of_the_caller_hold_whatever_the_number(key, n):
    jax.clear_caches()
    Recording.settings = ()
    with jax.enable_x64(True), jax.default_matmul_precision("float32"):
        Recording().sample(key, n)
    assert set(Recording.settings) == {(True, "float32", threading.get_ident())}


@pytest.mark.parametrize(("n", "place"), [(100, 50), (9000, 50), (9000, 8000)])
def test_nans_are_looked_for_whatever_the_number(key, n, place):
    assert np.isnan(Recording(nan_at=place).sample(key, n)).sum() == 3
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        Recording(nan_at=place).sample(key, n)


def test_many_vectors_in_a_program(gaussian, key):
    expected = np.asarray(gaussian.sample(key, MANY))
    by_argument = jax.jit(lambda s: s.sample(key, MANY))(gaussian)
    by_key = jax.jit(lambda k: gaussian.sample(k, MANY))(key)
    # With nothing traced but what is around it.
    around = jax.jit(lambda x: x + gaussian.sample(key, MANY))(0.0)
    for drawn in (by_argument, by_key, around):
        np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-5)
    both = jax.vmap(lambda k: gaussian.sample(k, MANY))(jax.random.split(key))
    assert both.shape == (2, MANY, 5)


def test_many_vectors_have_a_gradient(gaussian, key):
    def spread(temperature):
        return jnp.sum(jnp.square(dataclasses.replace(gaussian, temperature=temperature).sample(key, MANY)))

    mean, drawn = np.asarray(gaussian.pca.mean), np.asarray(gaussian.sample(key, MANY), np.float64)
    # z = mean + T e, so that d(sum z^2) / dT = sum 2 z e.
    expected = 2 * (drawn * (drawn - mean) / 0.7).sum()
    assert float(jax.grad(spread)(0.7)) == pytest.approx(expected, rel=1e-4)


def test_a_program_does_not_grow_with_the_number(gaussian, key):
    lengths = [len(str(jax.make_jaxpr(lambda s, n=n: s.sample(key, n))(gaussian))) for n in (3000, 400_000)]
    assert lengths[1] < 1.02 * lengths[0]


def test_another_number_compiles_nothing(gaussian, key, compilations):
    for n in (1900, 9000):
        gaussian.sample(key, n)
    with compilations() as names:
        for n in (1901, 1950, 8901, 9001, 9100):
            assert gaussian.sample(key, n, start=3).shape == (n, 5)
    assert not names


def test_drawn_vectors_are_not_copied():
    rows = aligned((100, 7))
    rows[:] = 1
    drawn = to_jax(rows, jax.devices()[0])
    assert drawn.unsafe_buffer_pointer() == rows.ctypes.data


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_a_key_gives_the_same_vectors_alone_and_among_others(gaussian, impl):
    keys = jnp.stack([jax.random.key(i, impl=impl) for i in range(3)])
    together = jax.vmap(lambda k: gaussian.sample(k, 5))(keys)
    alone = [gaussian.sample(k, 5) for k in keys]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    assert len(np.unique(np.asarray(together)[:, 0], axis=0)) == 3


def test_all_words_of_a_key_count():
    for impl, size in (("threefry2x32", 2), ("rbg", 4)):
        seeds = set()
        for place in range(size):
            data = np.zeros(size, np.uint32)
            data[place] = 1
            seeds.add(tuple(np.asarray(seed_words(jax.random.wrap_key_data(jnp.asarray(data), impl=impl)))))
        assert len(seeds) == size


def test_no_setting_changes_the_vectors_of_a_key(gaussian, key):
    expected = np.asarray(gaussian.sample(key, 20))
    for partitionable in (False, True):
        with jax.threefry_partitionable(partitionable):
            jax.clear_caches()
            np.testing.assert_array_equal(gaussian.sample(key, 20), expected)


def test_vectors_of_0_1_with_the_default_keys(key):
    """The seed of a threefry key is what `jax.random.bits` gives in JAX's default settings."""
    with jax.threefry_partitionable(True):
        np.testing.assert_array_equal(seed_words(key), jax.random.bits(key, (2,), jnp.uint32))


def test_tables_follow_what_is_replaced(make_z, key):
    z = make_z(3000, 5)
    exact = jl.ExactSampler.fit(z, density="normal", fact=2.0)
    ellipsoid = jl.EllipsoidSampler.fit(z, density="normal")
    for sampler, change in ((exact, {"temperature": 0.3}), (ellipsoid, {"level": 1.0})):
        sampler.sample(key, 1)  # so that the tables are there
        changed = dataclasses.replace(sampler, **change)
        names = [field.name for field in dataclasses.fields(sampler)]
        fresh = type(sampler)(**{name: getattr(changed, name) for name in names})
        np.testing.assert_array_equal(changed.sample(key, 2000), fresh.sample(key, 2000))
    assert ellipsoid.contains(changed.sample(key, 2000)).all()
    distance = jnp.linalg.norm(
        changed.sample_components(key, 2000) / jnp.sqrt(changed.pca.explained_variance), axis=1
    )
    assert float(distance.max()) <= 1


@pytest.mark.parametrize("make", [jl.ExactSampler, jl.EllipsoidSampler, jl.TiltedSampler])
def test_made_within_a_program_it_draws_its_law(make, make_z, key):
    fitted = make.fit(make_z(3000, 4), density="normal")
    leaves = {
        field.name: getattr(fitted, field.name)
        for field in dataclasses.fields(fitted)
        if not field.metadata.get("static")
    }

    def draw(leaves):
        return make(**leaves, density="normal").sample(key, 2000)

    drawn = np.asarray(jax.jit(draw)(leaves))
    np.testing.assert_allclose(drawn.std(axis=0), np.asarray(fitted.sample(key, 2000)).std(axis=0), rtol=0.01)
