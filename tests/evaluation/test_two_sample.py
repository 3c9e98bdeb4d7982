import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import RandomForestClassifier

from jaxlatent.evaluation import neighbours
from jaxlatent.evaluation.two_sample import classifier_two_sample_test, energy_distance, energy_test


def normal(n, f, seed=0, centre=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(centre, scale, (n, f)).astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 64 rows, so that few points make several."""
    monkeypatch.setattr(neighbours, "_ROWS", 64)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_energy_distance_equals_a_double_loop(kind):
    a, b = normal(90, 5, 1, 20), normal(140, 5, 2, 20.3)

    def mean(x, y, pairs):
        return sum(np.linalg.norm(p - q) for p in x.astype(float) for q in y.astype(float)) / pairs

    cross = mean(a, b, 90 * 140)
    biased = 2 * cross - mean(a, a, 90**2) - mean(b, b, 140**2)
    unbiased = 2 * cross - mean(a, a, 90 * 89) - mean(b, b, 140 * 139)
    found = energy_distance(kind(a), kind(b))
    assert found.distance == pytest.approx(np.sqrt(biased), rel=1e-5)
    assert found.unbiased == pytest.approx(unbiased, rel=1e-4)


def test_energy_distance_equals_scipy_in_one_dimension():
    for a, b in [
        (normal(500, 1, 1), normal(300, 1, 2, 0.1)),
        (normal(4200, 1, 3, 50), normal(200, 1, 4, 50, 2)),
    ]:
        assert energy_distance(a, b).distance == pytest.approx(
            stats.energy_distance(a[:, 0], b[:, 0]), rel=1e-4
        )


def test_energy_distance_is_null_symmetric_and_monotone():
    a, b = normal(300, 6, 1), normal(400, 6, 2)
    assert energy_distance(a, a).distance == 0
    assert energy_distance(a, a.copy()).distance == pytest.approx(0, abs=0.01)
    there, back = energy_distance(a, b), energy_distance(b, a)
    assert there.distance == pytest.approx(back.distance, rel=1e-6)
    values = [energy_distance(a, b + np.float32(t)).distance for t in (0, 0.2, 0.4, 0.8)]
    assert np.all(np.diff(values) > 0)
    # Two points: E = 2 |a - b|.
    x, y = np.zeros((2, 3), np.float32), np.full((2, 3), 2, np.float32)
    assert energy_distance(x, y).distance == pytest.approx(np.sqrt(2 * np.sqrt(12)), rel=1e-6)


def test_unbiased_energy_scatters_about_zero():
    values = np.array(
        [energy_distance(normal(40, 3, 2 * i), normal(60, 3, 2 * i + 1)).unbiased for i in range(150)]
    )
    assert abs(values.mean()) < 5 * values.std() / np.sqrt(values.size)


def test_energy_test_holds_its_level_and_finds_a_shift():
    keys = jax.random.split(jax.random.key(0), 100)
    null = np.array(
        [
            energy_test(normal(40, 3, 2 * i), normal(30, 3, 2 * i + 1), key=key, permutations=19)
            for i, key in enumerate(keys)
        ]
    )
    assert abs((null <= 0.2).mean() - 0.2) < 5 * np.sqrt(0.2 * 0.8 / null.size)
    assert energy_test(normal(300, 3), normal(300, 3, 1, 0.5), key=keys[0], max_points=100) == 1 / 1000


def test_energy_test_is_deterministic_and_equal_sets_are_alike(key):
    a, b = normal(150, 3, 1), normal(150, 3, 2)
    first = energy_test(a, b, key=key, max_points=50, permutations=99)
    assert energy_test(a, b, key=key, max_points=50, permutations=99) == first
    assert energy_test(a, a, key=key, permutations=99) == 1


def changed(kind, n=1200, f=8):
    b = normal(n, f, 1)
    if kind == "mean":
        return b + np.float32(0.3)
    if kind == "spread":
        return b * np.float32(1.3)
    # Radii that vary together, with means and covariances as they were.
    rng = np.random.default_rng(2)
    return (b * rng.choice([0.5, np.sqrt(1.75)], (n, 1))).astype(np.float32)


@pytest.mark.parametrize("kind", ["mean", "spread", "radius"])
def test_classifier_sees_a_change(kind, key):
    found = classifier_two_sample_test(normal(1200, 8), changed(kind), key=key)
    assert found.accuracy > 0.5 + 6 * found.deviation
    assert found.p < 1e-6
    assert found.held_out == 1200


def test_classifier_finds_nothing_where_there_is_nothing():
    keys = jax.random.split(jax.random.key(0), 100)
    found = [
        classifier_two_sample_test(normal(60, 3, 2 * i), normal(80, 3, 2 * i + 1), key=key)
        for i, key in enumerate(keys)
    ]
    error = np.sqrt(0.2 * 0.8 / len(found))
    assert np.mean([f.p <= 0.2 for f in found]) < 0.2 + 5 * error
    accuracy = np.array([f.accuracy for f in found])
    assert abs(accuracy.mean() - 0.5) < 5 * found[0].deviation / np.sqrt(len(found))
    assert accuracy.std() == pytest.approx(found[0].deviation, rel=5 / np.sqrt(2 * len(found)))


def test_sets_without_overlap_are_told_apart(key):
    a, b = normal(40, 2), normal(60, 2, 1, 50)
    found = classifier_two_sample_test(a, b, key=key)
    assert (found.accuracy, found.held_out) == (1.0, 40)
    # All 20 of 40 right: one of the ways to choose 20 of 40.
    assert found.p == pytest.approx(1 / 137846528820, rel=1e-6)
    assert classifier_two_sample_test(a, b, key=key) == found


def test_another_classifier_and_constant_features(key):
    a, b = normal(600, 3), normal(600, 3, 1)
    b[:, 1] = b[:, 0] * np.sign(b[:, 1])  # a cross, with mean and spread as before
    found = classifier_two_sample_test(
        a, b, key=key, max_points=400, classifier=RandomForestClassifier(20, random_state=0)
    )
    assert found.p < 1e-6
    assert found.held_out == 400
    flat = [np.hstack([x, np.full((600, 2), 7, np.float32)]) for x in (a, normal(600, 3, 3, 0.5))]
    assert classifier_two_sample_test(*flat, key=key).p < 1e-6


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(key):
    x = normal(30, 3)
    bad = x.copy()
    bad[1, 1] = np.inf
    for call in (energy_distance, lambda a, b: energy_test(a, b, key=key)):
        with pytest.raises(ValueError, match="a: expected at least 2 vectors, got 1"):
            call(x[:1], x)
        with pytest.raises(ValueError, match="b: NaN or infinite values in rows 0 to 29; remove them"):
            call(x, bad)
        with pytest.raises(ValueError, match=r"b: expected an array of shape \(n, 3\), got \(30, 2\)"):
            call(x, x[:, :2])
    with pytest.raises(ValueError, match="b: expected at least 20 vectors, got 9"):
        classifier_two_sample_test(x, x[:9], key=key)
    with pytest.raises(ValueError, match="a, b: all vectors are equal"):
        classifier_two_sample_test(np.ones_like(x), np.ones_like(x), key=key)
    with pytest.raises(ValueError, match="b: NaN or infinite"):
        classifier_two_sample_test(x, bad, key=key)
    with pytest.raises(ValueError, match="max_points: expected at least 20, got 3"):
        classifier_two_sample_test(x, x, key=key, max_points=3)
    with pytest.raises(ValueError, match="permutations: expected at least 1, got 0"):
        energy_test(x, x, key=key, permutations=0)
    with pytest.raises(TypeError, match="key: expected a typed key"):
        energy_test(x, x, key=jax.random.PRNGKey(0))
