"""What was made from something that has changed is refused, or left out, and said so."""

import json
import shutil

import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.data.splits import CHOICE
from jaxlatent.evaluation.copy_test import CopyReference
from jaxlatent.report import document
from jaxlatent.run import StaleError
from jaxlatent.run.evaluation import read_evaluation

STEPS = {
    "sample": lambda run: run.sample(20),
    "report": lambda run: run.report(),
    "export": lambda run: run.export(),
    "sampler": lambda run: run.sampler(),
}


@pytest.fixture
def undrawn(monkeypatch):
    blank = {"src": "data:image/png;base64,", "width": 1, "height": 1}
    monkeypatch.setattr(document, "_embedded", lambda picture: blank)


def evaluated(run, samplers=("gaussian",), **options):
    options = {"count": 30, "features": "encoder", "tradeoff": False, "faces": False} | options
    return run.evaluate(samplers, **options)


def test_an_evaluation_leaves_out_a_stale_sampler(run, training, caplog):
    other = jl.AutoencoderConfig(image_size=32, latent_dim=6, filters=(4, 4, 8, 12))
    run.train(run.config()["data"], other, training, restart=True)
    run.encode()
    with caplog.at_level("WARNING"):
        rows = evaluated(run)
    assert "a sampler is left out" in caplog.text
    assert [row.title for row in rows][2:] == ["box, b 1.5", "gaussian"]


@pytest.mark.parametrize("step", STEPS)
def test_another_model(run, training, step):
    other = jl.AutoencoderConfig(image_size=32, latent_dim=6, filters=(4, 4, 8, 12))
    run.train(run.config()["data"], other, training, restart=True)
    with pytest.raises(StaleError, match=r"latents\.npy: was made with another model; run `jaxlatent encode"):
        STEPS[step](run)
    run.encode()
    with pytest.raises(
        StaleError,
        match=r"pairwise,fact=0.7\.npz: was made with other latents; run `jaxlatent fit .* --sampler",
    ):
        STEPS[step](run)
    run.fit("pairwise:fact=0.7")
    run.sampler()


def test_other_images_under_the_same_name(run, other_images):
    """The model was trained on others, and so nothing says what an encoding of these would be."""
    config = run.config() | {"data": other_images}
    run.path("config.json").write_text(json.dumps(config))
    for step in (run.encode, lambda: evaluated(run)):
        with pytest.raises(StaleError, match=r"holds other images than those of the training in"):
            step()


def test_a_run_whose_splits_or_limit_held_other_images(run, other_images):
    config = {key: each for key, each in run.config().items() if key != "choice"} | {"data": other_images}
    run.path("config.json").write_text(json.dumps(config))
    for step in (run.encode, lambda: run.train(resume=True)):
        with pytest.raises(StaleError, match=r"it was trained when splits and limits held other ones"):
            step()


def test_a_run_that_noted_no_images(run, other_images):
    config = {key: each for key, each in run.config().items() if key not in ("choice", "images")}
    run.check_images(config | {"data": "synthetic:9"}, "any")
    with pytest.warns(UserWarning, match="nothing says which images of .* had .it was trained when splits"):
        run.check_images(config | {"data": other_images}, "any")
    run.check_images(config | {"data": other_images, "choice": CHOICE}, "any")


def test_a_file_that_was_changed_by_hand(run):
    np.save(run.path("latents.npy"), np.load(run.path("latents.npy")) + 1)
    with pytest.raises(
        StaleError, match=r"latents\.npy: was changed after it was made; run `jaxlatent encode"
    ):
        run.fit("gaussian")
    run.path("origins/latents.npy.json").unlink()
    with pytest.raises(StaleError, match=r"nothing says what it was made from; run `jaxlatent encode"):
        run.fit("gaussian")


def test_the_report_leaves_out_the_evaluation_of_another_sampler(run, undrawn, caplog):
    """In 0.1: fit --fact 0.7, evaluate, fit --fact 3, report; the page showed the old sampler's precision."""
    run.fit("pairwise:fact=0.7", name="own")
    rows = evaluated(run)
    assert [row.title for row in rows][-2:] == ["own (of this run)", "pairwise, fact 0.7 (of this run)"]
    assert "<h2>Evaluation</h2>" in run.report().read_text(encoding="utf-8")
    run.fit("pairwise:fact=3", name="own")
    with caplog.at_level("WARNING"):
        page = run.report()
    assert "<h2>Evaluation</h2>" not in page.read_text(encoding="utf-8")
    assert "evaluation.csv: was made with another samplers/own.npz; run `jaxlatent evaluate" in caplog.text
    again = evaluated(run)
    assert "<h2>Evaluation</h2>" in run.report().read_text(encoding="utf-8")
    # Only the row of what has changed is measured again.
    kept = {row.title: row.vectors_per_second for row in rows}
    measured = {row.title for row in again if row.vectors_per_second != kept[row.title]}
    assert measured == {"own (of this run)"}


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"count": 24}, {"features": lambda images: images[:, ::8, ::8].mean((1, 2)) * 1.0}],
)
def test_rows_of_another_seed_number_or_features_are_measured_anew(run, changed):
    first = {row.title: row for row in evaluated(run)}
    for row in evaluated(run, **changed):
        assert row.vectors_per_second is None or row.vectors_per_second != first[row.title].vectors_per_second
        assert row.seed == changed.get("seed", 0)
    found = read_evaluation(run)
    assert {row.model for row in found.rows} == {run.digest("model")[:12]}
    assert {row.features for row in found.rows} == {"encoder"} or "features" in changed


def test_an_interrupted_evaluation_keeps_its_rows(run, monkeypatch, caplog):
    compare, calls = CopyReference.compare, []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compare(*arguments)

    monkeypatch.setattr(CopyReference, "compare", stop)
    with pytest.raises(KeyboardInterrupt):
        evaluated(run, ["gaussian", "box"])
    with pytest.raises(
        StaleError, match=r"was interrupted; run `jaxlatent evaluate .* once more, it goes on"
    ):
        read_evaluation(run)
    with caplog.at_level("INFO"):
        rows = evaluated(run, ["gaussian", "box"])
    assert "3 rows were measured before and are kept" in caplog.text
    assert len(calls) == 2 + len(rows) - 3
    assert [row.title for row in read_evaluation(run).rows] == [row.title for row in rows]


def test_a_table_that_was_taken_away_is_measured_anew(run):
    first = {row.title: row.vectors_per_second for row in evaluated(run)}
    run.path("evaluation.csv").unlink()
    again = evaluated(run)
    assert read_evaluation(run) is not None
    assert all(row.vectors_per_second is None or row.vectors_per_second != first[row.title] for row in again)


def test_a_classifier_without_labels(run):
    with pytest.raises(ValueError, match=r"features: a classifier needs labels to be trained on .*encoder"):
        evaluated(run, features="classifier")
    assert {row.features for row in evaluated(run, features=None)} == {"encoder"}


def test_pictures_when_the_data_have_moved(made, run, undrawn, tmp_path):
    config = run.config() | {"data": str(tmp_path / "gone.npy")}
    run.path("config.json").write_text(json.dumps(config))
    run.sample(10)
    run.report()
    training, validation = run.pictured()
    images = made.images(made.config(), "train")
    rows = np.linspace(0, len(images) - 1, 16).astype(int)  # from all over: classes may follow one another
    np.testing.assert_array_equal(training, images[rows])
    np.testing.assert_array_equal(validation, made.images(made.config(), "validation"))


def test_data_that_have_moved(made, run, tmp_path):
    where = made.config()["data"]
    shutil.copy(where, tmp_path / "new.npy")
    run.path("config.json").write_text(json.dumps(run.config() | {"data": str(tmp_path / "gone.npy")}))
    with pytest.raises(FileNotFoundError, match=r"gone\.npy.*; if they have moved, say where to with --data"):
        run.training_images()
    run.moved_to(str(tmp_path / "new.npy"))
    assert run.config() == made.config() | {"data": str(tmp_path / "new.npy")}
    np.testing.assert_array_equal(run.training_images(), made.training_images())
    run.sampler()  # nothing has become stale
    np.save(tmp_path / "new.npy", 255 - np.load(where))
    before = run.config()
    with pytest.raises(StaleError, match="holds other images"):
        run.moved_to(str(tmp_path / "new.npy"))
    assert run.config() == before


def test_a_run_that_was_moved_stays_whole(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "elsewhere")
    moved = jl.Run(tmp_path / "elsewhere")
    np.testing.assert_array_equal(moved.latents(), made.latents())
    moved.sampler()


def test_origins_say_all(made):
    origin = json.loads(made.path("origins/samplers/pairwise,fact=0.7.npz.json").read_text())
    assert origin["step"] == ["fit", "--sampler", "pairwise:fact=0.7"]
    assert origin["inputs"] == {"latents.npy": made.digest("latents.npy")}
    assert origin["options"] == {"sampler": "pairwise:fact=0.7"}
    assert set(origin["versions"]) == {"jaxlatent", "jax", "flax", "optax", "numpy"}


def test_mirror_images_are_z_points_where_the_training_mirrored(run, caplog):
    n = len(run.training_images())
    z = np.asarray(run.latents())
    assert z.shape == (2 * n, 6)
    np.testing.assert_allclose(z[:n], z[n:], atol=1e-4)  # plain squares
    rows = evaluated(run)
    assert len(run.encoded(run.training_images())) == 2 * n
    caplog.clear()
    with caplog.at_level("INFO"):
        assert len(run.encode(mirror=False)) == n
    assert f"encoded {n} images to 6 dimensions" in caplog.text
    assert len(run.encoded(run.training_images())) == n
    # What was fitted to all of them is stale, and the command that made the new ones is noted.
    with pytest.raises(StaleError, match="was made with other latents"):
        run.sampler()
    assert run.origin("latents.npy").step == ("encode", "--no-mirror")
    assert evaluated(run)[2:] != rows[2:]
    with caplog.at_level("INFO"):
        run.encode(mirror=True)
    assert f"encoded {n} images and their mirror images" in caplog.text
    np.testing.assert_array_equal(run.latents(), z)
