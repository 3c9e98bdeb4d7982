"""What all commands have in common: the help, errors, the options that every one has."""

import json
import subprocess
import sys
import warnings

import pytest

from jaxlatent.cli import cli, main
from jaxlatent.cli.command import SECTIONS

NETWORK = {"image_size": [16, 20], "latent_dim": 5, "filters": [4, 8], "kernel_size": 4}
TRAINING = {"epochs": 1, "batch_size": 8, "gradient_clip": None, "mirror": None, "patience": None}


def call(*arguments):
    """Runs the command; gives its exit status."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def commands():
    return {name: cli.get_command(None, name) for name in cli.list_commands(None)}


def test_help_explains_every_option():
    for name, command in commands().items():
        assert command.name == name
        assert command.help, name
        for option in command.params:
            if option.param_type_name == "option":
                assert option.help, f"{name} {option.name}"
                assert option.required or option.is_flag or option.show_default, f"{name} {option.name}"


def test_help_names_every_command_in_one_whole_line(capsys):
    assert call("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    order = [line.split()[0] for line in lines if line.strip()]
    for section, described in SECTIONS.items():
        assert f"{section}:" in lines
        for name, (_, text) in described.items():
            assert any(line.split(maxsplit=1) == [name, text] for line in lines), name
    step = [order.index(name) for name in ("train", "encode", "fit", "sample", "report")]
    assert step == sorted(step)


def test_help_does_without_jax():
    code = (
        "import sys; sys.argv = ['jaxlatent', '--help']\n"
        "from jaxlatent.cli import main\n"
        "try: main()\n"
        "finally: assert not {'jax', 'numpy', 'matplotlib'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_unknown_command(capsys):
    assert call("trian") == 2
    assert "No such command 'trian'" in capsys.readouterr().err


@pytest.mark.parametrize("where", [("--debug", "fit"), ("fit", "--debug")])
def test_debug_shows_the_traceback(where, tmp_path, capsys):
    assert call(*where, tmp_path) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("jaxlatent: ")


@pytest.mark.parametrize("arguments", [(), ("train",), ("sample",), ("verify",)])
def test_version_anywhere(arguments, capsys):
    assert call(*arguments, "--version") == 0
    assert capsys.readouterr().out.startswith("jaxlatent 0.")


def test_a_number_out_of_range_is_a_mistake(monkeypatch, tmp_path, capsys):
    def fail(*_, **__):
        raise OverflowError("too large to convert")

    monkeypatch.setattr("jaxlatent.run.Run.fit", fail)
    assert call("fit", tmp_path) == 1
    assert capsys.readouterr().err == "jaxlatent: too large to convert\n"


def test_warnings_are_shown_as_before_once_the_command_is_done(tmp_path):
    with warnings.catch_warnings():
        before = warnings.showwarning
        assert call("fit", tmp_path) == 1
        assert warnings.showwarning is before


class TestConfig:
    """`--config`: options from a file."""

    def write(self, tmp_path, **held):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(held))
        return path

    def train(self, monkeypatch, *arguments):
        given = {}
        monkeypatch.setattr("jaxlatent.run.Run.train", lambda *args, **options: given.update(options, a=args))
        assert call("train", *arguments) == 0
        _, data, network, training = given["a"]
        return data, network, training, given["seed"], given["limit"]

    def test_a_runs_own(self, tmp_path, monkeypatch):
        noted = {"images": "0" * 64, "choice": 2, "versions": {"jax": "0.10"}}
        path = self.write(
            tmp_path, data="a", seed=7, limit=None, autoencoder=NETWORK, training=TRAINING, **noted
        )
        data, network, training, seed, limit = self.train(
            monkeypatch, "--config", path, "--out", tmp_path / "run"
        )
        assert (data, seed, limit) == ("a", 7, None)
        assert network == NETWORK | {"image_size": (16, 20), "filters": (4, 8)}
        assert training == {"epochs": 1, "batch_size": 8, "gradient_clip": None, "patience": None}

    def test_what_is_typed_and_the_commands_own_part_go_before(self, tmp_path, monkeypatch):
        path = self.write(tmp_path, data="a", seed=7, training=TRAINING, train={"seed": 8, "epochs": 2})
        _, _, training, seed, _ = self.train(
            monkeypatch, "--epochs", 3, "--config", path, "--out", tmp_path / "run"
        )
        assert (training["epochs"], seed) == (3, 8)

    def test_other_steps(self, tmp_path, monkeypatch):
        asked = {}
        monkeypatch.setattr(
            "jaxlatent.run.Run.sample", lambda _, count, **options: asked.update(options, n=count)
        )
        path = self.write(tmp_path, seed=7, training=TRAINING, sample={"count": 9, "components": [2, 3]})
        assert call("sample", tmp_path, "--config", path) == 0
        assert asked == {"n": 9, "components": (2, 3), "seed": 7, "sampler": None}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("seed: 3", "config.json is no JSON"),
            ("[1]", "config.json is no object of options"),
            ('{"training": 3}', "is no object of options"),
            ('{"sample": {"cuont": 3}}', "sample has no option cuont"),
            ('{"sample": {"count": "many"}}', "'many' is not a valid integer"),
        ],
    )
    def test_mistakes(self, text, words, tmp_path, capsys):
        path = tmp_path / "config.json"
        path.write_text(text)
        assert call("sample", tmp_path, "--config", path) == 2
        assert words in " ".join(capsys.readouterr().err.split())

    def test_every_command_has_it(self):
        for command in commands().values():
            assert {"config", "debug", "version"} <= {option.name for option in command.params}
