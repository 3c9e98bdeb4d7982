import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent.latent import Moments, moments


def reference(z):
    z = np.asarray(z, np.float64)
    return z.mean(axis=0), np.cov(z.T)


@pytest.mark.parametrize("n", [2, 100, 8192, 8193, 20_000])
@pytest.mark.parametrize("kind", ["jax", "numpy"])
def test_equals_float64(n, kind):
    z = np.random.default_rng(n).normal(3, 2, (n, 7)).astype(np.float32)
    found = moments(z if kind == "numpy" else jnp.asarray(z))
    mean, covariance = reference(z)
    assert found.count == n
    np.testing.assert_allclose(found.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-5, atol=1e-5)


def test_data_in_order_of_size():
    """Batches with means far apart, as of a data set sorted by class."""
    z = np.linspace(-500, 500, 30_000, dtype=np.float32)[:, None] * np.array([[1, -2]], np.float32)
    z += np.random.default_rng(0).normal(size=z.shape).astype(np.float32)
    found = moments(z)
    mean, covariance = reference(z)
    np.testing.assert_allclose(found.mean, mean, atol=1e-4)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-6)


def test_merge_equals_all_at_once():
    z = np.random.default_rng(0).normal(50, 1, (900, 5)).astype(np.float32)
    parts = [moments(part) for part in np.split(z, [1, 300, 420])]
    merged = parts[0].merge(parts[1]).merge(parts[2]).merge(parts[3])
    whole = moments(z)
    assert merged.count == 900
    np.testing.assert_allclose(merged.mean, whole.mean, atol=1e-5)
    np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-6, atol=1e-7)


def test_memory_map(tmp_path):
    z = np.random.default_rng(0).normal(size=(9000, 4)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    np.testing.assert_array_equal(moments(mapped).scatter, moments(z).scatter)


def test_distributed_in_a_single_process():
    """Several processes: tests/test_processes.py."""
    z = np.random.default_rng(0).normal(50, 1, (300, 4)).astype(np.float32)
    alone, together = moments(z), moments(z, distributed=True)
    np.testing.assert_array_equal(together.mean, alone.mean)
    np.testing.assert_array_equal(together.scatter, alone.scatter)
    with pytest.raises(ValueError, match="at least 1 vector"):
        moments(z[:0], distributed=True)


def test_one_vector_has_no_covariance():
    assert np.isnan(moments(np.ones((1, 3), np.float32)).covariance).all()
    assert isinstance(moments(np.ones((1, 3), np.float32)), Moments)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors():
    with pytest.raises(ValueError, match="at least 1 vector"):
        moments(np.zeros((0, 3), np.float32))
    with pytest.raises(ValueError, match=r"shape \(n, d\), got \(3,\)"):
        moments(np.zeros(3, np.float32))
    with pytest.raises(TypeError, match="int64"):
        moments(np.zeros((3, 2), np.int64))
    for bad in (np.nan, np.inf):
        z = np.zeros((9, 4), np.float32)
        z[3, 2] = bad
        with pytest.raises(ValueError, match=r"1 coordinates .the first is 2."):
            moments(z)
