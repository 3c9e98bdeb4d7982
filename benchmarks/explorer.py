"""How fast the explorer answers, measured in a headless Chromium on the same machine.

    pip install playwright                 # and a Chromium on the PATH
    python benchmarks/explorer.py [RUN]

Moves of a slider, one at a time and as fast as a mouse sends them; grids of 100; the map with 170,000
z-points; the same of the page that needs no server, whose decoder runs in a Web Worker. With RUN also the
time from the command to the first face. Without one, the network is the default one with random weights.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

import jaxlatent as jl
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.explorer import Space, open_run
from jaxlatent.explorer.files import write_page

POINTS, DIM = 170_000, 256
MOVES, DRAG_SECONDS, GRIDS = 200, 5, 5
CHROMIUM = ["--no-sandbox", "--disable-gpu"]

# Each move is made when the face of the one before is there; milliseconds from the event to the face.
ONE_BY_ONE = """async (count) => {
  const slider = document.getElementById("component-1");
  const canvas = document.getElementById("face-canvas");
  const times = [];
  for (let i = 0; i < count; i += 1) {
    slider.value = String(2 * Math.sin(i));
    const began = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    const wanted = explorerState();
    while (canvas.dataset.state !== wanted) await new Promise((done) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = done;
      channel.port2.postMessage(null);
    });
    times.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, 20));
  }
  slider.dispatchEvent(new Event("change", { bubbles: true }));
  return times;
}"""

# A move in every frame of the display, whether the last one was answered or not; faces that were shown.
DRAGGED = """async (seconds) => {
  const slider = document.getElementById("component-1");
  const canvas = document.getElementById("face-canvas");
  const seen = new Set();
  const watch = new MutationObserver(() => seen.add(canvas.dataset.state));
  watch.observe(canvas, { attributes: true, attributeFilter: ["data-state"] });
  const end = performance.now() + 1000 * seconds;
  for (let i = 0; performance.now() < end; i += 1) {
    slider.value = String(2.5 * Math.sin(i / 40));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
  }
  slider.dispatchEvent(new Event("change", { bubbles: true }));
  watch.disconnect();
  return seen.size / seconds;
}"""

# The map is moved in every frame; milliseconds between frames.
PANNED = """async (seconds) => {
  const map = explorerMap();
  const times = [];
  const end = performance.now() + 1000 * seconds;
  let before = await new Promise(requestAnimationFrame);
  for (let i = 0; performance.now() < end; i += 1) {
    map.viewport.pan(6 * Math.cos(i / 20), 6 * Math.sin(i / 20));
    map.draw();
    const now = await new Promise(requestAnimationFrame);
    times.push(now - before);
    before = now;
  }
  return times;
}"""


def row(name: str, text: str) -> None:
    """Prints a line of the table."""
    print(f"{name:<46} {text}", flush=True)


def spread(times: list[float]) -> str:
    """Median and 95th percentile."""
    return f"median {np.median(times):6.1f} ms, 95th percentile {np.percentile(times, 95):6.1f} ms"


def opened(browser: Browser, url: str) -> Page:
    """A page that shows its first face."""
    page = browser.new_page(viewport={"width": 1360, "height": 900})
    page.goto(url)
    page.wait_for_selector("#face-canvas[data-state]", timeout=60_000)
    page.wait_for_timeout(1500)
    return page


def measure(page: Page, name: str) -> None:
    """The moves of one page."""
    for inside in (False, True):
        page.locator("#inside").set_checked(inside)
        page.wait_for_timeout(500)
        kept = ", staying inside" if inside else ""
        row(f"{name}: one move of a slider{kept}", spread(page.evaluate(ONE_BY_ONE, MOVES)))
    page.locator("#inside").set_checked(False)
    row(f"{name}: a slider dragged", f"{page.evaluate(DRAGGED, DRAG_SECONDS):.1f} faces/s")
    page.click("#tab-grid")
    page.wait_for_selector("#grid canvas")
    page.select_option("#grid-count", "100")
    page.wait_for_timeout(1500)
    seconds = []
    for _ in range(GRIDS):
        first = page.locator("#grid .kept").first.get_attribute("data-state")
        began = time.perf_counter()
        page.click("#grid-more")
        page.wait_for_selector(f'#grid:not(:has([data-state="{first}"]))')
        seconds.append(1000 * (time.perf_counter() - began))
    row(f"{name}: a grid of 100 new faces", spread(seconds))
    page.click("#tab-map")
    page.wait_for_selector("#map[data-x]", timeout=60_000)
    page.wait_for_timeout(500)
    points = page.evaluate("explorerMap().plane.points.shape[0]")
    row(f"{name}: the map moved, {points:,} points", spread(page.evaluate(PANNED, 3)) + " a frame")


def first_face(browser: Browser, run: Path) -> None:
    """From the command to the face."""
    command = [sys.executable, "-c", "from jaxlatent.cli import main; main()", "explore", str(run)]
    for attempt in ("first", "second"):
        began = time.perf_counter()
        with subprocess.Popen([*command, "--no-browser"], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            printed = time.perf_counter() - began
            page = browser.new_page()
            page.goto(line.split(" at ")[1].split()[0])
            page.wait_for_selector("#face-canvas[data-state]", timeout=60_000)
            row(
                f"the command, {attempt} time",
                f"address {printed:.1f} s, face {time.perf_counter() - began:.1f} s",
            )
            page.close()
            process.terminate()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", type=Path, help="a run folder")
    run = parser.parse_args().run
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no Chromium on the PATH; install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        if run is not None:
            first_face(browser, run)
        rng = np.random.default_rng(0)
        z = rng.standard_normal((POINTS, DIM), np.float32) * np.geomspace(2, 0.1, DIM, dtype=np.float32)
        if run is None:
            model = make_autoencoder(jax.random.key(0), jl.AutoencoderConfig())
            samplers: dict[str, jl.Sampler] = {
                "clusters": jl.ClusterRecombinationSampler.fit(z[:20_000], n_clusters=100),
                "pairwise": jl.PairwiseSampler.fit(z, fact=0.7),
            }
            space = Space(samplers, z, model)
        else:
            space, model = open_run(run), jl.Run(run).model()
        explorer = jl.Explorer(space)
        page = opened(browser, explorer.url)
        page.wait_for_timeout(15_000)  # what is loaded in the background
        measure(page, "server")
        page.close()
        explorer.close()
        if run is not None:
            large = jl.explore(jl.PairwiseSampler.fit(z), z=z, browser=False)
            page = browser.new_page(viewport={"width": 1360, "height": 900})
            page.goto(f"{large.url}#v.tab=map")
            page.wait_for_selector("#map[data-x]", timeout=60_000)
            page.wait_for_timeout(5000)
            row(f"server: the map moved, {POINTS:,} points", spread(page.evaluate(PANNED, 3)) + " a frame")
            page.close()
            large.close()
        with tempfile.TemporaryDirectory() as folder:
            file = write_page(Path(folder) / "page.html", space, model)
            row("the file that needs no server", f"{file.stat().st_size / 1e6:.1f} MB")
            page = opened(browser, file.as_uri())
            measure(page, "file")
        browser.close()


if __name__ == "__main__":
    main()
