import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import decomposition

from jaxlatent import PCA
from jaxlatent.latent import moments


def correlated(n, d, *, mean=0.0, seed=0):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    z = rng.standard_normal((n, d)) * np.linspace(2, 0.5, d) @ rotation + mean
    return z.astype(np.float32)


def eigenvalues(z):
    return np.linalg.eigvalsh(np.cov(np.asarray(z, np.float64).T))[::-1]


@pytest.mark.parametrize(("n", "d", "k"), [(500, 8, 8), (500, 8, 3), (3000, 40, 40)])
def test_equals_scikit_learn(n, d, k):
    z = correlated(n, d, mean=1.5)
    ours, theirs = (
        PCA.fit(z, n_components=k),
        decomposition.PCA(k, svd_solver="full").fit(z.astype(np.float64)),
    )
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-5)
    np.testing.assert_allclose(ours.components, theirs.components_, atol=2e-4)
    np.testing.assert_allclose(ours.explained_variance, theirs.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(ours.explained_variance_ratio, theirs.explained_variance_ratio_, rtol=1e-5)
    np.testing.assert_allclose(ours.transform(z), theirs.transform(z), atol=2e-3)


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e4])
def test_eigenvalues_with_a_mean_of_100_deviations(scale):
    z = correlated(20_000, 64, mean=100) * np.float32(scale)
    assert np.abs(PCA.fit(z).explained_variance / eigenvalues(z) - 1).max() < 1e-4


def test_eigenvalues_over_eight_decades():
    """Components of deviation 1e-4 beside one of 1."""
    z = np.random.default_rng(0).standard_normal((20_000, 32)).astype(np.float32)
    z *= np.geomspace(1, 1e-4, 32, dtype=np.float32)
    assert np.abs(PCA.fit(z).explained_variance / eigenvalues(z) - 1).max() < 1e-4


def test_frame_is_orthonormal_sorted_and_signed():
    pca = PCA.fit(correlated(400, 30))
    np.testing.assert_allclose(pca.components @ pca.components.T, np.eye(30), atol=1e-5)
    assert (np.diff(pca.explained_variance) <= 0).all()
    largest = np.abs(pca.components).argmax(axis=1)
    assert (np.asarray(pca.components)[np.arange(30), largest] > 0).all()
    assert np.isclose(pca.explained_variance_ratio.sum(), 1)


def test_round_trip_and_covariance_of_components():
    z = correlated(5000, 20, mean=3)
    pca = PCA.fit(z)
    y = pca.transform(z)
    np.testing.assert_allclose(pca.inverse_transform(y), z, atol=1e-5)
    np.testing.assert_allclose(np.cov(np.asarray(y).T), np.diag(pca.explained_variance), atol=1e-4)
    part = pca.keep(5)
    np.testing.assert_allclose(part.transform(z), pca.transform(z)[:, :5], rtol=1e-5, atol=1e-5)


def test_fewer_points_than_dimensions():
    z = correlated(10, 24)
    pca = PCA.fit(z)
    assert (np.asarray(pca.explained_variance[:9]) > 0.1).all()
    assert (np.asarray(pca.explained_variance[9:]) == 0).all()
    np.testing.assert_allclose(pca.explained_variance[:9], eigenvalues(z)[:9], rtol=1e-5)
    np.testing.assert_allclose(pca.inverse_transform(pca.transform(z)), z, atol=1e-4)


def test_constant_dimensions_and_constant_data():
    z = correlated(200, 6)
    z[:, 3] = 7.7
    pca = PCA.fit(z)
    assert pca.explained_variance[-1] == 0
    np.testing.assert_allclose(np.abs(pca.components[-1]), np.eye(6)[3], atol=1e-6)
    constant = PCA.fit(np.full((50, 4), 0.1, np.float32))
    assert (np.asarray(constant.explained_variance) == 0).all()
    assert (np.asarray(constant.explained_variance_ratio) == 0).all()


def test_half_precision_and_float64_come_out_as_float32():
    for dtype in (np.float16, np.float64):
        pca = PCA.fit(correlated(300, 5).astype(dtype))
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(pca))
        assert pca.transform(np.ones((2, 5), dtype)).dtype == jnp.float32


def test_trimming():
    z = correlated(5000, 6)
    z[:50] += 100
    spoilt, clean = PCA.fit(z), PCA.fit(z, within_sigma=3.0)
    np.testing.assert_allclose(clean.explained_variance, eigenvalues(z[50:]), rtol=0.1)
    assert spoilt.explained_variance[0] > 10 * clean.explained_variance[0]
    few = [PCA.fit(z, max_points=100, key=jax.random.key(s)).mean for s in (1, 1, 2)]
    np.testing.assert_array_equal(few[0], few[1])
    assert not np.array_equal(few[0], few[2])
    np.testing.assert_array_equal(PCA.fit(z, max_points=9999).mean, spoilt.mean)


def low_rank(n, d, rank, *, rotated, mean):
    """float64 vectors of `rank` components of deviation 1, about a mean of that many deviations."""
    rng = np.random.default_rng(rank)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0] if rotated else np.eye(d)
    return rng.standard_normal((n, rank)) @ axes[:rank] + mean * rng.standard_normal(d)


@pytest.mark.parametrize("rotated", [True, False])
@pytest.mark.parametrize("mean", [0, 3, 1000])
@pytest.mark.parametrize(("n", "d", "rank"), [(2000, 64, 5), (20_000, 16, 15), (40, 64, 5), (9, 20, 19)])
def test_rank_is_found_exactly(n, d, rank, mean, rotated):
    z = low_rank(n, d, rank, rotated=rotated, mean=mean)
    for scale in (1, 1e-6, 1e6):
        single = (z * scale).astype(np.float32)
        for points in (z * scale, single, single.astype(np.float64), jnp.asarray(single)):
            variance = np.asarray(PCA.fit(points).explained_variance)
            assert (variance > 0).sum() == min(rank, n - 1)


def test_rank_of_products_in_float32():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((3000, 60)).astype(np.float32)
    z = scores @ rng.standard_normal((60, 64)).astype(np.float32)
    assert (np.asarray(PCA.fit(z).explained_variance) > 0).sum() == 60


def wide_spectrum(n, d, decades, *, mean):
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return rng.standard_normal((n, d)) * np.geomspace(1, 10 ** (-decades / 2), d) @ axes + mean


@pytest.mark.filterwarnings("ignore:z. float32 vectors cannot hold")
@pytest.mark.parametrize("mean", [0, 3, 1000])
def test_eigenvalues_of_rotated_float64_over_twelve_decades(mean):
    z = wide_spectrum(3000, 32, 12, mean=mean)
    singular = np.linalg.svd(z - z.mean(axis=0), compute_uv=False)
    assert np.abs(PCA.fit(z).explained_variance / (singular**2 / 2999) - 1).max() < 1e-4


@pytest.mark.parametrize("decades", [2, 8])
def test_many_float32_points_in_either_precision(decades, monkeypatch):
    """Narrow spectra in float32, wide ones once more in float64; components are uncorrelated."""
    calls = []
    monkeypatch.setattr("jaxlatent.latent.pca.moments", lambda *args: calls.append(1) or moments(*args))
    z = wide_spectrum(20_000, 48, decades, mean=3).astype(np.float32)
    pca = PCA.fit(z)
    assert len(calls) == (decades > 4)
    exact = z - z.mean(axis=0, dtype=np.float64)
    singular = np.linalg.svd(exact, compute_uv=False)
    assert np.abs(pca.explained_variance / (singular**2 / 19_999) - 1).max() < 1e-4
    correlation = np.corrcoef((exact @ np.asarray(pca.components, np.float64).T).T)
    assert np.abs(correlation - np.eye(48)).max() < 1e-3


@pytest.mark.filterwarnings("ignore:z. float32 vectors cannot hold")
def test_float64_is_centred_before_it_is_rounded():
    z = np.random.default_rng(0).standard_normal((8192, 3))
    near, far = PCA.fit(z), PCA.fit(z + 1e7)
    np.testing.assert_allclose(far.explained_variance, near.explained_variance, rtol=1e-6)
    np.testing.assert_allclose(far.transform(z + 1e7), near.transform(z), atol=1e-5)
    trimmed = PCA.fit(z + 1e7, within_sigma=1.0)
    np.testing.assert_allclose(trimmed.explained_variance, PCA.fit(z, within_sigma=1.0).explained_variance)


def test_a_component_far_below_its_mean():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4000, 3)) * [1, 1e-3, 0.5] + [0, 1e5, 0]
    with pytest.warns(
        UserWarning, match=r"component 2 .* coordinate 1 has a mean of 1e\+05.*subtract the mean"
    ):
        pca = PCA.fit(z)
    np.testing.assert_allclose(pca.explained_variance, eigenvalues(z), rtol=1e-4)
    y = np.asarray(pca.transform(z))
    assert np.abs(y.mean(axis=0)).max() < 1e-5
    np.testing.assert_allclose(y.std(axis=0, ddof=1) ** 2, pca.explained_variance, rtol=1e-4)


def test_a_constant_column_does_not_vary():
    z = correlated(8192, 4)
    z[:, 2] = 9.9
    for points in (z, z.astype(np.float64), jnp.asarray(z)):
        assert PCA.fit(points).explained_variance[-1] == 0


@pytest.mark.parametrize("k", [2, 5])
def test_distance_from_the_plane(k):
    rng = np.random.default_rng(0)
    z = correlated(300, 5, mean=20)
    pca = PCA.fit(z, k)
    drawn = pca.inverse_transform(rng.standard_normal((50, k)).astype(np.float32))
    assert np.abs(pca.distance(drawn)).max() < 1e-4
    components = np.asarray(pca.components, np.float64)
    centred = np.asarray(z, np.float64) - z.mean(axis=0, dtype=np.float64)
    exact = np.linalg.norm(centred - centred @ components.T @ components, axis=1)
    np.testing.assert_allclose(pca.distance(z), exact, atol=2e-5)
    if k < 5:
        normal = np.linalg.svd(components)[2][-1]
        np.testing.assert_allclose(pca.distance(np.asarray(drawn) + 1000 * normal), 1000, rtol=1e-6)
    np.testing.assert_array_equal(jax.jit(PCA.distance)(pca, z), pca.distance(z))


def test_without_jaxs_cpu_backend(monkeypatch):
    """As under JAX_PLATFORMS=cuda: NumPy's eigenvectors are the same."""
    z = correlated(300, 6)
    expected = PCA.fit(z)

    def no_cpu(**kwargs):
        raise RuntimeError("Unknown backend cpu")

    monkeypatch.setattr(jax, "local_devices", no_cpu)
    np.testing.assert_allclose(PCA.fit(z).components, expected.components, atol=1e-6)


def test_four_fields_make_a_frame():
    """As in files of 0.1: what float32 leaves out of the mean is then taken as 0."""
    z = correlated(300, 6, mean=4)
    pca = PCA.fit(z)
    old = PCA(pca.mean, pca.components, pca.explained_variance, pca.explained_variance_ratio)
    np.testing.assert_allclose(old.transform(z), pca.transform(z), atol=1e-5)
    y = np.eye(2, dtype=np.float32)
    np.testing.assert_allclose(old.keep(2).inverse_transform(y), pca.keep(2).inverse_transform(y), atol=1e-5)


def test_variances_beyond_float32():
    z = correlated(50, 3).astype(np.float64)
    for scale in (1e-25, 1e25):
        with pytest.raises(ValueError, match=r"z: variances from .* do not fit float32; scale z"):
            PCA.fit(z * scale)


def test_distributed_in_a_single_process():
    z = correlated(400, 5)
    np.testing.assert_array_equal(PCA.fit(z, 3, distributed=True).components, PCA.fit(z, 3).components)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors():
    z = correlated(50, 4)
    with pytest.raises(ValueError, match="z: expected at least 2 vectors, got 1"):
        PCA.fit(z[:1])
    with pytest.raises(ValueError, match="z: expected at least 1 vector, got 0"):
        PCA.fit(z[:0])
    for options in ({"within_sigma": 3.0}, {"max_points": 9}, {"where": z[:, 0] > 0}):
        with pytest.raises(ValueError, match="distributed: excludes where, max_points and within_sigma"):
            PCA.fit(z, distributed=True, **options)
    with pytest.raises(ValueError, match="n_components: expected at most 4"):
        PCA.fit(z, n_components=5)
    with pytest.raises(ValueError, match="n_components: expected at least 1"):
        PCA.fit(z, n_components=0)
    with pytest.raises(TypeError, match="n_components: expected an integer"):
        PCA.fit(z, n_components=0.9)
    with pytest.raises(TypeError, match="int32"):
        PCA.fit(z.astype(np.int32))
    pca = PCA.fit(z, n_components=3)
    with pytest.raises(ValueError, match=r"z: .*\(n, 4\), got \(2, 3\)"):
        pca.transform(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"y: .*\(n, 3\), got \(2, 4\)"):
        pca.inverse_transform(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="at most 3, got 4"):
        pca.keep(4)
    with pytest.raises(ValueError, match="within_sigma: only 0 of 50"):
        PCA.fit(z, within_sigma=1e-6)
    with pytest.raises(ValueError, match="within_sigma: expected a positive"):
        PCA.fit(z, within_sigma=-1.0)
    with pytest.raises(ValueError, match="max_points: expected at least 2"):
        PCA.fit(z, max_points=1)
