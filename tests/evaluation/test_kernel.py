import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from jaxlatent.evaluation import kernel as module
from jaxlatent.evaluation.kernel import kernel_distance, subset_kernel_distances


def textbook(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    n, m = len(a), len(b)
    x, y, z = (polynomial_kernel(p, q, degree=3, coef0=1) for p, q in ((a, a), (b, b), (a, b)))
    return (x.sum() - x.trace()) / (n * (n - 1)) + (y.sum() - y.trace()) / (m * (m - 1)) - 2 * z.mean()


def features(seed, n, f, shift=0.0, scale=1.0):
    """Non-negative, as pooled activations are."""
    return np.abs(scale * np.random.default_rng(seed).normal(size=(n, f)) + shift).astype(np.float32)


@pytest.fixture(scope="module")
def pair():
    return features(0, 430, 24), features(1, 350, 24, shift=0.1, scale=1.2)


@pytest.mark.parametrize("block", [2048, 350, 100])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_equals_the_definition(pair, block, kind, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", block)
    assert kernel_distance(*map(kind, pair)) == pytest.approx(textbook(*pair), rel=1e-10)


def test_equals_clean_fid(pair):
    fid = pytest.importorskip("cleanfid.fid")
    a, b = (z[:350].astype(np.float64) for z in pair)
    expected = fid.kernel_distance(a, b, num_subsets=1, max_subset_size=350)
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_equals_torchmetrics(pair):
    torch = pytest.importorskip("torch")
    kid = pytest.importorskip("torchmetrics.image.kid")
    a, b = (z[:350].astype(np.float64) for z in pair)
    expected = float(kid.poly_mmd(torch.tensor(a), torch.tensor(b)))
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_closed_form():
    """Of laws at single points p and q the distance is k(p, p) + k(q, q) - 2 k(p, q), however many copies."""
    p, q = np.float32([[1, 2]]), np.float32([[3, -1]])
    expected = (5 / 2 + 1) ** 3 + (10 / 2 + 1) ** 3 - 2 * (1 / 2 + 1) ** 3
    assert kernel_distance(p.repeat(5, axis=0), q.repeat(3, axis=0)) == pytest.approx(expected, rel=1e-14)


def test_symmetric_and_growing(pair):
    a, b = pair
    assert kernel_distance(a, b) == pytest.approx(kernel_distance(b, a), rel=1e-12)
    found = [kernel_distance(a, features(2, 430, 24, shift=shift)) for shift in (0, 0.2, 0.4, 0.6)]
    assert np.all(np.diff(found) > 0)


def test_no_bias_for_equal_laws():
    """Over many small samples the mean is 0 within five standard errors; that of a biased estimate is not."""
    found = np.array(
        [kernel_distance(features(2 * i, 20, 6), features(2 * i + 1, 30, 6)) for i in range(300)]
    )
    assert abs(found.mean()) < 5 * found.std() / np.sqrt(300)
    assert (found < 0).any()


def test_subsets_scatter_around_the_distance_of_all(pair, key):
    found = subset_kernel_distances(*pair, key=key, subsets=200, subset_size=60)
    assert found.values.shape == (200,)
    assert found.mean == found.values.mean()
    assert found.deviation == found.values.std()
    assert found.subset_size == 60
    assert abs(found.mean - kernel_distance(*pair)) < 5 * found.deviation / np.sqrt(200)


def test_a_subset_of_all(pair, key):
    a, b = (z[:350] for z in pair)
    found = subset_kernel_distances(a, b, key=key, subsets=2, subset_size=350)
    np.testing.assert_allclose(found.values, kernel_distance(a, b), rtol=1e-10)
    assert found.deviation < 1e-10 * found.mean


def test_subsets_depend_on_the_key_alone(pair, key):
    first, again = (
        subset_kernel_distances(*map(kind, pair), key=key, subsets=3, subset_size=50)
        for kind in (np.asarray, jnp.asarray)
    )
    more = subset_kernel_distances(*pair, key=key, subsets=5, subset_size=50)
    other = subset_kernel_distances(*pair, key=jax.random.key(1), subsets=3, subset_size=50)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.values, more.values[:3])
    assert not np.isin(other.values, first.values).any()


@pytest.mark.usefixtures("as_without_type_checks")
class TestErrors:
    def test_features(self, pair):
        a, b = pair
        with pytest.raises(ValueError, match=r"^b: expected an array of shape \(n, 24\), got \(350, 7\)"):
            kernel_distance(a, b[:, :7])
        with pytest.raises(TypeError, match=r"^a: expected floating-point numbers, got int64"):
            kernel_distance(a.astype(np.int64), b)
        with pytest.raises(ValueError, match=r"^a: expected at least 2 vectors, got 1"):
            kernel_distance(a[:1], b)
        for value in (np.nan, np.inf):
            bad = b.copy()
            bad[5, 3] = value
            with pytest.raises(ValueError, match=r"^b: NaN, infinite or overflowing"):
                kernel_distance(a, bad)

    def test_subsets(self, pair, key):
        with pytest.raises(ValueError, match=r"^b: expected at least 400 vectors, got 350"):
            subset_kernel_distances(*pair, key=key, subset_size=400)
        with pytest.raises(ValueError, match=r"^subsets: expected at least 1, got 0"):
            subset_kernel_distances(*pair, key=key, subsets=0)
        with pytest.raises(ValueError, match=r"^subset_size: expected at least 2, got 1"):
            subset_kernel_distances(*pair, key=key, subset_size=1)
        with pytest.raises(TypeError, match=r"^key: expected a typed key"):
            subset_kernel_distances(*pair, key=0)
