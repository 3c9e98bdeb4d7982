import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm

from jaxlatent.evaluation.frechet import frechet_distance, frechet_infinity
from jaxlatent.latent import Moments, moments


def textbook(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    s, t = np.cov(a.T), np.cov(b.T)
    d = a.mean(axis=0) - b.mean(axis=0)
    return d @ d + np.trace(s + t) - 2 * np.trace(sqrtm(s @ t)).real


def through_factors(a, b):
    """tr (S_a S_b)^(1/2) is the nuclear norm of X_a X_b^T, X the centred vectors: no covariance is needed."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    d = a.mean(axis=0) - b.mean(axis=0)
    x = (a - a.mean(axis=0)) / np.sqrt(len(a) - 1)
    y = (b - b.mean(axis=0)) / np.sqrt(len(b) - 1)
    return d @ d + (x**2).sum() + (y**2).sum() - 2 * np.linalg.norm(x @ y.T, "nuc")


def features(seed, n, f, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(f, f)) / np.sqrt(f)
    return (scale * rng.normal(size=(n, f)) @ mixing + 5 + shift).astype(np.float32)


@pytest.fixture(scope="module")
def pair():
    return features(0, 900, 24), features(1, 700, 24, shift=0.1, scale=1.2)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray, moments, lambda z: z.astype(np.float64)])
def test_equals_scipy(pair, kind):
    assert frechet_distance(*map(kind, pair)) == pytest.approx(textbook(*pair), rel=1e-5)


def test_equals_clean_fid(pair):
    fid = pytest.importorskip("cleanfid.fid")
    parts = [part for z in pair for part in (z.mean(axis=0), np.cov(z.T))]
    assert frechet_distance(*pair) == pytest.approx(float(fid.frechet_distance(*parts)), rel=1e-5)


def test_equals_torchmetrics(pair):
    torch = pytest.importorskip("torch")
    fid = pytest.importorskip("torchmetrics.image.fid")
    parts = [
        torch.tensor(part)
        for z in pair
        for part in (z.astype(np.float64).mean(axis=0), np.cov(z.astype(np.float64).T))
    ]
    assert frechet_distance(*pair) == pytest.approx(float(fid._compute_fid(*parts)), rel=1e-5)


@pytest.mark.parametrize(("n", "m"), [(30, 50), (30, 400), (400, 30), (2, 2)])
def test_fewer_vectors_than_features(n, m):
    a, b = features(0, n, 120), features(1, m, 120)
    assert frechet_distance(a, b) == pytest.approx(through_factors(a, b), rel=1e-5)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scipy's, of the singular product
def test_constant_and_repeated_features(pair):
    a, b = (np.hstack([z, z[:, :8], np.ones((len(z), 3), np.float32)]) for z in pair)
    assert frechet_distance(a, b) == pytest.approx(through_factors(a, b), rel=1e-5)


def test_commuting_covariances():
    rng = np.random.default_rng(3)
    s, t = rng.uniform(0.1, 2, (2, 10))
    mean = rng.normal(size=10)
    a = Moments(1001, np.zeros(10), 1000 * np.diag(s**2))
    b = Moments(501, mean, 500 * np.diag(t**2))
    expected = mean @ mean + ((s - t) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-12)


def test_zero_of_equal_sets_and_far_from_the_origin():
    a = features(0, 500, 16)
    variance = float(np.var(a, axis=0).sum())
    assert 0 <= frechet_distance(a, a) < 1e-10 * variance
    assert frechet_distance(a, a + 1000) == pytest.approx(16e6, rel=1e-6)
    assert frechet_distance(1000 + a, 1000 + 2 * a) == pytest.approx(textbook(a, 2 * a), rel=1e-3)


def test_grows_with_shift_and_with_scale():
    a = features(0, 2000, 8)
    for name, values in {"shift": (0, 0.1, 0.2, 0.3), "scale": (1, 1.1, 1.2, 1.3)}.items():
        found = [frechet_distance(a, features(1, 2000, 8, **{name: value})) for value in values]
        assert np.all(np.diff(found) > 0)


def test_bias_of_small_samples_is_extrapolated_away(key):
    """Two samples of one law: far from 0, but not in the limit; a shift stays."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(2400, 32)).astype(np.float32) for _ in range(2))
    null, shifted = frechet_infinity(a, b, key=key), frechet_infinity(a, b + 0.1, key=key)
    assert null.finite == pytest.approx(frechet_distance(a, b), rel=1e-6)
    assert null.finite > 10 * null.standard_error
    assert abs(null.distance) < 5 * null.standard_error
    assert abs(shifted.distance - 32 * 0.01) < 5 * shifted.standard_error


@pytest.mark.parametrize(("n", "m"), [(4000, 400), (400, 4000)])
def test_unequal_numbers_have_no_more_bias_than_equal_ones(n, m, key):
    """Of one law; cut alike, 4,000 against 400 gave -0.39 +- 0.03 here, 400 each -0.06 +- 0.06."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(12):
        a, b = (rng.normal(size=(count, 64)).astype(np.float32) for count in (n, m))
        found.append(frechet_infinity(a, b, key=key))
    assert abs(np.mean([limit.distance for limit in found])) < 0.25
    assert min(limit.finite for limit in found) > 3


def test_the_order_of_the_sets_is_no_matter(pair, key):
    first, other = frechet_infinity(*pair, key=key), frechet_infinity(*pair[::-1], key=key)
    assert first.distance == pytest.approx(other.distance, rel=1e-6)
    assert first.standard_error == pytest.approx(other.standard_error, rel=1e-6)


def test_standard_error_is_the_scatter_of_new_samples(key):
    found = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        a, b = (rng.normal(size=(600, 6)).astype(np.float32) for _ in range(2))
        found.append(frechet_infinity(a, 1.5 * b + 0.3, key=key))
    distances = np.array([limit.distance for limit in found])
    # The standard deviation of 24 values has a standard error of 15 %.
    errors = [limit.standard_error for limit in found]
    assert np.mean(errors) == pytest.approx(distances.std(ddof=1), rel=0.75)
    expected = 6 * 0.09 + 6 * 0.25
    assert abs(distances.mean() - expected) < 5 * distances.std(ddof=1) / np.sqrt(24)


def test_pairs_stay_together(key):
    """Features and the same ones moved alike differ by the move in every part: no noise is left."""
    a = features(0, 500, 10)
    found = frechet_infinity(a, a + np.float32(0.5), key=key)
    assert found.distance == pytest.approx(2.5, rel=1e-4)
    assert found.standard_error < 1e-4


def test_depends_on_the_key_alone(pair, key):
    first, again = (frechet_infinity(*map(kind, pair), key=key) for kind in (np.asarray, jnp.asarray))
    other = frechet_infinity(*pair, key=jax.random.key(1))
    assert first == again
    assert first.distance != other.distance
    assert abs(first.distance - other.distance) < 5 * first.standard_error


@pytest.mark.usefixtures("as_without_type_checks")
class TestErrors:
    @pytest.mark.parametrize(("n", "m"), [(60, 30), (30, 60), (30, 30)])
    @pytest.mark.parametrize("name", ["a", "b"])
    def test_the_set_that_is_not_finite_is_named(self, n, m, name, key):
        sets = {"a": features(0, n, 4), "b": features(1, m, 4)}
        sets[name][0, 0] = np.nan
        with pytest.raises(ValueError, match=f"^{name}: "):
            frechet_infinity(*sets.values(), key=key)

    def test_features(self, pair):
        a, b = pair
        with pytest.raises(ValueError, match=r"^b: expected as many features as a has, 24, got 7"):
            frechet_distance(a, b[:, :7])
        with pytest.raises(ValueError, match=r"^a: expected an array of shape \(n, d\), got \(24,\)"):
            frechet_distance(a[0], b)
        with pytest.raises(TypeError, match=r"^b: expected floating-point numbers, got int64"):
            frechet_distance(a, b.astype(np.int64))
        with pytest.raises(ValueError, match=r"^b: expected at least 2 vectors, got 1"):
            frechet_distance(a, b[:1])
        bad = b.copy()
        bad[5, 3] = np.nan
        with pytest.raises(ValueError, match=r"^b: NaN, infinite .*\(the first is 3\)"):
            frechet_distance(a, bad)

    def test_limit(self, pair, key):
        a, b = pair
        with pytest.raises(ValueError, match=r"^a: expected at least 24 vectors, got 20"):
            frechet_infinity(a[:20], b, key=key)
        with pytest.raises(ValueError, match=r"^b: expected as many features as a has, 24, got 7"):
            frechet_infinity(a, b[:, :7], key=key)
        with pytest.raises(TypeError, match=r"^key: expected a typed key"):
            frechet_infinity(a, b, key=0)
