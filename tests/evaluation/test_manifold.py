import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent.evaluation import manifold as module
from jaxlatent.evaluation.manifold import manifold_metrics


def textbook(real, generated, k):
    """The definitions, every distance from the differences, in float64."""
    real, generated = np.asarray(real, np.float64), np.asarray(generated, np.float64)

    def distances(a, b):
        return np.linalg.norm(a[:, None] - b, axis=2)

    # A vector is the nearest to itself; the next k are its neighbours.
    real_radii = np.sort(distances(real, real), axis=1)[:, k]
    generated_radii = np.sort(distances(generated, generated), axis=1)[:, k]
    across = distances(real, generated)
    in_real = across < real_radii[:, None]
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": (across < generated_radii).any(axis=1).mean(),
        "density": in_real.sum() / (k * len(generated)),
        "coverage": in_real.any(axis=1).mean(),
    }


def features(seed, n, f, shift=0.0, scale=1.0):
    return (scale * np.random.default_rng(seed).normal(size=(n, f)) + shift).astype(np.float32)


def check(real, generated, k):
    found = dataclasses.asdict(manifold_metrics(real, generated, k=k))
    assert found == pytest.approx(textbook(real, generated, k), abs=1e-12)


@pytest.fixture(scope="module")
def pair():
    return features(0, 300, 10), features(1, 240, 10, shift=0.2, scale=0.8)


@pytest.mark.parametrize(("k", "block"), [(1, 2048), (3, 2048), (20, 2048), (3, 100), (20, 60), (150, 100)])
def test_equals_the_definitions(pair, k, block, monkeypatch):
    monkeypatch.setattr(module, "block_rows", lambda count, dim: block)
    check(*pair, k)


@pytest.mark.parametrize("k", [1, 5])
def test_equals_prdc(pair, k, capsys):
    prdc = pytest.importorskip("prdc")
    expected = prdc.compute_prdc(real_features=pair[0], fake_features=pair[1], nearest_k=k)
    capsys.readouterr()
    assert dataclasses.asdict(manifold_metrics(*pair, k=k)) == pytest.approx(expected, abs=1e-12)


def test_kind_of_array_shift_and_scale_do_not_matter(pair):
    expected = manifold_metrics(*pair)
    assert manifold_metrics(*map(jnp.asarray, pair)) == expected
    real, generated = (z.astype(np.float64) for z in pair)
    assert manifold_metrics(real + 1e5, generated + 1e5) == expected
    assert manifold_metrics(1e-6 * real, 1e-6 * generated) == expected


def test_copies(pair):
    real, generated = pair
    found = manifold_metrics(real, real)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    check(real, np.concatenate([generated, real[:50]]), 5)


@pytest.mark.parametrize("copies", [5, 6])
def test_repeated_vectors(copies):
    """Beyond k copies the balls have no extent, and hold nothing, not even a copy."""
    real, generated = features(0, 40, 200).repeat(copies, axis=0), features(1, 60, 200)
    generated[:20] = real[::copies][:20]
    check(real, generated, 5)
    check(generated, real, 5)


def test_ties():
    """Points of a grid: most distances are equal to radii."""
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3)
    rng = np.random.default_rng(0)
    for k in (1, 5, 6):
        check(rng.permutation(grid)[:150], rng.permutation(grid)[:150], k)


def test_all_vectors_equal():
    same = np.ones((8, 3), np.float32)
    assert dataclasses.astuple(manifold_metrics(same, same)) == (0, 0, 0, 0)


def test_equal_laws():
    found = manifold_metrics(features(0, 1500, 4), features(1, 1500, 4), k=5)
    # Naeem et al., lemmas 1 and 2: density 1; coverage the chance that of the 5 nearest some is generated.
    assert found.density == pytest.approx(1, abs=0.05)
    assert found.coverage == pytest.approx(1 - 2.0**-5, abs=0.025)
    assert found.precision == pytest.approx(found.recall, abs=0.05)


def test_a_smaller_spread_is_precise_and_misses_much():
    real = features(0, 800, 8)
    found = [manifold_metrics(real, features(1, 800, 8, scale=scale)) for scale in (1.0, 0.7, 0.5, 0.3)]
    for name, sign in (("precision", 1), ("density", 1), ("recall", -1), ("coverage", -1)):
        steps = sign * np.diff([getattr(metrics, name) for metrics in found])
        assert steps.min() >= 0, name
        assert steps[0] > 0.005, name


def test_precision_and_recall_change_places(pair):
    there, back = manifold_metrics(*pair), manifold_metrics(*pair[::-1])
    assert (there.precision, there.recall) == (back.recall, back.precision)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(pair):
    real, generated = pair
    with pytest.raises(ValueError, match=r"^generated: expected an array of shape \(n, 10\), got \(240, 7\)"):
        manifold_metrics(real, generated[:, :7])
    with pytest.raises(TypeError, match=r"^real: expected floating-point numbers, got int64"):
        manifold_metrics(real.astype(np.int64), generated)
    with pytest.raises(ValueError, match=r"^generated: expected more than k = 5 vectors, got 5"):
        manifold_metrics(real, generated[:5])
    with pytest.raises(ValueError, match=r"^k: expected at least 1, got 0"):
        manifold_metrics(real, generated, k=0)
    with pytest.raises(TypeError, match=r"^k: expected an integer"):
        manifold_metrics(real, generated, k=2.5)
    for value in (np.nan, np.inf):
        bad = generated.copy()
        bad[5, 3] = value
        with pytest.raises(ValueError, match=r"^generated: NaN or infinite values in rows 0 to 239"):
            manifold_metrics(real, bad)
