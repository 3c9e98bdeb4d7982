"""Whatever is asked of the server, it answers 400 and one line where it cannot answer the question."""

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxlatent.explorer import Recipe

WRONG = [
    ("face", {}, "state: expected text, got NoneType"),
    ("face", {"state": 3}, "state: expected text, got int"),
    ("face", {"state": ["seed=1"]}, "state: expected text, got list"),
    ("face", {"state": "a.\ud800=x"}, "state: a.\\ud800: expected a number, got 'x'"),
    ("face", {"state": "a.\ud800=1"}, "state: there is no attribute '\\ud800' here"),
    ("face", {"state": "sampler=\ud800"}, "state: there is no sampler '\\ud800'; there are"),
    ("face", {"state": "c1=" + "9" * 4000}, "state: c1: expected a number, got '9999"),
    ("face", {"state": "image=400"}, "state: image: expected at most 399, got 400"),
    ("faces", {}, "states: expected a list of 1 to 100"),
    ("faces", {"states": []}, "states: expected a list of 1 to 100"),
    ("faces", {"states": [""] * 101}, "states: expected a list of 1 to 100"),
    ("faces", {"states": "seed=1"}, "states: expected a list of 1 to 100"),
    ("faces", {"states": {"0": ""}}, "states: expected a list of 1 to 100"),
    ("faces", {"states": ["", None]}, "state: expected text, got NoneType"),
    (
        "faces",
        {"states": [""], "way": "linear", "count": 3},
        "way: expected linear or spherical, between two states",
    ),
    ("faces", {"states": ["", ""], "way": ["linear"], "count": 3}, "way: expected linear or spherical"),
    ("faces", {"states": ["", ""], "way": "linear"}, "count: expected an integer, got None"),
    ("faces", {"states": ["", ""], "way": "linear", "count": 1}, "count: expected at least 2, got 1"),
    ("faces", {"states": ["", ""], "way": "linear", "count": 101}, "count: expected at most 100, got 101"),
    ("faces", {"states": ["", ""], "way": "linear", "count": 1e99}, "count: expected an integer, got 1e+99"),
    ("faces", {"states": ["", ""], "way": "linear", "count": True}, "count: expected an integer, got True"),
    ("animation", {"states": [""]}, "frames: expected at least 2, got 1"),
    ("animation", {"states": ["", ""], "format": "png"}, "format: expected one of gif, webp, got 'png'"),
    ("animation", {"states": ["", ""], "format": None}, "format: expected one of gif, webp, got None"),
    ("plane", {}, "i: expected an integer, got None"),
    (
        "plane",
        {"kind": "x", "i": 1, "j": 2},
        "plane: expected one of components, coordinates, attributes, got 'x'",
    ),
    ("plane", {"kind": ["components"], "i": 1, "j": 2}, "plane: expected one of"),
    ("plane", {"kind": "components", "i": 0, "j": 2}, "i: expected at least 1, got 0"),
    ("plane", {"kind": "components", "i": 1, "j": 7}, "plane: expected two different components from 1 to 6"),
    ("plane", {"kind": "components", "i": 1, "j": 10**400}, "plane: expected two different components"),
    (
        "plane",
        {"kind": "components", "i": 1, "j": 2, "count": 2001},
        "count: expected at most 2000, got 2001",
    ),
    ("plane", {"kind": "components", "i": 1, "j": 2, "state": 4}, "state: expected text, got int"),
    ("neighbours", {"state": "", "count": 25}, "count: expected at most 24, got 25"),
    ("neighbours", {"state": "", "count": "6"}, "count: expected an integer, got '6'"),
    ("neighbours", {"count": 2}, "state: expected text, got NoneType"),
]


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(("name", "question", "line"), WRONG)
def test_mistakes_are_said_in_one_line(browser, name, question, line):
    status, found = browser.ask(name, **question)
    assert status == 400
    assert found.startswith(line)
    assert len(found) <= 500
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize("rows", [None, [], "1", [400], [-1], [1.5], [None], [True], [[1]], [0] * 101])
def test_rows_that_are_none(pictured, rows):
    status, line = pictured[0].ask("pictures", rows=rows)
    assert status == 400
    assert line.startswith("rows: expected ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"3",
        b'"x"',
        b"\xff\xfe",
        b"\0",
        b"{'state': ''}",
        b'{"state": ""} x',
        b"[" * 100_000,
        b'{"state":' * 20_000,
        b'{"state":' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:9]),
)
def test_what_is_no_json_object(browser, body):
    for name in ("face", "faces", "plane", "neighbours", "pictures", "animation"):
        status, _, found = browser.send("POST", f"/api/{name}", body)
        assert status == 400
        assert json.loads(found) == {"error": "request: expected a JSON object"}


@pytest.mark.parametrize("depth", [100, 300, 600, 900])
def test_values_that_are_nested_deeply(browser, depth):
    nested = "[" * depth + "]" * depth
    for name, field in (
        ("face", "state"),
        ("plane", "i"),
        ("neighbours", "count"),
        ("faces", "states"),
        ("animation", "format"),
    ):
        status, _, found = browser.send(
            "POST", f"/api/{name}", f'{{"{field}": {nested}, "states": ["", ""], "state": ""}}'
        )
        assert (status, name) == (400, name) or status == 200
        assert b"Traceback" not in found


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "components",
            "linear",
            "spherical",
            "gif",
            "",
            "sampler=box",
            "c1=1e30&inside=1",
            "fact=0.001&c2=-1e30&sampler=exact",
        ]
    )
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
states = st.builds(
    "&".join,
    st.lists(
        st.sampled_from(
            [
                "sampler=groups",
                "sampler=tilted",
                "sampler=few",
                "sampler=exact",
                "sampler=box",
                "seed=18446744073709551615",
                "index=4294967295",
                "image=399",
                "components=2",
                "fact=0.001",
                "fact=1000",
                "temperature=0.001",
                "temperature=1000",
                "edge=0.001",
                "edge=1000",
                "c1=1e30",
                "c3=-1e30",
                "z6=1e30",
                "z1=-1e-300",
                "a.hat=1e30",
                "a.smile=-1e30",
                "inside=1",
            ]
        ),
        max_size=7,
    ),
)
fields = st.sampled_from(
    ["state", "states", "kind", "i", "j", "count", "way", "inside", "format", "rows", "points"]
)


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(["face", "faces", "plane", "neighbours", "pictures", "animation"]),
    st.dictionaries(fields, values, max_size=6),
    states,
)
def test_nothing_that_is_asked_makes_the_server_fail(browser, name, question, state):
    base = {"state": state, "states": [state, state], "kind": "components", "i": 1, "j": 2, "count": 2}
    status, _, body = browser.send("POST", f"/api/{name}", json.dumps(base | question))
    assert status in (200, 400)
    if status == 400:
        line = json.loads(body)["error"]
        assert len(line.splitlines()) == 1
        assert "Traceback" not in line


@settings(deadline=None, max_examples=80)
@given(states)
def test_the_most_extreme_recipes(browser, space, unpack, state):
    """Numbers stay finite, and what is to be inside is inside."""
    status, _, body = browser.send("POST", "/api/face", json.dumps({"state": state}))
    if status == 400:
        assert json.loads(body)["error"].startswith("state: ")
        return
    header, arrays = unpack(body)
    assert np.isfinite(arrays["vector"]).all()
    if "inside=1" in state:
        assert header["inside"]
        sampler = space.turned(Recipe.parse(state))[1].sampler
        assert sampler.contains(arrays["vector"][None])[0]
