import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent.sampling.tables.table import bisected, counted, looked_up, selected


@pytest.mark.parametrize("cells", [1, 2, 3, 1000, 4097])
def test_cells_are_found_alike_on_a_cpu_and_on_an_accelerator(cells):
    """Also at the ends of cells, where cells have no mass, and beyond the last end."""
    rng = np.random.default_rng(cells)
    upper = np.sort(rng.integers(0, 2**32 - 10, cells, dtype=np.uint32))
    upper[cells // 3 : cells // 2] = upper[cells // 3]
    around = (upper.astype(np.int64)[:, None] + [-1, 0, 1]).clip(0, 2**32 - 1).astype(np.uint32).ravel()
    word = np.concatenate([around, rng.integers(0, 2**32, 500, dtype=np.uint32), np.uint32([0, 2**32 - 1])])
    expected = np.searchsorted(upper[:-1], word, side="right")
    found = bisected(jnp.asarray(upper), jnp.asarray(word))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(counted(jnp.asarray(upper), jnp.asarray(word)), expected)
    tables = tuple(jnp.asarray(rng.standard_normal((2, cells)), jnp.float32))
    for one, other in zip(looked_up(tables, found), selected(tables, found), strict=True):
        np.testing.assert_array_equal(one, other)
