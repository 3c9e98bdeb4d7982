import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxlatent as jl
from jaxlatent.sampling.laws.recombination import RecombinationSampler
from jaxlatent.sampling.words import distinct_indices, index_below, seed_words, words


@pytest.mark.parametrize("weights", ["equal", "random"])
@pytest.mark.parametrize("n_parents", [2, 8])
def test_mean_and_covariance_are_kept(key, weights, n_parents, skewed, assert_moments):
    """With few parents, so that drawing them without replacement shows."""
    n = 40
    z = skewed(n, 4)
    sampler = RecombinationSampler.fit(z, n_parents=n_parents, weights=weights)
    share = (n - n_parents) / n if weights == "equal" else (n - 1) / n
    covariance = np.cov(z.T.astype(np.float64))
    assert_moments(sampler.sample(key, 40_000), z.mean(axis=0, dtype=np.float64), share * covariance)


@pytest.mark.parametrize("copies", [1, 4])
def test_few_points_copies_and_a_constant_coordinate(key, copies, skewed, assert_moments):
    """Fewer different points than coordinates: their mean and covariance, in the space that they span."""
    z = np.repeat(np.insert(skewed(5, 7), 2, 7.3, axis=1), copies, axis=0)
    drawn = np.asarray(RecombinationSampler.fit(z).sample(key, 40_000))
    np.testing.assert_allclose(drawn[:, 2], 7.3, rtol=1e-5)
    rest = np.delete(z, 2, axis=1).astype(np.float64)
    share = (len(z) - 2) / len(z)
    assert_moments(np.delete(drawn, 2, axis=1), rest.mean(axis=0), share * np.cov(rest.T))


def test_is_the_combination_of_its_parents(key, skewed):
    """Two of three points: y = (x_i + x_j) / sqrt(2) of one of the three pairs, each a third of the time."""
    z = skewed(3, 5)
    sampler = RecombinationSampler.fit(z)
    assert sampler.pca.n_components == 2
    mean = z.mean(axis=0)
    pairs = np.stack([mean + (z[i] + z[j] - 2 * mean) / math.sqrt(2) for i, j in ((0, 1), (0, 2), (1, 2))])
    drawn = np.asarray(sampler.sample(key, 3000))
    distance = np.abs(drawn[:, None] - pairs).max(axis=2)
    assert distance.min(axis=1).max() < 2e-3 * np.abs(z).max()
    assert stats.chisquare(np.bincount(distance.argmin(axis=1))).pvalue > 1e-4


def test_random_weights_have_unit_norm_and_either_sign(identity_pca, key):
    """Parents e_1 .. e_m and no others: the components are the weights."""
    m = 3
    sampler = RecombinationSampler(identity_pca(m), np.eye(m, dtype=np.float16), m, "random")
    weights = np.asarray(sampler.sample_components(key, 20_000))
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1, rtol=1e-6)
    for weight in weights.T:
        assert stats.kstest(weight, "uniform", (-1, 2)).pvalue > 1e-4


def test_skewness_fades_as_documented(key):
    rng = np.random.default_rng(0)
    z = rng.exponential(size=(20_000, 1)).astype(np.float32)
    for m in (2, 4):
        y = np.asarray(RecombinationSampler.fit(z, n_parents=m).sample(key, 40_000))[:, 0]
        cubes = ((y - y.mean()) / y.std()) ** 3
        expected = stats.skew(z[:, 0]) / math.sqrt(m)
        assert abs(cubes.mean() - expected) < 5 * cubes.std() / math.sqrt(len(cubes))


def test_parents_are_stored_in_half_precision(skewed):
    z = skewed(2000, 30)
    sampler = RecombinationSampler.fit(z)
    assert sampler.parents.dtype == jnp.float16
    y = np.asarray(sampler.pca.transform(z))
    exact = (y - y.mean(axis=0, dtype=np.float64)) / np.sqrt(np.asarray(sampler.pca.explained_variance))
    error = np.abs(np.asarray(sampler.parents, np.float64) - exact)
    assert (error <= 2**-11 * np.abs(exact) + 2e-6).all()


def test_a_component_without_variance_stays_at_its_mean(key, skewed):
    z = skewed(100, 4)
    z[:, 1] = 7.0
    sampler = RecombinationSampler.fit(z, n_components=4)
    assert not np.asarray(sampler.parents[:, 3]).any()
    np.testing.assert_allclose(sampler.sample(key, 20)[:, 1], 7, rtol=1e-6)


def test_parents_are_those_of_the_subset(key, skewed, assert_moments):
    z = skewed(600, 3)
    mask = z[:, 0] > np.quantile(z[:, 0], 0.7)
    sampler = RecombinationSampler.fit(z, where=mask)
    assert len(sampler.parents) == mask.sum()
    n = mask.sum()
    expected = (n - 2) / n * np.cov(z[mask].T.astype(np.float64))
    assert_moments(sampler.sample(key, 40_000), np.asarray(jl.PCA.fit(z, where=mask).mean), expected)


def test_most_points(skewed):
    z = skewed(300, 3)
    sampler = RecombinationSampler.fit(z, max_points=50)
    assert sampler.parents.shape == (50, 3)
    np.testing.assert_array_equal(sampler.pca.mean, jl.PCA.fit(z, max_points=50).mean)


@pytest.mark.parametrize("n", [1, 2, 3, 65_535, 65_536, 65_537, 170_000, 10_000_000, 2**31, 2**32 - 1])
def test_index_below_is_the_high_word_of_the_product(n):
    rng = np.random.default_rng(0)
    word = np.concatenate([rng.integers(0, 2**32, 2000), [0, 1, 65_535, 65_536, 2**32 - 1]])
    found = np.asarray(index_below(jnp.asarray(word, jnp.uint32), n))
    np.testing.assert_array_equal(found, [int(w) * n >> 32 for w in word])


def test_index_below_reaches_every_index_alike(key):
    word = jax.random.bits(key, (100_000,), jnp.uint32)
    assert stats.chisquare(np.bincount(index_below(word, 97), minlength=97)).pvalue > 1e-4


@pytest.mark.parametrize(("m", "n"), [(2, 2), (2, 5), (4, 5)])
def test_sets_are_distinct_and_uniform(key, m, n):
    draw = jax.jit(distinct_indices, static_argnums=(2, 3, 4))
    chosen = draw(seed_words(key), jnp.arange(20_000, dtype=jnp.uint32), 3, m, n)
    ordered = np.sort(np.asarray(chosen), axis=0)
    assert (np.diff(ordered, axis=0) > 0).all()
    assert ordered.max() == n - 1
    _, counts = np.unique(ordered, axis=1, return_counts=True)
    assert len(counts) == math.comb(n, m)
    expected = 20_000 / len(counts)
    assert (np.abs(counts - expected) < 5 * math.sqrt(expected)).all()


@pytest.mark.parametrize("n", [12, 40, np.arange(12, 112)])
def test_sets_are_those_of_floyd(key, n):
    """The algorithm as printed, on the same words."""
    m, index = 12, jnp.arange(100, dtype=jnp.uint32)
    word = words(seed_words(key), index, 3, m)[0]
    sizes = np.broadcast_to(n, 100)
    expected = np.empty((m, 100), np.uint32)
    for i, size in enumerate(sizes.tolist()):
        chosen = []
        for row, last in enumerate(range(size - m, size)):
            drawn = int(word[row, i]) * (last + 1) >> 32
            chosen.append(last if drawn in chosen else drawn)
        expected[:, i] = chosen
    n = n if isinstance(n, int) else jnp.asarray(n, jnp.uint32)
    np.testing.assert_array_equal(distinct_indices(seed_words(key), index, 3, m, n), expected)


@pytest.mark.parametrize("weights", ["equal", "random"])
def test_program_does_not_grow_with_the_number_of_parents(key, weights, make_z):
    z, index = make_z(200, 3), jnp.arange(128, dtype=jnp.uint32)

    def lines(n_parents):
        draw = RecombinationSampler.fit(z, n_parents=n_parents, weights=weights)._draw
        return str(jax.make_jaxpr(draw)(seed_words(key), index)).count("\n")

    assert lines(16) == lines(64)


@pytest.mark.parametrize("weights", ["equal", "random"])
def test_contract(make_z, key, weights, tmp_path):
    sampler = RecombinationSampler.fit(make_z(300, 5), n_parents=3, weights=weights)
    whole = np.asarray(sampler.sample(key, 400))
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(sampler.sample(key, 300, start=90), whole[90:390])
    jl.save(tmp_path / "sampler.npz", sampler)
    np.testing.assert_array_equal(jl.load(tmp_path / "sampler.npz").sample(key, 400), whole)
    with jax.enable_x64(True):
        wide = sampler.sample(key, 400)
        assert wide.dtype == jnp.float32
    np.testing.assert_allclose(wide, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(make_z, identity_pca):
    z = make_z(30, 4)
    with pytest.raises(ValueError, match="n_parents: expected at least 2, got 1"):
        RecombinationSampler.fit(z, n_parents=1)
    with pytest.raises(TypeError, match="n_parents: expected an integer"):
        RecombinationSampler.fit(z, n_parents=2.0)
    with pytest.raises(ValueError, match="n_parents: expected at most 30, the number of points, got 31"):
        RecombinationSampler.fit(z, n_parents=31)
    with pytest.raises(ValueError, match="z: all vectors are equal"):
        RecombinationSampler.fit(jnp.full((30, 4), 7.3))
    with pytest.raises(ValueError, match="weights: expected one of equal, random"):
        RecombinationSampler.fit(z, weights="convex")
    with pytest.raises(ValueError, match="max_points: expected at least 2"):
        RecombinationSampler.fit(z, max_points=1)
    with pytest.raises(TypeError, match="where: expected a boolean mask"):
        RecombinationSampler.fit(z, where=np.ones(30))
    with pytest.raises(ValueError, match=r"parents: expected shape \(n, 3\)"):
        RecombinationSampler(identity_pca(3), jnp.zeros((5, 2)))
    with pytest.raises(ValueError, match="parents: expected numbers within the range of float16"):
        RecombinationSampler(identity_pca(2), jnp.full((5, 2), 1e6))
