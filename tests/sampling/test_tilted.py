import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxlatent import PCA, EllipseBody, ExactSampler
from jaxlatent.latent.subset import subset_moments
from jaxlatent.sampling.bodies.tilted import TiltedBody, arcsin, sin
from jaxlatent.sampling.chains import mirror
from jaxlatent.sampling.chains.mirror import movable
from jaxlatent.sampling.draws import tables
from jaxlatent.sampling.laws.tilted import TiltedSampler

LEVEL = 0.7 * 2.3548200450309493


def pair_forms(t, correlation):
    """Brute force, float64: the largest quadratic form of all pairs, t in units of level * sigma."""
    t, rho = np.asarray(t, np.float64), np.asarray(correlation, np.float64)
    i, j = np.triu_indices(t.shape[1], 1)
    forms = (t[:, i] ** 2 - 2 * rho[i, j] * t[:, i] * t[:, j] + t[:, j] ** 2) / (1 - rho[i, j] ** 2)
    return forms.max(axis=1)


def standardised(z, body):
    """In float64, from the float32 numbers of the body."""
    z, mean, sigma = (np.asarray(x, np.float64) for x in (z, body.mean, body.sigma))
    return (z - mean) / (body.level * sigma)


def rejection(seed, n, correlation, density, level):
    """At least n vectors t: proposed from the cube or from the normal density, and kept if inside."""
    rng, d, kept = np.random.default_rng(seed), len(correlation), []
    while sum(map(len, kept)) < n:
        if density == "uniform":
            t = rng.uniform(-1, 1, (100_000, d))
        else:
            t = rng.multivariate_normal(np.zeros(d), correlation, 20_000) / level
        kept.append(t[pair_forms(t, correlation) <= 1])
    return np.concatenate(kept)


def equal(d, rho):
    return np.full((d, d), rho) + (1 - rho) * np.eye(d)


def factors(d, rank, noise):
    """The correlations of `rank` common factors and noise, of both signs and all sizes."""
    loadings = np.random.default_rng(d).standard_normal((d, rank))
    covariance = loadings @ loadings.T + noise * np.eye(d)
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1)
    return correlation


def make_body(correlation, level=LEVEL, mean=1.0):
    d = len(correlation)
    arrays = mean * np.linspace(-1, 2, d), np.geomspace(0.3, 3, d), correlation
    return TiltedBody(*(jnp.asarray(x, jnp.float32) for x in arrays), level)


def assert_same_law(a, b, correlation):
    """Of vectors t: every coordinate, the sum, the radius, the gauge and the range."""

    def numbers(t):
        gauge = np.sqrt(pair_forms(t, correlation))
        return np.column_stack([t, t.sum(axis=1), np.linalg.norm(t, axis=1), gauge, np.ptp(t, axis=1)]).T

    p = [stats.ks_2samp(x, y).pvalue for x, y in zip(numbers(a), numbers(b), strict=True)]
    assert min(p) > 1e-4, p


LAWS = {
    "2-independent": (equal(2, 0.0), LEVEL),
    "2-strong": (equal(2, -0.95), LEVEL),
    "3-strong": (factors(3, 1, 0.1), 1.0),
    "5-weak": (factors(5, 4, 2.0), 2.0),
    "5-strong": (factors(5, 2, 0.3), 2.0),
}


@pytest.mark.parametrize("density", ["uniform", "normal"])
@pytest.mark.parametrize("case", LAWS)
def test_same_law_as_rejection(case, density, key):
    correlation, level = LAWS[case]
    body = make_body(correlation, level)
    z = TiltedSampler(body, density=density, sweeps=60).sample(key, 4000)
    expected = rejection(1, 8000, correlation, density, level)
    assert_same_law(standardised(z, body), expected, correlation)


def test_same_law_as_rejection_of_independent_coordinates(key):
    body = make_body(np.eye(8))
    z = TiltedSampler(body).sample(key, 8000)
    assert_same_law(standardised(z, body), rejection(2, 8000, np.eye(8), "uniform", LEVEL), np.eye(8))


@pytest.mark.parametrize("case", LAWS)
def test_sweeps_keep_the_normal_density(case):
    """Of 200,000 vectors that rejection leaves, all moments stay as they are, within 5 standard errors."""
    correlation, level = LAWS[case]
    body, n = make_body(correlation, level), 200_000
    first, expected = (rejection(seed, n, correlation, "normal", level)[:n] for seed in (5, 6))
    sampler = TiltedSampler(body, density="normal")
    seed, index = jnp.arange(2, dtype=jnp.uint32), jnp.arange(n, dtype=jnp.uint32)
    sweep = jax.jit(mirror.sweeper(body, tables(sampler), seed, index))
    state = mirror.start(jnp.asarray(first.T, jnp.float32))
    for number in range(12):
        state = sweep(jnp.int32(number), state)
    moved = np.asarray(state.t, np.float64).T

    def numbers(t):
        components = t @ np.linalg.eigh(correlation)[1]
        i, j = np.triu_indices(t.shape[1])
        ends = np.abs(t).max(axis=1), np.ptp(t, axis=1), pair_forms(t, correlation)
        return np.concatenate([(t[:, i] * t[:, j]).T, components.T**2, components.T**4, ends])

    a, b = numbers(moved), numbers(expected)
    error = np.sqrt((a.var(axis=1) + b.var(axis=1)) / n)
    assert (np.abs(a.mean(axis=1) - b.mean(axis=1)) < 5 * error).all()
    assert np.abs(moved - first).mean() > 0.2 * np.abs(expected - first).mean(), "the vectors hardly move"


def test_law_is_symmetric_and_vectors_are_independent(key):
    body = make_body(factors(8, 3, 1.0))
    t = standardised(TiltedSampler(body).sample(key, 8000), body)
    error = t.std(axis=0) / np.sqrt(len(t))
    assert (np.abs(t.mean(axis=0)) < 5 * error).all()
    for a in (t, np.abs(t)):
        a = (a - a.mean(axis=0)) / a.std(axis=0)
        for shift in (1, 128, 2048):
            assert np.abs((a[:-shift] * a[shift:]).mean(axis=0)).max() < 5 / np.sqrt(len(a) - shift)


@pytest.mark.parametrize("density", ["uniform", "normal"])
@pytest.mark.parametrize(
    ("correlation", "mean"),
    [(factors(64, 4, 1.0), 1.0), (factors(64, 2, 0.02), 1.0), (factors(64, 8, 4.0), 300.0)],
    ids=["typical", "strong", "far mean"],
)
def test_every_vector_inside_every_ellipse(density, correlation, mean, key):
    """In float64, all 2,016 pairs, without any tolerance."""
    body = make_body(correlation, mean=mean)
    z = TiltedSampler(body, density=density, sweeps=6).sample(key, 1000)
    worst = pair_forms(standardised(z, body), body.correlation)
    assert worst.max() <= 1
    assert body.contains(z).all()
    if density == "uniform":
        assert worst.max() > 0.999, "the border is never reached"


def test_chain_forgets_its_start(key):
    """The law after a few sweeps is that after the default number of them."""
    body = make_body(factors(64, 6, 1.0))
    a, b = (TiltedSampler(body, sweeps=s).sample(jax.random.key(s), 2000) for s in (6, 32))
    assert_same_law(standardised(a, body), standardised(b, body), body.correlation)


def test_normal_chain_forgets_its_start(key):
    """Principal components and density are after the default number of sweeps those after many more."""
    d, n = 16, 1024
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d)))[0]
    covariance = (rotation * (1.0 + np.arange(d)) ** -1.8) @ rotation.T
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1)
    body = make_body(correlation)
    values, vectors = np.linalg.eigh(correlation)

    def squares(sweeps):
        sampler = TiltedSampler(body, density="normal", sweeps=sweeps)
        t = standardised(sampler.sample(jax.random.key(sweeps or 0), n), body)
        squares = (body.level * t @ vectors) ** 2 / values
        return np.column_stack([squares, squares.sum(axis=1)])

    early, drawn, late = map(squares, (1, None, 500))
    error = np.sqrt((drawn.var(axis=0) + late.var(axis=0)) / n)
    assert (np.abs(drawn.mean(axis=0) - late.mean(axis=0)) < 5 * error).all()
    assert (np.abs(early.mean(axis=0) - late.mean(axis=0)) > 5 * error).any(), "the test cannot tell"


def literal_movable(angle, other, tilt):
    """The rule of one vector as it is written down, pair by pair."""
    d = len(angle)

    def inside(i, a, j, b):
        f, right = tilt[i, j], np.pi / 2
        return abs(a + b) <= right + f and abs(a - b) <= right - f

    low, high = np.minimum(angle, other), np.maximum(angle, other)
    others = [[j for j in range(d) if j != i] for i in range(d)]

    def fits(i, low_i, high_i, j, low_j, high_j):
        return all(inside(i, a, j, b) for a in (low_i, high_i) for b in (low_j, high_j))

    def beyond(i, j):
        """Whether an angle of i is beyond one face of the pair with both angles of j."""
        f, right = tilt[i, j], np.pi / 2
        signs = [(s, r) for s in (1, -1) for r in (1, -1)]
        return any(
            all(s * a + r * b > right + s * r * f for b in (low[j], high[j]))
            for a in (low[i], high[i])
            for s, r in signs
        )

    free = np.array([not any(beyond(i, j) for j in others[i]) for i in range(d)])
    low, high = np.where(free, low, angle), np.where(free, high, angle)
    reach = np.maximum(abs(angle), abs(other))
    result = free.copy()
    for i in range(d):
        for j in others[i]:
            at = (low[j], high[j]) if reach[j] >= reach[i] else (angle[j], angle[j])
            result[i] &= fits(i, low[i], high[i], j, *at)
    return result


@pytest.mark.parametrize("platform", ["cpu", "default"])
def test_movable_is_the_rule_and_leaves_the_way_back_free(platform, monkeypatch):
    """In the form for a CPU and in that for others, whose steps do not divide the six coordinates here."""
    monkeypatch.setattr(mirror, "_COUNT", 4)
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda x, **forms: forms[platform](x))
    correlation = factors(6, 4, 3.0)
    angle = np.arcsin(rejection(0, 500, correlation, "uniform", 1.0)[:500]).T.astype(np.float32)
    other = angle + np.random.default_rng(0).normal(0, 0.4, angle.shape).clip(-1, 1).astype(np.float32)
    tilt = np.arcsin(np.where(np.eye(6) > 0, 0, correlation)).astype(np.float32)
    moves = np.asarray(movable(*map(jnp.asarray, (angle, other, tilt))))
    there, back = np.where(moves, other, angle), np.where(moves, angle, other)
    again = np.asarray(movable(*map(jnp.asarray, (there, back, tilt))))
    columns = zip(*(x.T.astype(np.float64) for x in (angle, other)), strict=True)
    expected = np.stack([literal_movable(*pair, tilt.astype(np.float64)) for pair in columns], axis=1)
    np.testing.assert_array_equal(moves, expected)
    np.testing.assert_array_equal(moves, again)
    assert pair_forms(np.sin(there.astype(np.float64)).T, correlation).max() <= 1 + 1e-5
    assert 0.2 < moves.mean() < 0.8


@pytest.mark.parametrize("density", ["uniform", "normal"])
def test_keeps_a_constant_coordinate(density, key):
    """It neither moves nor binds the others."""
    z = np.random.default_rng(0).multivariate_normal([3, 0, 1], np.diag([0, 1, 4]) + 0.0, 5000)
    z[:, 2] += z[:, 1]
    sampler = TiltedSampler.fit(z.astype(np.float32), density=density)
    drawn = np.asarray(sampler.sample(key, 4000))
    assert (drawn[:, 0] == 3).all()
    others = TiltedSampler.fit(z[:, 1:].astype(np.float32)).body
    t = standardised(drawn[:, 1:], others)
    assert_same_law(t, rejection(3, 8000, others.correlation, density, LEVEL), others.correlation)
    assert sampler.body.contains(drawn).all()
    assert not sampler.body.contains(drawn + np.float32([1e-3, 0, 0])).any()


def test_gauge_is_that_of_all_pairs():
    body = make_body(factors(30, 2, 0.05))
    z = np.random.default_rng(0).standard_normal((700, 30)).astype(np.float32) + np.asarray(body.mean)
    expected = np.sqrt(pair_forms(standardised(z, body), body.correlation))
    np.testing.assert_allclose(body.gauge(z), expected, rtol=1e-5)
    scaled = body.mean + (z - body.mean) / body.gauge(z)[:, None]
    np.testing.assert_allclose(body.gauge(scaled), 1, rtol=1e-5)
    np.testing.assert_array_equal(body.contains(body.mean + (scaled - body.mean) * 0.999), True)
    np.testing.assert_array_equal(body.contains(body.mean + (scaled - body.mean) * 1.001), False)
    inside = np.concatenate([z, scaled * 0 + body.mean])
    assert body.coverage(inside) == pytest.approx((700 + (expected <= 1).sum()) / 1400)


def test_gauge_of_few_none_and_nan():
    body = make_body(equal(3, 0.5))
    assert body.gauge(jnp.zeros((0, 3))).shape == (0,)
    np.testing.assert_array_equal(body.gauge(jnp.stack([body.mean, body.mean * jnp.nan])), [0, np.nan])
    assert not body.contains(jnp.full((1, 3), jnp.nan))[0]


def test_ellipses_hold_their_share_of_a_normal_density():
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal([1, -2], [[4, 1.5], [1.5, 1]], 40_000).astype(np.float32)
    share = 1 - np.exp(-(LEVEL**2) / 2)
    error = np.sqrt(share * (1 - share) / len(z))
    assert abs(TiltedBody.fit(z, level=LEVEL).coverage(z) - share) < 5 * error


def test_fit_takes_moments_and_level(make_z):
    z = np.asarray(make_z(4000, 10))
    body = TiltedSampler.fit(z, fact=0.8).body
    np.testing.assert_allclose(body.mean, z.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(body.sigma, z.std(axis=0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(body.correlation, np.corrcoef(z.T), atol=1e-5)
    assert body.level == pytest.approx(0.8 * 2.35482, rel=1e-6)
    assert body.n_components == 10


def test_fit_on_a_subset(make_z):
    z = np.asarray(make_z(3000, 4))
    where = z[:, 0] > np.median(z[:, 0])
    body = TiltedSampler.fit(z, where=where).body
    found = subset_moments(z, where)
    np.testing.assert_allclose(body.mean, found.mean, rtol=1e-6)
    np.testing.assert_allclose(body.sigma, np.sqrt(np.diag(found.covariance)), rtol=1e-6)


def test_default_sweeps_follow_the_density():
    body = make_body(equal(2, 0.5))
    assert TiltedSampler(body).sweeps == 32
    assert TiltedSampler(body, density="normal").sweeps == 192
    assert TiltedSampler(body, density="normal", sweeps=7).sweeps == 7


def test_sin_and_arcsin():
    x = np.linspace(-1, 1, 100_001).astype(np.float32)
    angle = np.asarray(jax.jit(arcsin)(x), np.float64)
    np.testing.assert_allclose(angle, np.arcsin(x.astype(np.float64)), atol=3e-7)
    np.testing.assert_allclose(jax.jit(sin)(angle.astype(np.float32)), x, atol=3e-7)


def test_chains_go_on_from_the_samples(key):
    sampler = TiltedSampler(make_body(factors(9, 3, 1.0)), sweeps=5)
    with pytest.warns(RuntimeWarning, match="9 of 9 coordinates have not mixed"):
        z, _ = sampler.sample_chains(key, 4, 6, thin=2)
    assert z.shape == (4, 6, 9)
    later = TiltedSampler(sampler.body, sweeps=5 + 2 * 2).sample(key, 4)
    np.testing.assert_allclose(z[:, 2], later, rtol=1e-4, atol=1e-5)


def test_good_chains_do_not_warn(key):
    body = make_body(equal(2, 0.3))
    z, diagnostics = TiltedSampler(body).sample_chains(key, 8, 500)
    assert diagnostics.r_hat.max() < 1.01
    assert diagnostics.effective_sample_size.min() > 2000
    expected = rejection(4, 8000, body.correlation, "uniform", LEVEL)
    assert_same_law(standardised(z[:, ::5].reshape(-1, 2), body), expected, body.correlation)


def test_chains_along_a_narrow_ellipse_warn(key):
    sampler = TiltedSampler(make_body(equal(2, 0.999)))
    with pytest.warns(RuntimeWarning, match=r"2 of 2 coordinates.*R-hat up to.*at least 800") as record:
        _, diagnostics = sampler.sample_chains(key, 8, 500)
    assert len(str(record[0].message).splitlines()) == 1
    assert diagnostics.r_hat.min() > 1.05
    assert diagnostics.effective_sample_size.max() < 200


def test_diagnose_tells_good_from_bad(key):
    good, bad = (TiltedSampler(make_body(equal(2, rho))).diagnose(key, n_draws=4000) for rho in (0.3, 0.99))
    assert good.coordinates.shape == good.components.shape == (2,)
    assert 0.5 < good.radius < 2
    assert good.steps < 6
    assert 50 < bad.steps < 150
    assert bad.components[0] > 3 * bad.components[1]


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize("density", ["uniform", "normal"])
def test_lets_placeholders_through(density):
    leaves, structure = jax.tree.flatten(TiltedSampler(make_body(equal(3, 0.4)), density=density))
    assert len(leaves) == 3
    jax.tree.unflatten(structure, [object()] * len(leaves))


def test_float64_mode(key):
    sampler = TiltedSampler(make_body(equal(2, 0.5)), sweeps=2)
    gauge = sampler.body.gauge(jnp.ones((2, 2)))
    with jax.enable_x64(True):
        np.testing.assert_allclose(sampler.body.gauge(np.ones((2, 2))), gauge, rtol=1e-6)
        assert sampler.diagnose(key, n_chains=2, n_draws=9).coordinates.dtype == jnp.float32


@pytest.mark.parametrize(
    ("mean", "sigma", "correlation", "message"),
    [
        (np.zeros(1), np.ones(1), np.eye(1), r"shapes \(d,\).*got \(1,\)"),
        (np.zeros(3), np.ones(2), np.eye(3), r"correlation: expected shape \(2, 2\), got \(3, 3\)"),
        (np.array([0, np.nan]), np.ones(2), np.eye(2), "mean: expected finite"),
        (np.zeros(2), np.array([1.0, -1.0]), np.eye(2), "sigma: .*none negative"),
        (np.zeros(2), np.zeros(2), np.eye(2), "sigma: .*not all 0"),
        (np.zeros(2), np.ones(2), np.array([[1, 0.5], [0.2, 1]]), "symmetric"),
        (np.zeros(2), np.ones(2), 2 * np.eye(2), "ones on its diagonal"),
        (np.zeros(3), np.ones(3), equal(3, -1.0), "-1 between coordinates 0 and 1, .*leave one of them out"),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_errors_of_the_body(mean, sigma, correlation, message):
    with pytest.raises(ValueError, match=message):
        TiltedBody(mean, sigma, correlation, 1.0)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(make_z, key):
    z = make_z(100, 4)
    with pytest.raises(ValueError, match="fact: expected a positive, finite number, got -1"):
        TiltedSampler.fit(z, fact=-1)
    with pytest.raises(ValueError, match="level: expected a positive, finite number"):
        TiltedBody.fit(z, level=float("inf"))
    with pytest.raises(ValueError, match="density: expected one of uniform, normal, got 'flat'"):
        TiltedSampler.fit(z, density="flat")
    with pytest.raises(ValueError, match="sweeps: expected at least 1, got 0"):
        TiltedSampler.fit(z, sweeps=0)
    with pytest.raises(ValueError, match="z: expected at least 3 vectors, got 2"):
        TiltedSampler.fit(z[:2])
    with pytest.raises(ValueError, match="coordinates 1 and 4"):
        TiltedSampler.fit(jnp.concatenate([z, z[:, 1:2]], axis=1))
    with pytest.raises(ValueError, match=r"density: 'normal' needs.*use density='uniform'"):
        TiltedSampler.fit(jnp.concatenate([z, z.sum(axis=1, keepdims=True)], axis=1), density="normal")
    sampler = TiltedSampler.fit(z)
    with pytest.raises(ValueError, match="n_draws: expected at least 4, got 3"):
        sampler.sample_chains(key, 2, 3)
    with pytest.raises(ValueError, match="thin: expected at least 1"):
        sampler.sample_chains(key, 2, 9, thin=0)
    with pytest.raises(ValueError, match="warmup: expected at least 0"):
        sampler.sample_chains(key, 2, 9, warmup=-1)
    with pytest.raises(TypeError, match="n_chains: expected an integer"):
        sampler.diagnose(key, n_chains=2.5)
    with pytest.raises(ValueError, match=r"y: expected an array of shape \(n, 4\)"):
        sampler.body.gauge(z[:, :3])
    with pytest.raises(TypeError, match="int32"):
        sampler.body.contains(jnp.zeros((2, 4), jnp.int32))
    with pytest.raises(ValueError, match="y: expected at least 1 vector"):
        sampler.body.coverage(z[:0])


@pytest.mark.parametrize("density", ["uniform", "normal"])
def test_upright_ellipses_give_the_law_of_the_exact_sampler(key, density):
    """Without correlations, the tilted body is the ellipse body."""
    d, level = 6, 1.9
    sigma = jnp.linspace(0.5, 2.0, d)
    mean = jnp.arange(1.0, d + 1)
    tilted = TiltedSampler(TiltedBody(mean, sigma, jnp.eye(d), level), density=density, sweeps=48)
    pca = PCA(mean, jnp.eye(d), sigma**2, jnp.full(d, 1 / d))
    exact = ExactSampler(pca, EllipseBody(jnp.float32(level) * sigma), density)
    a, b = ((np.asarray(s.sample(key, 4000)) - mean) / sigma for s in (tilted, exact))
    for name, x, y in (
        ("first", a[:, 0], b[:, 0]),
        ("last", a[:, -1], b[:, -1]),
        ("largest", abs(a).max(axis=1), abs(b).max(axis=1)),
        ("radius", (a**2).sum(axis=1), (b**2).sum(axis=1)),
    ):
        p = stats.ks_2samp(x, y).pvalue
        assert p > 1e-4, f"{name}: p = {p}"
