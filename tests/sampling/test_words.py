import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxlatent.sampling.words import normals, seed_words, threefry2x32, uniforms, unit_uniform, words


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_known_answers(key, counter, expected):
    """The answers published with Random123 for threefry2x32, 20 rounds."""
    x0, x1 = (jnp.full((1,), c, jnp.uint32) for c in counter)
    y0, y1 = threefry2x32(jnp.array(key, jnp.uint32), x0, x1)
    assert (int(y0[0]), int(y1[0])) == expected


def test_words_depend_on_their_address_alone():
    seed = seed_words(jax.random.key(3))
    all_of_it = words(seed, jnp.arange(40, dtype=jnp.uint32), 2, 10)
    part = words(seed, jnp.arange(30, 40, dtype=jnp.uint32), 2, 7)
    for whole, piece in zip(all_of_it, part, strict=True):
        np.testing.assert_array_equal(whole[:7, 30:], piece)
    other = words(seed, jnp.arange(40, dtype=jnp.uint32), 3, 10)
    assert not np.intersect1d(all_of_it[0], other[0]).size


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_seed_words_of_any_key_implementation(impl):
    first, second = (seed_words(jax.random.key(s, impl=impl)) for s in (0, 1))
    assert first.shape == (2,)
    assert not np.array_equal(first, second)


def test_unit_uniform_is_open_symmetric_and_uniform():
    edges = unit_uniform(jnp.array([0, 0xFFFFFFFF], jnp.uint32))
    assert 0 < edges[0] < 1e-7
    assert 1 - 1e-7 < edges[1] < 1
    assert edges[0] == 1 - edges[1]
    w, _ = words(seed_words(jax.random.key(0)), jnp.arange(2000, dtype=jnp.uint32), 0, 100)
    assert stats.kstest(np.asarray(unit_uniform(w)).ravel(), "uniform").pvalue > 1e-3


def test_normals(key):
    seed, index = seed_words(key), jnp.arange(4000, dtype=jnp.uint32)
    for rows in (1, 5, 6):
        z = np.asarray(normals(seed, index, 3, rows))
        assert z.shape == (rows, 4000)
        assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
        assert np.abs(np.corrcoef(z) - np.eye(rows)).max() < 5 / np.sqrt(4000)
    # Rows i and i + half come from one address: they must be independent, not only uncorrelated.
    assert abs(np.corrcoef(z[0] ** 2, z[3] ** 2)[0, 1]) < 5 / np.sqrt(4000)
    upper, lower = (np.asarray(w, np.float64) for w in words(seed, index, 3, 3))
    radius = np.sqrt(-2 * np.log((upper + 0.5) / 2**32))
    expected = [radius * np.cos(2 * np.pi * lower / 2**32), radius * np.sin(2 * np.pi * lower / 2**32)]
    np.testing.assert_allclose(z, np.concatenate(expected), atol=1e-5)


def test_uniforms(key):
    w = np.asarray(uniforms(seed_words(key), jnp.arange(3000, dtype=jnp.uint32), 0, 7))
    assert w.shape == (7, 3000)
    assert stats.kstest(w.ravel(), "uniform").pvalue > 1e-4
