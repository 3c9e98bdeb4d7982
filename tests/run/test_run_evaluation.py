"""The step `evaluate` on a run folder: what it writes, from where it takes images, and the command."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent import evaluation
from jaxlatent.cli import main
from jaxlatent.evaluation.comparison import FLOOR, NULL
from jaxlatent.report import document
from jaxlatent.run import Run, evaluation as evaluation_step
from jaxlatent.run.evaluation import read_evaluation
from jaxlatent.run.folder import RunFolder
from jaxlatent.run.origin import StaleError

COUNT = 60
OPTIONS = ("--samplers", "gaussian,pairwise:fact=1", "--count", COUNT, "--features", "encoder", "--no-faces")
TIMES = ("fit_seconds", "vectors_per_second")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    run = Run(folder)
    config = jl.AutoencoderConfig(image_size=32, latent_dim=6, filters=(4, 4, 8, 8))
    run.train("synthetic:150", config, jl.TrainConfig(epochs=8, batch_size=16, learning_rate=5e-3))
    run.encode()
    run.fit("pairwise")
    return run


@pytest.fixture(scope="module")
def evaluated(run):
    assert call("evaluate", run.folder, *OPTIONS) == 0
    return run


def call(*arguments):
    """Runs the command; gives its exit status."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def _table(run):
    with run.path("evaluation.csv").open(newline="", encoding="utf-8") as file:
        return [{k: v for k, v in line.items() if k not in TIMES} for line in csv.DictReader(file)]


def test_writes_tables_and_pictures(evaluated):
    titles = [line["title"] for line in _table(evaluated)]
    assert titles[2:] == ["box, b 1.5", "gaussian", "pairwise, fact 1", "pairwise (of this run)"]
    points = evaluation.read_records(evaluated.path("tradeoff.csv"), evaluation.TradeoffPoint)
    assert len(points) == 5 + 6 + 6
    Image.open(evaluated.path("pictures/tradeoff.png")).verify()
    grids = sorted(path.name for path in evaluated.path("pictures/evaluation").iterdir())
    assert len(grids) == len(titles)
    assert "pairwise-fact-1.png" in grids
    text = evaluated.path("evaluation.csv").read_text(encoding="utf-8")
    assert "nan" not in text.lower()


@pytest.mark.slow
def test_same_seed_same_table(evaluated, tmp_path):
    other = Run(shutil.copytree(evaluated.folder, tmp_path / "run"))
    rows = other.evaluate(["gaussian"], count=COUNT, features="encoder", tradeoff=False, faces=False)
    assert [row.title for row in rows][2:] == ["box, b 1.5", "gaussian", "pairwise (of this run)"]
    first = {line["title"]: line for line in _table(evaluated)}
    assert all(line == first[line["title"]] for line in _table(other))
    assert not other.path("tradeoff.csv").exists()
    assert len(list(other.path("pictures/evaluation").iterdir())) == len(rows)


def test_rows_of_another_number_of_images_are_measured_again(evaluated, tmp_path):
    other = Run(shutil.copytree(evaluated.folder, tmp_path / "run"))
    rows = other.evaluate(["gaussian"], count=COUNT - 1, features="encoder", tradeoff=False, faces=False)
    assert {row.n for row in rows} == {COUNT - 1}
    assert {line["n"] for line in _table(other)} == {str(COUNT - 1)}


def test_the_own_sampler_is_left_out_where_it_is_not_fitted(run, tmp_path):
    other = Run(shutil.copytree(run.folder, tmp_path / "run"))
    shutil.rmtree(other.path("samplers"))
    seen = []

    def brightness(images):
        seen.append(images.dtype)
        return images.reshape(len(images), 8, -1).mean(axis=2)

    rows = other.evaluate(["box"], count=30, features=brightness, tradeoff=False, faces=False)
    assert [row.title for row in rows][2:] == ["box, b 1.5", "box"]
    assert set(seen) == {np.dtype(np.uint8)}


def test_read_back(evaluated):
    found = read_evaluation(evaluated)
    assert [row.title for row in found.rows] == list(found.grids)
    # Two rows of eight images, two pixels apart.
    assert {grid.shape for grid in found.grids.values()} == {(2 * 34 - 2, 8 * 34 - 2, 3)}


@pytest.mark.parametrize("lacking", ["split", "count"])
def test_one_of_an_earlier_version_is_measured_anew(evaluated, tmp_path, lacking):
    other = Run(shutil.copytree(evaluated.folder, tmp_path / "run"))
    (path,) = [each for each in other.path("origins").rglob("*") if "evaluation" in each.name]
    origin = json.loads(path.read_text(encoding="utf-8"))
    del origin["options"][lacking]
    path.write_text(json.dumps(origin), encoding="utf-8")
    with pytest.raises(StaleError, match="is of an earlier version; run `jaxlatent evaluate"):
        read_evaluation(other)


@pytest.mark.slow
def test_classifier_on_the_labels_is_kept(run, tmp_path, monkeypatch):
    other = Run(shutil.copytree(run.folder, tmp_path / "run"))
    options = {"count": 30, "tradeoff": False, "faces": False}
    config = evaluation.ClassifierConfig(filters=(4, 8), epochs=1)
    cached = evaluation.cached_features
    monkeypatch.setattr(evaluation, "cached_features", lambda *a, **k: cached(*a, **k, config=config))
    first = other.evaluate(["box"], **options)
    assert other.path("features").is_dir()
    monkeypatch.setattr("jaxlatent.evaluation.classifier_training.fit_features", None)
    assert [row.frechet for row in other.evaluate(["box"], **options)] == [row.frechet for row in first]


@pytest.mark.slow
def test_encoder_where_there_are_no_labels(run, tmp_path, caplog):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 255, (600, 32, 32, 3), np.uint8))
    other = Run(shutil.copytree(run.folder, tmp_path / "run"))
    asked = other.config() | {"data": str(tmp_path / "images.npy"), "images": None}
    other.path("config.json").write_text(json.dumps(asked))
    other.path("latents.npy").unlink()
    other.encode()
    with caplog.at_level("INFO"):
        rows = other.evaluate(["box"], count=500, tradeoff=False, faces=False)
    assert "encoder's features" in caplog.text
    count = len(other.images(other.config(), "test"))  # about 5 % of 600
    assert f"comparing with {count} images" in caplog.text
    assert {(row.n, row.unseen) for row in rows} == {(count, "test")}


@pytest.mark.parametrize(("test", "validation"), [(30, 40), (24, 40), (23, 40), (23, 1), (3, 5)])
def test_unseen_images_are_of_no_choice(test, validation, caplog):
    class Folder(RunFolder):
        def images(self, asked, split, limit=None):
            number, value = {"test": (test, 1), "validation": (validation, 0)}[split]
            return np.full((min(number, limit), 2, 2, 3), value, np.uint8)

    if test + validation < 24:
        with pytest.raises(ValueError, match=r"faces: expected at least 24 test images .* got 3"):
            evaluation_step.untouched_images(Folder("."), {"data": "faces"}, "test", 28)
        return
    images, split = evaluation_step.untouched_images(Folder("."), {"data": "faces"}, "test", 28)
    enough = test >= 24
    assert split == ("test" if enough else "test and validation")
    assert len(images) == (min(test, 28) if enough else min(test + validation, 28))
    assert (images.min() == 1) == enough
    assert ("by which the training chose its best epoch" in caplog.text) != enough
    if validation < 24:
        with pytest.raises(ValueError, match="faces: expected at least 24 validation images, got 1"):
            evaluation_step.untouched_images(Folder("."), {"data": "faces"}, "validation", 28)
        return
    images, split = evaluation_step.untouched_images(Folder("."), {"data": "faces"}, "validation", 28)
    assert (split, len(images), images.max()) == ("validation", 28, 0)


@pytest.mark.slow
def test_report_has_the_chapter_once_there_is_an_evaluation(evaluated, tmp_path, monkeypatch):
    blank = {"src": "data:image/png;base64,", "width": 1, "height": 1}
    monkeypatch.setattr(document, "_embedded", lambda picture: blank)
    other = Run(shutil.copytree(evaluated.folder, tmp_path / "run"))
    text = other.report().read_text(encoding="utf-8")
    assert "<h2>Evaluation</h2>" in text
    assert "Samplers compared" in text
    assert (other.path("report") / "samplers-compared.csv").exists()
    other.path("evaluation.csv").unlink()
    assert "<h2>Evaluation</h2>" not in other.report().read_text(encoding="utf-8")


def test_table_in_the_terminal(run, tmp_path, capsys):
    other = shutil.copytree(run.folder, tmp_path / "run")
    (other / "evaluation.csv").unlink(missing_ok=True)
    assert call("evaluate", other, "--samplers", "gaussian", *OPTIONS[2:], "--no-tradeoff") == 0
    told = capsys.readouterr()
    said = re.findall(
        r"^(.+): Fréchet distance [\d.e+-]+; \d+ min \d\d s, (\d) rows left$", told.err, re.MULTILINE
    )
    titles = [NULL, FLOOR, "box, b 1.5", "gaussian", "pairwise (of this run)"]
    assert said == [(title, str(4 - i)) for i, title in enumerate(titles)]  # no terminal: no bar
    lines = told.out.splitlines()
    assert any("reconstructed training images" in line for line in lines)
    assert max(map(len, lines)) <= 110


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--samplers", "nonsense"), 1, ["sampler: expected one of box", "'nonsense'"]),
        (("--samplers", "box:b=wide"), 1, ["box:b: expected a number"]),
        (("--count", "5"), 2, ["--count"]),
        (("--features", "inception"), 2, ["--features"]),
    ],
)
def test_mistakes(run, arguments, status, words, capsys):
    assert call("evaluate", run.folder, *arguments) == status
    error = capsys.readouterr().err
    assert all(word in error for word in words)
    assert "Traceback" not in error


@pytest.mark.slow
def test_missing_opencv_is_told(run, tmp_path, capsys, monkeypatch):
    other = shutil.copytree(run.folder, tmp_path / "run")

    def missing(images):
        raise ImportError("face detection: needs OpenCV")

    monkeypatch.setattr(evaluation, "face_rate", missing)
    monkeypatch.setattr("jaxlatent.evaluation.measures.face_rate", missing)
    options = ("--samplers", "box", "--count", 30, "--features", "encoder", "--no-tradeoff")
    assert call("evaluate", other, *options, "--faces") == 1
    assert "jaxlatent: face detection: needs OpenCV" in capsys.readouterr().err
    assert call("evaluate", other, *options) == 0
    assert "faces are not counted; face detection: needs OpenCV" in capsys.readouterr().err


def test_steps_in_the_wrong_order(run, tmp_path, capsys):
    other = shutil.copytree(run.folder, tmp_path / "run")
    (other / "latents.npy").unlink()
    assert call("evaluate", other) == 1
    assert "run `jaxlatent encode`" in capsys.readouterr().err
