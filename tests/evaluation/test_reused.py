"""What is measured of a reference once, for several sets, gives the numbers of the plain functions."""

import numpy as np
import pytest

from jaxlatent.evaluation import (
    copies,
    duplicates,
    energy_distance,
    frechet_infinity,
    kernel_distance,
    manifold_metrics,
    subset_kernel_distances,
)
from jaxlatent.evaluation.copy_test import CopyReference, alike_below
from jaxlatent.evaluation.frechet import FrechetReference
from jaxlatent.evaluation.kernel import KernelReference
from jaxlatent.evaluation.manifold import Manifold
from jaxlatent.evaluation.two_sample import EnergyReference


def normal(seed, n=200, scale=1.0):
    return np.random.default_rng(seed).normal(3, scale, (n, 12)).astype(np.float32)


SETS = [normal(1), normal(2, scale=0.8), normal(1)]
TARGET = normal(0)


def test_manifold():
    reference = Manifold(TARGET, k=3)
    assert [reference.compare(x) for x in SETS] == [manifold_metrics(TARGET, x, k=3) for x in SETS]


def test_frechet(key):
    reference = FrechetReference(TARGET, key=key)
    assert [reference.limit(x) for x in SETS] == [frechet_infinity(x, TARGET, key=key) for x in SETS]


def test_kernel(key):
    options = {"key": key, "subsets": 4, "subset_size": 60}
    reference = KernelReference(TARGET, 200, **options)
    for x in SETS:
        found = reference.compare(x)
        np.testing.assert_array_equal(found.values, subset_kernel_distances(x, TARGET, **options).values)
        rows = reference.rows[0]
        assert found.values[0] == pytest.approx(kernel_distance(x[rows[0]], TARGET[rows[1]]), rel=1e-9)
    with pytest.raises(ValueError, match=r"^a: expected 200 vectors, got 100"):
        reference.compare(SETS[0][:100])


def test_energy():
    reference = EnergyReference(TARGET)
    for x in SETS:
        assert reference.compare(x) == energy_distance(x, TARGET)
        # The centre is the reference's, so that the other way round only rounding differs.
        turned = energy_distance(TARGET, x)
        assert reference.compare(x).unbiased == pytest.approx(turned.unbiased, abs=1e-5)


def test_copies_and_duplicates():
    training, held_out = normal(5, 300), normal(6, 150)
    reference, threshold = CopyReference.of(training, held_out), alike_below(held_out, len(TARGET))
    for x in SETS:
        found, plain = reference.compare(x), copies(x, training, held_out)
        assert (found.p, found.probability_closer, found.close_p) == (
            plain.p,
            plain.probability_closer,
            plain.close_p,
        )
        np.testing.assert_array_equal(found.generated.distance, plain.generated.distance)
        assert duplicates(x, threshold=threshold).share == duplicates(x, real=held_out).share
        assert threshold == duplicates(x, real=held_out).threshold
