"""What has to hold for any number of components, any semi-axes and any level."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings, strategies as st

import jaxlatent as jl

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=15)
# Few sizes, since each is compiled.
COUNTS = st.sampled_from([2, 3, 8, 17])


@st.composite
def semi_axes(draw):
    k = draw(COUNTS)
    exponents = draw(st.lists(st.floats(-5, 4), min_size=k, max_size=k))
    return (10.0 ** np.array(exponents)).astype(np.float32)


def frame(axes, deviation):
    k = len(axes)
    return jl.PCA(jnp.zeros(k), jnp.eye(k), jnp.asarray(deviation**2, jnp.float32), jnp.full(k, 1 / k))


def worst_pair(y, axes):
    q = np.square(np.asarray(y, np.float64) / axes.astype(np.float64))
    first, second = np.triu_indices(len(axes), 1)
    return (q[:, first] + q[:, second]).max()


@settings(REPEATABLE, max_examples=8)
@given(axes=semi_axes(), level=st.floats(0.05, 30), seed=st.integers(0, 2**32 - 1))
def test_every_draw_is_inside(axes, level, seed):
    """The normal density's standard deviations are the semi-axes over the level."""
    pca, body = frame(axes, axes / level), jl.EllipseBody(jnp.asarray(axes))
    key = jax.random.key(seed)
    for sampler in (
        jl.PairwiseSampler(pca, body),
        jl.ExactSampler(pca, body),
        jl.ExactSampler(pca, body, "normal"),
    ):
        y = sampler.sample_components(key, 200)
        assert np.isfinite(y).all()
        assert worst_pair(y, axes) <= 1
        assert np.asarray(body.contains(y)).all()
        np.testing.assert_array_equal(sampler.sample_components(key, 3, start=5), y[5:8])


@REPEATABLE
@given(axes=semi_axes(), scale=st.floats(0.01, 100))
def test_densities_scale_with_the_body(axes, scale):
    """Volume grows with the k-th power; the probability of the same vector, scaled, does not change."""
    k = len(axes)
    body = jl.EllipseBody(jnp.asarray(axes))
    scaled = jl.EllipseBody(body.semi_axes * jnp.float32(scale))
    np.testing.assert_allclose(
        scaled.log_volume() - body.log_volume(), k * np.log(scale), rtol=1e-5, atol=1e-5 * k
    )
    sampler = jl.ExactSampler(frame(axes, axes / 2), body, "normal")
    other = jl.ExactSampler(frame(axes, axes * scale / 2), scaled, "normal")
    y = sampler.sample_components(jax.random.key(0), 20)
    shift = sampler.log_prob_components(y) - other.log_prob_components(y * jnp.float32(scale * (1 - 1e-6)))
    np.testing.assert_allclose(shift, k * np.log(scale), rtol=1e-3, atol=1e-3 * k)


@REPEATABLE
@given(k=st.integers(2, 300), level=st.floats(0.3, 20), more=st.floats(1.01, 3))
def test_mass_grows_with_the_level_and_falls_with_the_components(k, level, more):
    one = np.ones(k + 1)
    body = jl.EllipseBody(jnp.full(k, level))
    mass = body.log_mass(one[:k])
    assert mass <= 1e-9
    assert mass <= body.log_mass(one[:k] / more) + 1e-9
    assert jl.EllipseBody(jnp.full(k + 1, level)).log_mass(one) <= mass + 1e-9


@REPEATABLE
@given(axes=semi_axes(), q=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_coverage_is_what_was_asked_for(axes, q, seed):
    y = (np.random.default_rng(seed).standard_t(4, (300, len(axes))) * axes).astype(np.float32)
    body = jl.EllipseBody.at_coverage(y, q)
    assert q - 1e-9 <= body.coverage(y) <= q + 2 / 300
