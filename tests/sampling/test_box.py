import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxlatent import BoxSampler


def test_cube_is_uniform_and_independent(key):
    z = np.asarray(BoxSampler.cube(1.5, 9).sample(key, 20_000))
    assert np.abs(z).max() <= 1.5
    for column in z.T:
        assert stats.kstest(column, "uniform", (-1.5, 3)).pvalue > 1e-4
    correlation = np.corrcoef(z.T) - np.eye(9)
    assert np.abs(correlation).max() < 5 / np.sqrt(len(z))


def test_ranges_of_the_data(key, make_z):
    z = make_z(1000, 6)
    sampler = BoxSampler.fit(z)
    np.testing.assert_array_equal(sampler.low, z.min(axis=0))
    np.testing.assert_array_equal(sampler.high, z.max(axis=0))
    drawn = sampler.sample(key, 3000)
    assert (drawn >= z.min(axis=0)).all()
    assert (drawn <= z.max(axis=0)).all()


def test_constant_coordinate(key):
    z = jnp.stack([jnp.arange(5.0), jnp.full(5, 2.0)], axis=1)
    np.testing.assert_array_equal(BoxSampler.fit(z).sample(key, 7)[:, 1], 2.0)


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BoxSampler.cube(-1.0, 3), "b: expected a finite number of at least 0, got -1"),
        (lambda: BoxSampler(jnp.ones(3), jnp.zeros(3)), "low <= high"),
        (lambda: BoxSampler.cube(1.0, 0), "dim: expected at least 1"),
        (lambda: BoxSampler(jnp.zeros(3), jnp.zeros(2)), r"high: expected shape \(3,\), got \(2,\)"),
        (lambda: BoxSampler(jnp.zeros(2), jnp.array([1, jnp.nan])), "finite"),
        (lambda: BoxSampler.fit(jnp.zeros((0, 3))), "at least 1 vector"),
        (lambda: BoxSampler.fit(jnp.zeros(3)), r"\(n, d\)"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_numpy_bounds_become_jax_arrays(as_without_type_checks):
    assert isinstance(BoxSampler(np.zeros(2), np.ones(2)).low, jax.Array)
