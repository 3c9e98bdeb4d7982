import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.covariance import OAS
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import jaxlatent as jl
from jaxlatent.latent.directions import Direction, _shrunk, attribute_direction

KINDS = ["mean", "linear"]


def gaussian(n, d, seed=0):
    """Z-points with deviations from 1 to 0.1 along tilted axes, far from 0; float64, and their covariance."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.geomspace(1, 0.1, d)[:, None]
    root = np.linalg.qr(rng.standard_normal((d, d)))[0] @ axes
    return rng.standard_normal((n, d)) @ root + rng.uniform(-5, 5, d), root.T @ root


def cosine(a, b):
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def class_means(z, has):
    z = np.asarray(z, np.float64)
    return z[has].mean(axis=0), z[~has].mean(axis=0)


def test_mean_recovers_the_shift_of_an_attribute():
    n, d = 20_000, 12
    z, covariance = gaussian(n, d)
    rng = np.random.default_rng(1)
    has, shift = rng.random(n) < 0.2, rng.standard_normal(d)
    found = attribute_direction((z + np.outer(has, shift)).astype(np.float32), has)
    error = np.sqrt(np.diag(covariance) * (1 / has.sum() + 1 / (~has).sum()))
    assert (np.abs(found.vector - shift) < 5 * error).all()


@pytest.mark.parametrize("seed", range(3))
def test_linear_recovers_the_normal_better_than_mean(seed):
    """The attribute is which side of a tilted plane a z-point lies on, up to noise."""
    z, covariance = gaussian(20_000, 16, seed)
    rng = np.random.default_rng(seed + 10)
    normal = rng.standard_normal(16)
    normal /= np.sqrt(normal @ covariance @ normal)
    has = (z - z.mean(axis=0)) @ normal + 0.3 * rng.standard_normal(len(z)) > 0.5
    mean, linear = (attribute_direction(z.astype(np.float32), has, kind=kind) for kind in KINDS)
    assert cosine(linear.vector, normal) > 0.97
    assert cosine(linear.vector, normal) > cosine(mean.vector, normal) + 0.1
    # What "mean" finds is the normal times the covariance: the attribute and what goes with it.
    assert cosine(mean.vector, covariance @ normal) > 0.99
    assert linear.accuracy > mean.accuracy + 0.01
    assert linear.separation > mean.separation


@pytest.mark.parametrize("n", [60, 5000])
def test_linear_is_the_shrunk_discriminant(n):
    z, _ = gaussian(n, 20)
    has = np.random.default_rng(0).random(n) < 0.4
    z[has] += 0.2
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=OAS()).fit(z, has).coef_[0]
    ours = attribute_direction(z.astype(np.float32), has, kind="linear")
    # scikit-learn shrinks the covariance within the classes.
    assert cosine(ours.vector, theirs) > (0.95 if n == 60 else 0.9999)
    sample = np.cov(z.T)
    np.testing.assert_allclose(_shrunk(sample, n), OAS().fit(z).covariance_, rtol=0.05, atol=0.05 / n)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_goes_from_class_mean_to_class_mean(kind):
    z, _ = gaussian(2000, 8)
    has = z[:, 1] > np.median(z[:, 1]) + 0.3
    vector = np.asarray(attribute_direction(z.astype(np.float32), has, kind=kind).vector, np.float64)
    with_it, without = class_means(z, has)
    np.testing.assert_allclose(vector @ (without + vector), vector @ with_it, rtol=1e-5)
    if kind == "mean":
        np.testing.assert_allclose(vector, with_it - without, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_accuracy_and_separation_of_two_gaussians(kind, shift):
    """In independent components of deviation 1 both kinds find the same direction, and d' is the shift."""
    n, d = 20_000, 4
    rng = np.random.default_rng(0)
    has = rng.random(n) < 0.3
    z = rng.standard_normal((n, d)).astype(np.float32) - 40
    z[has, 2] += np.float32(shift)
    found = attribute_direction(z, has, kind=kind)
    held_out = n / 5 * np.array([0.3, 0.7])
    error = np.sqrt(np.sum(1 / held_out))
    assert abs(found.separation - shift) < 5 * error * np.sqrt(1 + shift**2 / 8) + 0.01
    accuracy = stats.norm.cdf(shift / 2)
    assert abs(found.accuracy - accuracy) < 5 * np.sqrt(accuracy * (1 - accuracy)) * error / 2 + 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_labels_and_arrays(kind):
    z, _ = gaussian(300, 5)
    z = z.astype(np.float32)
    has = z[:, 0] > z[:, 0].mean()
    expected = attribute_direction(z, has, kind=kind)
    assert expected.vector.dtype == expected.accuracy.dtype == expected.separation.dtype == jnp.float32
    signed = np.where(has, 1, -1)
    for labels in (has.astype(np.uint8), has.astype(np.float32), signed.astype(np.int8), jnp.asarray(signed)):
        for points in (z, jnp.asarray(z), z.astype(np.float64)):
            found = attribute_direction(points, labels, kind=kind)
            np.testing.assert_array_equal(found.vector, expected.vector)
    with jax.enable_x64(True):
        assert attribute_direction(z.astype(np.float64), has, kind=kind).vector.dtype == jnp.float32


@pytest.mark.parametrize("kind", KINDS)
def test_many_attributes_are_each_alone(kind):
    z, _ = gaussian(1000, 6)
    z = z.astype(np.float32)
    labels = np.where(z[:, :3] > z[:, :3].mean(axis=0), 1, -1)
    together = attribute_direction(z, labels, kind=kind)
    assert together.vector.shape == (3, 6)
    assert together.accuracy.shape == together.separation.shape == (3,)
    for j in range(3):
        alone = attribute_direction(z, labels[:, j], kind=kind)
        assert alone.vector.shape == (6,)
        np.testing.assert_allclose(together.vector[j], alone.vector, atol=1e-5)
        np.testing.assert_allclose(together.accuracy[j], alone.accuracy, atol=5e-3)
        np.testing.assert_allclose(together.separation[j], alone.separation, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_directions_in_a_frame_with_fewer_components(kind):
    """The attribute also shows along the axis of least variance, which the frame does not have."""
    z, _ = gaussian(4000, 10)
    whole = jl.PCA.fit(z.astype(np.float32))
    frame = whole.keep(4)
    has = np.asarray(whole.transform(z.astype(np.float32)))[:, [1, 9]] @ [1.0, 5.0] > 0
    found = attribute_direction(z.astype(np.float32), has, kind=kind, pca=frame)
    inside = found.vector @ frame.components.T @ frame.components
    np.testing.assert_allclose(inside, found.vector, atol=1e-5)
    projected = frame.inverse_transform(frame.transform(z.astype(np.float32)))
    with_it, without = class_means(projected, has)
    np.testing.assert_allclose(found.vector @ (with_it - without), found.vector @ found.vector, rtol=1e-4)


def test_is_saved_and_a_pytree(tmp_path):
    z, _ = gaussian(200, 5)
    found = attribute_direction(z.astype(np.float32), z[:, :2] > z[:, :2].mean(axis=0), kind="linear")
    jl.save(tmp_path / "d.npz", found)
    again = jl.load(tmp_path / "d.npz")
    assert isinstance(again, Direction)
    assert again.kind == "linear"
    np.testing.assert_array_equal(again.vector, found.vector)
    doubled = jax.jit(lambda d: jax.tree.map(lambda x: 2 * x, d))(found)
    np.testing.assert_array_equal(doubled.vector, 2 * found.vector)


@pytest.mark.parametrize("kind", KINDS)
def test_few_and_constant_points(kind):
    z, _ = gaussian(50, 80)
    z = z.astype(np.float32)
    assert jnp.isfinite(attribute_direction(z, np.arange(50) % 2, kind=kind).vector).all()
    rare = attribute_direction(z, np.arange(50) == 7, kind=kind)
    assert jnp.isfinite(rare.vector).all()
    assert jnp.isnan(rare.accuracy)
    assert jnp.isnan(rare.separation)
    two = attribute_direction(z[:2], np.array([True, False]), kind=kind)
    np.testing.assert_allclose(two.vector, z[0] - z[1], rtol=1e-3, atol=1e-4)
    constant = attribute_direction(np.full((9, 3), 0.1, np.float32), np.arange(9) % 2, kind=kind)
    np.testing.assert_array_equal(constant.vector, 0)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors():
    z = np.zeros((10, 3), np.float32)
    has = np.arange(10) % 2
    with pytest.raises(ValueError, match="kind: expected one of mean, linear, got 'svm'"):
        attribute_direction(z, has, kind="svm")
    for bad in (has[:9], has[None], np.zeros((10, 0)), np.zeros((10, 2, 1)), np.int64(1)):
        with pytest.raises(ValueError, match=r"labels: expected shape \(10,\) or \(10, m\)"):
            attribute_direction(z, bad)
    for bad in (np.nan, 0.5, 2):
        with pytest.raises(ValueError, match=f"labels: expected bool, .*, got {bad}"):
            attribute_direction(z, np.where(has, 1, bad))
    with pytest.raises(ValueError, match="labels: attribute 0 has both 0 and -1"):
        attribute_direction(z, np.arange(10) % 3 - 1)
    for labels in (np.ones(10), np.zeros(10), -np.ones(10)):
        with pytest.raises(ValueError, match=r"labels: all or none .* attribute 0 \(1 such\)"):
            attribute_direction(z, labels)
    with pytest.raises(ValueError, match=r"labels: all or none .* attribute 1 \(1 such\)"):
        attribute_direction(z, np.stack([has, np.ones(10, int)], axis=1))
    with pytest.raises(TypeError, match="z: expected floating-point"):
        attribute_direction(z.astype(int), has)
    with pytest.raises(ValueError, match="z: NaN, infinite"):
        attribute_direction(np.where(np.arange(3) == 1, np.nan, z).astype(np.float32), has)
    with pytest.raises(ValueError, match=r"z: expected an array of shape \(n, 2\)"):
        attribute_direction(z, has, pca=jl.PCA.fit(np.eye(2, dtype=np.float32)))
