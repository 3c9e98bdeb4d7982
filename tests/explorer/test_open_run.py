"""The explorer on a run folder, and the command."""

import json
import logging
import shlex
import shutil
import socket
import webbrowser

import jax
import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent.cli import main
from jaxlatent.explorer import Explorer, Recipe, open_latents, open_run

NAMES = ["pairwise:fact=0.7", "cluster-recombination:n_clusters=2", "naive box"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on procedural faces, which have labels, in a folder with a quote in its name."""
    run = jl.Run(tmp_path_factory.mktemp("runs") / "it's a run")
    config = jl.AutoencoderConfig(image_size=32, latent_dim=6, filters=(4, 4, 8, 8))
    run.train("synthetic:100", config, jl.TrainConfig(epochs=1, batch_size=16))
    run.encode()
    for name in reversed(NAMES[:2]):
        run.fit(name)
    return run


@pytest.fixture(scope="module")
def opened(made):
    return open_run(made.folder).loaded()


@pytest.fixture
def served(monkeypatch):
    """What the command would serve until Ctrl-C, and the addresses that it opened."""
    shown, addresses = [], []

    def wait(explorer):
        shown.append(explorer)
        explorer.close()

    monkeypatch.setattr(Explorer, "wait", wait)
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return shown, addresses


def call(*arguments):
    """Runs the command; gives its exit status."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def test_all_samplers_and_the_naive_box(opened, made):
    assert list(opened.samplers) == NAMES
    assert opened.title == "it's a run"
    assert opened.z.shape == (200, 6)  # of 100 images and their mirror images
    assert opened.samplers["naive box"].high.tolist() == [1.5] * 6
    np.testing.assert_array_equal(
        opened.vector("index=3"), made.sampler(NAMES[0]).sample(jax.random.key(0), 1, start=3)[0]
    )
    assert list(open_run(made, NAMES[1]).samplers) == [NAMES[1], NAMES[0], NAMES[2]]


def test_its_images_labels_and_autoencoder(opened, made):
    assert opened.progress == "ready"
    images, labels = jl.load_labelled("synthetic:100", image_size=32, split="train")
    np.testing.assert_array_equal(opened.gallery.images[:100], images)
    np.testing.assert_array_equal(opened.gallery.images[100:], images[:, :, ::-1])
    assert set(opened.attributes.names) <= set(labels.names)
    assert "smile" in opened.attributes.names
    assert opened.gallery.compared_with == "unseen images"
    z = opened.vector("image=4")
    np.testing.assert_allclose(opened.encoded(images[4]), z, atol=1e-4)
    expected = np.rint(255 * np.asarray(jl.decode(made.model(), z[None]))[0])
    assert np.abs(opened.images(z)[0] - expected).max() <= 1


STATES = [
    "",
    "sampler=naive%20box&index=2",
    "seed=18446744073709551615",
    f"sampler={NAMES[0]}&fact=1.3&components=4&z2=1e-7",
    "image=7&c1=0.123456789&a.smile=0.5&inside=1",
]


@pytest.mark.parametrize("state", STATES)
def test_the_python_line_gives_the_same_bits(opened, state):
    found = eval(opened.again(Recipe.parse(state))["python"], {"jl": jl, "jax": jax})
    np.testing.assert_array_equal(np.asarray(found).reshape(-1), opened.vector(state))


def test_the_python_line_where_another_sampler_comes_first(made):
    """It names the sampler, which is another one where the folder is opened again."""
    first = open_run(made, NAMES[1])
    for state in ("seed=3&index=5", "c1=1"):
        found = eval(first.again(Recipe.parse(state))["python"], {"jl": jl, "jax": jax})
        np.testing.assert_array_equal(np.asarray(found).reshape(-1), first.vector(state))
        assert (found != open_run(made).vector(state)).any()


@pytest.mark.parametrize("state", ["", STATES[-1]])
def test_the_command_gives_the_same_bits(opened, state, tmp_path, capsys):
    words = shlex.split(opened.again(Recipe.parse(state))["command"])
    assert words[0] == "jaxlatent"
    out, expected = tmp_path / words.pop(), opened.vector(state)
    assert call(*words[1:], out) == 0
    np.testing.assert_array_equal(np.load(out.with_suffix(".npy")), expected[None])
    np.testing.assert_array_equal(np.asarray(Image.open(out)), opened.images(expected)[0])
    assert capsys.readouterr().out == f"Wrote {out} and {out.with_suffix('.npy')}.\n"


def test_a_file_of_latents_alone(z, tmp_path, served, capsys):
    path = tmp_path / "it's z.npy"
    np.save(path, z)
    space = open_latents(path, "pairwise:fact=0.7")
    assert list(space.samplers) == ["pairwise:fact=0.7", "naive box"]
    assert space.title == "it's z.npy"
    for state in ("index=4", "sampler=naive%20box&c1=1&inside=1"):
        found = eval(space.again(Recipe.parse(state))["python"], {"jl": jl})
        np.testing.assert_array_equal(found, space.vector(state))
    assert call("explore", "--latents", path, "--sampler", "pairwise:fact=0.7", "--no-browser") == 0
    assert list(served[0][0].space.samplers) == list(space.samplers)
    for options, line in (
        ((), "give a run folder, or a file of latents"),
        ((tmp_path, "--latents", path), "give a run folder, or a file of latents"),
        (("--latents", path, "--out", tmp_path / "a.png"), "latents alone have no decoder"),
    ):
        assert call("explore", *options) == 2
        assert line in capsys.readouterr().err


def test_a_stale_sampler_is_left_out_with_a_warning(made, tmp_path, caplog):
    run = jl.Run(shutil.copytree(made.folder, tmp_path / "run"))
    run.fit("gaussian")
    with (run.folder / "samplers" / f"{NAMES[0].replace(':', ',')}.npz").open("ab") as file:
        file.write(b"x")
    with caplog.at_level(logging.WARNING, "jaxlatent"):
        space = open_run(run)
    assert list(space.samplers) == ["gaussian", NAMES[1], "naive box"]
    (record,) = (each for each in caplog.records if each.levelno == logging.WARNING)
    assert record.getMessage().startswith("a sampler is left out: ")
    assert "was changed after it was made; run `jaxlatent fit" in record.getMessage()
    with pytest.raises(ValueError, match="was changed after it was made"):
        open_run(run, NAMES[0])


def test_images_that_are_others_now(made, tmp_path):
    run = jl.Run(shutil.copytree(made.folder, tmp_path / "run"))
    config = run.config()
    config["data"] = "synthetic:100@5"
    run.path("config.json").write_text(json.dumps(config))
    space = open_run(run)
    with pytest.raises(ValueError, match="holds other images than those of the training in"):
        space.loaded()
    assert space.progress.startswith("images: data: synthetic:100@5 holds other images")
    assert space.vector("c1=1").shape == (6,)


def test_steps_that_are_lacking(made, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"jaxlatent fit"):
        open_run(tmp_path)
    with pytest.raises(ValueError, match=r"has no 'exact', it has .*; fit it with"):
        open_run(made, "exact")


def test_the_command_serves_and_opens_the_state(made, served, capsys):
    shown, addresses = served
    state = "sampler=naive%20box&index=2&v.tab=map"
    assert call("explore", made.folder, "--state", f"#{state}") == 0
    assert addresses == [f"{shown[0].url}#{state}"]
    assert capsys.readouterr().out == f"Exploring {made.folder} at {addresses[0]} (Ctrl-C ends it).\n"
    assert call("explore", made.folder, "--no-browser", "--sampler", NAMES[1]) == 0
    assert len(addresses) == 1
    assert next(iter(shown[1].space.samplers)) == NAMES[1]
    assert call("explore", made.folder, "--host", "0.0.0.0", "--no-browser") == 0
    assert "/?token=" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        (["--state", "x=1"], 1, "jaxlatent: state: 'x' is not known"),
        (["--state", "c1=nan", "--out", "{tmp}/a.png"], 1, "jaxlatent: state: c1: expected a number"),
        (["--state", "sampler=none"], 1, "jaxlatent: state: there is no sampler 'none'; there are pairwise"),
        (["--state", "edge=1"], 1, "jaxlatent: state: edge: this sampler has no such dial; it has fact"),
        (
            ["--state", "a.none=1", "--out", "{tmp}/a.png"],
            1,
            "jaxlatent: state: there is no attribute 'none' here",
        ),
        (["--out", "{tmp}/a.jpg"], 1, "expected a name that ends in .png, got"),
        (["--sampler", "none"], 1, "jaxlatent: sampler: "),
        (["--static", "{tmp}/a.html", "--out", "{tmp}/a.png"], 2, "--static, --out: each ends the command"),
        (["--port", "65536"], 2, "65536 is not in the range"),
        (["--port", "{busy}"], 1, "jaxlatent: explorer: "),
        (["--host", "203.0.113.9"], 1, "choose another host or port"),
    ],
)
def test_mistakes_of_the_command(made, served, tmp_path, capsys, options, status, line):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        filled = [each.format(tmp=tmp_path, busy=busy.getsockname()[1]) for each in options]
        assert call("explore", made.folder, *filled) == status
    error = capsys.readouterr().err
    assert line in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())
    assert served == ([], [])


def test_the_command_on_no_run(tmp_path, capsys):
    assert call("explore", tmp_path) == 1
    assert "run `jaxlatent fit` on this folder first" in capsys.readouterr().err
