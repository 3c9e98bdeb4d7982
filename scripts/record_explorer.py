"""Makes what the README shows of the explorer: docs/explorer.html, and docs/explorer.webp, a recording of it.

    jaxlatent demo --out runs/demo
    pip install playwright            # and a Chromium on the PATH
    python scripts/record_explorer.py runs/demo

The recording is that of the file, driven in a headless Chromium: a new face of each sampler, a slider, an
attribute, the map. For runs on procedural faces only, as anybody may see them.
"""

import argparse
import io
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from jaxlatent import Run
from jaxlatent._files import atomic_path
from jaxlatent.explorer import open_run
from jaxlatent.explorer.files import write_page

DOCS = Path(__file__).parents[1] / "docs"
SIZE: ViewportSize = {"width": 1080, "height": 700}
SHOWN = (900, 583)
MILLISECONDS = 90
CHROMIUM = ["--no-sandbox", "--disable-gpu"]
# A screenshot has no pointer.
POINTER = """
const dot = document.createElement("div");
dot.style.cssText = "position:fixed;width:18px;height:18px;border-radius:50%;border:3px solid #c1121f;"
  + "background:#c1121f55;pointer-events:none;z-index:9;left:-40px;top:0;transform:translate(-50%,-50%)";
document.body.append(dot);
addEventListener("pointermove", (e) => {
  dot.style.left = e.clientX + "px";
  dot.style.top = e.clientY + "px";
}, true);
"""


class Recorder:
    """Drives the page and takes a frame after each step."""

    def __init__(self, page: Page):
        self.page, self.frames = page, list[Image.Image]()
        self.place = (SIZE["width"] / 2, SIZE["height"] / 2)

    def frame(self, count: int = 1) -> None:
        """The page as it is, for so many frames."""
        self.page.wait_for_timeout(40)
        shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.frames += [shot.resize(SHOWN, Image.Resampling.LANCZOS)] * count

    def go(self, x: float, y: float, steps: int = 6) -> None:
        """The pointer moves there."""
        for place in between(self.place, (x, y), steps):
            self.page.mouse.move(*place)
            self.frame()
        self.place = (x, y)

    def centre(self, selector: str) -> tuple[float, float]:
        """Of an element on the screen."""
        box = self.page.locator(selector).first.bounding_box()
        assert box is not None, selector
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def click(self, selector: str, pause: int = 5) -> None:
        """Goes there and clicks."""
        self.go(*self.centre(selector))
        self.page.mouse.click(*self.place)
        self.frame(pause)

    def drag(self, selector: str, shares: list[float]) -> None:
        """Drags a slider to shares of its length, one after the other."""
        box = self.page.locator(selector).bounding_box()
        value = float(self.page.locator(selector).evaluate("(s) => (s.value - s.min) / (s.max - s.min)"))
        assert box is not None, selector
        at = [
            (box["x"] + 9 + share * (box["width"] - 18), box["y"] + box["height"] / 2)
            for share in (value, *shares)
        ]
        self.go(*at[0])
        self.page.mouse.down()
        for place in at[1:]:
            self.go(*place, steps=9)
        self.page.mouse.up()
        self.frame(5)


def between(
    first: tuple[float, float], last: tuple[float, float], steps: int
) -> Iterator[tuple[float, float]]:
    """Places on the way, the last one included."""
    for step in range(1, steps + 1):
        share = step / steps
        yield first[0] + share * (last[0] - first[0]), first[1] + share * (last[1] - first[1])


def record(page: Page) -> list[Image.Image]:
    """What the film shows."""
    film = Recorder(page)
    film.frame(6)
    for _ in range(3):
        film.click("#new", 4)
    for sampler in ("naive box", "pairwise:fact=0.7:n_components=105"):
        page.select_option("#sampler", sampler)
        film.frame(8)
        film.click("#new", 6)
    film.drag("#component-1", [0.95, 0.05])
    page.select_option("#sampler", index=0)
    film.click("#new", 6)
    film.click("#tab-attributes", 4)
    film.drag('[data-attribute="glasses"]', [0.95, 0.5])
    film.drag('[data-attribute="hair_length"]', [0.1, 0.9])
    film.click("#tab-map", 8)
    x, y = film.centre("#map")
    film.go(x - 60, y - 20)
    page.mouse.down()
    for dx, dy in ((90, -80), (120, 60), (-40, 110), (-120, 10), (0, 0)):
        film.go(x + dx, y + dy, steps=7)
    page.mouse.up()
    film.click("#tab-grid", 12)
    return film.frames


def main() -> None:
    """Writes both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of a demo")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder to write to")
    options = parser.parse_args()
    run = Run(options.run)
    if not run.config()["data"].startswith("synthetic:"):
        sys.exit(
            f"{options.run}: its images are no procedural faces; those of others do not belong in the docs"
        )
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no Chromium on the PATH; install the package chromium")
    space = open_run(run)
    space.title = "demo on procedural faces"
    file = write_page(options.out / "explorer.html", space, run.model(), public=True)
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(file.as_uri())
        page.wait_for_selector("#face-canvas[data-state]")
        page.wait_for_timeout(1500)
        page.evaluate(POINTER)
        first, *others = record(page)
        browser.close()
    film = options.out / "explorer.webp"
    with atomic_path(film) as temporary:
        all_of_them = {"save_all": True, "append_images": others, "duration": MILLISECONDS, "loop": 0}
        first.save(temporary, "WEBP", quality=60, method=4, minimize_size=False, **all_of_them)
    print(f"{film}: {film.stat().st_size / 1e6:.1f} MB, {len(others) + 1} frames")


if __name__ == "__main__":
    main()
