"""The command as a user meets it: on a tiny run, step by step, and with every kind of mistake."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape

import jax
import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent import report
from jaxlatent._files import lock
from jaxlatent.cli import console, main, steps
from jaxlatent.report import document
from jaxlatent.sampling import SAMPLERS

TINY = [
    "--image-size",
    "32",
    "--latent-dim",
    "6",
    "--filters",
    "4,4,8,8",
    "--epochs",
    "2",
    "--batch-size",
    "16",
]


FITTED = "pairwise:fact=0.9:half_width=sigma"


def fitted(folder, name=FITTED):
    return jl.load(folder / "samplers" / f"{name.replace(':', ',')}.npz")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npy"
    shades = np.random.default_rng(0).integers(0, 255, (60, 1, 1, 3), np.uint8)
    np.save(path, np.broadcast_to(shades, (60, 32, 32, 3)))
    return str(path)


@pytest.fixture
def undrawn(monkeypatch):
    """Saves the time of drawing the report's figures."""
    blank = {"src": "data:image/png;base64,", "width": 1, "height": 1}
    monkeypatch.setattr(document, "_embedded", lambda picture: blank)


def call(*arguments):
    """Runs the command; gives its exit status."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert call("train", "--data", data, "--out", folder, *TINY) == 0
    assert call("encode", folder) == 0
    assert call("fit", folder, "--sampler", FITTED) == 0
    assert call("sample", folder, "--components", "2,5", "--count", "70", "--seed", "3") == 0
    return folder


def test_train_leaves_config_history_and_pictures(run):
    config = json.loads((run / "config.json").read_text())
    assert config["autoencoder"]["filters"] == [4, 4, 8, 8]
    assert config["training"]["epochs"] == 2
    assert len((run / "training" / "history.csv").read_text().splitlines()) == 3
    for name in ("history", "reconstructions"):
        Image.open(run / "pictures" / f"{name}.png").verify()


def test_each_step_uses_the_one_before(run, data):
    z = np.load(run / "latents.npy")
    model = jl.load_model(run / "training" / "best")
    images = jl.load_images(data, image_size=32, split="train")
    np.testing.assert_array_equal(z[: len(images)], jl.encode(model, images))
    np.testing.assert_array_equal(z[len(images) :], jl.encode(model, images[:, :, ::-1]))
    sampler = fitted(run)
    np.testing.assert_allclose(
        sampler.body.semi_axes, 0.9 * np.sqrt(sampler.pca.explained_variance), rtol=1e-4
    )
    vectors = np.load(run / "samples" / "pairwise,fact=0.9,half_width=sigma-k5.npy")
    np.testing.assert_array_equal(vectors, sampler.keep(5).sample(jax.random.key(3), 70))
    assert np.load(run / "samples" / "pairwise,fact=0.9,half_width=sigma-k2.npy").shape == (70, 6)


# With one body, with many, without a frame: a report and a file for each kind. Files of every sampler are
# tested with `export`.
REPORTED = ["exact", "cluster-recombination", "box"]


@pytest.mark.parametrize(
    "spec", [name if name in REPORTED else pytest.param(name, marks=pytest.mark.slow) for name in SAMPLERS]
)
def test_every_sampler_is_fitted_once_and_used_by_all_steps(run, tmp_path, capsys, undrawn, spec):
    folder = shutil.copytree(run, tmp_path / "run")
    assert call("fit", folder, "--sampler", spec, "--name", "own") == 0
    assert call("sample", folder, "--count", 20, "--sampler", "own") == 0
    (drawn,) = folder.glob("samples/own-k*.npy")
    expected = np.asarray(fitted(folder, "own").sample(jax.random.key(0), 20))
    np.testing.assert_array_equal(np.load(drawn), expected)
    assert call("generate", folder, "--count", 5, "--outputs", "latents") == 0  # the one fitted last
    np.testing.assert_array_equal(jl.open_latents(folder / "generated")[:], expected[:5])
    if spec in REPORTED:
        assert call("export", folder, "--sampler", "own") == 0
        found = jl.load_exported(folder / "model.jlx").sample(jax.random.key(0), 5)
        np.testing.assert_allclose(found, expected[:5], atol=1e-5)
        assert call("report", folder, "--sampler", "own") == 0
        assert "sampler: own, " in (folder / "report" / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()


def test_the_default_sampler(run, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    assert call("fit", folder) == 0
    assert isinstance(fitted(folder, "cluster-recombination"), jl.ClusterRecombinationSampler)
    assert "fitted the sampler cluster-recombination: 6 components" in capsys.readouterr().err
    assert (folder / "samplers" / "last.txt").read_text() == "cluster-recombination"


def test_a_sampler_that_is_not_fitted(run, capsys):
    assert call("sample", run, "--sampler", "exact:density=normal") == 1
    said = capsys.readouterr().err
    assert f"has no 'exact:density=normal', it has {FITTED}" in said
    assert f"`jaxlatent fit {run} --sampler exact:density=normal`" in said
    assert call("sample", run, "--sampler", "smile") == 1
    assert "expected one of box, gaussian" in capsys.readouterr().err
    assert call("fit", run, "--sampler", "exact:order=permutation") == 1
    assert "sampler: exact has the options density, temperature" in capsys.readouterr().err
    assert call("fit", run, "--sampler", "exact", "--name", "a/b") == 1
    assert "name: expected letters, digits" in capsys.readouterr().err


def test_a_samplers_file_in_place_of_a_run(run, tmp_path, capsys):
    file = run / "samplers" / "pairwise,fact=0.9,half_width=sigma.npz"
    expected = np.asarray(fitted(run).sample(jax.random.key(4), 30))
    assert call("sample", file, "--count", 30, "--seed", 4, "--out", tmp_path / "new.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "new.npy"), expected)
    made = ["generate", file, "--count", 30, "--seed", 4, "--out", tmp_path / "out", "--shard-size", 8]
    assert call(*made, "--outputs", "latents") == 0
    np.testing.assert_array_equal(jl.open_latents(tmp_path / "out")[:], expected)
    (tmp_path / "out" / "latents-00001.npy").unlink()
    assert call("verify", tmp_path / "out", "--repair") == 0
    np.testing.assert_array_equal(jl.open_latents(tmp_path / "out")[:], expected)
    capsys.readouterr()
    for arguments, message in (
        (made, "a sampler's file has no decoder; ask for latents"),
        (["generate", file, "--count", 3, "--outputs", "latents"], "--out: name a folder"),
        (["sample", file], "name a .npy file with --out"),
        (["sample", run, "--out", tmp_path / "new.npy"], "--out: belongs to a sampler's file"),
    ):
        assert call(*arguments) == 2
        assert message in capsys.readouterr().err
    assert call("sample", file, "--out", tmp_path / "new.txt") == 1
    assert "ends in .npy" in capsys.readouterr().err
    assert call("sample", run / "latents.npy", "--out", tmp_path / "new.npy") == 1
    assert "cannot load it" in capsys.readouterr().err
    assert call("score", file, run / "latents.npy", "--sampler", "exact") == 1
    assert "is the file of one sampler" in capsys.readouterr().err


def test_pictures_of_samples(run):
    names = [
        "comparison",
        "pairwise,fact=0.9,half_width=sigma-k2",
        "pairwise,fact=0.9,half_width=sigma-k5",
        "naive-cube",
        "naive-ranges",
        "planes-pca",
        "planes-latent",
    ]
    for name in names:
        Image.open(run / "pictures" / f"{name}.png").verify()


def test_report(run, capsys):
    assert call("report", run) == 0
    assert "report.html" in capsys.readouterr().out
    text = (run / "report" / "report.html").read_text(encoding="utf-8")
    for words in (
        "The autoencoder keeps",
        "New images",
        "Traversals",
        "images.npy",
        "sampler: pairwise, fact 0.9, half width sigma, 6 components",
    ):
        assert words in text
    assert (run / "report" / "sweep.csv").exists()
    # Images come first.
    shown = re.findall("<figcaption>(.+)</figcaption>", text[: text.index('id="the-autoencoder"')])
    assert [unescape(caption) for caption in shown] == [
        "Training images",
        "Naive vectors, every latent coordinate uniform in [-1.5, 1.5]",
        "The source's method, inside every pair's ellipse: pairwise, fact 0.9, half width sigma",
    ]
    assert f"<code>jaxlatent explore {run}</code>" in text
    with (run / "report" / "new-images.csv").open(newline="", encoding="utf-8") as file:
        assert [line[0] for line in csv.reader(file)] == [
            "vectors",
            "Validation images, reconstructed",
            *(unescape(caption) for caption in shown[1:]),
        ]


def test_report_on_latents_alone(tmp_path, capsys, undrawn):
    z = np.random.default_rng(0).standard_normal((500, 4))
    np.save(tmp_path / "z.npy", z)
    assert call("report", "--latents", tmp_path / "z.npy", "--out", tmp_path / "out", "--seed", "5") == 0
    assert str(tmp_path / "out" / "report.html") in capsys.readouterr().out
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "The latents of z.npy" in text
    assert "What comes out" not in text
    sampler = jl.load(tmp_path / "out" / "sampler.npz")
    assert isinstance(sampler, jl.ClusterRecombinationSampler)
    assert sampler.sample(jax.random.key(0), 3).shape == (3, 4)
    named = ["--out", tmp_path / "out", "--sampler", "exact:density=normal"]
    assert call("report", "--latents", tmp_path / "z.npy", *named) == 0
    assert jl.load(tmp_path / "out" / "sampler.npz").density == "normal"


def test_sweep(run, capsys):
    assert call("sweep", run, "--components", "2,5", "--fact", "0.6,1", "--count", "50") == 0
    shown = capsys.readouterr().out
    lines = (run / "sweep.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["2", "0.6"],
        ["2", "1.0"],
        ["5", "0.6"],
        ["5", "1.0"],
    ]
    assert "fact" in shown
    Image.open(run / "pictures" / "sweep.png").verify()
    assert call("sweep", run, "--components", "7") == 1
    assert "components: expected numbers from 2 to 6, got 7" in capsys.readouterr().err


def test_log_has_the_figures(run):
    log = (run / "log.txt").read_text()
    for words in ("mean squared error", "encoded", "of the variance", "drew 70 vectors with 2 components"):
        assert words in log
    assert not list(run.rglob("*.tmp*"))


def test_resume(run, data, capsys):
    assert call("train", "--data", data, "--out", run, *TINY) == 1
    assert "--resume" in capsys.readouterr().err
    assert call("train", "--data", data, "--out", run, *TINY, "--resume") == 0
    assert call("train", "--data", data, "--out", run, *TINY, "--resume", "--seed", "9") == 1
    assert "seed: the training in" in capsys.readouterr().err
    assert call("train", "--out", run, "--resume") == 0
    assert call("train", "--out", run, "--resume", "--learning-rate", "0.5") == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "learning_rate: the training in" in said
    assert "now it is 0.5; leave out --learning-rate" in said
    assert "filters" not in said


def test_more_epochs_and_moved_data_go_on(run, data, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    moved = shutil.copy(data, tmp_path / "moved.npy")
    assert call("train", "--data", moved, "--out", folder, "--resume", "--epochs", "3") == 0
    assert len((folder / "training" / "history.csv").read_text().splitlines()) == 4
    assert json.loads((folder / "config.json").read_text())["data"] == str(moved)
    np.save(tmp_path / "moved.npy", 255 - np.load(data))
    assert call("train", "--out", folder, "--resume") == 1
    assert "moved.npy holds other images than those of the training" in capsys.readouterr().err


def test_a_preset_stands_for_options_and_gives_way_to_others(data, tmp_path):
    assert call("train", "--data", data, "--out", tmp_path / "run", *TINY, "--preset", "fast") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["autoencoder"]["kernel_size"] == 4
    assert config["training"] == jl.TrainConfig.preset("fast", epochs=2, batch_size=16).to_dict()


def test_restart_in_place(run, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    assert call("train", "--out", folder, "--restart", "--learning-rate", "0.002", "--epochs", "1") == 0
    config = json.loads((folder / "config.json").read_text())
    assert config["training"]["learning_rate"] == 0.002
    assert config["autoencoder"]["filters"] == [4, 4, 8, 8]
    assert len((folder / "training" / "history.csv").read_text().splitlines()) == 2
    assert call("sample", folder) == 1
    assert "latents.npy: was made with another model; run `jaxlatent encode" in capsys.readouterr().err


def test_a_diverged_training_says_how_to_begin_anew(data, tmp_path, capsys):
    out = tmp_path / "run"
    options = [*TINY, "--learning-rate", "1e30", "--gradient-clip", "none"]
    assert call("train", "--data", data, "--out", out, *options) == 1
    said = capsys.readouterr().err
    assert "begin anew with the same command and --learning-rate 3e+29" in said
    assert not out.exists()
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert call("train", "--data", data, "--out", out, *options) == 1
    assert sorted(path.name for path in out.iterdir() if path.name not in (".lock", "log.txt")) == [
        "notes.txt"
    ]


def test_two_trainings_in_one_folder(run, data, tmp_path, capsys):
    """In 0.1 the second one's config.json came to lie over the first one's weights."""
    folder = tmp_path / "run"
    folder.mkdir()
    before = sorted(run.rglob("*"))
    with lock(folder), lock(run):
        assert call("train", "--data", data, "--out", folder, *TINY) == 1
        assert "another process is writing to it" in capsys.readouterr().err
        assert call("train", "--out", run, "--restart") == 1
    assert not (folder / "config.json").exists()
    assert sorted(set(run.rglob("*")) - {run / ".lock"}) == sorted(set(before) - {run / ".lock"})


def test_tensorboard(data, tmp_path):
    pytest.importorskip("tensorboardX")
    assert call("train", "--data", data, "--out", tmp_path / "run", *TINY, "--tensorboard") == 0
    written = tmp_path / "run" / "training" / "tensorboard"
    assert list(written.iterdir())
    assert call("train", "--out", tmp_path / "run", "--restart", "--tensorboard", "--epochs", "1") == 0
    assert len(list(written.iterdir())) == 1
    failing = ["train", "--data", "no-such-folder", "--out", tmp_path / "none", "--tensorboard"]
    assert call(*failing) == 1
    assert not (tmp_path / "none").exists()


def test_resume_of_a_run_that_is_older_than_an_option(run, data, tmp_path):
    older = shutil.copytree(run, tmp_path / "older")
    config = json.loads((older / "config.json").read_text())
    del config["training"]["contrast_weight"]
    (older / "config.json").write_text(json.dumps(config))
    assert call("train", "--data", data, "--out", older, *TINY, "--resume") == 0


def test_steps_in_the_wrong_order_name_the_right_one(tmp_path, capsys):
    for step, needed in (
        ("encode", "train"),
        ("fit", "encode"),
        ("sample", "fit"),
        ("report", "fit"),
        ("sweep", "encode"),
    ):
        assert call(step, tmp_path) == 1
        assert f"run `jaxlatent {needed}`" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["train", "--data", "no-such-folder", "--out", "{tmp}/r"], 1, "no-such-folder"),
        (["train", "--data", "synthetic:0", "--out", "{tmp}/r"], 1, "synthetic:0"),
        (["train", "--data", "synthetic:9", "--out", "{tmp}/r", "--image-size", "8"], 1, "at least 16"),
        (["train", "--data", "synthetic:9", "--out", "{tmp}/r", "--image-size", "8,9"], 2, "HEIGHTxWIDTH"),
        (["train", "--data", "synthetic:9", "--out", "{tmp}/r", "--channels", "1"], 1, "squares in RGB"),
        (["train", "--data", "synthetic:9", "--out", "{tmp}/r", "--filters", "a,b"], 2, "whole numbers"),
        (["train", "--data", "synthetic:9", "--out", "{tmp}/r", "--patience", "x"], 2, "number or none"),
        (["train", "--out", "{tmp}/r"], 2, "--data"),
        (["encode", "{tmp}/absent"], 2, "does not exist"),
        (["sample", "{tmp}", "--count", "0"], 2, "--count"),
        (["fly"], 2, "fly"),
        (["report"], 2, "--latents"),
        (["report", "{tmp}", "--latents", "{tmp}/bad.npy", "--out", "{tmp}/r"], 2, "in place of a run"),
        (["report", "--latents", "{tmp}/bad.npy"], 2, "--out"),
        (["report", "--latents", "{tmp}/absent.npy", "--out", "{tmp}/r"], 2, "does not exist"),
        (["report", "--latents", "{tmp}/bad.npy", "--out", "{tmp}/r"], 1, "not a .npy or .npz file"),
        (["sweep", "{tmp}", "--fact", "0.6,x"], 2, "numbers between commas"),
        (["sample", "{tmp}", "--seed", "-1"], 2, "Invalid value for '--seed'"),
        (["report", "{tmp}", "--seed", "18446744073709551616"], 2, "Invalid value for '--seed'"),
    ],
)
def test_mistakes(arguments, status, words, tmp_path, capsys):
    (tmp_path / "bad.npy").write_bytes(b"not an array")
    assert call(*(argument.format(tmp=tmp_path) for argument in arguments)) == status
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    if status == 1:
        assert len(captured.err.strip().splitlines()) == 1


def test_too_many_components(run, capsys):
    assert call("fit", run, "--sampler", "exact:n_components=7") == 1
    assert "n_components: expected at most 6" in capsys.readouterr().err
    assert call("sample", run, "--components", "7") == 1
    assert "at most 6, got 7" in capsys.readouterr().err


def test_options_set_the_configuration(data, tmp_path):
    options = [
        "--norm",
        "group",
        "--activation",
        "elu",
        "--loss",
        "mse+ssim",
        "--no-mirror",
        "--kernel-size",
        "5",
    ]
    more = [
        "--gradient-clip",
        "none",
        "--patience",
        "3",
        "--epochs",
        "1",
        "--limit",
        "20",
        "--learning-rate",
        "0.01",
    ]
    assert call("train", "--data", data, "--out", tmp_path / "r", *TINY, *options, *more) == 0
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    training = {
        "loss": "mse+ssim",
        "mirror": False,
        "gradient_clip": None,
        "patience": 3,
        "learning_rate": 0.01,
    }
    assert (
        config["autoencoder"] | {"norm": "group", "activation": "elu", "kernel_size": 5}
        == config["autoencoder"]
    )
    assert config["training"] | training == config["training"]
    assert config["limit"] == 20


def test_installed_command():
    """The entry point, in a process of its own: usage errors are exit status 2."""
    code = "import sys; from jaxlatent.cli import main; sys.argv = ['jaxlatent', 'train']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--out" in done.stderr


@pytest.mark.parametrize("calls", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_demo(tmp_path, capsys, monkeypatch, calls):
    """The whole job on few faces; a second call finds the training finished and repeats the rest."""
    out = tmp_path / "demo"
    reported = []
    # Of the real one, only the sizes are others.
    network = {"image_size": 32, "filters": (4, 4, 8, 24)}
    monkeypatch.setattr(steps, "_DEMO_NETWORK", steps._DEMO_NETWORK | network)
    monkeypatch.setattr(
        report, "build", lambda folder, *_, **__: reported.append(folder) or folder / "a.html"
    )
    for _ in range(calls):
        assert call("demo", "--data", "synthetic:80", "--epochs", "1", "--out", out) == 0
        shown = capsys.readouterr().out
        assert f"Look at {out / 'report' / 'a.html'}; then move" in shown
        assert shown.endswith(f": jaxlatent explore {out}\n")
    assert reported == [out / "report"] * calls
    # 80 images and their mirror images vary in all 96 dimensions.
    names = ("pairwise,fact=0.7-k96", "cluster-recombination-k96")
    for folder, suffix in (("samples", ".npy"), ("pictures", ".png")):
        assert {out / folder / f"{name}{suffix}" for name in names} <= set((out / folder).iterdir())
    assert (out / "samplers" / "last.txt").read_text() == "cluster-recombination"


def test_the_command_as_it_is_typed_here(tmp_path, monkeypatch):
    """In `scripts/demo.sh`, whose environment is not active, and where it is."""
    script = tmp_path / ".venv" / "bin" / "jaxlatent"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["scripts/../.venv/bin/jaxlatent"])
    (tmp_path / "scripts").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert console.typed() == ".venv/bin/jaxlatent"
    monkeypatch.setenv("PATH", str(script.parent))
    assert console.typed() == "jaxlatent"
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert console.typed() == "jaxlatent"


class TestGenerate:
    @pytest.fixture
    def out(self, run, tmp_path):
        folder = tmp_path / "out"
        assert (
            call("generate", run, "--count", 30, "--out", folder, "--shard-size", 8, "--outputs", "both") == 0
        )
        return folder

    def test_records_of_the_run(self, run, out, capsys):
        sampler, model = fitted(run), jl.load_model(run / "training" / "best")
        z = jl.open_latents(out)[:]
        np.testing.assert_array_equal(z, sampler.sample(jax.random.key(0), 30))
        images = np.concatenate([np.load(path) for path in sorted(out.glob("images-*.npy"))])
        assert np.abs(images - np.asarray(jl.decode(model, z)) * 255).max() < 1.01
        again = ["--count", 30, "--out", out, "--shard-size", 8, "--outputs", "both"]
        assert call("generate", run, *again) == 0
        assert "30 records in 4 shards" in capsys.readouterr().out
        assert call("verify", out) == 0
        assert "all is well" in capsys.readouterr().out

    def test_the_default_folder_and_components(self, run):
        assert (
            call("generate", run, "--count", 3, "--components", 4, "--seed", 2, "--outputs", "latents") == 0
        )
        z = jl.open_latents(run / "generated")[:]
        expected = fitted(run).keep(4).sample(jax.random.key(2), 3)
        np.testing.assert_array_equal(z, expected)
        shutil.rmtree(run / "generated")

    def test_a_repair_does_not_fit_anew(self, run, tmp_path, capsys):
        """In 0.1 a sampler that was fitted again on another number of cores had another digest."""
        spec, out = "cluster-recombination:n_clusters=2:n_parents=2", tmp_path / "out"
        folder = shutil.copytree(run, tmp_path / "run")
        assert call("fit", folder, "--sampler", spec) == 0
        options = ["--count", 9, "--out", out, "--outputs", "latents"]  # the one fitted last
        assert call("generate", folder, *options) == 0
        expected = fitted(folder, spec).sample(jax.random.key(0), 9)
        np.testing.assert_array_equal(jl.open_latents(out)[:], expected)
        shard = next(out.glob("latents-*.npy"))
        before = shard.read_bytes()
        shard.unlink()
        assert call("fit", folder, "--sampler", "box") == 0
        assert call("verify", out, "--repair") == 0
        assert shard.read_bytes() == before
        capsys.readouterr()

    @pytest.mark.parametrize("format_name", ["webdataset", "png", "tfds", "npz"])
    def test_formats(self, run, tmp_path, format_name):
        assert call("generate", run, "--count", 5, "--out", tmp_path / "out", "--format", format_name) == 0
        assert call("verify", tmp_path / "out") == 0

    def test_damage_is_reported_and_repaired(self, out, capsys):
        before = (out / "images-00001.npy").read_bytes()
        (out / "images-00001.npy").write_bytes(before[:-1])
        assert call("verify", out) == 1
        said = capsys.readouterr()
        assert said.out.startswith("images-00001.npy: has")
        assert "1 problems; --repair" in said.err
        assert call("verify", out, "--repair") == 0
        assert (out / "images-00001.npy").read_bytes() == before
        assert call("verify", out) == 0

    def test_other_records_are_refused_in_one_line(self, run, out, capsys):
        for options in (["--count", 31], ["--count", 30, "--seed", 1], ["--count", 30, "--components", 2]):
            assert call("generate", run, "--out", out, "--outputs", "both", "--shard-size", 8, *options) == 1
            said = capsys.readouterr().err.strip().splitlines()
            assert len(said) == 1
            assert "now it is" in said[0]
        again = ["--out", out, "--outputs", "both", "--shard-size", 8, "--count", 31, "--force"]
        assert call("generate", run, *again) == 0
        assert (out.with_name("out.old-1") / "images-00001.npy").exists()

    def test_processes_are_told_together(self, run, tmp_path, capsys):
        assert call("generate", run, "--count", 3, "--out", tmp_path, "--num-processes", 2) == 1
        assert "belong together" in capsys.readouterr().err

    def test_a_folder_that_does_not_say_where_it_came_from(self, run, tmp_path, capsys):
        key = jax.random.key(0)
        jl.generate_to(tmp_path / "out", fitted(run), None, 3, key=key, outputs="latents")
        assert call("verify", tmp_path / "out", "--repair") == 2
        assert "name it with --run" in capsys.readouterr().err


def test_export_can_be_loaded(run, tmp_path, capsys):
    assert call("export", run, "--out", tmp_path / "model.jlx", "--components", 4) == 0
    loaded = jl.load_exported(tmp_path / "model.jlx")
    expected = fitted(run).keep(4).sample(jax.random.key(0), 10)
    np.testing.assert_array_equal(loaded.sample(jax.random.key(0), 10), expected)


class TestScore:
    def test_images_of_a_run(self, run, tmp_path, capsys):
        images = np.random.default_rng(1).integers(0, 255, (20, 32, 32, 3), np.uint8)
        np.save(tmp_path / "noise.npy", images)
        out = tmp_path / "scores.csv"
        assert call("score", run, tmp_path / "noise.npy", "--out", out, "--rate", "0.2") == 0
        lines = out.read_text().splitlines()
        assert lines[0] == "index,gauge,distance,outlier"
        assert [line.split(",")[0] for line in lines[1:]] == [str(i) for i in range(20)]
        count = sum(line.endswith(",1") for line in lines[1:])
        said = capsys.readouterr().out
        assert said.startswith(f"{count} of 20 are outliers: gauge above ")
        assert "for false alarms of 20 % at most" in said
        assert (
            call("score", run, tmp_path / "noise.npy", "--out", out, "--rate", "0.2", "--split", "train") == 0
        )
        tested = jl.load_images(tmp_path / "noise.npy", image_size=32, split="train")
        assert len(out.read_text().splitlines()) == 1 + len(tested) < 21
        assert call("score", run, run / "latents.npy", "--out", out, "--rate", "0.2", "--split", "test") == 1
        assert "split: " in capsys.readouterr().err

    def test_latents_of_a_run(self, run, tmp_path):
        z = np.load(run / "latents.npy")
        np.save(tmp_path / "z.npy", np.concatenate([z, z[:2] + 100]))
        out = tmp_path / "scores.csv"
        assert (
            call(
                "score",
                run,
                tmp_path / "z.npy",
                "--out",
                out,
                "--calibration",
                run / "latents.npy",
                "--rate",
                "0.1",
            )
            == 0
        )
        decided = [line.rsplit(",", 1)[1] for line in out.read_text().splitlines()[1:]]
        assert decided[-2:] == ["1", "1"]
        assert decided.count("1") <= 2 + 0.1 * len(z)

    def test_a_sampler_file(self, tmp_path, capsys):
        z = np.random.default_rng(0).normal(size=(400, 2, 2, 3)).astype(np.float32)
        np.save(tmp_path / "train.npy", z)
        np.save(tmp_path / "new.npy", 3 * z[:50])
        jl.save(tmp_path / "s.npz", jl.GaussianSampler.fit(z[:200]))
        jl.save(tmp_path / "pca.npz", jl.PCA.fit(z))
        asked = ["score", tmp_path / "s.npz", tmp_path / "new.npy", "--out", tmp_path / "scores.csv"]
        assert call(*asked, "--calibration", tmp_path / "train.npy", "--by", "log_prob") == 0
        assert "50 of 50 are outliers: log_prob below" in capsys.readouterr().out
        assert (tmp_path / "scores.csv").read_text().startswith("index,log_prob,distance,outlier\n0,-")
        for arguments, message in [
            (asked, "calibration: a sampler's file has no vectors"),
            ([*asked, "--calibration", tmp_path / "none.npy"], "none.npy"),
            ([*asked, "--calibration", tmp_path / "train.npy", "--rate", "0.001"], "at least 999 vectors"),
            ([*asked, "--calibration", tmp_path / "train.npy", "--by", "gauge"], "has no gauge"),
            (["score", tmp_path / "pca.npz", tmp_path / "new.npy"], "expected a sampler, or a run folder"),
        ]:
            assert call(*arguments) == 1
            assert message in capsys.readouterr().err
        np.save(tmp_path / "narrow.npy", z.reshape(400, 12)[:, :5])
        assert call(*asked, "--calibration", tmp_path / "narrow.npy") == 1
        assert "narrow.npy: expected an array of shape (n, 12), got (400, 5)" in capsys.readouterr().err


def test_cache(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAXLATENT_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("JAXLATENT_CACHE_GB", "7.5")
    np.save(tmp_path / "wide.npy", np.zeros((5, 9, 12, 3), np.uint8))
    jl.load_images(tmp_path / "wide.npy", image_size=4, limit=2)
    assert call("cache") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"{tmp_path}/wide.npy: 2 of 5 images, 4 x 4 pixels, RGB")
    assert lines[1].endswith(f"MB of at most 7.5 GB in {tmp_path}/c; --clear removes all")
    assert call("cache", "--clear") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f" MB from {tmp_path}/c")
    assert call("cache") == 0
    assert capsys.readouterr().out.startswith("0.0 MB of at most 7.5 GB")


def test_planes_show_the_same_in_whatever_order_components_are_asked_for(run, monkeypatch):
    shown = []
    monkeypatch.setattr("jaxlatent.report.plot_component_planes", lambda *args: shown.append(args) or 1 / 0)
    for components in ("2,5", "5,2"):
        assert call("sample", run, "--components", components, "--count", 3) == 1
    (_, new, pca, body), (_, again, *_) = shown
    assert (pca.n_components, body.semi_axes.size) == (6, 6)
    np.testing.assert_array_equal(new, again)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_run_that_may_only_be_read(run, tmp_path, undrawn):
    folder = shutil.copytree(run, tmp_path / "run")
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        assert call("report", folder, "--out", tmp_path / "report") == 0
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
    assert (tmp_path / "report" / "report.html").exists()


def test_a_log_that_cannot_be_written(run, tmp_path, undrawn):
    """As above, also for root: nothing can be appended to a folder."""
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "log.txt").unlink()
    (folder / "log.txt").mkdir()
    assert call("report", folder, "--out", tmp_path / "report") == 0


def test_moved_data(run, data, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    shutil.copy(data, tmp_path / "elsewhere.npy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"data": str(tmp_path / "gone.npy")}))
    assert call("encode", folder) == 1
    assert "say where to with --data" in capsys.readouterr().err
    assert call("encode", folder, "--data", tmp_path / "elsewhere.npy") == 0
    assert call("encode", folder) == 0


def test_settings_of_a_users_plots_do_no_harm(run, tmp_path):
    """A notebook's backend, which need not be installed here, and text set by a LaTeX that is not."""
    settings = tmp_path / "matplotlibrc"
    settings.write_text("text.usetex: True\nfigure.figsize: 1, 1\n")
    folder = shutil.copytree(run, tmp_path / "run")
    code = "import sys; from jaxlatent.cli import main; main(sys.argv[1:])"
    environment = os.environ | {
        "MPLBACKEND": "module://a_backend_that.is_not_installed",
        "MATPLOTLIBRC": str(settings),
        "PATH": "/nowhere",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, "sample", str(folder), "--count", "9"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    sizes = []
    for path in (folder, run):
        with Image.open(path / "pictures" / "planes-pca.png") as picture:
            sizes.append(picture.size)
    assert sizes[0] == sizes[1]
