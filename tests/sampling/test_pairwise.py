import importlib.util
import json
import math
import random
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxlatent as jl
from jaxlatent.sampling.laws.labels import gathered, random_labels, sorted_along
from jaxlatent.sampling.laws.pairwise import permutation_pass
from jaxlatent.sampling.laws.round_robin import round_robin, scramble
from jaxlatent.sampling.laws.violated import descending, redraw_violated
from jaxlatent.sampling.words import seed_words

SCRIPT = Path(__file__).with_name("literal.py")
SPEC = importlib.util.spec_from_file_location("literal", SCRIPT)
literal = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(literal)
# Means and standard errors of millions of vectors of literal.py, measured once by
# `python benchmarks/pairwise_law.py --reference tests/sampling/literal.json`.
EXPECTED = json.loads(SCRIPT.with_suffix(".json").read_text())

pytestmark = pytest.mark.optimized


def plain_python(rng, n, k):
    """The method with nothing but loops, in units of the semi-axes: the reference of the reference."""
    vectors = []
    for _ in range(n):
        u = [rng.uniform(-1, 1) for _ in range(k)]
        pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
        rng.shuffle(pairs)
        for i, j in pairs:
            if rng.random() < 0.5:
                i, j = j, i
            c = math.sqrt(max(0.0, 1 - u[i] ** 2))
            if abs(u[j]) > c:
                u[j] = rng.uniform(-c, c)
        vectors.append(u)
    return np.array(vectors)


def draw(identity_pca, seed, n, k, order="round_robin"):
    sampler = jl.PairwiseSampler(identity_pca(k), jl.EllipseBody(jnp.ones(k)), order)
    return np.asarray(sampler.sample_components(jax.random.key(seed), n))


def deviations(u):
    """How many standard errors the five statistics are from those of the literal method, by name."""
    result = {}
    for name, values in literal.statistics(u).items():
        (mean, error), (expected, uncertainty) = (
            literal.mean_and_error(values),
            EXPECTED[str(u.shape[1])]["means"][name],
        )
        if name in ("P(largest > 0.9)", "P(second > 0.6)"):
            # By the expected number of events, as there may be none.
            error = max(error, math.sqrt(expected * (1 - expected) / len(u)))
        result[name] = (mean - expected) / max(math.hypot(error, uncertainty), 1e-12)
    return result


def assert_literal_law(u):
    z = deviations(u)
    assert max(map(abs, z.values())) < 4.5, z


@pytest.mark.parametrize("k", [2, 3, 6])
def test_the_reference_is_the_plain_loop(k):
    a = literal.statistics(literal.literal_pairwise(np.random.default_rng(k), 20_000, k))
    b = literal.statistics(plain_python(random.Random(k), 20_000, k))
    for name in a:
        (mean, error), (other, other_error) = literal.mean_and_error(a[name]), literal.mean_and_error(b[name])
        assert abs(mean - other) < 4.5 * math.hypot(error, other_error), name


@pytest.mark.parametrize("k", [2, 3, 4, 5, pytest.param(7, marks=pytest.mark.slow), 12])
def test_literal_law(identity_pca, k):
    """With one table of coins for all vectors, P(largest > 0.9) is off by 10 standard errors and more."""
    assert_literal_law(draw(identity_pca, k, 400_000, k))


@pytest.mark.parametrize("k", [3, 4])
def test_literal_law_of_the_literal_order(identity_pca, k):
    assert_literal_law(draw(identity_pca, k, 400_000, k, "permutation"))


@pytest.mark.slow
@pytest.mark.parametrize("k", [8, 16, 24, 33, 64, 105])
def test_literal_law_of_many_components(identity_pca, k):
    assert_literal_law(draw(identity_pca, k + 1, 400_000, k))


@pytest.mark.slow
@pytest.mark.parametrize(("k", "n"), [(2, 400_000), (8, 400_000), (16, 200_000), (33, 50_000), (64, 20_000)])
def test_literal_law_of_the_literal_order_of_many_components(identity_pca, k, n):
    assert_literal_law(draw(identity_pca, k + 1, n, k, "permutation"))


@pytest.mark.slow
def test_law_with_rounds(identity_pca):
    """Beyond 128 components, the order of pairs is not quite random; the README has the differences."""
    k = 256
    # What is allowed is ten standard errors and more.
    u = draw(identity_pca, k, 50_000, k)
    allowed = {"P(second > 0.6)": 0.012, "E u^2": 0.006, "E u^4": 0.01, "P(|u_i| > 0.6, |u_j| > 0.4)": 0.02}
    measured = literal.statistics(u)
    assert measured.pop("P(largest > 0.9)").mean() < 1e-4
    for name, values in measured.items():
        mean, _ = literal.mean_and_error(values)
        expected, _ = EXPECTED[str(k)]["means"][name]
        assert abs(mean - expected) < allowed[name] * expected, name


def test_vectors_inside_a_larger_program(identity_pca):
    """Under jit, vmap and lax.map, and with other vectors beside them, vectors keep their bits."""
    k = 131
    sampler = jl.PairwiseSampler(identity_pca(k), jl.EllipseBody(jnp.ones(k)))
    seed = seed_words(jax.random.key(k))
    index = jnp.arange(96, dtype=jnp.uint32)
    alone = np.asarray(jax.jit(sampler._draw)(seed, index))
    np.testing.assert_array_equal(alone[32:], jax.jit(sampler._draw)(seed, index[32:]))
    for mapped in (jax.vmap, lambda f: lambda x: jax.lax.map(f, x)):
        vectors = jax.jit(mapped(lambda i: sampler._draw(seed, i)))(index.reshape(3, 32))
        np.testing.assert_array_equal(alone, np.asarray(vectors).reshape(96, k))


@pytest.mark.parametrize("limit", [0.5, 1.0])
def test_limit_is_a_number_of_the_program(limit):
    """All passes keep the limit that a traced scalar gives."""
    seed, index = seed_words(jax.random.key(1)), jnp.arange(64, dtype=jnp.uint32)
    q = jnp.square(jax.random.uniform(jax.random.key(2), (6, 64))) * limit

    @jax.jit
    def passes(q, limit):
        yield_each = [
            redraw_violated(descending(q), seed, index, 2, limit),
            permutation_pass(q, seed, index, 2, limit),
        ]
        return [jnp.sort(x, axis=0)[-2:].sum(axis=0) for x in yield_each]

    for largest_two in passes(q, jnp.float32(limit)):
        assert (largest_two <= limit).all()
        assert (largest_two > 0.8 * limit).any()


def test_every_component_has_the_same_law(identity_pca):
    u = draw(identity_pca, 3, 20_000, 33)
    squares = np.square(u)
    error = squares.std() / np.sqrt(len(u))
    assert np.abs(squares.mean(axis=0) - squares.mean()).max() < 5 * error
    assert np.abs(u.mean(axis=0)).max() < 5 * u.std() / np.sqrt(len(u))
    assert np.abs((u[:, :-1] * u[:, 1:]).mean(axis=0)).max() < 5 * squares.std() / np.sqrt(len(u))


def test_neighbouring_vectors_are_independent(identity_pca):
    u = draw(identity_pca, 4, 20_000, 16)
    for shift in (1, 128, 2048):
        a, b = u[:-shift], u[shift:]
        for x, y in ((a, b), (np.abs(a), np.abs(b))):
            x, y = x - x.mean(), y - y.mean()
            assert np.abs((x * y).mean(axis=0)).max() < 5 * x.std() * y.std() / np.sqrt(len(x))


@pytest.mark.parametrize("k", [2, 3, 105, 256])
def test_every_vector_inside_every_ellipse(k):
    """In float64, all pairs, with semi-axes that span four decades: also the narrow components."""
    axes = np.geomspace(5, 5e-4, k).astype(np.float32)
    z = np.random.default_rng(k).standard_normal((max(2000, 4 * k), k)).astype(np.float32) * axes
    sampler = jl.PairwiseSampler(jl.PCA.fit(z), jl.EllipseBody(jnp.asarray(axes)))
    y = sampler.sample_components(jax.random.key(k), 3000)
    assert sampler.body.contains(y).all()
    squares = (np.asarray(y, np.float64) / axes.astype(np.float64)) ** 2
    first, second = np.triu_indices(k, 1)
    for block in np.array_split(squares, 30):
        assert (block[:, first] + block[:, second]).max() <= 1
    assert np.abs(np.asarray(y) / axes).max(axis=0).min() > 0.5, "some component is never used to the full"


def test_violated_pairs_are_redrawn_and_nothing_else():
    """Columns with no, one and two violated pairs; what a redraw leaves of the others stays."""
    columns = jnp.asarray([[0.5, 0.5, 0.2, 0.1], [0.9, 0.4, 0.05, 0.01], [0.8, 0.3, 0.3, 0.1]]).T
    many = jnp.tile(columns, 1000)
    after = np.asarray(
        redraw_violated(many, seed_words(jax.random.key(0)), jnp.arange(3000, dtype=jnp.uint32), 2, 1.0)
    )
    assert (np.diff(after, axis=0) <= 0).all()
    assert (after[0] + after[1] <= 1).all()
    np.testing.assert_array_equal(after[:, ::3], np.asarray(many)[:, ::3])
    one, two = after[:, 1::3], after[:, 2::3]
    assert all((np.isin(column, many[:, 1]).sum() == 3) for column in one.T)
    # By a fair coin, the larger one of the only violated pair is replaced.
    assert abs((one[0] < 0.9).mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)
    # By two fair coins out of four, one redraw was enough: the first replaced the largest.
    assert abs((np.isin(two, many[:, 2]).sum(axis=0) == 3).mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)


def test_rounds_redraw_one_of_each_violated_pair():
    """By a fair coin, either one of a pair shrinks; the place without a partner rests."""
    n = 9
    rng = np.random.default_rng(0)
    q = jnp.asarray(rng.uniform(0.6, 0.9, (n, 40_000)), jnp.float32)
    words = jnp.asarray(rng.integers(0, 2**32, (n // 2 + 1, 40_000)), jnp.uint32)
    # After one round, the first place has become the last.
    shrunk = np.roll(np.asarray(round_robin(q, words, 1.0, 1) < jnp.roll(q, -1, axis=0)), 1, axis=0)
    assert not shrunk[n // 2].any()
    for i in range(n // 2):
        here, there = shrunk[i], shrunk[n - 1 - i]
        assert (here ^ there).all()
        assert abs(here.mean() - 0.5) < 5 * 0.5 / np.sqrt(40_000)


def test_rounds_leave_what_is_inside():
    q = jnp.linspace(0, 0.5, 6)[:, None] * jnp.ones((1, 4))
    words = jnp.arange(16, dtype=jnp.uint32).reshape(4, 4)
    after = round_robin(q, words, 1.0, 3)
    np.testing.assert_array_equal(np.sort(after, axis=0)[1:], q)


def test_scramble_is_a_bijection_with_avalanche():
    words = jnp.unique(jax.random.bits(jax.random.key(0), (2**16,), jnp.uint32))
    assert len(np.unique(scramble(words))) == len(words)
    for bit in range(32):
        flips = np.asarray(scramble(words) ^ scramble(words ^ jnp.uint32(1 << bit)))
        ones = np.unpackbits(flips.view(np.uint8).reshape(-1, 4), axis=1).mean(axis=0)
        assert np.abs(ones - 0.5).max() < 0.01


@pytest.mark.parametrize("k", [2, 5, 256])
def test_random_labels_are_uniform_permutations(k):
    word = jax.random.bits(jax.random.key(k), (20_000, k), jnp.uint32)
    labels = np.asarray(random_labels(word.T)).T
    np.testing.assert_array_equal(np.sort(labels, axis=1)[::997], np.arange(k)[None].repeat(21, 0))
    where = np.bincount(labels[:, 0], minlength=k)
    assert stats.chisquare(where).pvalue > 1e-4
    assert stats.chisquare(np.bincount(labels[:, -1], minlength=k)).pvalue > 1e-4


@pytest.mark.parametrize("k", [2, 3, 16, 129, 256, 257])
def test_numbers_are_shuffled_alike_on_a_cpu_and_on_an_accelerator(k):
    word = jax.random.bits(jax.random.key(k), (k, 300), jnp.uint32)
    u = jax.random.uniform(jax.random.key(1), (k, 300))
    np.testing.assert_array_equal(gathered(u, word), sorted_along(u, word))


def test_fit_takes_fact_times_half_width(make_z):
    z = make_z(4000, 10)
    sampler = jl.PairwiseSampler.fit(z, n_components=6, fact=0.8, half_width="sigma")
    expected = 0.8 * jnp.sqrt(sampler.pca.explained_variance)
    np.testing.assert_allclose(sampler.body.semi_axes, expected, rtol=1e-4)
    default = jl.PairwiseSampler.fit(z, n_components=6)
    width = jl.half_width(default.pca.transform(z), kind="fwhm")
    np.testing.assert_allclose(default.body.semi_axes, 0.7 * width, rtol=1e-6)


def test_fit_leaves_out_components_without_variance():
    z = np.random.default_rng(0).standard_normal((500, 6)).astype(np.float32)
    z[:, 2] = 4.0
    sampler = jl.PairwiseSampler.fit(z)
    assert sampler.pca.n_components == 5
    np.testing.assert_allclose(sampler.sample(jax.random.key(0), 9)[:, 2], 4.0, rtol=1e-6)


def test_fit_on_some_of_the_points(make_z):
    z = make_z(4000, 5)
    trimmed = jl.PairwiseSampler.fit(z, n_components=5, within_sigma=1.0)
    assert (trimmed.pca.explained_variance < jl.PCA.fit(z).explained_variance).all()


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(make_z, identity_pca):
    z = make_z(100, 4)
    with pytest.raises(ValueError, match="fact: expected a positive, finite number, got 0"):
        jl.PairwiseSampler.fit(z, fact=0)
    with pytest.raises(ValueError, match="fact"):
        jl.PairwiseSampler.fit(z, fact=float("nan"))
    with pytest.raises(ValueError, match=r"n_components: expected at most 4, .*got 5"):
        jl.PairwiseSampler.fit(z, n_components=5)
    with pytest.raises(ValueError, match="at least 2"):
        jl.PairwiseSampler.fit(z, n_components=1)
    with pytest.raises(ValueError, match="half_width: expected one of fwhm, hwhm, sigma"):
        jl.PairwiseSampler.fit(z, half_width="fwhh")
    with pytest.raises(ValueError, match="order: expected one of round_robin, permutation"):
        jl.PairwiseSampler.fit(z, order="sorted")
    with pytest.raises(ValueError, match="body: expected 4 components, got 3"):
        jl.PairwiseSampler(identity_pca(4), jl.EllipseBody(jnp.ones(3)))
