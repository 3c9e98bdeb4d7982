"""The options that every `fit` shares act in every sampler: which z-points are described."""

import jax
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.latent.trim import choose

FITS = {
    "pairwise": (jl.PairwiseSampler, {}),
    "exact": (jl.ExactSampler, {"density": "empirical"}),
    "tilted": (jl.TiltedSampler, {}),
    "ellipsoid": (jl.EllipsoidSampler, {}),
    "gaussian": (jl.GaussianSampler, {}),
    "mixture": (jl.GaussianMixtureSampler, {"n_clusters": 2}),
    "box": (jl.BoxSampler, {}),
    "interpolation": (jl.InterpolationSampler, {}),
    "bootstrap": (jl.BootstrapSampler, {}),
    "recombination": (jl.RecombinationSampler, {}),
    "cluster-mixture": (jl.ClusterMixtureSampler, {"n_clusters": 2}),
    "cluster-recombination": (jl.ClusterRecombinationSampler, {"n_clusters": 2}),
    "path": (jl.PathSampler, {}),
}
WITH_LABELS = ["mixture", "cluster-mixture", "cluster-recombination"]
N = 400


def assert_same(ours, expected):
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


USUAL = np.arange(N) % 10 != 0


@pytest.fixture(scope="module")
def z(make_z):
    """Points within two deviations."""
    z = np.array(make_z(N, 4))
    return np.clip(z, z.mean(axis=0) - 2 * z.std(axis=0), z.mean(axis=0) + 2 * z.std(axis=0))


@pytest.fixture(scope="module")
def spoiled(z):
    """A tenth of them are far outliers."""
    return np.where(USUAL[:, None], z, z + 100)


def test_every_sampler_is_here():
    public = {x for x in vars(jl).values() if isinstance(x, type) and issubclass(x, jl.Sampler)}
    assert {made for made, _ in FITS.values()} == public - {jl.Sampler}


@pytest.mark.parametrize("name", FITS)
def test_points_are_chosen(z, spoiled, name):
    made, own = FITS[name]
    assert_same(made.fit(spoiled, within_sigma=2.9, **own), made.fit(z[USUAL], **own))
    key = jax.random.key(3)
    rows = choose(z, max_points=300, key=key).rows
    assert rows.shape == (300,)
    own = own | {"key": key}
    assert_same(made.fit(z, max_points=300, **own), made.fit(z[rows], **own))
    mask = np.arange(N) < 250
    few = made.fit(z, max_points=300, where=mask, **own)
    assert_same(few, made.fit(z[rows], where=mask[rows], **own))


@pytest.mark.parametrize("name", WITH_LABELS)
def test_labels_go_with_their_points(z, spoiled, name):
    made, own = FITS[name]
    labels = (z[:, 1] > np.median(z[:, 1])).astype(int)
    mask = np.arange(N) < 300
    ours = made.fit(spoiled, within_sigma=2.9, where=mask, labels=labels, **own)
    assert_same(ours, made.fit(z[USUAL], where=mask[USUAL], labels=labels[USUAL], **own))


def test_frames_choose_alike(z, spoiled):
    mask = np.arange(N) < 300
    assert_same(jl.PCA.fit(spoiled, within_sigma=2.9, where=mask), jl.PCA.fit(z[USUAL], where=mask[USUAL]))


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize("name", FITS)
def test_errors(z, spoiled, name):
    made, own = FITS[name]
    with pytest.raises(TypeError, match="unexpected keyword argument 'whare'"):
        made.fit(z, whare=z[:, 0] > 0, **own)
    with pytest.raises(ValueError, match=r"where: expected shape \(400,\)"):
        made.fit(z, where=np.ones(99, bool), **own)
    with pytest.raises(ValueError, match="within_sigma: only"):
        made.fit(z, within_sigma=1e-3, **own)
    with pytest.raises(ValueError, match="where: 0 of the chosen vectors are left"):
        made.fit(spoiled, within_sigma=2.9, where=~USUAL, **own)
    with pytest.raises(ValueError, match="max_points: expected at least 2, got 1"):
        made.fit(z, max_points=1, **own)
