import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jaxlatent import EllipseBody
from jaxlatent.latent.coverage import largest_two
from jaxlatent.sampling.bodies.body import shrinking


def all_pairs(y, a):
    """Brute force, float64: the largest left side of a vector's pair conditions."""
    squares = (np.asarray(y, np.float64) / np.asarray(a, np.float64)) ** 2
    first, second = np.triu_indices(squares.shape[1], 1)
    return (squares[:, first] + squares[:, second]).max(axis=1)


@pytest.mark.parametrize("k", [2, 3, 7, 20])
def test_contains_equals_all_pairs(k):
    rng = np.random.default_rng(k)
    a = rng.uniform(0.1, 3, k).astype(np.float32)
    y = (rng.uniform(-0.9, 0.9, (3000, k)) * a).astype(np.float32)
    found = np.asarray(EllipseBody(jnp.asarray(a)).contains(jnp.asarray(y)))
    worst = all_pairs(y, a)
    clear = np.abs(worst - 1) > 1e-5
    assert 0 < found.sum() < 3000
    np.testing.assert_array_equal(found[clear], (worst <= 1)[clear])


def test_contains_at_the_border_and_for_nan():
    body = EllipseBody(jnp.array([1.0, 2.0, 4.0]))
    y = jnp.array([[1.0, 0, 0], [0, 2, 0], [0.6, 1.6, 0], [0.6, 1.61, 0], [1, 0, 0.1], [jnp.nan, 0, 0]])
    np.testing.assert_array_equal(body.contains(y), [True, True, True, False, False, False])


def test_equal_largest_components_count_both():
    assert not EllipseBody(jnp.ones(3)).contains(jnp.array([[0.8, 0.8, 0.0]]))[0]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (np.ones(1), "at least 2"),
        (np.ones((2, 2)), r"expected shape \(k,\)"),
        (np.array([1.0, 0.0]), "component 1"),
        (np.array([1.0, -1.0]), "positive"),
        (np.array([1.0, np.nan]), "finite"),
        (np.array([np.inf, 1.0]), "component 0"),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_bad_semi_axes(axes, message):
    with pytest.raises(ValueError, match=message):
        EllipseBody(axes)


@pytest.mark.usefixtures("as_without_type_checks")
def test_contains_refuses_other_shapes_and_integers():
    body = EllipseBody(jnp.ones(3))
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        body.contains(jnp.zeros((4, 2)))
    with pytest.raises(TypeError, match="int32"):
        body.contains(jnp.zeros((4, 3), jnp.int32))


def test_is_a_pytree():
    body = EllipseBody(jnp.arange(1.0, 4.0))
    doubled = jax.tree.map(lambda a: 2 * a, body)
    np.testing.assert_array_equal(doubled.semi_axes, [2, 4, 6])
    assert jax.jit(lambda b, y: b.contains(y))(body, jnp.zeros((2, 3))).all()


def test_gauge_scales_a_vector_to_the_boundary():
    body = EllipseBody(jnp.array([1.0, 2.0, 4.0]))
    y = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    gauge = np.asarray(body.gauge(y))
    np.testing.assert_allclose(gauge**2, all_pairs(y, body.semi_axes), rtol=1e-5)
    assert np.asarray(body.contains(y / (gauge * 1.0001)[:, None])).all()
    assert not np.asarray(body.contains(y / (gauge * 0.9999)[:, None])).any()


def closed_form_log_volume(axes):
    """2^k [2^(-k/2) + k B((k+1)/2, 1/2) I(1/2; (k+1)/2, 1/2) / 2] prod a, from the integral of k t^(k-1)."""
    k = len(axes)
    cap = 0.5 * np.exp(special.betaln(0.5, (k + 1) / 2)) * special.betainc((k + 1) / 2, 0.5, 0.5)
    return k * np.log(2) + np.log(2 ** (-k / 2) + k * cap) + np.log(axes).sum()


@pytest.mark.parametrize("k", [2, 3, 5, 8, 64, 256])
def test_volume_equals_the_closed_form(k):
    axes = np.linspace(0.5, 3, k).astype(np.float32)
    volume = EllipseBody(jnp.asarray(axes)).log_volume()
    assert volume == pytest.approx(closed_form_log_volume(axes.astype(float)), abs=1e-9)
    if k == 2:
        assert volume == pytest.approx(np.log(np.pi * 0.5 * 3), abs=1e-6)


def test_log_mass():
    disc = EllipseBody(jnp.full(2, 2.0))
    assert disc.log_mass(np.ones(2)) == pytest.approx(np.log(1 - np.exp(-2)), abs=1e-12)
    axes, sigma = np.linspace(1.5, 3, 6), np.linspace(1.2, 0.9, 6)
    y = sigma * np.random.default_rng(1).standard_normal((200_000, 6))
    p = (all_pairs(y, axes) <= 1).mean()
    assert 0.05 < p < 0.95
    mass = EllipseBody(jnp.asarray(axes, jnp.float32)).log_mass(sigma)
    assert np.exp(mass) == pytest.approx(p, abs=5 * np.sqrt(p / 200_000))
    masses = [
        EllipseBody(jnp.full(256, level)).log_mass(np.ones(256)) for level in (1.5, 1.7, 2.3548, 3.0, 6.0)
    ]
    assert (np.diff(masses) > 0).all()
    assert masses[0] < -69
    assert masses[2] == pytest.approx(-25.14, abs=0.02)
    assert -0.2 < masses[-1] < 0


def test_uniform_deviation():
    assert EllipseBody(jnp.ones(2)).uniform_deviation() == pytest.approx(0.5)
    assert EllipseBody(jnp.ones(4000)).uniform_deviation() == pytest.approx(6**-0.5, rel=1e-4)


@pytest.mark.parametrize("q", [0.001, 0.3, 0.95, 1.0])
def test_body_at_a_coverage(q):
    y = (np.random.default_rng(2).standard_normal((5000, 9)) * np.linspace(3, 0.1, 9)).astype(np.float32)
    body = EllipseBody.at_coverage(y, q)
    assert body.coverage(y) == pytest.approx(q, abs=1 / 5000)
    level = np.asarray(body.semi_axes) / np.sqrt((y**2).mean(axis=0))
    np.testing.assert_allclose(level, level[0], rtol=1e-5)
    widths = np.full(9, 2.0, np.float32)
    other = EllipseBody.at_coverage(y, q, widths=widths)
    assert other.coverage(y) == pytest.approx(q, abs=1 / 5000)
    assert np.ptp(np.asarray(other.semi_axes)) == 0


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors_of_levels():
    y = np.ones((5, 3), np.float32)
    with pytest.raises(ValueError, match="q: expected a fraction"):
        EllipseBody.at_coverage(y, 0.0)
    with pytest.raises(ValueError, match="y: expected finite"):
        EllipseBody.at_coverage(y * np.nan, 0.5, widths=np.ones(3, np.float32))
    with pytest.raises(ValueError, match="sigma: expected positive"):
        EllipseBody(jnp.ones(3)).log_mass(np.zeros(3))
    with pytest.raises(ValueError, match=r"sigma: expected shape \(3,\)"):
        EllipseBody(jnp.ones(3)).log_mass(np.ones(4))


def confine(y, axes, rounding):
    return y * np.asarray(shrinking(jnp.asarray(y / axes), jnp.asarray(rounding / axes)))[:, None]


@pytest.mark.parametrize("size", [0.0, 1e-4, 0.03])
def test_shrunk_vectors_stay_inside_however_rounding_moves_them(size):
    rng = np.random.default_rng(3)
    axes = np.geomspace(2, 0.01, 7).astype(np.float32)
    rounding = (size * axes * rng.uniform(0, 1, 7)).astype(np.float32)
    y = (0.6 * axes * rng.standard_normal((4000, 7))).astype(np.float32)
    shrunk = confine(y, axes, rounding).astype(np.float64)
    worst = shrunk + np.sign(shrunk) * rounding
    assert all_pairs(worst, axes).max() <= 1
    # Nothing is moved that need not be, and the rest no further than by the rounding of a pair.
    safe = all_pairs(y + np.sign(y) * rounding, axes) < 0.9999
    np.testing.assert_array_equal(shrunk[safe], y[safe])
    gauge = np.sqrt(all_pairs(shrunk, axes))
    assert (gauge[~safe] > 1 - 2 * size - 1e-4).all()
    # What a sampler gets that knows the largest pair of its vectors.
    most = float(EllipseBody(jnp.asarray(axes)).inner_gauge(jnp.asarray(rounding)))
    edge = most * y / np.sqrt(all_pairs(y, axes))[:, None]
    assert all_pairs(edge + np.sign(edge) * rounding, axes).max() <= 1


def test_shrunk_where_float32_cannot_hold_a_component():
    """There is no margin that helps, and the others are not given up for it."""
    axes = np.array([1.0, 1.0, 1e-9], np.float32)
    y = np.array([[0.6, 0.6, 0.0], [0.9, 0.4, 1e-10]], np.float32)
    shrunk = confine(y, axes, np.full(3, 1e-6, np.float32))
    assert np.abs(shrunk - y)[:, :2].max() < 0.2
    assert EllipseBody(jnp.asarray(axes)).contains(shrunk).all()


@pytest.mark.parametrize("k", [2, 3, 4, 7, 16, 61, 300])
def test_two_largest(k):
    """Whatever XLA makes of the squares: one that is computed twice can be rounded in two ways."""
    rng = np.random.default_rng(k)
    x = rng.standard_normal((20_000, k)).astype(np.float32)
    x[:100] = np.abs(x[:100, :1])  # ties
    w, t = rng.standard_normal(k).astype(np.float32), rng.random((20_000, 1)).astype(np.float32)
    found = jax.jit(lambda x, w, t: largest_two(jnp.square((x + t * w) / 1.7)))(x, w, t)
    exact = np.sort(np.square((x.astype(np.float64) + t.astype(np.float64) * w) / 1.7), axis=1)
    np.testing.assert_allclose(found, exact[:, -2:].sum(axis=1), rtol=2e-5, atol=1e-6)
    assert np.isnan(largest_two(jnp.asarray([[1.0] * (k - 1) + [np.nan]]))).all()
    assert largest_two(jnp.zeros((0, k))).shape == (0,)
