"""`jl.explore` on latents of any origin."""

import json
import logging
import subprocess
import sys
import types
import webbrowser

import jax
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.explorer import serve


@pytest.fixture
def explore():
    """As `jl.explore`, without a browser; what was opened is closed."""
    opened = []

    def call(*arguments, **options):
        opened.append(jl.explore(*arguments, **{"browser": False} | options))
        return opened[-1]

    yield call
    for each in opened:
        each.close()


def host_decode(z):
    """NumPy, grey."""
    return np.clip(np.asarray(z)[:, :4].reshape(-1, 2, 2, 1) / 10 + 0.5, 0, 1)


def test_latents_alone(explore, z, samplers, browse):
    explorer = explore(samplers["box"], z=z)
    info = json.loads(browse(explorer.url).send("GET", "/api/info")[2])
    assert (info["title"], info["image"], info["progress"]) == ("A latent space", None, "ready")
    assert [each["name"] for each in info["samplers"]] == ["BoxSampler"]
    assert isinstance(explorer, jl.Explorer)


def test_the_logs_of_the_process_are_left_alone(explore, z, samplers):
    closed, handler = [], logging.NullHandler()
    handler.close = lambda: closed.append(True)
    level = logging.getLogger().level
    explore(samplers["box"], z=z)
    assert not closed
    assert logging.getLogger().level == level
    assert not logging.getLogger("uvicorn").handlers


def test_everything(explore, z, samplers, labels, browse, unpack):
    images = np.linspace(0, 1, 400 * 2 * 2 * 3).reshape(400, 2, 2, 3)
    explorer = explore(
        {"a": samplers["pairwise"], "b": samplers["groups"]},
        host_decode,
        z=z,
        images=images,
        labels=labels,
        encode=lambda image: np.zeros((1, 6), np.float32),
        unseen=z[:30] + np.float32(1),
        title="Mine",
    )
    browser = browse(explorer.url)
    info = json.loads(browser.send("GET", "/api/info")[2])
    assert (info["title"], info["image"], info["encoder"], info["pictures"]) == (
        "Mine",
        [2, 2, 1],
        True,
        True,
    )
    assert [each["name"] for each in info["samplers"]] == ["a", "b"]
    assert sorted(each["name"] for each in info["attributes"]) == sorted(labels)
    header, arrays = unpack(browser.ask("neighbours", state="a.smile=1&inside=1"))
    assert header == {"comparedWith": "unseen images"}
    np.testing.assert_array_equal(arrays["images"], np.rint(255 * images).astype(np.uint8)[arrays["rows"]])
    _, arrays = unpack(browser.ask("face", state="sampler=b"))
    z0 = samplers["groups"].sample(jax.random.key(0), 1)
    np.testing.assert_array_equal(arrays["image"], np.rint(255 * host_decode(z0)).astype(np.uint8)[0])


@pytest.mark.parametrize(
    "state",
    [
        "",
        "seed=5&index=9",
        "seed=4294967296",
        "c1=0.123456789012345&inside=1",
        "image=3&a.50 %25 %26 more%3Döß=0.1",
        "fact=0.55",
    ],
)
def test_the_python_line_gives_the_same_bits(explore, z, samplers, labels, browse, unpack, state):
    """For one sampler, the variable `sampler`; for several, the explorer that they were given to."""
    names = {"jax": jax, "sampler": samplers["pairwise"]}
    for given in (samplers["pairwise"], {"x": samplers["groups"], "y": samplers["pairwise"]}):
        explorer = explore(given, z=z, labels=labels)
        asked = state if isinstance(given, jl.Sampler) else f"sampler=y&{state}"
        header, arrays = unpack(browse(explorer.url).ask("face", state=asked))
        line = header["again"]["python"]
        assert line.startswith(
            "sampler.sample("
            if given is samplers["pairwise"] and state in ("", "seed=5&index=9")
            else "explorer.space.vector("
        )
        found = np.asarray(eval(line, names | {"explorer": explorer})).reshape(-1)
        np.testing.assert_array_equal(found, arrays["vector"])


def test_the_page_in_a_notebook(explore, z, samplers, monkeypatch):
    explorer = explore(samplers["box"], z=z)
    html = explorer._repr_html_()
    assert html.startswith(f'<iframe src="{explorer.url}" ')
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    explore(samplers["box"], z=z, browser=None)
    assert opened == []
    monkeypatch.delitem(sys.modules, "ipykernel")
    assert not serve.in_notebook()
    outside = explore(samplers["box"], z=z, browser=None)
    asked = explore(samplers["box"], z=z, browser=True)
    assert opened == [outside.url, asked.url]


SCRIPT = """
import os, signal, threading
import numpy as np
import jaxlatent as jl

z = np.random.default_rng(0).standard_normal((400, 6)).astype(np.float32)
samplers = {"a": jl.PairwiseSampler.fit(z), "b": jl.ExactSampler.fit(z)}
explorer = jl.explore(samplers, lambda z: np.zeros((len(z), 2, 2, 3), np.uint8), z=z, browser=False)
explorer.space.seen.set()  # or what takes long would not begin at once
print(explorer.url)
"""
INTERRUPTED = """
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
explorer.wait()
"""


@pytest.mark.parametrize("end", ["", INTERRUPTED], ids=["its last line", "Ctrl-C"])
def test_a_script_ends_well(end):
    """Also while the other samplers are being compiled."""
    words = [sys.executable, "-c", SCRIPT + end]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("http://127.0.0.1:")


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(
    ("options", "kind", "line"),
    [
        ({"sampler": None}, TypeError, "sampler: expected one, or several by name, got NoneType"),
        ({"sampler": ["box"]}, TypeError, "sampler: expected one, or several by name, got list"),
        ({"sampler": {"a": "box"}}, TypeError, "sampler: expected a sampler, got str for 'a'"),
        ({"sampler": {}}, ValueError, "sampler: expected at least one"),
        ({"decode": 3}, TypeError, "decode: expected an Autoencoder or a function"),
        ({"z": np.zeros((400, 5), np.float32)}, ValueError, r"z: expected an array of shape \(n, 6\)"),
        ({"images": np.zeros((399, 2, 2, 3), np.uint8)}, ValueError, r"images: expected \(400, h, w, c\)"),
        ({"images": np.zeros((400, 2, 2), np.uint8)}, ValueError, r"images: expected \(400, h, w, c\)"),
        ({"images": np.zeros((400, 3, 8, 8), np.uint8)}, ValueError, r"images: expected \(400, h, w, c\)"),
        (
            {"images": np.zeros((400, 2, 2, 3), int)},
            TypeError,
            "images: expected uint8 or floating point in .*int64",
        ),
        ({"images": "folder"}, TypeError, "images: expected an array of real numbers"),
        ({"labels": np.zeros(5)}, ValueError, r"labels: expected \(400, m\)"),
        (
            {"unseen": np.zeros((9, 4), np.float32)},
            ValueError,
            r"unseen: expected an array of shape \(n, 6\), got \(9, 4\)",
        ),
        ({"unseen": np.zeros((0, 6), np.float32)}, ValueError, "unseen: expected at least 1 vector, got 0"),
        ({"port": 70_000}, ValueError, "port: expected at most 65535, got 70000"),
    ],
)
def test_refusals(explore, z, samplers, options, kind, line):
    given = {"sampler": samplers["box"], "z": z} | options
    with pytest.raises(kind, match=line):
        explore(given.pop("sampler"), **given)
