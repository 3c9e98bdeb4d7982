import jax
import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from jaxlatent.evaluation.attributes import attribute_clusters, attribute_shares

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def shifted():
    """Correlated points (3000, 5), float32; the first attribute shifts them, the second does nothing."""
    rng = np.random.default_rng(1)
    present = rng.random((3000, 2)) < [0.3, 0.5]
    noise = rng.standard_normal((3000, 5))
    z = (noise + np.outer(present[:, 0], [3.0, 0, 0, 0, 0])) @ rng.standard_normal((5, 5)) + 7
    return z.astype(np.float32), present


def test_shares_equal_their_definitions(shifted):
    z, present = shifted
    found = attribute_shares(z, present)
    x, p = z.astype(float), present.mean(axis=0)
    gaps = np.stack([x[has].mean(axis=0) - x[~has].mean(axis=0) for has in present.T])
    between = p * (1 - p) * np.square(gaps).sum(axis=1)
    np.testing.assert_allclose(found.prevalence, p, rtol=1e-6)
    np.testing.assert_allclose(found.variance, between / x.var(axis=0).sum(), rtol=1e-4)
    design = np.column_stack([x, np.ones(len(x))])
    fitted = design @ np.linalg.lstsq(design, present.astype(float), rcond=None)[0]
    np.testing.assert_allclose(found.whitened, fitted.var(axis=0) / present.var(axis=0), rtol=1e-4)


def test_separation_of_two_shifted_normal_classes(shifted):
    found = attribute_shares(*shifted)
    # 600 held-out points: five standard errors of a d' of 3, sqrt(1 / 180 + 1 / 420 + 9 / 1200).
    assert found.discriminant[0] == pytest.approx(3, abs=5 * 0.13)
    assert found.separation[0] <= found.discriminant[0] + 0.1
    assert found.whitened[0] == pytest.approx(0.21 * 9 / (1 + 0.21 * 9), abs=0.05)
    assert abs(found.discriminant[1]) < 5 * np.sqrt(4 / 600)
    assert found.whitened[1] < 0.01


def test_shares_do_not_depend_on_where_the_cloud_lies(shifted):
    z, present = shifted
    far = attribute_shares(z + np.float32(50), present)
    here = attribute_shares(z, present)
    np.testing.assert_allclose(far.variance, here.variance, rtol=1e-3)
    np.testing.assert_allclose(far.whitened, here.whitened, rtol=1e-2, atol=1e-4)


def test_a_dimension_without_variance_changes_nothing(shifted):
    z, present = shifted
    padded = attribute_shares(np.pad(z, ((0, 0), (0, 1))), present)
    np.testing.assert_allclose(padded.whitened, attribute_shares(z, present).whitened, rtol=1e-4)


def test_clusters_that_are_there():
    rng = np.random.default_rng(0)
    which = rng.integers(3, size=900)
    z = (rng.standard_normal((900, 4)) + 20 * np.eye(4)[which]).astype(np.float32)
    present = np.stack([which == 0, rng.random(900) < 0.5], axis=1)
    found = attribute_clusters(z, present, KEY, n_clusters=3)
    means = np.stack([z[which == i].mean(axis=0) for i in range(3)])
    assert found.variance == pytest.approx(1 - np.square(z - means[which]).sum() / _total(z), rel=1e-4)
    assert found.variance > found.gaussian_variance + 0.2
    assert found.information[0] == pytest.approx(adjusted_mutual_info_score(present[:, 0], which))
    assert found.gain[0] == pytest.approx(present[:, 0].mean())
    assert abs(found.information[1]) < 0.01
    assert 0 <= found.gain[1] < 0.06


def test_normal_points_have_no_clusters():
    z = np.random.default_rng(0).standard_normal((2000, 6)).astype(np.float32) * np.float32(
        [4, 3, 2, 1, 1, 1]
    )
    found = attribute_clusters(z, z[:, 5:] > 0, KEY)
    assert found.variance == pytest.approx(found.gaussian_variance, abs=0.02)
    assert found.information[0] < 0.05
    again = attribute_clusters(z, z[:, 5:] > 0, KEY)
    assert found.variance == again.variance
    assert found.gaussian_variance == again.gaussian_variance


def _total(z):
    return np.square(z - z.mean(axis=0)).sum()


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(
    ("z", "present", "message"),
    [
        (np.zeros((4, 5), np.float32), np.eye(4, 1, dtype=bool), "z: expected more than 5 vectors"),
        (np.zeros(4, np.float32), np.eye(4, 1, dtype=bool), "z: expected an array of shape"),
        (np.zeros((9, 2), np.float32), np.ones((9, 1), bool), "labels: all or none"),
    ],
)
def test_shares_say_what_is_wrong(z, present, message):
    with pytest.raises(ValueError, match=message):
        attribute_shares(z, present)


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(
    ("count", "rows", "n_clusters", "message"),
    [
        (5, 5, 10, "z: expected at least 10 vectors"),
        (20, 19, 10, "present: expected a row for each of 20"),
        (20, 20, 1, "n_clusters: expected at least 2"),
    ],
)
def test_clusters_say_what_is_wrong(count, rows, n_clusters, message):
    z = np.zeros((count, 2), np.float32)
    with pytest.raises(ValueError, match=message):
        attribute_clusters(z, np.ones((rows, 1), bool), KEY, n_clusters=n_clusters)
