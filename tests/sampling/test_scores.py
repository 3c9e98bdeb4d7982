"""Scores of single vectors, and the threshold from which on they are outliers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxlatent as jl
from jaxlatent.sampling.scores import Scores, Threshold


def scores(log_prob=None, gauge=None, n=4):
    return Scores(log_prob, gauge, jnp.zeros(n))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_the_rate_of_false_alarms(rate, make_z):
    """Of a new point it is rate at most, on average over calibrations, and hardly less."""
    z = np.asarray(make_z(30_000, 4))
    sampler = jl.GaussianSampler.fit(z[:2000])
    n, trials = 199, 100
    flagged = []
    for trial in range(trials):
        held_out = z[2000 + n * trial : 2000 + n * (trial + 1)]
        threshold = sampler.threshold(held_out, rate)
        flagged.append(np.asarray(threshold.exceeded(sampler.score(z[22_000:]))).mean())
    # The rate of one calibration has a beta law.
    beyond = n - int(np.ceil((n + 1) * (1 - rate)))
    error = 5 * stats.beta(beyond + 1, n - beyond).std() / np.sqrt(trials)
    assert np.mean(flagged) == pytest.approx(rate, abs=error + 5 * np.sqrt(rate / 8000))


def test_the_limit_is_an_order_statistic():
    found = Threshold.of(scores(jnp.array([-1.0, -4.0, -2.0, -3.0])), 0.2)
    assert (found.by, found.limit, found.count) == ("log_prob", -4.0, 4)
    again = scores(jnp.array([-4.0, -4.001, jnp.nan, -jnp.inf]))
    assert np.asarray(found.exceeded(again)).tolist() == [False, True, True, True]
    gauge = Threshold.of(scores(gauge=jnp.array([0.1, 0.9, 0.5, 0.7])), 0.4)
    assert (gauge.by, gauge.limit) == ("gauge", pytest.approx(0.7))


def test_outliers_are_found(make_z):
    z = np.asarray(make_z(4000, 6))
    sampler = jl.GaussianSampler.fit(z[:2000], n_components=4)
    normal = np.linalg.svd(np.asarray(sampler.pca.components))[2][-1]
    far = z[:50] + 9 * np.asarray(sampler.pca.components[0])
    off = z[:50] + 9 * normal.astype(np.float32)
    by_density = sampler.threshold(z[2000:], 0.01)
    by_distance = sampler.threshold(z[2000:], 0.01, by="distance")
    assert by_density.exceeded(sampler.score(far)).all()
    # What lies off the plane has the density of its foot.
    assert np.asarray(by_density.exceeded(sampler.score(off))).mean() < 0.2
    assert by_distance.exceeded(sampler.score(off)).all()


def test_any_sampler_has_one(make_z, key):
    z = np.asarray(make_z(2000, 4))
    for sampler, by in [
        (jl.PairwiseSampler.fit(z[:1000]), "gauge"),
        (jl.RecombinationSampler.fit(z[:1000]), "distance"),
        (jl.GaussianMixtureSampler.fit(z[:1000], n_clusters=2), "log_prob"),
    ]:
        assert sampler.threshold(z[1000:], 0.05).by == by


class TestErrors:
    @pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, np.nan])
    def test_rate(self, rate):
        with pytest.raises(ValueError, match=r"rate: expected a share in \(0, 1\)"):
            Threshold.of(scores(jnp.zeros(4)), rate)

    def test_too_few(self):
        with pytest.raises(ValueError, match=r"a rate of 0\.01 needs at least 99 vectors, got 98"):
            Threshold.of(scores(jnp.zeros(98)), 0.01)
        Threshold.of(scores(jnp.zeros(99)), 0.01)

    @pytest.mark.usefixtures("as_without_type_checks")
    def test_no_such_score(self):
        with pytest.raises(ValueError, match="by: the sampler has no gauge; expected one of log_prob, dist"):
            Threshold.of(scores(jnp.zeros(9)), 0.5, "gauge")
        with pytest.raises(ValueError, match="by: expected one of"):
            Threshold.of(scores(jnp.zeros(9)), 0.5, "energy")

    def test_outside_the_support(self, make_z):
        z = np.asarray(make_z(1000, 4))
        sampler = jl.ExactSampler.fit(z, fact=0.3)
        with pytest.raises(ValueError, match="lie outside the support; take another score"):
            sampler.threshold(z, 0.01)
        assert sampler.threshold(z, 0.01, by="gauge").limit > 1


def test_scores_of_vectors_of_any_shape(make_z):
    z = np.asarray(make_z(500, 12)).reshape(500, 3, 2, 2)
    sampler = jl.GaussianSampler.fit(z, n_components=5)
    flat = jl.GaussianSampler.fit(z.reshape(500, 12), n_components=5)
    for found, expected in zip(sampler.score(z)[::2], flat.score(z.reshape(500, 12))[::2], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert sampler.sample(jax.random.key(0), 7).shape == (7, 3, 2, 2)
