import json

import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl


@pytest.fixture
def pca():
    z = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    return jl.PCA.fit(z, n_components=3)


def test_bit_for_bit_and_without_pickle(pca, tmp_path):
    sampler = jl.PairwiseSampler(pca, jl.EllipseBody(jnp.arange(1.0, 4.0)), order="permutation")
    jl.save(tmp_path / "s.npz", sampler)
    again = jl.load(tmp_path / "s.npz")
    assert again.order == "permutation"
    np.testing.assert_array_equal(again.pca.components, pca.components)
    np.testing.assert_array_equal(again.body.semi_axes, sampler.body.semi_axes)
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        assert {"structure", "pca.mean", "body.semi_axes"} <= set(file.files)


def test_replaces_a_file_and_leaves_no_other(pca, tmp_path):
    path = tmp_path / "new" / "pca.npz"
    jl.save(path, pca.keep(1))
    jl.save(path, pca)
    assert jl.load(path).n_components == 3
    assert [p.name for p in path.parent.iterdir()] == ["pca.npz"]


def test_an_interrupted_write_keeps_the_old_file(pca, tmp_path, monkeypatch):
    path = tmp_path / "pca.npz"
    jl.save(path, pca)

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        jl.save(path, pca.keep(1))
    monkeypatch.undo()
    assert jl.load(path).n_components == 3
    assert [p.name for p in tmp_path.iterdir()] == ["pca.npz"]


def test_errors(pca, tmp_path):
    with pytest.raises(TypeError, match="cannot save dict"):
        jl.save(tmp_path / "x.npz", {"a": 1})
    with pytest.raises(FileNotFoundError):
        jl.load(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz: not a file written by jaxlatent\.save"):
        jl.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz: not a file"):
        jl.load(tmp_path / "text.npz")
    np.savez(tmp_path / "newer.npz", structure=np.array(json.dumps({"format": 99, "object": {}})))
    with pytest.raises(ValueError, match="format 99, this version reads 1"):
        jl.load(tmp_path / "newer.npz")
