"""Grey images that are not square, by both engines of the page."""

import io
from functools import partial

import jax
import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.explorer import Space
from jaxlatent.explorer.files import write_page

HEIGHT, WIDTH, DIM = 20, 33, 8


@pytest.fixture(scope="module")
def model():
    config = jl.AutoencoderConfig((HEIGHT, WIDTH), latent_dim=DIM, filters=(4, 6, 8), channels=1)
    return make_autoencoder(jax.random.key(0), config)


@pytest.fixture(scope="module", params=["server", "file"])
def url(request, model, samplers, z, tmp_path_factory):
    if request.param == "file":
        folder = tmp_path_factory.mktemp("page")
        yield write_page(folder / "page.html", Space(samplers, z, model), model).as_uri()
        return
    images = np.rint(255 * np.asarray(jl.decode(model, z))).astype(np.uint8)
    encode = partial(jl.encode, model, batch_size=1)
    explorer = jl.explore(samplers, model, z=z, images=images, encode=encode, browser=False)
    yield explorer.url
    explorer.close()


@pytest.mark.parametrize("width", [1360, 420])
def test_pixels_and_proportions(open_page, url, model, width):
    shown = open_page(url, width=width)
    shown.slide("#component-1", 3)
    vector = np.array(shown.page.evaluate("[...globalThis.explorerLook().vector.data]"), np.float32)
    expected = np.rint(255 * np.asarray(jl.decode(model, vector[None]))[0]).astype(int)
    pixels = shown.pixels()
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(pixels - expected).max() <= 2
    assert np.ptp(pixels) > 30
    canvas = shown.page.locator("#face-canvas")
    box = canvas.bounding_box()
    is_contained = canvas.evaluate("(canvas) => getComputedStyle(canvas).objectFit") == "contain"
    assert is_contained or box["width"] / box["height"] == pytest.approx(WIDTH / HEIGHT, rel=0.02)
    assert box["width"] <= width


def test_grids(open_page, url):
    shown = open_page(url)
    shown.page.click("#tab-grid")
    shown.wait("document.querySelectorAll('.cell canvas').length > 3")
    assert {pixels.shape for pixels in shown.all_pixels(".cell canvas")} == {(HEIGHT, WIDTH, 3)}


def test_an_image_of_ones_own(open_page, url, model):
    if url.startswith("file"):
        pytest.skip("a page without a server has no encoder")
    shown = open_page(url)
    brought = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    content = io.BytesIO()
    Image.fromarray(brought).convert("RGB").save(content, "PNG")
    shown.page.click("#tab-upload")
    shown.page.set_input_files(
        "#file", {"name": "a.png", "mimeType": "image/png", "buffer": content.getvalue()}
    )
    shown.wait("globalThis.explorerState().includes('vector=')")
    shown.settled()
    (pixels,) = shown.all_pixels("figure canvas.picture")
    np.testing.assert_array_equal(pixels, np.repeat(brought[..., None], 3, axis=2))
    rebuilt = 255 * np.asarray(jl.decode(model, jl.encode(model, brought[None, ..., None])))[0]
    assert np.abs(shown.pixels() - rebuilt).max() <= 3
