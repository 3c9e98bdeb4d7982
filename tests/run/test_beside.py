"""Whose images a run shows beside those of the sampler that was asked for."""

import numpy as np

from jaxlatent.run.beside import beside, plain_title

SOURCE = "The source's method, inside every pair's ellipse"
RECOMMENDED = "The recommended sampler, z-points of a cluster recombined: cluster-recombination"


def test_the_runs_own_samplers_are_taken(run):
    assert beside(run, "pairwise:fact=0.7") == {}  # the recommended one was not fitted
    run.fit()
    assert list(beside(run, "pairwise:fact=0.7")) == [RECOMMENDED]
    ((title, shown),) = beside(run, "cluster-recombination").items()
    assert title == f"{SOURCE}: pairwise, fact 0.7"
    np.testing.assert_array_equal(shown.body.semi_axes, run.sampler("pairwise:fact=0.7").body.semi_axes)
    run.fit("box", name="own")
    assert plain_title(run, "own") == "The sampler asked for: own"
    assert list(beside(run, "own")) == [title, RECOMMENDED]


def test_the_source_method_is_fitted_where_the_run_has_none(run):
    run.fit("gaussian")
    run.path("samplers/pairwise,fact=0.7.npz").unlink()
    fitted = run.fit("pairwise:fact=0.9", name="mine")
    assert list(beside(run, "gaussian")) == [f"{SOURCE}: mine"]
    file = run.path("samplers/mine.npz")
    file.write_bytes(file.read_bytes() + b" ")  # stale: changed after it was made
    ((title, shown),) = beside(run, "gaussian").items()
    assert title == f"{SOURCE}: pairwise, fact 0.7"  # of six components
    np.testing.assert_allclose(shown.body.semi_axes, fitted.body.semi_axes * 7 / 9, rtol=1e-5)


def test_no_pairs_of_one_component(run, monkeypatch):
    run.fit("gaussian")
    run.path("samplers/pairwise,fact=0.7.npz").unlink()
    z = run.latents() * np.float32([1, 0, 0, 0, 0, 0])
    monkeypatch.setattr(run, "latents", lambda: z)
    assert beside(run, "gaussian") == {}
