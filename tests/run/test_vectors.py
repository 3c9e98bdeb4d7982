"""Vectors of other programs, and rivals, in `evaluate`."""

import json
import shutil

import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.cli import main

COUNT = 40
OPTIONS = ("--samplers", "gaussian", "--count", COUNT, "--features", "encoder", "--no-tradeoff", "--no-faces")


def call(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


@pytest.fixture(scope="module")
def evaluated(made, tmp_path_factory):
    """A run with an evaluation of one sampler and of its own z-points as the vectors of another program."""
    run = jl.Run(shutil.copytree(made.folder, tmp_path_factory.mktemp("vectors") / "run"))
    np.save(run.path("others.npy"), run.latents()[:100])
    assert call("evaluate", run.folder, *OPTIONS, "--vectors", f"z-points={run.path('others.npy')}") == 0
    return run


@pytest.fixture
def other(evaluated, tmp_path):
    return jl.Run(shutil.copytree(evaluated.folder, tmp_path / "run"))


def rows_of(run, vectors, samplers=("gaussian",)):
    rows = run.evaluate(
        samplers, vectors=vectors, count=COUNT, features="encoder", tradeoff=False, faces=False
    )
    return {row.title: row for row in rows}


def test_vectors_are_measured_as_those_of_a_sampler(evaluated):
    titles = ["box, b 1.5", "gaussian", "pairwise, fact 0.7 (of this run)", "z-points"]
    origin = json.loads(evaluated.path("origins/evaluation.csv.json").read_text())
    assert list(origin["options"]["vectors"]) == ["z-points"]
    assert f"--vectors=z-points={evaluated.path('others.npy')}" in origin["step"]
    rows = rows_of(evaluated, {"z-points": evaluated.path("others.npy")})
    assert list(rows)[2:] == titles
    row = rows["z-points"]
    assert row.n == rows["gaussian"].n
    assert row.fit_seconds is row.vectors_per_second is None
    assert row.closer > 0.9  # they are the training images themselves
    assert not evaluated.path("samplers/z-points.npz").exists()


def test_vectors_that_have_changed_are_measured_anew(other):
    z = np.load(other.path("others.npy"))
    before = rows_of(other, {"z-points": z})["z-points"]
    same = rows_of(other, {"z-points": other.path("others.npy")})["z-points"]
    assert same.frechet == before.frechet
    np.save(other.path("others.npy"), z + 1)
    rows = rows_of(other, {"z-points": other.path("others.npy")})
    assert rows["z-points"].frechet != before.frechet
    # The title is nobody's any more.
    assert "z-points" not in rows_of(other, None)


def test_the_row_stays_when_the_file_is_gone(other):
    from jaxlatent.run.evaluation import read_evaluation

    other.path("others.npy").unlink()
    assert [row.title for row in read_evaluation(other).rows][-1] == "z-points"


def test_too_few_vectors_are_left_out_with_a_warning(other):
    with pytest.warns(UserWarning, match=r"few failed .* expected at least \d+, .* got 20; give more"):
        rows = rows_of(other, {"few": np.zeros((20, 6), np.float32)})
    assert "few" not in rows


@pytest.mark.parametrize(
    ("vectors", "status", "words"),
    [
        ("z-points", 2, "--vectors: expected TITLE=FILE, got 'z-points'"),
        ("=z.npy", 2, "--vectors: expected TITLE=FILE, got '=z.npy'"),
        ("a=missing.npy", 1, "missing.npy"),
        ("a=wide.npy", 1, "vectors: a: expected an array of shape (n, 6), got (50, 7)"),
        ("a=text.npy", 1, "text.npy: not a .npy or .npz file of numbers"),
        ("gaussian=good.npy", 1, "vectors: 'gaussian' is the title of another row"),
        ("box, b 1.5=good.npy", 1, "vectors: 'box, b 1.5' is the title of another row"),
    ],
)
def test_mistakes(other, vectors, status, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.zeros((50, 7), np.float32))
    np.save("good.npy", np.zeros((50, 6), np.float32))
    (tmp_path / "text.npy").write_text("no numbers")
    assert call("evaluate", other.folder, *OPTIONS, "--vectors", vectors) == status
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_the_same_title_twice(other, capsys):
    assert call("evaluate", other.folder, *OPTIONS, "--vectors", "a=x.npy", "--vectors", "a=y.npy") == 2
    assert "--vectors: 'a' is given twice" in capsys.readouterr().err


def test_a_rival_beside_a_sampler(other, capsys):
    assert call("evaluate", other.folder, "--samplers", "gaussian,kde:bandwidth=scott", *OPTIONS[2:]) == 0
    assert "kde, bandwidth scott" in capsys.readouterr().out
    assert call("fit", other.folder, "--sampler", "kde") == 1
    assert "got 'kde', which only `evaluate` takes" in capsys.readouterr().err
