"""What the server answers to each question of the page, against the space itself."""

import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from jaxlatent.explorer import Recipe
from jaxlatent.explorer.ways import way

STATE = "sampler=groups&seed=1&index=3&c2=0.5&a.smile=1&inside=1"


def test_info(browser, space, samplers):
    status, headers, body = browser.send("GET", "/api/info")
    info = json.loads(body)
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert [each["name"] for each in info["samplers"]] == list(samplers)
    first = info["samplers"][0]
    (dial,) = first.pop("dials")
    assert "source" in first.pop("about")
    assert first == {"name": "pairwise", "count": 2**32, "ownRegion": True, "ownDensity": False}
    expected = {"name": "fact", "value": pytest.approx(0.7), "least": 0.1, "most": 2.0, "step": 0.01}
    assert dial == expected
    assert info["image"] == [8, 8, 3]
    assert (info["components"], info["sliders"], info["coordinates"], info["points"]) == (6, 6, 6, 400)
    np.testing.assert_allclose(info["sigma"], space.sigma)
    assert [each["name"] for each in info["attributes"]] == list(space.attributes.names)
    assert (info["encoder"], info["pictures"], info["progress"]) == (True, False, "ready")


def test_face(browser, space, unpack):
    header, arrays = unpack(browser.ask("face", state=STATE))
    look = space.look(Recipe.parse(STATE))
    np.testing.assert_array_equal(arrays["vector"], space.vector(STATE))
    np.testing.assert_allclose(arrays["components"], look.components, rtol=1e-6)
    np.testing.assert_allclose(arrays["intervals"], look.intervals, rtol=1e-6)
    np.testing.assert_array_equal(arrays["image"], space.images(look.vector)[0])
    numbers = {
        "gauge": look.gauge,
        "inside": True,
        "logDensity": look.log_density,
        "rank": look.rank,
        "again": {},
    }
    assert header == numbers


def test_numbers_that_are_none_are_null(browser, unpack):
    header, _ = unpack(browser.ask("face", state="sampler=exact&c1=9"))
    assert header["logDensity"] is None
    assert header["rank"] == 0
    assert header["inside"] is False


def test_faces(browser, space, unpack):
    states = [STATE, "image=3", "sampler=box&index=4"]
    header, arrays = unpack(browser.ask("faces", states=states))
    assert header == {}
    expected = np.stack([space.vector(state) for state in states])
    np.testing.assert_array_equal(arrays["vectors"], expected)
    np.testing.assert_array_equal(arrays["images"], space.images(expected))


@pytest.mark.parametrize("kind", ["linear", "spherical"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_way(browser, space, unpack, kind, inside):
    states = ["sampler=few&image=3", "c1=9"]
    answer = browser.ask("faces", states=states, way=kind, count=7, inside=inside)
    first, second = (space.vector(state).astype(np.float64) for state in states)
    region = space.law("few").region if inside else None
    expected = way(first, second, 7, kind=kind, mean=space.mean, region=region)
    np.testing.assert_array_equal(unpack(answer)[1]["vectors"], expected)


def test_animation(browser):
    for kind in ("gif", "webp"):
        content = browser.ask("animation", states=["", "image=3"], way="linear", count=4, format=kind)
        image = Image.open(io.BytesIO(content))
        assert (image.format.lower(), image.n_frames) == (kind, 6)


@pytest.mark.parametrize("kind", ["components", "coordinates", "attributes"])
def test_plane(browser, space, samplers, unpack, kind):
    header, arrays = unpack(
        browser.ask("plane", kind=kind, i=2, j=3, state="sampler=box&seed=4&edge=0.5", count=9)
    )
    plane = space.plane(kind, 2, 3)
    assert header["labels"] == list(plane.labels)
    assert header["edits"] == list(plane.edits)
    assert (header["relative"], header["stride"]) == (kind == "attributes", 1)
    np.testing.assert_array_equal(arrays["points"], plane.coordinates(space.z))
    np.testing.assert_allclose(arrays["response"], plane.response, rtol=1e-6)
    drawn = np.stack([space.vector(f"sampler=box&seed=4&edge=0.5&index={i}") for i in range(9)])
    np.testing.assert_array_equal(arrays["drawn"], plane.coordinates(drawn))
    # The page places the face by these.
    z = space.vector(STATE)
    place = arrays["rows"] @ (z - arrays["origin"])
    np.testing.assert_allclose(place, plane.coordinates(z[None])[0], atol=1e-4)
    assert "points" not in unpack(browser.ask("plane", kind=kind, i=2, j=3, points=False))[1]


def test_neighbours(browser, space, pictured, unpack):
    header, arrays = unpack(browser.ask("neighbours", state="image=7", count=4))
    rows, distance = space.gallery.nearest(space.z[7].astype(np.float64), 4)
    assert arrays["rows"].tolist() == rows.tolist()
    np.testing.assert_allclose(arrays["distance"], distance, rtol=1e-6)
    assert header == {"comparedWith": "other z-points"}
    assert "images" not in arrays
    other, images = pictured
    header, arrays = unpack(other.ask("neighbours", state="image=7"))
    assert header == {"comparedWith": "unseen images"}
    np.testing.assert_array_equal(arrays["images"], images[arrays["rows"]])
    assert len(arrays["usual"]) == 50


def test_pictures(browser, pictured, unpack):
    other, images = pictured
    _, arrays = unpack(other.ask("pictures", rows=[5, 0, 399, 5]))
    np.testing.assert_array_equal(arrays["images"], images[[5, 0, 399, 5]])
    assert browser.ask("pictures", rows=[1]) == (400, "pictures: the training images are not at hand")


def test_without_a_decoder_there_are_numbers_and_no_images(pictured, unpack):
    browser, _ = pictured
    info = json.loads(browser.send("GET", "/api/info")[2])
    assert (info["image"], info["pictures"], info["encoder"]) == (None, True, False)
    assert "image" not in unpack(browser.ask("face", state=""))[1]
    assert list(unpack(browser.ask("faces", states=[""]))[1]) == ["vectors"]
    assert browser.ask("animation", states=["", ""]) == (
        400,
        "decode: there is no decoder here, so there are no images",
    )
    status, _, body = browser.send("POST", "/api/encode", b"x")
    assert (status, json.loads(body)) == (
        400,
        {"error": "image: there is no encoder here, so no image can be brought"},
    )


def test_an_image_of_ones_own(browser, unpack):
    out = io.BytesIO()
    Image.new("RGB", (30, 20), (255, 0, 51)).save(out, "PNG")
    status, _, body = browser.send("POST", "/api/encode", out.getvalue())
    assert status == 200
    _, arrays = unpack(body)
    np.testing.assert_array_equal(arrays["image"], np.tile(np.uint8([255, 0, 51]), (8, 8, 1)))
    np.testing.assert_allclose(arrays["vector"], np.full(6, 0.4), rtol=1e-6)
    assert browser.send("POST", "/api/encode", b"GIF89a")[0] == 400


def test_five_clients_at_once_get_their_own_answers(explorer, browse, space, unpack):
    """Tabs that ask the same kinds of questions, none of which may be overtaken by another tab's."""
    found, failed = [{} for _ in range(5)], []

    def work(k):
        browser = browse(explorer.url)
        try:
            for i in range(20):
                name = ["pairwise", "groups", "box"][(i + k) % 3]
                state = f"sampler={name}&seed={k}&index={i}&c1={k / 4}&inside={i % 2}"
                status, _, body = browser.send(
                    "POST", "/api/face", json.dumps({"state": state}), x_tab=f"tab {k}"
                )
                found[k][state] = (status, unpack(body)[1]["vector"].tobytes())
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failed
    for answers in found:
        assert len(answers) == 20
        for state, answer in answers.items():
            assert answer == (200, space.vector(state).tobytes())
