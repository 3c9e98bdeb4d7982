import numpy as np
import pytest

from jaxlatent.sampling.laws.diagnostics import Diagnostics, Mixing, effective_sample_size, split_r_hat


def autoregressive(r, n_chains=4, n_draws=1000, d=3, seed=0, spread=0.0):
    """Stationary chains x_t = r x_(t-1) + noise of variance 1, about centres of their own."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n_draws, n_chains, d)) * np.sqrt(1 - r**2)
    x = np.empty_like(noise)
    x[0] = noise[0] / np.sqrt(1 - r**2)
    for t in range(1, n_draws):
        x[t] = r * x[t - 1] + noise[t]
    return x.swapaxes(0, 1) + spread * rng.standard_normal((n_chains, 1, d))


def plain_r_hat(chains):
    """One parameter, (n_chains, n_draws), to the letter of the definition."""
    n = chains.shape[1] // 2
    halves = [half for chain in chains for half in (chain[:n], chain[n : 2 * n])]
    between = n * np.var([half.mean() for half in halves], ddof=1)
    within = np.mean([np.var(half, ddof=1) for half in halves])
    return np.sqrt(((n - 1) / n * within + between / n) / within)


def plain_effective_sample_size(chains):
    """One parameter, with autocovariances as sums and Geyer's rules as loops."""
    n = chains.shape[1] // 2
    halves = [half for chain in chains for half in (chain[:n], chain[n : 2 * n])]
    m = len(halves)
    within = np.mean([np.var(half, ddof=1) for half in halves])
    total = (n - 1) / n * within + np.var([half.mean() for half in halves], ddof=1)

    def rho(lag):
        if lag == 0:
            return 1.0
        products = [np.sum((h[: n - lag] - h.mean()) * (h[lag:] - h.mean())) / n for h in halves]
        return 1 - (within - np.mean(products)) / total

    time, k, smallest = -1.0, 0, np.inf
    while k < n // 2 - 1:
        even, odd = rho(2 * k), rho(2 * k + 1)
        if k and even + odd < 0:
            break
        smallest = min(smallest, even + odd)
        time += 2 * smallest
        k += 1
    time += max(rho(2 * k), 0.0)
    return m * n / max(time, 1 / np.log10(m * n))


@pytest.mark.parametrize("r", [0.0, 0.6, 0.95, -0.7])
@pytest.mark.parametrize(("n_chains", "n_draws", "spread"), [(1, 400, 0), (4, 401, 0), (5, 300, 0.5)])
def test_as_the_plain_definitions(r, n_chains, n_draws, spread):
    chains = autoregressive(r, n_chains, n_draws, spread=spread)
    parameters = chains.transpose(2, 0, 1)
    np.testing.assert_allclose(split_r_hat(chains), [plain_r_hat(x) for x in parameters], rtol=1e-5)
    expected = [plain_effective_sample_size(x) for x in parameters]
    np.testing.assert_allclose(effective_sample_size(chains), expected, rtol=1e-4)


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_autoregressive_chains(r):
    """Their autocorrelation time is (1 + r) / (1 - r)."""
    chains = autoregressive(r, n_chains=8, n_draws=8000, d=10)
    expected = 64_000 * (1 - r) / (1 + r)
    np.testing.assert_allclose(effective_sample_size(chains).mean(), expected, rtol=0.05)
    assert split_r_hat(chains).max() < 1.01


def test_alternating_chains_are_worth_more_than_their_length():
    size = effective_sample_size(autoregressive(-0.3, n_draws=8000))
    np.testing.assert_allclose(size, 32_000 * 1.3 / 0.7, rtol=0.1)
    most = 4000 * np.log10(4000)
    np.testing.assert_allclose(effective_sample_size(autoregressive(-0.9)), most, rtol=1e-6)


def test_chains_that_disagree():
    chains = autoregressive(0.0, spread=3.0)
    assert (split_r_hat(chains) > 1.5).all()
    assert (effective_sample_size(chains) < 20).all()


def test_a_drift_shows_in_the_halves():
    drift = np.linspace(0, 5, 1000)[None, :, None]
    assert (split_r_hat(autoregressive(0.0) + drift) > 1.2).all()


@pytest.mark.filterwarnings("error")
def test_constant_and_stuck_parameters():
    chains = autoregressive(0.0)
    chains[..., 1] = 4.0
    chains[..., 2] = np.arange(4)[:, None]
    r_hat, size = np.asarray(split_r_hat(chains)), np.asarray(effective_sample_size(chains))
    assert np.isfinite([r_hat[0], size[0]]).all()
    assert np.isnan([r_hat[1], size[1]]).all()
    assert np.isinf(r_hat[2])
    assert size[2] < 20


def test_warning_is_one_line_and_only_where_it_is_due():
    good = autoregressive(0.2, n_draws=2000)
    Diagnostics.of(good).warn(4)
    Diagnostics.of(np.concatenate([good, np.zeros_like(good)], axis=2)).warn(4)
    with pytest.warns(
        RuntimeWarning, match=r"^1 of 4 coordinates .*R-hat up to 1\.\d+ .*at least 400"
    ) as found:
        Diagnostics.of(np.concatenate([good, autoregressive(0.999, n_draws=2000, d=1)], axis=2)).warn(4)
    assert "\n" not in str(found[0].message)


def test_mixing_of_squares():
    """A square of a Gaussian process of r has r^2: times 1 at r = 0, 9 at r^2 = 0.8."""
    chains = np.concatenate(
        [autoregressive(0.0, 16, 4000, 1), autoregressive(np.sqrt(0.8), 16, 4000, 1)], axis=2
    )
    mixing = Mixing.of(chains, np.eye(2))
    np.testing.assert_allclose(mixing.coordinates, [1, 9], rtol=0.15)
    np.testing.assert_allclose(np.sort(mixing.components), np.sort(mixing.coordinates), rtol=1e-5)
    assert 1 < mixing.radius < 9
    assert abs(mixing.steps - np.log(0.01) / np.log(0.8)) < 4


@pytest.mark.parametrize("shape", [(10, 3), (2, 3, 4), (0, 10, 2)])
@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(shape):
    for measure in (split_r_hat, effective_sample_size, Diagnostics.of):
        with pytest.raises(
            ValueError, match=r"chains: expected .*\(n_chains, n_draws, d\).*at least 4 draws"
        ):
            measure(np.zeros(shape))
