"""`jaxlatent make`: from images, or latents of any model, to new ones."""

import json
from functools import partial

import jax
import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent._progress import Speed
from jaxlatent.cli import main
from jaxlatent.cli.make import folder_name
from jaxlatent.generation.foreign import OnnxDecoder, load_decoder
from jaxlatent.run import make as making

TINY = ["--image-size", 16, "--latent-dim", 6, "--filters", "4,8", "--count", 12]


def call(*arguments):
    """Runs the command; gives its exit status."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "photos"
    folder.mkdir()
    for i, image in enumerate(jl.load_images("synthetic:60", image_size=16, split="train")):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def few_epochs(monkeypatch):
    monkeypatch.setattr(making, "SHOWN", 100)


@pytest.fixture
def undrawn(monkeypatch):
    """Neither the pictures of `sample` nor a report."""
    monkeypatch.setattr("jaxlatent.run.Run.sample", lambda *_, **__: None)
    monkeypatch.setattr("jaxlatent.run.Run.report", lambda run, **__: run.path("report/report.html"))


def pictures(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "images").glob("*/*.png"))}


class TestImages:
    """From images."""

    def test_everything_is_made_and_once_only(
        self, photos, tmp_path, monkeypatch, capsys, few_epochs, request
    ):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("jaxlatent.autoencoder.train.Speed", partial(Speed, after=0.0))
        assert call("make", photos, *TINY) == 0
        said, run = capsys.readouterr(), tmp_path / "runs" / "photos"
        n = len(jl.load_images(str(photos), split="train"))
        assert f"the z-points of {n} images" in said.err
        assert "in all, an estimate" in said.err
        assert "12 new images are in runs/photos/images" in said.out
        assert "explore runs/photos" in said.out
        made = pictures(run)
        assert len(made) == 12
        for part in (
            "latents.npy",
            "report/report.html",
            "samplers",
            "training/best",
            "pictures/comparison.png",
        ):
            assert (run / part).exists(), part
        training = json.loads((run / "config.json").read_text())["training"]
        assert training["epochs"] == -(-100 // n)
        assert training["init"] == "pca"  # of the preset
        request.getfixturevalue("undrawn")
        begun = (run / "training" / "history.csv").stat().st_mtime_ns
        assert call("make", photos, *TINY) == 0
        assert (run / "training" / "history.csv").stat().st_mtime_ns == begun
        assert pictures(run) == made
        drawn = jl.Run(run).sampler("cluster-recombination").sample(jax.random.key(0), 12)
        images = np.asarray(jl.decode(jl.Run(run).model(), drawn))
        first = np.asarray(Image.open(sorted((run / "images").glob("*/*.png"))[0]))
        np.testing.assert_allclose(first, 255 * images[0], atol=0.51)

    def test_images_are_repaired_by_a_sampler_that_was_written_in_another_way(
        self, photos, tmp_path, few_epochs, undrawn
    ):
        run = tmp_path / "run"
        asked = ("make", photos, "--out", run, *TINY, "--epochs", 1, "--sampler", "gaussian:temperature=.80")
        assert call(*asked) == 0
        made = pictures(run)
        next((run / "images").glob("*/*.png")).unlink()
        assert call("verify", run / "images", "--repair") == 0
        assert pictures(run) == made

    def test_options_of_the_training(self, photos, tmp_path, monkeypatch):
        given = {}
        monkeypatch.setattr(
            "jaxlatent.run.Run.train", lambda *args, **options: given.update(a=args, **options)
        )
        monkeypatch.setattr("jaxlatent.run.Run.encode", lambda _: 1 / 0)
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"training": {"patience": 2}, "make": {"preset": "sharp", "limit": 20}}))
        arguments = ("make", photos, "--out", tmp_path / "run", "--config", config, *TINY)
        assert call(*arguments, "--epochs", 4, "--loss", "mse") == 1
        _, _, network, training = given["a"]
        assert network == {"kernel_size": 4, "image_size": 16, "latent_dim": 6, "filters": (4, 8)}
        assert training["epochs"] == 4
        assert training["loss"] == "mse"
        assert training["patience"] == 2
        assert given["limit"] == 20
        assert call(*arguments) == 1
        assert given["a"][3]["epochs"] == 3 * 18_000 // 20

    def test_another_training_is_refused_and_other_images_set_aside(
        self, photos, tmp_path, few_epochs, undrawn, capsys
    ):
        assert call("make", photos, "--out", tmp_path / "run", *TINY, "--epochs", 1) == 0
        capsys.readouterr()
        assert call("make", photos, "--out", tmp_path / "run", *TINY, "--epochs", 1, "--latent-dim", 5) == 1
        assert "latent_dim: the training in" in capsys.readouterr().err
        assert call("make", photos, "--out", tmp_path / "run", *TINY, "--epochs", 1, "--count", 9) == 0
        assert "the old folder is now" in capsys.readouterr().err
        assert len(pictures(tmp_path / "run")) == 9
        assert len(list((tmp_path / "run" / "images.old-1").glob("*/*.png"))) == 12

    def test_nothing_is_left_where_there_are_no_images(self, tmp_path, capsys):
        assert call("make", tmp_path / "none", "--out", tmp_path / "run") == 1
        assert not (tmp_path / "run").exists()
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.fixture(scope="module")
def latents(tmp_path_factory):
    path = tmp_path_factory.mktemp("latents") / "z.npy"
    np.save(path, np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32))
    return path


def test_vectors_of_latents(latents, tmp_path):
    assert call("make", latents, "--out", tmp_path, "--count", 20, "--sampler", "gaussian", "--seed", 3) == 0
    sampler = jl.GaussianSampler.fit(np.load(latents))
    new = jl.open_latents(tmp_path / "vectors")[:]
    np.testing.assert_allclose(new, sampler.sample(jax.random.key(3), 20), atol=1e-5)
    assert (tmp_path / "report.html").exists()
    assert isinstance(jl.load(tmp_path / "sampler.npz"), jl.GaussianSampler)
    next((tmp_path / "vectors").glob("latents-*.npy")).unlink()
    assert call("verify", tmp_path / "vectors", "--repair") == 0
    np.testing.assert_array_equal(jl.open_latents(tmp_path / "vectors")[:], new)


def onnx_decoder(path, channels_last=False, batch="b"):
    """Images of 2 x 3 pixels and a channel that are the sigmoid of 6 linear functions of 4 numbers."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    shape = [-1, 2, 3, 1] if channels_last else [-1, 1, 2, 3]
    nodes = [
        helper.make_node("MatMul", ["z", "weight"], ["linear"]),
        helper.make_node("Sigmoid", ["linear"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["images"]),
    ]
    graph = helper.make_graph(
        nodes,
        "decoder",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, *shape[1:]])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.array(shape), "shape")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return lambda z: 1 / (1 + np.exp(-(np.asarray(z) @ weight).reshape(-1, 2, 3, 1)))


class TestDecoder:
    """`--decoder`."""

    @pytest.mark.parametrize("channels_last", [False, True])
    def test_onnx(self, latents, tmp_path, channels_last):
        expected = onnx_decoder(tmp_path / "d.onnx", channels_last)
        z = np.load(latents)[:5]
        np.testing.assert_allclose(load_decoder(tmp_path / "d.onnx")(z), expected(z), atol=1e-6)
        out = tmp_path / "out"
        asked = ("make", latents, "--out", out, "--count", 7, "--sampler", "gaussian")
        assert call(*asked, "--decoder", tmp_path / "d.onnx") == 0
        made = [np.asarray(Image.open(path)) for path in sorted((out / "images").glob("*/*.png"))]
        images = expected(jl.GaussianSampler.fit(np.load(latents)).sample(jax.random.key(0), 7))
        np.testing.assert_allclose(made, 255 * images[..., 0], atol=0.51)

    def test_another_onnx_file_is_another_decoder(self, tmp_path):
        onnx_decoder(tmp_path / "a.onnx")
        onnx_decoder(tmp_path / "b.onnx", channels_last=True)
        assert OnnxDecoder(tmp_path / "a.onnx").digest != OnnxDecoder(tmp_path / "b.onnx").digest

    def test_jlx(self, latents, tmp_path):
        def decode(z):
            return jax.nn.sigmoid(z).reshape(-1, 2, 2, 1)

        sampler = jl.GaussianSampler.fit(np.load(latents))
        jl.export(tmp_path / "d.jlx", sampler, decode, platforms=["cpu"])
        out = tmp_path / "out"
        asked = ("make", latents, "--out", out, "--count", 7, "--sampler", "gaussian")
        assert call(*asked, "--decoder", tmp_path / "d.jlx") == 0
        made = [np.asarray(Image.open(path)) for path in sorted((out / "images").glob("*/*.png"))]
        expected = decode(sampler.sample(jax.random.key(0), 7))
        np.testing.assert_allclose(made, 255 * np.asarray(expected)[..., 0], atol=0.51)

    def test_files_that_are_none(self, tmp_path):
        (tmp_path / "d.onnx").write_bytes(b"nothing")
        with pytest.raises(ValueError, match=r"d\.onnx: ONNX Runtime cannot read it"):
            load_decoder(tmp_path / "d.onnx")
        with pytest.raises(ValueError, match=r"expected a \.jlx or \.onnx file, got .*d\.pt"):
            load_decoder(tmp_path / "d.pt")
        with pytest.raises(FileNotFoundError):
            load_decoder(tmp_path / "none.onnx")

    def test_onnx_runtime_is_missing(self, tmp_path, monkeypatch):
        onnx_decoder(tmp_path / "d.onnx")
        monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
        with pytest.raises(ImportError, match=r"pip install \"jaxlatent\[onnx\]\""):
            load_decoder(tmp_path / "d.onnx")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{z}", "--preset", "sharp"), "--preset: is for images"),
        (("{z}", "--limit", "3"), "--limit: is for images"),
        (("{z}", "--epochs", "3"), "--epochs: is for images"),
        (("synthetic:9", "--decoder", "{z}"), "--decoder: is for latents"),
    ],
)
def test_options_of_the_other_kind(arguments, words, latents, tmp_path, capsys):
    given = [argument.format(z=latents) for argument in arguments]
    assert call("make", *given, "--out", tmp_path / "run") == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_names_of_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "cats.zip").write_bytes(b"")
    found = [folder_name(source) for source in ("photos/", ".", "cats.zip", "celeba:data", "synthetic:100")]
    assert found == ["photos", tmp_path.name, "cats", "celeba", "synthetic-100"]
