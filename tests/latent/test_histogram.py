import numpy as np
import pytest

from jaxlatent.latent.histogram import component_counts


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_counts_are_those_of_numpy(dtype):
    rng = np.random.default_rng(0)
    scale, middle = np.array([1.0, 0.01, 300.0]), np.array([0.0, 2.0, -500.0])
    y = (rng.standard_normal((10_000, 3)) * scale + middle).astype(dtype)
    start, width = middle - 2 * scale, scale / 10
    found = component_counts(y, start, width, 40)
    assert found.shape == (3, 42)
    assert (found.sum(axis=1) == 10_000).all()
    for j in range(3):
        edges = start[j] + width[j] * np.arange(41)
        expected = np.histogram(y[:, j].astype(np.float64), edges)[0]
        # A value at an edge, within rounding, may be counted on either side.
        at_an_edge = 2 + 20_000 * np.finfo(dtype).eps * max(1, abs(middle[j]) / scale[j])
        assert np.abs(found[j, 1:-1] - expected).sum() <= 2 * at_an_edge
        assert abs(found[j, 0] - (y[:, j] < edges[0]).sum()) <= at_an_edge


def test_far_values_and_batches(tmp_path):
    y = np.array([[-1e30], [1e30], [0.5]] * 5000, np.float32)
    np.save(tmp_path / "y.npy", y)
    counts = component_counts(np.load(tmp_path / "y.npy", mmap_mode="r"), np.zeros(1), np.ones(1), 1)
    assert counts.tolist() == [[5000, 5000, 5000]]
