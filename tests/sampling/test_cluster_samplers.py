import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.sampling.bodies.union import BodyUnion
from jaxlatent.sampling.fitting.clusters import fit_clusters

FITS = {
    "recombination": lambda z, **options: jl.ClusterRecombinationSampler.fit(
        z, **({"temperature": 1.0} | options)
    ),
    "mixture": lambda z, **options: jl.ClusterMixtureSampler.fit(z, **({"prior_count": 1e-3} | options)),
}


def own_group(drawn, z, own):
    """The group whose mean is nearest to each vector; they lie far apart."""
    means = np.stack([z[own == j].mean(axis=0) for j in range(own.max() + 1)])
    return np.linalg.norm(drawn[:, None] - means, axis=2).argmin(axis=1)


@pytest.mark.parametrize("kind", FITS)
def test_each_cluster_keeps_share_mean_and_covariance(kind, key, groups, assert_moments):
    sizes = [200, 100, 300]
    z, own = groups(sizes)
    sampler = FITS[kind](z, n_clusters=3, coverage=1.0, key=key)
    drawn = np.asarray(sampler.sample(key, 60_000))
    found = own_group(drawn, z, own)
    shares = np.bincount(found) / len(found)
    np.testing.assert_allclose(shares, np.array(sizes) / 600, atol=5 * 0.5 / math.sqrt(60_000))
    for j, n in enumerate(sizes):
        points = z[own == j].astype(np.float64)
        # Recombination draws 3 parents without replacement; the mixture's covariance is of divisor n and a
        # standard deviation that 20 points of all clusters have part in.
        scale = (n - 3) / n if kind == "recombination" else 1
        covariance = scale * np.cov(points.T)
        if kind == "recombination":
            assert_moments(drawn[found == j], points.mean(axis=0), covariance)
        else:
            mean, spread = drawn[found == j].mean(axis=0), np.cov(drawn[found == j].T)
            np.testing.assert_allclose(mean, points.mean(axis=0), atol=0.05)
            np.testing.assert_allclose(spread, covariance, atol=0.12)


@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("coverage", [0.3, 0.999])
def test_every_vector_lies_inside_the_body(kind, coverage, key, make_z):
    z = make_z(2000, 12)
    sampler = FITS[kind](z, n_clusters=8, coverage=coverage, temperature=1.5)
    assert sampler.body.contains(sampler.sample_components(key, 3000)).all()
    # There and back through the latent frame, up to rounding in components of little variance.
    wider = BodyUnion(sampler.body.centres, 1.001 * sampler.body.semi_axes)
    assert wider.contains(sampler.pca.transform(sampler.sample(key, 3000))).all()


def test_recombination_is_of_points_of_one_cluster(key):
    """Two of three points of one of two clusters: six possible vectors, all equally often."""
    z = np.array([[0, 0], [1, 0], [0, 2], [50, 50], [53, 50], [50, 51]], np.float32)
    sampler = jl.ClusterRecombinationSampler.fit(z, n_clusters=1, n_parents=2, temperature=1.0, coverage=1.0)
    pca = sampler.pca
    y = np.asarray(pca.transform(z))
    means = np.stack([y[:3].mean(axis=0), y[3:].mean(axis=0)])
    white = (y - np.repeat(means, 3, axis=0)) / np.sqrt(np.asarray(pca.explained_variance))
    sampler = jl.ClusterRecombinationSampler(
        pca,
        BodyUnion(means, np.full((2, 2), 1e3, np.float32)),
        white.astype(np.float16),
        np.array([0, 3, 6]),
        1.0,
        2,
    )
    pairs = [(a, b) for first in (0, 3) for a in range(first, first + 3) for b in range(a + 1, first + 3)]
    mean = z.reshape(2, 3, 2).mean(axis=1)
    vectors = np.stack([mean[a // 3] + (z[a] + z[b] - 2 * mean[a // 3]) / math.sqrt(2) for a, b in pairs])
    drawn = np.asarray(sampler.sample(key, 6000))
    distance = np.abs(drawn[:, None] - vectors).max(axis=2)
    assert distance.min(axis=1).max() < 0.05
    assert np.bincount(distance.argmin(axis=1)).min() > 850


def test_one_parent_and_temperature_1_gives_z_points(key, make_z):
    z = make_z(300, 6)
    sampler = jl.ClusterRecombinationSampler.fit(z, n_clusters=4, n_parents=1, temperature=1.0, coverage=1.0)
    drawn = np.asarray(sampler.sample(key, 200))
    nearest = np.linalg.norm(drawn[:, None] - np.asarray(z), axis=2).min(axis=1)
    assert nearest.max() < 1e-2 * float(jnp.std(z))


def test_mixture_shrinks_correlations(key, groups):
    """With a prior of many points, all clusters have the correlations within clusters."""
    z, own = groups([400, 400, 400], d=2)
    tilts = np.array([[[1, 0.9], [0.9, 1]], [[1, 0.9], [0.9, 1]], [[1, -0.9], [-0.9, 1]]])
    for j, factor in enumerate(np.linalg.cholesky(tilts)):
        mean = z[own == j].mean(axis=0)
        z[own == j] = mean + (z[own == j] - mean) @ factor.T.astype(np.float32)

    def correlations(prior):
        mixture = jl.ClusterMixtureSampler.fit(z, n_clusters=3, prior_count=prior, key=key).mixture
        covariance = np.einsum("cij,ckj->cik", mixture.cholesky, mixture.cholesky)
        deviation = np.sqrt(np.einsum("cii->ci", covariance))
        return sorted((covariance[:, 0, 1] / deviation.prod(axis=1)).tolist())

    own, shared = correlations(0.1), correlations(1e6)
    assert own[2] - own[0] > 1.5
    assert shared[2] - shared[0] < 0.02


def test_clusters_of_both_are_the_same(key, make_z):
    z = make_z(1000, 10)
    body = fit_clusters(z, 5, coverage=0.99, key=key).body
    for sampler in (jl.ClusterRecombinationSampler, jl.ClusterMixtureSampler):
        fitted = sampler.fit(z, n_clusters=5, coverage=0.99, key=key)
        np.testing.assert_array_equal(fitted.body.centres, body.centres)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(make_z, identity_pca):
    z = make_z(300, 4)
    recombination, mixture = jl.ClusterRecombinationSampler, jl.ClusterMixtureSampler
    with pytest.raises(ValueError, match="temperature: expected a positive"):
        recombination.fit(z, temperature=0.0)
    with pytest.raises(ValueError, match="temperature: expected a positive"):
        mixture.fit(z, temperature=-1.0)
    with pytest.raises(ValueError, match="n_parents: expected at least 1, got 0"):
        recombination.fit(z, n_parents=0)
    with pytest.raises(ValueError, match="n_parents: expected at most 300, the size of the smallest cluster"):
        recombination.fit(z, n_parents=301)
    with pytest.raises(ValueError, match="z: all vectors are equal but for rounding"):
        recombination.fit(np.full((9, 3), 7.3, np.float32))
    with pytest.raises(ValueError, match="body: expected 4 components, got 3"):
        recombination(
            identity_pca(4),
            BodyUnion(jnp.zeros((1, 3)), jnp.ones((1, 3))),
            jnp.ones((5, 4)),
            np.array([0, 5]),
        )
    with pytest.raises(ValueError, match="prior_count: expected a positive, finite number"):
        mixture.fit(z, prior_count=0.0)
    body = BodyUnion(jnp.zeros((1, 3)), jnp.ones((1, 3)))
    with pytest.raises(ValueError, match=r"bounds: expected shape \(2,\) for 1 clusters, got \(3,\)"):
        recombination(identity_pca(3), body, np.zeros((5, 3), np.float32), np.array([0, 2, 5]))
    with pytest.raises(ValueError, match=r"bounds: expected 2 row numbers .* got 2 from 0 to 4"):
        recombination(identity_pca(3), body, np.zeros((5, 3), np.float32), np.array([0, 4]))
    with pytest.raises(ValueError, match=r"body: expected \(\d, 4\) centres"):
        mixture(mixture.fit(z, n_clusters=2).mixture, BodyUnion(jnp.zeros((9, 4)), jnp.ones((9, 4))))


def points(kind, make_z):
    """z-points that leave a cluster of their own few points, or no spread."""
    z = np.asarray(make_z(100, 6))
    match kind:
        case "few":
            return z
        case "copies":
            return np.repeat(z[:25], 4, axis=0)
        case "two places":
            return np.repeat(z[:2], 50, axis=0)
        case "constant coordinate":
            return np.insert(z[:, 1:], 2, 7.3, axis=1)
        case "fewer than coordinates":
            return np.asarray(make_z(20, 30))


@pytest.mark.parametrize("cls", [jl.ClusterRecombinationSampler, jl.ClusterMixtureSampler])
@pytest.mark.parametrize(
    "kind", ["few", "copies", "two places", "constant coordinate", "fewer than coordinates"]
)
def test_any_points_that_differ(cls, kind, key, make_z, assert_mean):
    z = points(kind, make_z)
    sampler = cls.fit(z)
    components = sampler.sample_components(key, 2000)
    assert sampler.body.contains(components).all()
    drawn = np.asarray(sampler.pca.inverse_transform(components))
    varies = z.std(axis=0) > 1e-4
    np.testing.assert_allclose(drawn[:, ~varies], z[:1, ~varies].repeat(2000, axis=0), rtol=1e-5)
    mean, variance = z.mean(axis=0, dtype=np.float64), z.var(axis=0).sum()
    assert_mean(drawn[:, varies].astype(np.float64) - mean[varies], 0)
    spread = drawn.var(axis=0).sum()
    if kind == "two places":  # the body ends at these, one standard deviation from their mean
        assert 0.4 * variance < spread < variance
    else:
        assert 0.7 * variance < spread < 1.2 * variance
        distance = np.linalg.norm(drawn[:, None] - z, axis=2).min(axis=1)
        assert distance.min() > 1e-3 * math.sqrt(variance)


@pytest.mark.parametrize("n", [2, 3])
def test_two_or_three_points(n, key, make_z):
    z = make_z(n, 6)
    assert jnp.isfinite(jl.ClusterMixtureSampler.fit(z).sample(key, 50)).all()
    assert jnp.isfinite(jl.ClusterRecombinationSampler.fit(z, n_parents=1).sample(key, 50)).all()
    with pytest.raises(ValueError, match=f"n_parents: expected at most {n}"):
        jl.ClusterRecombinationSampler.fit(z, n_parents=n + 1)


def test_many_parents_take_larger_clusters(key, groups):
    z, _ = groups([200, 40, 60])
    sampler = jl.ClusterRecombinationSampler.fit(z, n_clusters=3, n_parents=25, key=key)
    assert sorted(np.diff(sampler.bounds)) == [60, 240]
    sampler = jl.ClusterRecombinationSampler.fit(z, n_clusters=3, n_parents=250, key=key)
    assert np.diff(sampler.bounds).tolist() == [300]


@pytest.mark.parametrize("cls", [jl.ClusterRecombinationSampler, jl.ClusterMixtureSampler])
def test_another_data_set_of_about_this_size_compiles_nothing(cls, make_z, compilations):
    z = [make_z(n, 7, seed) for seed, n in enumerate((1000, 970))]
    with compilations() as programs:
        cls.fit(z[0], n_clusters=20)
    assert len(programs) < 40
    with compilations() as programs:
        cls.fit(z[1], n_clusters=20)
    assert not programs


class Tensor:
    """What a tensor of PyTorch that carries a gradient lets others see."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, "torch.float32"

    def detach(self):
        return Detached(self.values)


class Detached(Tensor):
    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        return self.values


KEEPERS = {
    "recombination": lambda z, i, x: jl.RecombinationSampler.fit(z, n_parents=i(3)),
    "bootstrap": lambda z, i, x: jl.BootstrapSampler.fit(z, bandwidth=x(0.5)),
    "cluster-recombination": lambda z, i, x: jl.ClusterRecombinationSampler.fit(
        z, n_clusters=i(3), n_parents=i(3), temperature=x(0.5), coverage=x(0.75)
    ),
    "cluster-mixture": lambda z, i, x: jl.ClusterMixtureSampler.fit(
        z, n_clusters=i(3), temperature=x(0.5), coverage=x(0.75), prior_count=x(20)
    ),
}


@pytest.mark.parametrize("fit", KEEPERS.values(), ids=KEEPERS)
@pytest.mark.usefixtures("as_without_type_checks")
def test_numbers_and_arrays_of_any_library(fit, make_z, tmp_path):
    z = np.asarray(make_z(120, 4))
    expected = jax.tree.leaves(fit(z, int, float))
    kinds = [
        z.astype(">f4"),
        np.ma.MaskedArray(z),
        Tensor(z),
        jnp.asarray(z),
        z.astype(np.float64),
        np.asfortranarray(z),
    ]
    for kind in kinds:
        for leaf, wanted in zip(jax.tree.leaves(fit(kind, np.int64, np.float32)), expected, strict=True):
            # Parents are of half precision, and the last bit hangs on the order of sums.
            np.testing.assert_allclose(leaf, wanted, rtol=2e-3, atol=1e-4)
    half = fit(z.astype(np.float16), np.int32, np.float64)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(half))
    jl.save(tmp_path / "sampler.npz", half)
    loaded = jl.load(tmp_path / "sampler.npz")
    assert jax.tree.structure(loaded) == jax.tree.structure(half)
    with pytest.raises(ValueError, match="z: 1 entries are masked"):
        fit(np.ma.MaskedArray(z, np.arange(480).reshape(120, 4) == 7), int, float)


@pytest.mark.parametrize("fit", KEEPERS.values(), ids=KEEPERS)
def test_made_of_what_is_traced(fit, key, make_z):
    """Inside `jax.jit` numbers are unknown, shapes are not."""
    sampler = fit(make_z(120, 4), int, float)
    assert jax.eval_shape(lambda x: type(x)(**vars(x)).sample(key, 5), sampler).shape == (5, 4)


def test_shapes_that_are_traced_are_checked(make_z):
    sampler = jl.RecombinationSampler.fit(make_z(120, 4))
    with pytest.raises(ValueError, match="n_parents: expected at most 120, the number of points, got 121"):
        jax.eval_shape(lambda x: jl.RecombinationSampler(x.pca, x.parents, 121), sampler)
