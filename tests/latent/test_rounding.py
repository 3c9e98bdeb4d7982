import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import PCA
from jaxlatent.latent.rounding import body_extent, inverse_rounding, round_trip_rounding


def rotated_frame(rng, d, k, decades, mean):
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0][:k]
    axes = np.geomspace(1, 10.0**-decades, k)
    centre = mean * rng.standard_normal(d)
    leaves = (centre, rotation, axes**2, axes**2 / np.sum(axes**2))
    return PCA(*(jnp.asarray(x, jnp.float32) for x in leaves)), jnp.asarray(axes, jnp.float32)


def there_and_back(pca, axes, rng, n):
    """Components of vectors spread over the body and at its farthest corners, and of their float32 forms."""
    y = rng.uniform(-1, 1, (n, len(axes)))
    y[: n // 4] = np.sign(y[: n // 4]) / np.sqrt(2)
    y = (y * np.asarray(axes)).astype(np.float32)
    z = pca.inverse_transform(y)
    centred = np.asarray(z, np.float64) - np.asarray(pca.mean, np.float64)
    return y, z, centred @ np.asarray(pca.components, np.float64).T


@pytest.mark.parametrize(("d", "k"), [(3, 2), (16, 16), (64, 64), (64, 8), (512, 512)])
@pytest.mark.parametrize("decades", [0, 2, 5])
@pytest.mark.parametrize("mean", [0, 1, 1000])
def test_bounds_hold_and_are_near_the_largest_error(d, k, decades, mean):
    rng = np.random.default_rng(d + k)
    pca, axes = rotated_frame(rng, d, k, decades, mean)
    y, z, back = there_and_back(pca, axes, rng, 400)
    bound = np.asarray(inverse_rounding(pca, axes))
    share = np.abs(back - y).max(axis=0) / bound
    assert share.max() < 1
    assert share.max() > 0.1
    both = np.asarray(round_trip_rounding(pca, body_extent(pca, axes)))
    assert (np.abs(np.asarray(pca.transform(z), np.float64) - y) < both).all()


def test_frames_along_the_axes_take_no_more_than_their_coordinate():
    """A mean of 1,000 in one coordinate leaves the others what they are."""
    one, none = jnp.zeros(8).at[0].set(1000.0), jnp.zeros(8)
    bounds = [
        inverse_rounding(PCA(m, jnp.eye(8), jnp.ones(8), jnp.ones(8) / 8), jnp.ones(8)) for m in (one, none)
    ]
    np.testing.assert_array_equal(bounds[0][1:], bounds[1][1:])
    assert bounds[0][0] > 100 * bounds[1][0]


def test_traceable():
    pca, axes = rotated_frame(np.random.default_rng(0), 6, 4, 1, 2)
    np.testing.assert_allclose(jax.jit(inverse_rounding)(pca, axes), inverse_rounding(pca, axes), rtol=1e-6)
