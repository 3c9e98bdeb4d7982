import csv

import jax
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.evaluation import SweepCell, sweep, write_records

COMPONENTS, FACTS = [2, 6], [0.5, 1.0]


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((3000, 8)) @ rng.standard_normal((8, 8)) + 4).astype(np.float32)


@pytest.fixture(scope="module")
def cells(z):
    return sweep(z, COMPONENTS, FACTS, jax.random.key(0), 400)


def test_each_cell_is_the_sampler_fitted_by_itself(z, cells):
    assert [(cell.components, cell.fact) for cell in cells] == [(k, f) for k in COMPONENTS for f in FACTS]
    key = jax.random.key(3)
    for cell in cells:
        alone = jl.PairwiseSampler.fit(z, n_components=cell.components, fact=cell.fact)
        np.testing.assert_allclose(cell.sampler.body.semi_axes, alone.body.semi_axes, rtol=1e-5)
        np.testing.assert_allclose(cell.sampler.sample(key, 5), alone.sample(key, 5), rtol=1e-4, atol=1e-4)


def test_numbers_equal_direct_ones(z, cells, key):
    for cell in cells:
        pca, k = cell.sampler.pca, cell.components
        y = np.asarray(pca.transform(z), float)
        sigma = y.std(axis=0, ddof=1)
        assert cell.real_inside == pytest.approx(cell.sampler.body.coverage(pca.transform(z)), abs=1e-3)
        drawn = np.asarray(cell.sampler.sample_components(key, 400), float)
        assert cell.spread == pytest.approx((drawn.std(axis=0, ddof=1) / sigma).mean(), rel=1e-4)
        radii, real = (np.linalg.norm(points / sigma, axis=1) for points in (drawn, y))
        assert cell.radius_mean == pytest.approx(radii.mean(), rel=1e-4)
        assert cell.radius_deviation == pytest.approx(radii.std(), rel=1e-3)
        assert cell.real_radius_mean == pytest.approx(real.mean(), rel=1e-4)
        assert cell.real_radius_deviation == pytest.approx(real.std(), rel=1e-3)
        # The root mean square of the radii is sqrt(k), whatever the law.
        assert np.hypot(cell.real_radius_mean, cell.real_radius_deviation) == pytest.approx(k**0.5, rel=1e-3)


def test_cells_of_equal_components_are_scaled_copies(cells):
    small, large = cells[2:]
    assert large.spread == pytest.approx(2 * small.spread, rel=1e-4)
    assert large.real_inside > small.real_inside


def test_csv_holds_the_cells(tmp_path, cells):
    write_records(tmp_path / "new" / "sweep.csv", SweepCell, cells)
    with (tmp_path / "new" / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "components",
        "fact",
        "real_inside",
        "spread",
        "radius_mean",
        "radius_deviation",
        "real_radius_mean",
        "real_radius_deviation",
    ]
    for row, cell in zip(rows, cells, strict=True):
        assert all(float(value) == getattr(cell, name) for name, value in row.items())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sweep.csv"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"components": [2, 9]}, "components: expected numbers from 2 to 8, got 9"),
        ({"components": [1]}, "components: expected numbers from 2 to 8, got 1"),
        ({"facts": [0.7, 0.0]}, "facts: expected a positive, finite number, got 0.0"),
        ({"count": 1}, "count: expected at least 2, got 1"),
        ({"kind": "matched"}, "kind: expected one of"),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(change, message, z, key):
    arguments = {"z": z, "components": COMPONENTS, "facts": FACTS, "key": key} | change
    with pytest.raises(ValueError, match=message):
        sweep(**arguments)
