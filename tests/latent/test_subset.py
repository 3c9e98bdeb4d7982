import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import PCA
from jaxlatent.latent import moments
from jaxlatent.latent.subset import subset_moments, subset_weight


def gaussian(n, d, seed=0):
    """Correlated z-points far from 0, and the square root of their covariance."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((d, d)) / np.sqrt(d) + np.eye(d)
    return (rng.standard_normal((n, d)) @ root + rng.uniform(-9, 9, d)).astype(np.float32), root


def mask_of(n, chosen):
    mask = np.zeros(n, bool)
    mask[chosen] = True
    return mask


def squared_length(shift, root):
    """Squared Mahalanobis lengths of shifts (..., d)."""
    return np.square(np.linalg.solve(root.T, np.moveaxis(shift, -1, 0))).sum(axis=0)


def test_a_random_handful_has_nearly_the_region_of_all():
    n, d, handful = 4000, 64, 5
    z, root = gaussian(n, d)
    whole, rng = moments(z), np.random.default_rng(1)
    distance, plain = [], []
    for _ in range(20):
        chosen = rng.choice(n, handful, replace=False)
        found = subset_moments(z, mask_of(n, chosen))
        distance.append(squared_length(found.mean - whole.mean, root))
        plain.append(squared_length(z[chosen].mean(axis=0) - whole.mean, root))
        relative = np.linalg.solve(whole.covariance, found.covariance)
        weight = subset_weight(handful, d)
        # The 4 directions that the handful spans get wider, all others narrower by the weight (and one
        # by the handful's share of the scatter).
        ratios = np.sort(np.linalg.eigvals(relative).real)
        np.testing.assert_allclose(ratios[1 : d - handful + 1], 1 - weight, rtol=1e-4)
        np.testing.assert_allclose(ratios[0], 1 - weight, rtol=0.05)
        error = weight * np.sqrt(2 / ((handful - 1) * d))
        assert abs(ratios.mean() - 1) < 5 * error
    assert np.mean(plain) > d / handful / 2
    # The risk of the estimator where there is no shift.
    assert np.mean(distance) < 2 / handful + 5 * np.std(distance) / np.sqrt(len(distance))


def test_a_large_distant_subset_has_its_own_moments():
    n, d, count = 12_000, 8, 6000
    z, root = gaussian(n, d)
    mask = mask_of(n, np.arange(0, n, n // count))
    z[mask] = 3 * z[mask] + 40
    mean = z[~mask].mean(axis=0) * 3 + 40
    found = subset_moments(jnp.asarray(z), jnp.asarray(mask))
    # Both the subset and the rest, whose moments are the reference, have sampling errors.
    assert squared_length(found.mean - mean, 3 * root) < 2 / count * (d + 5 * np.sqrt(2 * d))
    # The distance is no part of the spread: S is that of the subset and of the rest about their own means.
    own, rest = (np.cov(part.T.astype(np.float64)) for part in (z[mask], z[~mask]))
    weight = subset_weight(count, d)
    expected = weight * own + (1 - weight) * (own + rest) / 2
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-3, atol=1e-3)
    assert weight > 0.998
    assert found.count == n


@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_mean_beats_the_plain_mean_of_a_slightly_shifted_subset(shift):
    """Squared Mahalanobis error of the mean over repeated draws, compared in pairs."""
    n, d, count = 400, 20, 40
    rng, gains = np.random.default_rng(0), []
    for _ in range(150):
        z = rng.standard_normal((n, d)).astype(np.float32)
        z[:count] += np.float32(shift)
        found = subset_moments(z, mask_of(n, np.arange(count))).mean
        plain = z[:count].mean(axis=0)
        gains.append(np.sum((plain - shift) ** 2) - np.sum((found - shift) ** 2))
    assert np.mean(gains) > 5 * np.std(gains) / np.sqrt(len(gains))


def test_constant_dimensions_and_few_points_do_not_shrink_more():
    """Dimensions without spread have no noise: the mean of a subset is shrunk as without them."""
    z, _ = gaussian(9000, 6)
    z[:60] += 0.5
    mask = mask_of(9000, np.arange(60))
    alone = subset_moments(z, mask)
    constants = np.tile(np.array([7.7, 0.1, 123.456, 0], np.float32), (9000, 1))
    beside = subset_moments(np.concatenate([z, constants], axis=1), mask)
    weights = [subset_weight(60, d) for d in (6, 10)]
    np.testing.assert_allclose(beside.mean[6:], constants[0], rtol=1e-6)
    moved = np.linalg.norm(alone.mean - z.mean(axis=0))
    # The covariance in which the distance is measured differs by the weights alone.
    assert np.linalg.norm(alone.mean - beside.mean[:6]) < moved * (weights[0] - weights[1])
    few, _ = gaussian(30, 200)
    found = subset_moments(few, mask_of(30, np.arange(10)))
    assert np.isfinite(found.mean).all()
    assert (np.asarray(PCA.fit(few, where=mask_of(30, np.arange(10))).explained_variance)[29:] == 0).all()


def test_all_points_and_two_points():
    z, _ = gaussian(500, 5)
    whole, found = moments(z), subset_moments(z, np.ones(500, bool))
    np.testing.assert_array_equal(found.mean, whole.mean)
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-12)
    two = subset_moments(z, mask_of(500, [3, 7]))
    assert np.isfinite(two.mean).all()
    assert (np.linalg.eigvalsh(two.covariance) > 0).all()


@pytest.mark.parametrize("kind", ["numpy", "jax", "memory map", "float64"])
def test_frame_of_a_subset(kind, tmp_path):
    z, _ = gaussian(3000, 6)
    mask = mask_of(3000, np.arange(1000))
    z[mask] = z[mask] @ np.diag([1, 1, 9, 1, 1, 1]).astype(np.float32) + 30
    if kind == "memory map":
        np.save(tmp_path / "z.npy", z)
    kinds = {
        "numpy": lambda: z,
        "jax": lambda: jnp.asarray(z),
        "memory map": lambda: np.load(tmp_path / "z.npy", mmap_mode="r"),
        "float64": lambda: z.astype(np.float64),
    }
    pca = PCA.fit(kinds[kind](), 3, where=mask)
    expected = PCA.from_moments(subset_moments(z, mask), 3)
    for ours, theirs in zip(jax.tree.leaves(pca), jax.tree.leaves(expected), strict=True):
        assert ours.dtype == jnp.float32
        np.testing.assert_array_equal(ours, theirs)
    own = PCA.fit(z[mask], 3)
    np.testing.assert_allclose(pca.mean, own.mean, rtol=1e-3)
    np.testing.assert_allclose(pca.explained_variance[0], own.explained_variance[0], rtol=0.02)
    assert abs(pca.components[0] @ own.components[0]) > 0.9999


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors():
    z, _ = gaussian(50, 4)
    mask = mask_of(50, np.arange(9))
    for fit in (subset_moments, lambda z, where: PCA.fit(z, where=where)):
        with pytest.raises(TypeError, match=r"where: expected a boolean mask, got int64; use labels == 1"):
            fit(z, mask.astype(np.int64))
        with pytest.raises(ValueError, match=r"where: expected shape \(50,\), .* got \(49,\)"):
            fit(z, mask[:49])
        with pytest.raises(ValueError, match=r"where: expected shape \(50,\), .* got \(50, 1\)"):
            fit(z, mask[:, None])
        with pytest.raises(ValueError, match="where: expected at least 2 chosen vectors, got 1"):
            fit(z, mask_of(50, [4]))
    z[20] = np.nan
    with pytest.raises(ValueError, match="z: NaN, infinite or overflowing values"):
        PCA.fit(z, where=mask)
