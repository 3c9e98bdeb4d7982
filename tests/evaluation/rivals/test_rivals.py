"""Rivals on a small law: what they draw, when they end, and their mistakes."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent.evaluation.rivals import Entry, diffusion, flow, rival
from jaxlatent.evaluation.rivals.kernel_density import KernelDensityRival
from jaxlatent.evaluation.rivals.training import Budget, train
from jaxlatent.sampling import BootstrapSampler, Spec

N, D = 2000, 4
TEXTS = {
    "flow": "flow:steps=150",
    "diffusion": "diffusion:steps=500",
    "kde": "kde:bandwidth=0.2",
    "copula": "copula:n_trees=2",
}
PACKAGES = {"flow": "flowjax", "copula": "pyvinecopulib"}
COUNT = 4000


def two_humps(seed, n=N):
    """Two Gaussian clusters, tilted and off the origin; components differ in variance a hundredfold."""
    rng = np.random.default_rng(seed)
    y = 0.3 * rng.standard_normal((n, D))
    y[:, 0] += np.where(rng.random(n) < 0.5, -1, 1)
    turn = np.linalg.qr(np.random.default_rng(9).standard_normal((D, D)))[0]
    return (y * [3, 1, 1, 0.3] @ turn + 5).astype(np.float32), turn


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Enough for so small a law."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diffusion, "_WIDTH", 128)
        patch.setattr(flow, "_WIDTH", 32)
        yield


@pytest.fixture(scope="module")
def z():
    return two_humps(0)[0]


@pytest.fixture(scope="module")
def fitted(z):
    made = {}

    def fit(name):
        if name in PACKAGES:
            pytest.importorskip(PACKAGES[name])
        if name not in made:
            made[name] = Entry.parse(TEXTS[name]).fit(z)
        return made[name]

    return fit


@pytest.mark.optimized
@pytest.mark.parametrize("name", TEXTS)
def test_draws_the_law(name, fitted, z, key):
    drawn = np.asarray(fitted(name).sample(key, COUNT))
    assert drawn.shape == (COUNT, D)
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    deviation = z.std(axis=0)
    np.testing.assert_allclose(drawn.mean(axis=0), z.mean(axis=0), atol=0.15 * deviation.max())
    scatter = np.cov(drawn.T) - np.cov(z.T)
    assert np.abs(scatter / np.outer(deviation, deviation)).max() < 0.2
    # Between the humps, where 19 % of a Gaussian with the same covariance would be.
    _, turn = two_humps(0)
    along = np.abs(((drawn - 5) @ turn.T)[:, 0])
    assert (along < 0.75).mean() < 0.12


@pytest.mark.parametrize("name", ["flow", "diffusion"])
def test_the_same_steps_give_the_same_fit(name, fitted, z, key):
    first, again = fitted(name), Entry.parse(TEXTS[name]).fit(z)
    drawn = first.sample(key, 9)
    np.testing.assert_allclose(again.sample(key, 9), drawn, atol=0.05 * z.std())  # threads add in any order
    other = Entry.parse(f"{TEXTS[name]}:seed=1").fit(z)
    assert np.abs(other.sample(key, 9) - drawn).max() > 0.05 * z.std()


@pytest.mark.parametrize("name", ["flow", "diffusion"])
def test_ends_within_its_budget(name, z):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    Entry.parse(f"{name}:budget=0.1").fit(z)  # what compiles for the first time
    start = time.monotonic()
    found = Entry.parse(f"{name}:budget=3").fit(z)
    assert time.monotonic() - start < 60  # on a machine that does other things as well
    assert np.isfinite(found.held_out)


def test_a_flow_leaves_the_other_components_as_they_are(z, key):
    pytest.importorskip("flowjax")
    first = Entry.parse("flow:steps=20:n_components=2").fit(z)
    normal = jax.random.normal(key, (50, D), jnp.float32)
    moved = np.abs(np.asarray(first.push(normal) - normal)).max(axis=0)
    assert (moved[:2] > 0.01).all()
    assert (moved[2:] == 0).all()


@pytest.mark.parametrize("name", ["flow", "diffusion"])
def test_is_better_than_the_gaussian_on_points_held_out(name, fitted):
    held_out = fitted(name).held_out
    assert held_out > 0.2 if name == "flow" else held_out < -0.005


def test_training_keeps_the_best_parameters(key):
    """A loss that has its minimum on the way: the step that is best on the held-out vectors comes first."""
    data, held_out = np.full((50, 1), 2, np.float32), np.full((5, 1), 1, np.float32)

    def loss(params, y, key):
        return jnp.mean(jnp.square(params["x"] - y))

    params = {"x": jnp.zeros((1,), jnp.float32)}
    budget = Budget(1.0, steps=400)
    found = train(loss, loss, params, data, held_out, budget, key, learning_rate=0.02, batch_size=8)
    assert found.loss == pytest.approx(float(loss(found.params, held_out, key)))
    assert found.loss < 0.1  # 1 at both ends


def test_kernel_density_is_the_bootstrap_without_its_shrinking(z, key):
    h = 0.4
    density = KernelDensityRival.fit(z, bandwidth=h)
    bootstrap = BootstrapSampler.fit(z, bandwidth=h)
    drawn, shrunk = (np.asarray(each.sample(key, 500)) for each in (density, bootstrap))
    mean = z.mean(axis=0)
    np.testing.assert_allclose(drawn - mean, np.sqrt(1 + h * h) * (shrunk - mean), atol=2e-3)


def test_bandwidths(z):
    from scipy.stats import gaussian_kde

    white = np.asarray(BootstrapSampler.fit(z).parents, np.float64)
    scott = KernelDensityRival.fit(z, bandwidth="scott")
    assert scott.bandwidth == pytest.approx(gaussian_kde(white.T).factor)
    some = z[:200]
    best = KernelDensityRival.fit(some).bandwidth
    white = np.asarray(BootstrapSampler.fit(some).parents, np.float64)

    def left_out(h):
        square = np.square(white[:, None] - white).sum(axis=2)
        kernel = np.exp(-0.5 * square / h**2) / h**D
        np.fill_diagonal(kernel, 0)
        return np.log(kernel.sum(axis=1)).mean()

    assert left_out(best) > max(left_out(1.05 * best), left_out(best / 1.05))


def test_the_copula_is_worth_something_on_points_held_out(fitted, z):
    """One component is the absolute value of another one, which no correlation sees."""
    pytest.importorskip("pyvinecopulib")
    rng = np.random.default_rng(0)
    y = rng.standard_normal((N, 3)).astype(np.float32)
    y[:, 1] = np.abs(y[:, 0]) + 0.1 * y[:, 1]
    assert Entry.parse("copula").fit(y).held_out > 0.1
    assert abs(Entry.parse("copula").fit(rng.standard_normal((N, 3))).held_out) < 0.05


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("flow:budget=0", "flow:budget=0.0: budget: expected a positive, finite number, got 0.0"),
        ("diffusion:steps=0", "diffusion:steps=0: steps: expected at least 1, got 0"),
        ("kde:bandwidth=-1", "kde:bandwidth=-1.0: bandwidth: expected a positive"),
        ("copula:n_trees=0", "copula:n_trees=0: n_trees: expected at least 1, got 0"),
    ],
)
def test_mistakes(text, words, z):
    with pytest.raises(ValueError, match="expected") as error:
        Entry.parse(text).fit(z)
    assert str(error.value).startswith(words)


@pytest.mark.parametrize("name", TEXTS)
def test_too_few_points(name, z):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    with pytest.raises(ValueError, match="z: expected at least 20 vectors, got 19"):
        Entry.parse(name).fit(z[:19])


@pytest.mark.parametrize("name", PACKAGES)
def test_without_its_package(name, z, monkeypatch):
    monkeypatch.setattr(rival.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ImportError, match=rf'^{name}: needs {PACKAGES[name]}; .*"jaxlatent\[rivals\]"$'):
        Entry.parse(name).fit(z)


def test_rivals_are_samplers_by_name_for_an_evaluation_only():
    assert Entry.parse("flow:budget=60").title == "flow, budget 60"
    assert str(Entry.parse("gaussian:temperature=0.8")) == "gaussian:temperature=0.8"
    with pytest.raises(ValueError, match=r"expected one of box, .*, got 'flow', which only `evaluate` takes"):
        Spec.parse("flow:budget=60")
    with pytest.raises(ValueError, match=r"options budget, n_components, steps, seed; got 'width'"):
        Entry.parse("flow:width=3")


def test_keys_and_numbers(fitted):
    found = fitted("diffusion")
    assert found.sample(jax.random.key(0), 0).shape == (0, D)
    with pytest.raises(ValueError, match="n: expected at least 0"):
        found.sample(jax.random.key(0), -1)


def test_prior_is_standard_normal_whatever_the_points():
    prior = Entry.parse("prior").fit(np.full((30, 4), 7.0, np.float32))
    drawn = np.asarray(prior.sample(jax.random.key(0), 20_000))
    assert drawn.shape == (20_000, 4)
    assert np.abs(drawn.mean(axis=0)).max() < 5 / np.sqrt(20_000)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(4), atol=5 * np.sqrt(2 / 20_000))
