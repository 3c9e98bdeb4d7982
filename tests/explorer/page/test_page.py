"""The explorer's page in a real browser."""

import json
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl

TABS = ["sliders", "attributes", "map", "neighbours", "grid", "favourites", "upload", "help"]


@pytest.fixture
def shown(open_page, explorer):
    return open_page(explorer.url)


def vector(watched, explorer):
    return explorer.space.vector(watched.state())


def test_the_first_face_is_that_of_the_first_sampler(shown, explorer):
    assert shown.state() == "sampler=pairwise"
    expected = explorer.space.images(explorer.space.vector("sampler=pairwise"))[0]
    np.testing.assert_array_equal(shown.pixels(), expected)
    assert "a small space" in shown.page.title()


def test_everything_comes_from_the_server_itself(shown, explorer):
    for tab in TABS:
        shown.page.click(f"#tab-{tab}")
        shown.page.wait_for_timeout(100)
    host = urlsplit(explorer.url).netloc
    assert {urlsplit(url).netloc for url in shown.requests} == {host}


def test_new_face_undo_and_redo(shown):
    first = shown.pixels()
    shown.page.click("#new")
    shown.settled()
    second = shown.pixels()
    assert (first != second).any()
    shown.page.click("#undo")
    shown.settled()
    np.testing.assert_array_equal(shown.pixels(), first)
    shown.page.click("#redo")
    shown.settled()
    np.testing.assert_array_equal(shown.pixels(), second)


def test_the_sampler_is_switched_live(shown, explorer):
    before = shown.pixels()
    for name in explorer.space.samplers:
        shown.page.select_option("#sampler", name)
        shown.settled()
        np.testing.assert_array_equal(shown.pixels(), explorer.space.images(vector(shown, explorer))[0])
    assert (shown.pixels() != before).any()


@pytest.mark.parametrize(
    ("sampler", "dial", "value"),
    [
        ("pairwise", "#components", 3),
        ("pairwise", "#dial-fact", 1.2),
        ("gaussian", "#dial-temperature", 0.5),
        ("exact", "#dial-temperature", 0.6),
        ("naive box", "#dial-edge", 0.5),
    ],
)
def test_each_dial_changes_the_picture_and_its_number(shown, explorer, sampler, dial, value):
    shown.page.select_option("#sampler", sampler)
    shown.settled()
    before, text = shown.pixels(), shown.page.locator(f".slider:has({dial}) output").text_content()
    shown.slide(dial, value)
    np.testing.assert_array_equal(shown.pixels(), explorer.space.images(vector(shown, explorer))[0])
    assert (shown.pixels() != before).any()
    output = shown.page.locator(f".slider:has({dial}) output").text_content()
    assert output != text
    assert float(output) == value
    assert shown.page.locator(f".slider:has({dial}) .help").text_content()
    shown.page.click(f".slider:has({dial}) .reset")
    shown.settled()
    np.testing.assert_array_equal(shown.pixels(), before)


def test_number_and_seed_choose_the_draw(shown, explorer):
    seen = []
    for field, value in (("index", "17"), ("seed", "5"), ("seed", "18446744073709551615")):
        shown.page.fill(f"#{field}", value)
        shown.page.press(f"#{field}", "Enter")
        shown.settled()
        assert f"{field}={value}" in shown.state()
        seen.append(shown.pixels().tobytes())
    assert len(set(seen)) == 3


def test_each_slider_moves_its_component_and_the_bands_of_the_others(shown, explorer):
    bands = "() => [...document.querySelectorAll('#panel-sliders .band')].map((b) => b.title)"
    for i in range(1, 9):
        before = shown.page.evaluate(bands)
        shown.slide(f"#component-{i}", 1.1)
        frame, z = explorer.space.frame, vector(shown, explorer)
        y = np.asarray(frame.transform(z[None]))[0] / explorer.space.sigma
        assert y[i - 1] == pytest.approx(1.1, abs=1e-3)
        assert shown.page.locator(f".slider:has(#component-{i}) output").text_content() == "1.10 σ"
        if i == 1:
            after = shown.page.evaluate(bands)
            assert sum(a != b for a, b in zip(before, after, strict=True)) >= 7
    shown.page.click("text=Reset all")
    shown.settled()
    assert shown.state() == "sampler=pairwise"


def test_the_picture_at_a_sliders_end_goes_there(shown, explorer):
    shown.wait("document.querySelector('#panel-sliders .end canvas').width === 16")
    shown.page.locator(".slider:has(#component-2) .end").last.click()
    assert "c2=2.5" in shown.settled()


def test_outside_is_marked_and_pulled_back_by_a_click(shown, explorer):
    status = shown.page.locator("#status")
    assert status.get_attribute("data-inside") == "true"
    assert shown.page.locator("#pull").is_hidden()
    shown.slide("#component-1", 4)
    assert status.get_attribute("data-inside") == "false"
    assert float(status.get_attribute("data-gauge")) > 1
    assert "Outside" in status.text_content()
    density = status.get_attribute("data-log-density")
    shown.page.click("#pull")
    shown.settled()
    assert status.get_attribute("data-inside") == "true"
    assert status.get_attribute("data-log-density") != density
    assert shown.page.locator("#inside").is_checked()
    z = vector(shown, explorer)
    assert explorer.space.samplers["pairwise"].contains(z[None])[0]


def test_sliders_whose_others_are_outside_are_marked(shown):
    shown.slide("#component-1", 4)
    assert "empty" in shown.page.locator(".slider:has(#component-2)").get_attribute("class")
    assert "empty" not in shown.page.locator(".slider:has(#component-1)").get_attribute("class")


def test_attributes(shown, explorer):
    shown.page.click("#tab-attributes")
    names = explorer.space.attributes.names
    assert set(names) == {"long hair & beard", "glasses", "smile"}
    for name in names:
        before = shown.pixels()
        shown.slide(f'[data-attribute="{name}"]', 1.5)
        assert (shown.pixels() != before).any()
        np.testing.assert_array_equal(shown.pixels(), explorer.space.images(vector(shown, explorer))[0])
    shown.page.fill("#panel-attributes input[type=search]", "glass")
    assert shown.page.locator("#panel-attributes .slider:visible").count() == 1


@pytest.fixture
def mapped(shown):
    shown.page.click("#tab-map")
    shown.wait("document.getElementById('map').dataset.x !== undefined")
    return shown


@pytest.mark.parametrize("kind", ["components", "coordinates", "attributes"])
def test_a_click_on_the_map_moves_the_face_there(mapped, kind):
    mapped.page.select_option("#plane-kind", kind)
    mapped.wait(f"globalThis.explorerMap().plane && globalThis.explorerMap().planeKey.startsWith('{kind}')")
    mapped.drawn()
    before = mapped.pixels()
    target = (0.7, -0.4)
    mapped.page.mouse.click(*mapped.at(*target))
    mapped.settled()
    assert (mapped.pixels() != before).any()
    assert mapped.place() == pytest.approx(target, abs=0.03)


def test_the_planes_axes_are_chosen(mapped, explorer):
    mapped.page.select_option("#plane-x", "3")
    mapped.page.select_option("#plane-y", "5")
    mapped.wait("globalThis.explorerMap().plane?.labels.join() === 'component 3 (σ),component 5 (σ)'")
    frame, z = explorer.space.frame, vector(mapped, explorer)
    y = np.asarray(frame.transform(z[None]))[0] / explorer.space.sigma
    assert mapped.place() == pytest.approx((y[2], y[4]), abs=1e-3)


def test_dragging_on_the_map_is_undone_in_one_step(mapped):
    before = mapped.state()
    mapped.page.mouse.move(*mapped.at(0, 0))
    mapped.page.mouse.down()
    for step in range(1, 6):
        mapped.page.mouse.move(*mapped.at(0.2 * step, 0.1 * step))
    mapped.page.mouse.up()
    mapped.settled()
    assert mapped.place() == pytest.approx((1, 0.5), abs=0.03)
    mapped.page.click("#undo")
    assert mapped.settled() == before


def test_hovering_shows_the_training_image(mapped, explorer):
    row = 123
    frame = explorer.space.frame
    y = np.asarray(frame.transform(explorer.space.z[row][None]))[0] / explorer.space.sigma
    mapped.page.mouse.move(*mapped.at(*map(float, y[:2])))
    mapped.wait("!document.querySelector('.tip').hidden")
    text = mapped.page.locator(".tip").text_content()
    found = int(text.split()[-1])
    near = np.asarray(frame.transform(explorer.space.z))[:, :2] / explorer.space.sigma[:2]
    assert np.hypot(*(near[found] - y[:2])) < 0.1


def test_a_drawn_path_becomes_a_film(mapped):
    mapped.page.select_option("#map-mode", "path")
    state = mapped.state()
    mapped.page.mouse.move(*mapped.at(-1, 0))
    mapped.page.mouse.down()
    for step in range(1, 9):
        mapped.page.mouse.move(*mapped.at(-1 + step / 4, 0.5))
    mapped.page.mouse.up()
    mapped.wait("document.querySelectorAll('#panel-map .strip canvas').length === 9")
    assert mapped.state() == state
    mapped.page.locator("#panel-map .strip button").last.click()
    assert "vector=" in mapped.settled()
    assert mapped.place() == pytest.approx((1, 0.5), abs=0.03)


@pytest.mark.parametrize("layer", ["points", "contours", "ellipses", "drawn"])
def test_each_layer_of_the_map_can_be_hidden(mapped, layer):
    mapped.drawn()
    before = mapped.shown("#map")
    mapped.page.click(f"#layer-{layer}")
    mapped.changed("#map", before)


def test_zooming_keeps_what_is_under_the_pointer(mapped):
    x, y = mapped.at(0.5, 0.5)
    before = mapped.shown("#map")
    mapped.page.mouse.move(x, y)
    mapped.page.mouse.wheel(0, -300)
    mapped.changed("#map", before)
    assert mapped.at(0.5, 0.5) == pytest.approx([x, y], abs=1)
    assert abs(mapped.at(1.5, 0.5)[0] - x) > 1.5 * abs(mapped.at(1, 0.5)[0] - x)


def test_neighbours_tell_a_copy(shown, explorer):
    shown.page.click("#tab-neighbours")
    verdict = shown.page.locator("#verdict")
    shown.wait("document.getElementById('verdict').dataset.copy === 'false'")
    z = vector(shown, explorer)
    nearest = np.sqrt(((explorer.space.z - z) ** 2).sum(axis=1)).min()
    assert f"{nearest:.2f} from its nearest" in verdict.text_content()
    shown.page.locator("#panel-neighbours .cell").first.click()
    shown.settled()
    shown.wait("document.getElementById('verdict').dataset.copy === 'true'")
    assert "0.00 from its nearest" in verdict.text_content()


def test_the_grid_shows_and_keeps_faces(shown, explorer):
    shown.page.click("#tab-grid")
    for count in (12, 100):
        shown.page.select_option("#grid-count", str(count))
        shown.wait(f"document.querySelectorAll('#grid canvas').length === {count}")
    states = shown.page.evaluate(
        "() => [...document.querySelectorAll('#grid .kept')].map((c) => c.dataset.state)"
    )
    shown.page.click("#grid-more")
    shown.wait(f"document.querySelector('#grid .kept').dataset.state !== {json.dumps(states[0])}")
    cell = shown.page.locator("#grid .kept").nth(2)
    cell.locator(".cell").click()
    assert shown.settled() == cell.get_attribute("data-state")
    np.testing.assert_array_equal(shown.pixels(), explorer.space.images(vector(shown, explorer))[0])
    cell.locator(".star").click()
    shown.page.click("#tab-favourites")
    shown.wait("document.querySelectorAll('#favourites canvas').length === 1")


@pytest.fixture
def favourites(shown):
    for _ in range(2):
        shown.page.keyboard.press("f")
        shown.page.keyboard.press("n")
        shown.settled()
    shown.page.click("#tab-favourites")
    shown.wait("document.querySelectorAll('#panel-favourites .strip canvas').length === 9")
    return shown


def test_the_way_between_favourites(favourites):
    frames = "#panel-favourites .strip canvas"
    straight = np.int16(favourites.all_pixels(frames))
    assert len(np.unique(straight, axis=0)) == 9
    middle = "#panel-favourites .strip button:nth-child(5) canvas"
    before = favourites.shown(middle)
    favourites.page.select_option("#kind", "spherical")
    favourites.changed(middle, before)
    change = np.abs(np.int16(favourites.all_pixels(frames)) - straight).max(axis=(1, 2, 3))
    assert change[0] <= 1  # of rounding
    assert change[-1] <= 1
    assert change[4] > 3


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_the_way_is_saved_as_an_animation(favourites, kind):
    with favourites.page.expect_download() as saved:
        favourites.page.click(f'#panel-favourites [data-format="{kind}"]')
    with Image.open(saved.value.path()) as image:
        assert image.format.lower() == kind
        assert image.n_frames >= 24
        assert max(image.size) >= 256


def test_an_image_of_ones_own(shown, explorer, decode, z, tmp_path):
    pixels = np.asarray(np.round(np.asarray(decode(z[7:8]))[0] * 255), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mine.png")
    shown.page.click("#tab-upload")
    shown.page.set_input_files("#file", tmp_path / "mine.png")
    shown.wait("document.querySelector('#panel-upload figcaption')")
    assert "vector=" in shown.settled()
    assert np.abs(shown.pixels().astype(int) - pixels).max() <= 3
    shown.slide("#component-1", 2)


def test_what_is_no_image_is_one_clear_line(shown, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    shown.page.click("#tab-upload")
    shown.page.set_input_files("#file", tmp_path / "text.png")
    shown.wait("!document.getElementById('notice').hidden")
    assert "no image that can be read" in shown.page.locator("#notice").text_content()
    shown.errors.clear()  # the browser logs the status 400


def test_what_is_kept(shown, explorer):
    shown.page.click("text=Keep this")
    with shown.page.expect_download() as saved:
        shown.page.click("#png")
    with Image.open(saved.value.path()) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), shown.pixels())
    with shown.page.expect_download() as saved:
        shown.page.click("#npy")
    np.testing.assert_array_equal(np.load(saved.value.path())[0], vector(shown, explorer))
    line = shown.page.locator("#python").text_content()
    space = explorer.space
    names = {"sampler": space.samplers["pairwise"], "jax": __import__("jax"), "jl": jl, "explorer": explorer}
    np.testing.assert_array_equal(np.asarray(eval(line, names)).reshape(-1), vector(shown, explorer))
    shown.slide("#component-1", 1)
    shown.wait("document.getElementById('python').textContent.includes('c1')")
    line = shown.page.locator("#python").text_content()
    np.testing.assert_array_equal(np.asarray(eval(line, names)).reshape(-1), vector(shown, explorer))


def test_the_address_restores_what_was_seen(shown, open_page, explorer):
    shown.page.click("#new")
    shown.slide("#component-3", -1.25)
    shown.page.click("#tab-attributes")
    shown.slide('[data-attribute="long hair & beard"]', 0.75)
    shown.page.click("#inside")
    shown.page.keyboard.press("f")
    shown.settled()
    shown.page.click("text=Keep this")
    shown.page.click("#link")
    shown.wait("document.getElementById('link').textContent === 'Copied'")
    link = shown.page.evaluate("() => navigator.clipboard.readText()")
    other = open_page(link)
    assert other.settled() == shown.state()
    np.testing.assert_array_equal(other.pixels(), shown.pixels())
    assert other.page.locator("#tab-attributes").get_attribute("aria-selected") == "true"
    assert other.page.locator("#favourite").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1360])
def test_nothing_is_wider_than_the_screen(open_page, explorer, width, scheme):
    watched = open_page(explorer.url, width=width, height=844, scheme=scheme)
    for tab in TABS:
        watched.page.click(f"#tab-{tab}")
        watched.page.wait_for_timeout(120)
        assert watched.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), tab
    ground, text = watched.page.evaluate(
        "() => ['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name])"
    )
    light = [np.mean([int(x) for x in colour[4:-1].split(",")]) for colour in (ground, text)]
    assert (light[0] > light[1]) == (scheme == "light")


def test_by_touch(open_page, explorer):
    watched = open_page(explorer.url, width=390, height=844, touch=True)
    watched.page.locator("#tab-map").tap()
    watched.wait("document.getElementById('map').dataset.x !== undefined")
    watched.page.locator("#map").scroll_into_view_if_needed()
    watched.page.touchscreen.tap(*watched.at(0.5, -0.3))
    watched.settled()
    assert watched.place() == pytest.approx((0.5, -0.3), abs=0.03)
    before = watched.pixels()
    watched.page.locator("#new").tap()
    watched.settled()
    assert (watched.pixels() != before).any()


def test_by_the_keyboard_alone(shown):
    keyboard = shown.page.keyboard
    first = shown.state()
    keyboard.press("n")
    second = shown.settled()
    assert second != first
    keyboard.press("u")
    assert shown.settled() == first
    keyboard.press("i")
    assert "inside=1" in shown.settled()
    seen = []
    for _ in range(60):
        keyboard.press("Tab")
        seen.append(shown.page.evaluate("document.activeElement.id"))
        if seen[-1] == "component-1":
            break
    assert {"new", "sampler", "index", "seed", "inside", "components", "tab-sliders"} <= set(seen)
    keyboard.press("ArrowRight")
    assert "c1=" in shown.settled()
    shown.page.focus("#tab-sliders")
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    assert shown.page.evaluate("document.activeElement.id") == "tab-map"
    shown.wait("document.getElementById('map').dataset.x !== undefined")
    shown.page.focus("#map")
    before = shown.place()
    keyboard.press("ArrowUp")
    shown.settled()
    assert shown.place()[1] > before[1]


def test_what_a_screen_reader_hears(shown):
    unnamed = shown.page.evaluate(
        "() => [...document.querySelectorAll('button, input, select, canvas[role=img]')].filter((e) =>"
        " !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim() || e.title))"
        ".map((e) => e.outerHTML)"
    )
    assert unnamed == []
    assert shown.page.locator("#status").get_attribute("aria-live") == "polite"


def test_a_state_that_does_not_fit_is_one_clear_line(open_page, explorer):
    watched = open_page(explorer.url)
    watched.page.evaluate("location.hash = 'sampler=none&c1=1'")
    watched.wait("!document.getElementById('notice').hidden")
    assert "there is no sampler 'none'" in watched.page.locator("#notice").text_content()
    watched.page.click("#new")
    watched.settled()
    assert watched.page.locator("#notice").is_hidden()
    watched.errors.clear()


def test_latents_without_a_decoder(chromium, samplers, z):
    explorer = jl.explore(samplers, z=z, browser=False)
    try:
        context = chromium.new_context()
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(explorer.url)
        page.wait_for_selector("#status[data-gauge]")
        assert page.locator("#tab-grid").count() == page.locator("#tab-upload").count() == 0
        page.click("#tab-map")
        page.wait_for_selector("#map[data-x]")
        page.click("#tab-neighbours")
        page.wait_for_selector("#verdict[data-copy]")
        page.click("#tab-sliders")
        gauge = page.locator("#status").get_attribute("data-gauge")
        page.locator("#component-1").fill("3")
        page.wait_for_selector(f"#status:not([data-gauge='{gauge}'])")
        assert errors == []
        context.close()
    finally:
        explorer.close()


def test_a_foreign_decoder(open_page, samplers, z):
    weights = np.random.default_rng(2).normal(size=(z.shape[1], 12 * 12))

    def decode(z):
        return (255 / (1 + np.exp(-np.asarray(z) @ weights))).astype(np.uint8).reshape(-1, 12, 12, 1)

    explorer = jl.explore(samplers["gaussian"], decode, z=z, browser=False)
    try:
        watched = open_page(explorer.url)
        expected = decode(explorer.space.vector(watched.state())[None])[0]
        np.testing.assert_array_equal(watched.pixels(), np.repeat(expected, 3, axis=-1))
        watched.close()
    finally:
        explorer.close()


def test_a_server_that_is_gone_is_one_clear_line(open_page, samplers, z, decode):
    explorer = jl.explore(samplers["gaussian"], decode, z=z, browser=False)
    watched = open_page(explorer.url)
    explorer.close()
    watched.page.click("#new")
    watched.wait("!document.getElementById('notice').hidden")
    assert "server does not answer" in watched.page.locator("#notice").text_content()
    watched.errors.clear()
