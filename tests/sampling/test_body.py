import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import EllipseBody


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
        (np.ones((2, 2)), "vector"),
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
