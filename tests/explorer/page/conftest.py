"""A browser, and explorers of a small latent space to open in it."""

import base64
import io
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl

SIDE, DIM, POINTS = 16, 8, 600
# Without them Chromium asks for Google's hosts at every start; root has no sandbox.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def chromium():
    # Not for the session: as long as it runs, asyncio has a loop, and other tests could not begin one.
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; install the package chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Watched:
    """A page of a browser, and what went wrong in it."""

    def __init__(self, browser, url, width=1360, height=900, scheme="light", touch=False):
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            has_touch=touch,
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"] if url.startswith("http") else [],
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.errors, self.requests = [], []
        self.page.on(
            "console", lambda line: line.type in ("error", "warning") and self.errors.append(line.text)
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)
        self.wait("globalThis.explorerState !== undefined")
        self.settled()

    def _logged(self, line):
        if line.type in ("error", "warning"):
            self.errors.append(line.text)

    def wait(self, condition):
        """Until a JavaScript expression holds; the page's policy does not let it be evaluated there."""
        for _ in range(2400):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(f"never came true: {condition}")

    def drawn(self):
        """Waits until what was asked to be drawn in the next frame of the display is there."""
        self.page.evaluate("new Promise((d) => requestAnimationFrame(() => requestAnimationFrame(d)))")

    def changed(self, selector, before):
        """Waits until a canvas shows something else than `before`, its data URL."""
        self.wait(f"document.querySelector({json.dumps(selector)}).toDataURL() !== {json.dumps(before)}")

    def shown(self, selector):
        """What a canvas shows, as a data URL."""
        return self.page.evaluate(f"document.querySelector({json.dumps(selector)}).toDataURL()")

    def at(self, x, y):
        """The place on the screen of a point of the map."""
        return self.page.evaluate(
            "([x, y]) => { const box = document.getElementById('map').getBoundingClientRect();"
            " const [px, py] = globalThis.explorerMap().viewport.toPixel(x, y);"
            " return [box.left + px, box.top + py]; }",
            [x, y],
        )

    def place(self):
        """Where the map shows the face."""
        self.drawn()
        canvas = self.page.locator("#map")
        return tuple(float(canvas.get_attribute(f"data-{axis}")) for axis in "xy")

    def settled(self):
        """Waits until the face of the state that the page is in is shown, and gives that state."""
        canvas = self.page.locator("#face-canvas")
        for _ in range(2400):
            shown = canvas.get_attribute("data-state")
            if shown and shown == self.state():
                return shown
            self.page.wait_for_timeout(25)
        raise AssertionError(f"the face is that of {shown!r}, not of {self.state()!r}")

    def state(self):
        """The recipe of the face that is to be shown."""
        return self.page.evaluate("globalThis.explorerState()")

    def pixels(self):
        """Of the face."""
        (pixels,) = self.all_pixels("#face-canvas")
        return pixels

    def all_pixels(self, selector):
        """Of every canvas."""
        canvases = f"[...document.querySelectorAll({json.dumps(selector)})]"
        found = []
        for url in self.page.evaluate(f"{canvases}.map((canvas) => canvas.toDataURL())"):
            with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
                found.append(np.asarray(image.convert("RGB")))
        return found

    def slide(self, selector, value):
        """Moves a slider as a person does: input events, then a change."""
        self.page.locator(selector).evaluate(
            "(slider, value) => { slider.value = value;"
            " slider.dispatchEvent(new Event('input', { bubbles: true }));"
            " slider.dispatchEvent(new Event('change', { bubbles: true })); }",
            str(value),
        )
        return self.settled()

    def close(self):
        self.context.close()
        assert self.errors == []


@pytest.fixture
def open_page(chromium):
    """Opens pages; at the end none may have logged an error, or asked anybody else for anything."""
    opened = []

    def opening(url, **options):
        opened.append(Watched(chromium, url, **options))
        return opened[-1]

    yield opening
    for watched in opened:
        watched.close()


@pytest.fixture(scope="session")
def z():
    rng = np.random.default_rng(0)
    scales = np.linspace(2, 0.5, DIM)
    rotation, _ = np.linalg.qr(rng.normal(size=(DIM, DIM)))
    return (rng.normal(size=(POINTS, DIM)) * scales @ rotation + 0.3).astype(np.float32)


@pytest.fixture(scope="session")
def decode():
    weights = 0.3 * np.random.default_rng(1).normal(size=(DIM, SIDE * SIDE * 3)).astype(np.float32)

    def decode(z):
        return jax.nn.sigmoid(jnp.matmul(z, weights)).reshape(-1, SIDE, SIDE, 3)

    return decode


@pytest.fixture(scope="session")
def samplers(z):
    return {
        "pairwise": jl.PairwiseSampler.fit(z, fact=0.7),
        "gaussian": jl.GaussianSampler.fit(z),
        "exact": jl.ExactSampler.fit(z, density="normal", fact=1.0),
        "naive box": jl.BoxSampler.cube(1.5, DIM),
    }


@pytest.fixture(scope="session")
def explorer(samplers, decode, z):
    images = np.asarray(jnp.round(decode(z) * 255), np.uint8)
    weights = 0.3 * np.random.default_rng(1).normal(size=(DIM, SIDE * SIDE * 3))
    inverse = np.linalg.pinv(weights)

    def encode(images):
        x = np.clip(np.asarray(images, np.float64).reshape(len(images), -1) / 255, 1e-3, 1 - 1e-3)
        return (np.log(x / (1 - x)) @ inverse).astype(np.float32)

    labels = {"long hair & beard": z[:, 0] > 0.3, "glasses": z[:, 1] > 0.3, "smile": z[:, 2] > 0.2}
    explorer = jl.explore(
        samplers,
        decode,
        z=z,
        images=images,
        labels=labels,
        encode=encode,
        unseen=z[:50] + 0.4,
        title="a small space",
        browser=False,
    )
    yield explorer
    explorer.close()
