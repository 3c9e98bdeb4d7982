import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxlatent as jl
from jaxlatent.sampling.labels import random_labels
from jaxlatent.sampling.round_robin import redrawn_table, round_robin_pass, scramble


def plain_python(rng, n, k):
    """The method with nothing but loops, in units of the semi-axes: the reference for everything else."""
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


def statistics(u):
    """Numbers of each vector whose laws are compared; one component only, as they are dependent."""
    sizes = np.sort(np.abs(u), axis=1)
    return {
        "first component": u[:, 0],
        "last component": u[:, -1],
        "largest": sizes[:, -1],
        "second largest": sizes[:, -2],
        "median": sizes[:, u.shape[1] // 2],
        "radius": np.linalg.norm(u, axis=1),
        "product of two": u[:, 0] * u[:, 1],
    }


def assert_same_law(a, b):
    a, b = statistics(a), statistics(b)
    p = {name: stats.ks_2samp(a[name], b[name]).pvalue for name in a}
    assert min(p.values()) > 1e-4, p


@pytest.mark.parametrize("order", ["round_robin", "permutation"])
@pytest.mark.parametrize("k", [2, 3, 6, 15])
def test_same_law_as_plain_python(identity_pca, order, k):
    import random

    assert_same_law(draw(identity_pca, k, 6000, k, order), plain_python(random.Random(k), 3000, k))


def test_same_law_in_both_orders_at_many_components(identity_pca):
    a = draw(identity_pca, 1, 20_000, 64)
    b = draw(identity_pca, 2, 4000, 64, "permutation")
    assert_same_law(a, b)
    error = b.std(axis=1).std() / np.sqrt(len(b))
    assert abs(a.std(axis=1).mean() - b.std(axis=1).mean()) < 5 * error


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


def test_rounds_pair_everyone_once():
    """Each pair of places meets in exactly one round, and one of the two is redrawable."""
    for n in (3, 5, 9, 25):
        table = redrawn_table(n)
        places = np.arange(n)
        met = np.zeros((n, n), int)
        for r in range(n):
            window = (places + r) % n
            for here, there, redrawn in zip(window, window[::-1], table[r], strict=True):
                met[here, there] += here != there and redrawn
        assert (met + met.T == 1 - np.eye(n, dtype=int)).all()


def test_a_pass_leaves_what_is_inside():
    q = jnp.linspace(0, 0.5, 6)[:, None] * jnp.ones((1, 4))
    seeds = jnp.arange(28, dtype=jnp.uint32).reshape(7, 4)
    np.testing.assert_array_equal(round_robin_pass(q, seeds, 1.0), q)


def test_a_redraw_only_shrinks():
    rng = np.random.default_rng(0)
    q = jnp.asarray(rng.uniform(0, 1, (9, 500)), jnp.float32)
    seeds = jnp.asarray(rng.integers(0, 2**32, (9, 500)), jnp.uint32)
    after = round_robin_pass(q, seeds, 1.0)
    assert (after <= q).all()
    assert (after < q).any()


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
    with pytest.raises(ValueError, match="fact: expected a positive number, got 0"):
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
    with pytest.raises(ValueError, match=r"4 semi-axes.*got 3"):
        jl.PairwiseSampler(identity_pca(4), jl.EllipseBody(jnp.ones(3)))
