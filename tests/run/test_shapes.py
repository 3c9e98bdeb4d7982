"""All steps on grey images that are not square, of classes, in a .npz of Keras's layout."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent import evaluation
from jaxlatent.cli import main
from jaxlatent.explorer import open_run
from jaxlatent.explorer.static import page_text

SHAPE = (17, 22, 1)
CLASSES = 3


def pictures(count, seed):
    """A bar on noise: dark, medium or bright, which are the classes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 30, (count, *SHAPE[:2])).astype(np.uint8)
    shades = rng.integers(0, 216, count).astype(np.uint8)
    images[:, 3:9, 5:20] += shades[:, None, None]
    return images, shades // (216 // CLASSES)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grey")
    (x, y), (others, kinds) = pictures(400, 0), pictures(60, 1)
    np.savez(folder / "bars.npz", x_train=x, y_train=y, x_test=others, y_test=kinds)
    run = jl.Run(folder / "run")
    run.train(
        str(folder / "bars.npz"),
        {"latent_dim": 6, "filters": (4, 8)},
        {"epochs": 12, "batch_size": 16, "learning_rate": 1e-2},
    )
    run.encode()
    run.fit("gaussian")
    return run


def test_the_network_takes_the_shape_of_the_data(run):
    asked = run.config()["autoencoder"]
    assert (asked["image_size"], asked["channels"]) == ([17, 22], 1)
    model = run.model()
    assert model.config.image_shape == SHAPE
    training, validation = run.pictured()
    assert training.shape[1:] == validation.shape[1:] == SHAPE
    rebuilt = np.asarray(jl.decode(model, jl.encode(model, validation)))
    assert rebuilt.shape == validation.shape
    assert np.square(rebuilt - validation / 255).mean() < np.var(validation / 255) / 5
    assert run.latents().shape == (len(run.training_images()), 6)


def test_it_is_trained_on_without_mirroring_and_goes_on(run):
    settings = json.loads(next(run.path("training").glob("epoch-*/description.json")).read_text())["settings"]
    assert settings["mirror"] is False
    before = run.path("training/history.csv").read_text()
    run.train(resume=True)
    assert run.path("training/history.csv").read_text() == before


@pytest.mark.parametrize("format_name", ["npy", "png", "webdataset", "npz"])
def test_generated_images_are_grey(run, tmp_path, format_name):
    key = jax.random.key(0)
    expected = np.asarray(jl.decode(run.model(), run.sampler().sample(key, 9)))
    assert expected.shape == (9, *SHAPE)
    out = tmp_path / "out"
    jl.generate_to(out, run.sampler(), run.model(), 9, key=key, format=format_name)
    assert jl.verify(out) == []
    spec = {"npy": out / "images-00000.npy", "npz": out / "samples.npz"}.get(format_name, out)
    if format_name == "webdataset":
        return
    found = np.asarray(jl.load_images(spec, cache=False))
    assert found.shape == expected.shape
    assert np.abs(found - 255 * expected).max() < 0.51


def test_an_export_gives_the_same(run):
    path = run.export()
    exported = jl.load_exported(path)
    assert exported.image_shape == SHAPE
    z = run.latents()[:5]
    np.testing.assert_allclose(exported.decode(z), jl.decode(run.model(), z), atol=1e-5)


def test_weights_survive_safetensors(run, tmp_path):
    jl.save_safetensors(tmp_path / "a.safetensors", run.model())
    again = jl.load_safetensors(tmp_path / "a.safetensors")
    z = run.latents()[:5]
    np.testing.assert_array_equal(jl.decode(again, z), jl.decode(run.model(), z))


def test_the_classes_make_the_features_of_the_evaluation(run, monkeypatch):
    config = evaluation.ClassifierConfig(filters=(4, 8), epochs=30, batch_size=32, learning_rate=1e-2)
    cached = evaluation.cached_features
    monkeypatch.setattr(evaluation, "cached_features", lambda *a, **k: cached(*a, **k, config=config))
    rows = run.evaluate(["box"], count=40, tradeoff=False)
    assert {row.features for row in rows} == {"classifier"}
    assert {row.faces for row in rows} == {None}, "none of the images shows one"
    with Image.open(run.path("pictures/evaluation/box.png")) as grid:
        assert grid.size == (8 * (22 + 2) - 2, 5 * (17 + 2) - 2)
    features = evaluation.load_classifier(run.path("features"))
    images, labels = run.labelled_images(run.config())
    assert features.skill(images, labels.values).mean() > 0.8
    from jaxlatent.run.evaluation import read_evaluation

    assert {grid.shape for grid in read_evaluation(run).grids.values()} == {(2 * 19 - 2, 8 * 24 - 2, 3)}


def test_pictures_and_report(run):
    run.sample(20)
    page = run.report()
    assert "22 × 17" in page.read_text(encoding="utf-8")
    for path in run.path("pictures").glob("*.png"):
        with Image.open(path) as picture:
            picture.verify()


def test_the_explorer_shows_grey_images_and_classes(run):
    space = open_run(run.folder).loaded()
    assert space.image_shape == SHAPE
    assert space.images(np.zeros(6, np.float32)).shape == (1, *SHAPE)
    assert space.gallery.images[[0, 3]].shape == (2, *SHAPE)
    assert sorted(space.attributes.names) == ["0", "1", "2"]
    assert "decoder" in page_text(space, run.model())


def test_images_and_latents_are_told_apart(run, tmp_path, capsys):
    data = run.config()["data"]
    for file in (data, str(run.path("latents.npy"))):
        with pytest.raises(SystemExit) as stop:
            main(["score", str(run.folder), file, "--rate", "0.05", "--out", str(tmp_path / "scores.csv")])
        assert stop.value.code == 0, capsys.readouterr().err
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert len(lines) == 1 + len(run.latents())


def test_the_default_network_of_images_is_theirs():
    images, _ = pictures(8, 2)
    training = jl.TrainConfig(epochs=1, batch_size=4)
    model, _ = jl.fit_autoencoder(jax.random.key(0), images[..., None], train=training)
    assert model.config == jl.AutoencoderConfig((17, 22), channels=1)
