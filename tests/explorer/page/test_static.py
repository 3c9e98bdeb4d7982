"""The page that needs no server, opened from the disk."""

import json
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.explorer import Space
from jaxlatent.explorer.assets import page_files
from jaxlatent.explorer.files import write_page
from jaxlatent.explorer.static import bundle, page_text

SIDE, DIM = 32, 8
TABS = ["sliders", "attributes", "map", "grid", "favourites", "help"]


@pytest.fixture(scope="module")
def model():
    config = jl.AutoencoderConfig(image_size=SIDE, latent_dim=DIM, filters=(4, 6, 8, 12), norm="batch")
    return make_autoencoder(jax.random.key(0), config)


@pytest.fixture(scope="module")
def space(samplers, z, model):
    labels = {"smile": z[:, 0] > 0.3, "glasses": z[:, 1] > 0.3}
    space = Space(samplers, z, model, title="a small run")
    space.again = lambda recipe: {"python": f'explorer.space.vector("{recipe}")'}
    space.label(jl.Labels(tuple(labels), np.stack(list(labels.values()), axis=1)))
    return space


@pytest.fixture(scope="module")
def page(space, model, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page") / "page.html", space, model)


@pytest.fixture
def offline(open_page, page):
    return open_page(page.as_uri())


def vector(watched):
    return np.array(watched.page.evaluate("[...globalThis.explorerLook().vector.data]"), np.float32)


def close(pixels, expected):
    """Within 2/255."""
    return np.abs(pixels.astype(int) - np.rint(255 * np.asarray(expected)).astype(int)).max() <= 2


def test_pixels_are_those_of_the_decoder(offline, model, samplers):
    for name in samplers:
        offline.page.select_option("#sampler", name)
        offline.settled()
        for value in (-4, 0, 4):
            offline.slide("#component-1", value)
            assert close(offline.pixels(), jl.decode(model, vector(offline)[None])[0])
    assert np.ptp(offline.pixels()) > 100


def test_nothing_is_asked_for(offline, page):
    for tab in TABS:
        offline.page.click(f"#tab-{tab}")
        offline.page.wait_for_timeout(100)
    assert {url.partition(":")[0] for url in offline.requests} <= {"file", "blob", "data"}
    assert [url for url in offline.requests if url.startswith("file")] == [page.as_uri()]
    assert "connect-src" not in page.read_text()  # so that default-src 'none' counts
    assert "default-src 'none'" in page.read_text()


def test_vectors_that_were_drawn_here_are_those_of_the_sampler(offline, space):
    offline.page.select_option("#sampler", "gaussian")
    offline.page.fill("#index", "7")
    offline.page.press("#index", "Enter")
    offline.settled()
    expected = space.vector("sampler=gaussian&index=7")
    np.testing.assert_allclose(vector(offline), expected, rtol=1e-3, atol=1e-3)
    offline.page.fill("#index", "123456")
    offline.page.press("#index", "Enter")
    offline.wait("!document.getElementById('notice').hidden")
    assert "this page holds the numbers 0 to" in offline.page.locator("#notice").text_content()


def test_vectors_that_the_page_draws_are_inside(offline, samplers):
    seen = set()
    for _ in range(20):
        offline.page.click("#new")
        offline.settled()
        found = vector(offline)
        seen.add(found.tobytes())
        assert (
            float(samplers["pairwise"].body.gauge(samplers["pairwise"].pca.transform(found[None]))[0])
            < 1.0001
        )
    assert len(seen) == 20


def test_edits_and_dials_reach_what_they_name(offline, space):
    frame, sigma = space.frame, space.sigma
    for i, value in ((1, 1.5), (5, -0.5)):
        offline.slide(f"#component-{i}", value)
        y = np.asarray(frame.transform(vector(offline)[None]))[0] / sigma
        assert y[i - 1] == pytest.approx(value, abs=1e-3)
    offline.slide("#components", 2)
    y = np.asarray(frame.transform(vector(offline)[None]))[0] / sigma
    assert y[4] == pytest.approx(-0.5, abs=1e-3)  # an edit comes after the dial
    assert np.abs(y[[2, 3, 5, 6, 7]]).max() < 1e-3
    before = vector(offline)
    offline.page.click("#tab-attributes")
    offline.slide('[data-attribute="smile"]', 1)
    step = space.attributes.vectors[space.attributes.names.index("smile")]
    np.testing.assert_allclose(vector(offline) - before, step, atol=1e-4)


@pytest.mark.parametrize("sampler", ["pairwise", "gaussian"])
def test_numbers_are_those_of_the_server(offline, space, sampler):
    offline.page.select_option("#sampler", sampler)
    offline.settled()
    offline.slide("#component-2", 1)
    recipe = jl.explorer.Recipe.of_vector(vector(offline), sampler)
    look = space.look(recipe)
    gauge, inside, density = offline.page.evaluate(
        "(() => { const l = globalThis.explorerLook(); return [l.gauge, l.inside, l.logDensity]; })()"
    )
    assert gauge == pytest.approx(look.gauge, rel=1e-3)
    assert inside == look.inside
    if sampler == "gaussian":
        assert density == pytest.approx(look.log_density, abs=0.01)
    bands = offline.page.evaluate("[...globalThis.explorerLook().intervals.data]")
    np.testing.assert_allclose(np.array(bands).reshape(-1, 2), look.intervals, atol=2e-3)


def test_staying_inside(offline, samplers):
    offline.page.click("#inside")
    offline.slide("#component-1", 4)
    found = vector(offline)[None]
    assert samplers["pairwise"].body.gauge(samplers["pairwise"].pca.transform(found))[0] <= 1.0001
    assert offline.page.locator("#status").get_attribute("data-inside") == "true"


@pytest.mark.parametrize("kind", ["components", "coordinates", "attributes"])
def test_the_map(offline, kind):
    offline.page.click("#tab-map")
    offline.page.select_option("#plane-kind", kind)
    offline.wait(f"globalThis.explorerMap().plane && globalThis.explorerMap().planeKey.startsWith('{kind}')")
    offline.drawn()
    offline.page.mouse.click(*offline.at(0.5, 0.25))
    offline.settled()
    assert offline.place() == pytest.approx((0.5, 0.25), abs=0.03)


def test_ways_and_their_animation(offline):
    for _ in range(2):
        offline.page.keyboard.press("f")
        offline.page.keyboard.press("n")
        offline.settled()
    offline.page.click("#tab-favourites")
    offline.wait("document.querySelectorAll('#panel-favourites .strip canvas').length === 9")
    middle = "#panel-favourites .strip button:nth-child(5) canvas"
    before = offline.shown(middle)
    offline.page.select_option("#kind", "spherical")
    offline.changed(middle, before)
    with offline.page.expect_download() as saved:
        offline.page.click('#panel-favourites [data-format="webp"]')
    with Image.open(saved.value.path()) as image:
        assert (image.format, image.n_frames, image.size) == ("WEBP", 46, (256, 256))
        first = np.int16(image.convert("RGB"))
        image.seek(23)
        assert np.abs(np.int16(image.convert("RGB")) - first).max() > 20


def test_the_address_restores_what_was_seen(offline, open_page):
    offline.page.click("#new")
    offline.slide("#component-3", -1.25)
    offline.wait("location.hash.includes('c3')")
    other = open_page(offline.page.url)
    np.testing.assert_array_equal(other.pixels(), offline.pixels())


def test_the_same_again_in_python(offline, space):
    line = offline.page.evaluate("globalThis.explorerLook().again.python")
    again = eval(line, {"explorer": SimpleNamespace(space=space)})
    np.testing.assert_array_equal(again, vector(offline))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1360])
def test_nothing_is_wider_than_the_screen(open_page, page, width, scheme):
    watched = open_page(page.as_uri(), width=width, height=844, scheme=scheme)
    for tab in TABS:
        watched.page.click(f"#tab-{tab}")
        watched.page.wait_for_timeout(80)
        assert watched.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), tab


def test_the_source_method_in_the_page_has_its_law(chromium):
    """At k = 4, where a wrong order or coin shows, against the sampler that looks at the pairs one by one."""
    k, count = 4, 200_000
    context = chromium.new_context()
    page = context.new_page()
    page.add_script_tag(content=bundle("pairwise.js"))
    moments = page.evaluate(
        """([k, count]) => {
            const sums = [0, 0, 0];
            const axes = new Float64Array(k).fill(1);
            for (let index = 0; index < count; index += 1) {
                const u = pairwiseVector(axes, randomNumbers(3, index));
                for (const x of u) { sums[0] += x * x; sums[1] += x ** 4; }
                const largest = Math.max(...u.map(Math.abs));
                sums[2] += largest > 0.9;
            }
            return [sums[0] / (k * count), sums[1] / (k * count), sums[2] / count];
        }""",
        [k, count],
    )
    context.close()
    pca = jl.PCA(jnp.zeros(k), jnp.eye(k), jnp.ones(k), jnp.full(k, 1 / k))
    body = jl.EllipseBody(jnp.ones(k))
    u = np.asarray(
        jl.PairwiseSampler(pca, body, "permutation").sample_components(jax.random.key(0), count), np.float64
    )
    parts = [np.mean(u**2, axis=1), np.mean(u**4, axis=1), np.abs(u).max(axis=1) > 0.9]
    for found, part in zip(moments, parts, strict=True):
        error = np.sqrt(2) * np.std(part) / np.sqrt(count)
        assert abs(found - part.mean()) < 5 * error


def test_modules_share_no_names():
    names = []
    for file, content in page_files().items():
        if file.endswith(".js"):
            text = content.decode()
            names += re.findall(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", text, re.M)
            assert all(
                re.fullmatch(r'import \{[^}]*\} from "\./[\w-]+\.js";', line)
                for line in text.splitlines()
                if line.startswith("import")
            )
    assert sorted(names) == sorted(set(names))


def test_only_what_shows_people_says_so(space, model):
    warning = "do not publish"
    assert warning in json.dumps(decoded_info(page_text(space, model)))
    assert warning not in json.dumps(decoded_info(page_text(space, model, public=True)))


def decoded_info(text):
    import base64

    data = base64.b64decode(re.search(r'id="data">([^<]*)<', text)[1])
    length = int.from_bytes(data[:4], "little")
    return json.loads(data[4 : 4 + length])["info"]


def test_a_page_needs_an_autoencoder(space, tmp_path):
    with pytest.raises(ValueError, match=r"expected a name that ends in \.html"):
        write_page(tmp_path / "page.txt", space, None)
