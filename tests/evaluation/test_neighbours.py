import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from jaxlatent.evaluation import neighbours
from jaxlatent.evaluation.copy_test import copies, duplicates
from jaxlatent.evaluation.neighbours import nearest_distances


def normal(n, f, seed=0, centre=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(centre, scale, (n, f)).astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 128 rows, so that few points make several."""
    monkeypatch.setattr(neighbours, "_ROWS", 128)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
@pytest.mark.parametrize(("n", "m", "k"), [(300, 500, 1), (128, 256, 3), (1, 129, 129), (0, 5, 2)])
def test_equals_brute_force(kind, n, m, k):
    points, references = normal(n, 6, 1, 40), normal(m, 6, 2, 40)
    found = nearest_distances(kind(points), kind(references), k=k)
    full = distance.cdist(points, references)
    np.testing.assert_array_equal(found.index, np.argsort(full, axis=1, kind="stable")[:, :k])
    np.testing.assert_allclose(found.distance, np.sort(full, axis=1)[:, :k], rtol=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_a_point_is_no_neighbour_of_itself():
    points = normal(300, 4)
    points[200] = points[10]
    found = nearest_distances(points, points, k=2, exclude_self=True)
    full = distance.cdist(points, points)
    np.fill_diagonal(full, np.inf)
    np.testing.assert_array_equal(found.index, np.argsort(full, axis=1, kind="stable")[:, :2])
    assert found.index[10, 0] == 200
    assert found.distance[10, 0] == 0
    np.testing.assert_array_equal(nearest_distances(points, points).distance, 0)


def test_distances_that_float32_products_do_not_show():
    """1e-4 of the norm: its square is below the rounding error of the squared norms."""
    references = normal(400, 50, centre=100)
    direction = normal(400, 50, 1).astype(np.float64)
    points = references + 1e-4 * direction
    points[0] = references[0]
    found = nearest_distances(points, references)
    np.testing.assert_array_equal(found.index[:, 0], np.arange(400))
    np.testing.assert_allclose(found.distance[1:, 0], 1e-4 * np.linalg.norm(direction[1:], axis=1), rtol=1e-9)
    assert found.distance[0, 0] == 0


def test_long_vectors_and_memory_maps(tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours, "_VALUES", 5000)
    images = normal(30, 900)
    np.save(tmp_path / "x.npy", images)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    found = nearest_distances(mapped[:7], mapped)
    np.testing.assert_array_equal(found.index[:, 0], np.arange(7))


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors_of_nearest_distances():
    x = normal(5, 3)
    with pytest.raises(ValueError, match=r"references: expected an array of shape \(n, 3\), got \(5, 2\)"):
        nearest_distances(x, x[:, :2])
    with pytest.raises(TypeError, match="points: expected floating-point numbers, got uint8"):
        nearest_distances(x.astype(np.uint8), x)
    with pytest.raises(ValueError, match="k: expected at most 4, the neighbours that there are, got 5"):
        nearest_distances(x, x, k=5, exclude_self=True)
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        nearest_distances(x, x, k=0)
    with pytest.raises(ValueError, match=r"exclude_self: expected the same array .* got 4 and 5 rows"):
        nearest_distances(x[:4], x, exclude_self=True)
    bad = x.copy()
    bad[2, 1] = np.nan
    with pytest.raises(ValueError, match="points: NaN or infinite values in rows 0 to 4; remove them"):
        nearest_distances(bad, x)
    with pytest.raises(ValueError, match="references: NaN"):
        nearest_distances(x, bad)


def test_copy_test_equals_its_definition():
    training, generated, held_out = normal(400, 3), normal(150, 3, 1, scale=0.9), normal(200, 3, 2)
    found = copies(generated, training, held_out, closest=0.05)
    a, b = (distance.cdist(x, training).min(axis=1) for x in (generated, held_out))
    np.testing.assert_allclose(found.generated.distance[:, 0], a, rtol=1e-9)
    np.testing.assert_allclose(found.held_out.distance[:, 0], b, rtol=1e-9)
    assert found.p == pytest.approx(stats.mannwhitneyu(a, b, alternative="less").pvalue, rel=1e-9)
    assert found.probability_closer == pytest.approx((a[:, None] < b).mean())
    assert found.threshold == pytest.approx(np.sort(b)[9])
    assert found.close_share == pytest.approx((a < np.sort(b)[9]).mean())
    np.testing.assert_allclose(found.generated_quantiles, np.quantile(a, found.levels), rtol=1e-9)
    np.testing.assert_allclose(found.held_out_quantiles, np.quantile(b, found.levels), rtol=1e-9)


def test_both_p_values_are_uniform_for_new_images_and_not_for_copies():
    training = normal(200, 2)
    new = [
        copies(normal(60, 2, 2 * i), training, normal(80, 2, 2 * i + 1), closest=0.1) for i in range(1, 101)
    ]
    for name in ("p", "close_p"):
        p = np.array([getattr(found, name) for found in new])
        error = np.sqrt(0.2 * 0.8 / p.size)
        assert (p <= 0.2).mean() < 0.2 + 5 * error
        assert 0.3 < p.mean() < 0.8
    closer = np.mean([found.probability_closer for found in new])
    assert abs(closer - 0.5) < 0.05
    share = np.mean([found.close_share for found in new])
    assert abs(share - new[0].expected_share) < 0.03
    copied = copies(training[:50] + np.float32(1e-5), training, normal(80, 2, 1))
    assert copied.probability_closer > 0.99
    assert max(copied.p, copied.close_p) < 1e-6


def test_few_copies_show_among_the_closest():
    training, generated, held_out = normal(800, 8), normal(400, 8, 1), normal(400, 8, 2)
    generated[:20] = training[:20]
    found = copies(generated, training, held_out)
    assert found.p > 0.05
    assert found.close_p < 1e-3
    np.testing.assert_array_equal(found.generated.index[:20, 0], np.arange(20))


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors_of_copies():
    x = normal(5, 3)
    with pytest.raises(ValueError, match="held_out: expected at least 1 vector, got 0"):
        copies(x, x, x[:0])
    with pytest.raises(ValueError, match=r"generated: expected an array of shape \(n, 3\)"):
        copies(x[:, :2], x, x)
    with pytest.raises(ValueError, match=r"closest: expected a share in \(0, 1\), got 1.0"):
        copies(x, x, x, closest=1.0)


def test_duplicates_are_found_once_each():
    x = normal(200, 10)
    x[50] = x[20]
    x[60] = x[30] + np.float32(1e-3)
    x[70] = x[20] + np.float32(1e-2)
    found = duplicates(x, threshold=0.1)
    np.testing.assert_array_equal(found.pairs, [[20, 50], [30, 60], [20, 70]])
    np.testing.assert_allclose(found.distance, np.sqrt(10) * np.array([0, 1e-3, 1e-2]), rtol=1e-3)
    assert found.share == 5 / 200
    assert found.threshold == 0.1


def test_threshold_from_real_images():
    real, new = normal(300, 10), normal(100, 10, 1)
    real[5] = real[4]
    rows = np.linspace(0, 299, 100).astype(int)
    full = distance.cdist(real[rows], real[rows])
    np.fill_diagonal(full, np.inf)
    found = duplicates(new, real=real)
    assert found.threshold == pytest.approx(np.median(full.min(axis=1)) / 4)
    assert found.pairs.shape == (0, 2)
    assert found.share == 0
    np.testing.assert_array_equal(duplicates(real, real=real).pairs, [[4, 5]])


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors_of_duplicates():
    x = normal(5, 3)
    for options in ({}, {"real": x, "threshold": 1.0}):
        with pytest.raises(ValueError, match="threshold: expected either it or real; give one of them"):
            duplicates(x, **options)
    with pytest.raises(ValueError, match="threshold: expected a positive, finite number, got 0"):
        duplicates(x, threshold=0)
    with pytest.raises(ValueError, match="real: more than half of the images are equal"):
        duplicates(x, real=np.ones((5, 3), np.float32))
    with pytest.raises(ValueError, match="generated: expected at least 2 vectors, got 1"):
        duplicates(x[:1], threshold=1.0)
