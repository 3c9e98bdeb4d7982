"""The report page: as a parser reads it, and as a browser shows it."""

import base64
import csv
import io
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser

import jax
import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent import report
from jaxlatent.latent import load_latents
from jaxlatent.report import document
from jaxlatent.report.document import Chapter, Picture, Section, Table
from jaxlatent.report.sections import images as faces, latents as sections

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Collects what a page holds, and every tag that is closed out of turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.tags = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((3000, 24)) @ rng.standard_normal((24, 24)) + 1).astype(np.float32)


@pytest.fixture(scope="module")
def page(z, tmp_path_factory):
    return report.build(tmp_path_factory.mktemp("report"), z, jl.PairwiseSampler.fit(z), title="<z> & Co")


@pytest.fixture
def undrawn(monkeypatch):
    """Saves the time of drawing, which is most of it."""
    blank = {"src": "data:image/png;base64,", "width": 1, "height": 1}
    monkeypatch.setattr(document, "_embedded", lambda picture: blank)


@pytest.fixture(scope="module")
def parsed(page):
    return Page(page.read_text(encoding="utf-8"))


def test_page_is_well_formed(parsed):
    assert not parsed.wrong
    assert not parsed.open
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    (html,) = parsed.all("html")
    assert html["lang"] == "en"


def test_page_is_self_contained(page, parsed):
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 8e6
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"https?:|url\(|@import", text)
    assert "&lt;z&gt; &amp; Co" in text


def test_every_picture_has_a_text_and_can_be_read(parsed):
    images = parsed.all("img")
    assert len(images) >= 9
    for image in images:
        assert len(image["alt"]) > 20
        kind, content = re.fullmatch(r"data:image/([a-z+]+);base64,(.+)", image["src"]).groups()
        data = base64.b64decode(content)
        if kind == "webp":
            Image.open(io.BytesIO(data)).verify()
        else:
            assert kind == "svg+xml"
            assert b"<svg" in data


def test_contents_and_csv_links_lead_somewhere(page, parsed):
    ids = {attributes.get("id") for _, attributes in parsed.tags}
    links = [a["href"] for a in parsed.all("a")]
    assert all(link[1:] in ids for link in links if link.startswith("#"))
    files = [link for link in links if not link.startswith("#")]
    assert {path.name for path in page.parent.iterdir()} == {page.name, *files}


def test_csv_has_every_component(page, z):
    with (page.parent / "half-widths.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[0] == "component"
    assert [row[0] for row in rows] == [str(i) for i in range(1, 25)]
    sigma = np.sqrt(np.asarray(jl.PCA.fit(z).explained_variance))
    np.testing.assert_allclose([float(row[1]) for row in rows], sigma, rtol=1e-5)


def test_findings_follow_the_data(page, tmp_path, undrawn):
    """Gaussian latents are called so; with heavy tails the page says the opposite.

    The latents here have a constant coordinate too, and the sampler fewer components than there are.
    """
    assert "spread as those of a Gaussian" in page.read_text(encoding="utf-8")
    rng = np.random.default_rng(3)
    tailed = rng.standard_normal((2000, 5)) / np.sqrt(rng.chisquare(4, (2000, 1)))
    tailed[:, 2] = 1
    tailed = tailed.astype(np.float32)
    sampler = jl.ExactSampler.fit(tailed, n_components=2)
    text = report.build(tmp_path, tailed, sampler).read_text(encoding="utf-8")
    assert "more points far out" in text
    assert "heavier tails" in text


@pytest.mark.slow
def test_fewer_points_than_dimensions(tmp_path, undrawn):
    z = np.random.default_rng(4).standard_normal((20, 24)).astype(np.float32)
    text = report.build(tmp_path, z, jl.PairwiseSampler.fit(z)).read_text(encoding="utf-8")
    assert "too few" in text
    assert "Robust core" not in text


def test_errors(z, tmp_path, as_without_type_checks):
    sampler = jl.PairwiseSampler.fit(z)
    with pytest.raises(ValueError, match=r"z: expected at least 10 vectors, got 5"):
        report.build(tmp_path, z[:5], sampler)
    with pytest.raises(ValueError, match=r"z: expected an array of shape \(n, 24\)"):
        report.build(tmp_path, z[:, :5], sampler)
    assert not list(tmp_path.iterdir())


def test_pictures_with_captions_stand_side_by_side(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    pictures = [Picture(pixels, "Noise for a test.", caption=f"<{i}>") for i in range(2)]
    section = Section("Noise", "It is noise.", pictures, further=("Make more:", "noise 'a b'"))
    document.write_document(tmp_path / "page.html", "t", "s", [Chapter("c", [section])])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    parsed = Page(text)
    assert not parsed.wrong
    assert {"class": "beside"} in parsed.all("div")
    assert "<figcaption>&lt;1&gt;</figcaption>" in text
    assert "<p>Make more: <code>noise &#39;a b&#39;</code></p>" in text
    for image in parsed.all("img"):
        assert (image["width"], image["height"]) == ("60", "40")
        Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))).verify()


def test_a_block_shows_each_pixel_as_a_square():
    images = np.random.default_rng(0).integers(0, 255, (14, 64, 64, 3), np.uint8)
    block = faces._block(images)
    assert block.shape == (3 * 192 + 2 * 6, 4 * 192 + 3 * 6, 3)
    np.testing.assert_array_equal(block[198:390:3, 198:390:3], images[5])
    np.testing.assert_array_equal(block[200:390:3, 200:390:3], images[5])
    assert faces._block(images[:2, :, :, :].repeat(8, axis=1).repeat(8, axis=2)).shape == (
        512,
        2 * 512 + 2,
        3,
    )


def test_table_on_the_page():
    table = Table(("a", "b"), [("x", 1234), ("y", 0.123456), ("z", 12345.6)], shown=(0, 1, 2))
    assert table.on_page() == [["x", "1,234"], ["y", "0.1235"], ["z", "12,346"]]


def test_load_latents(z, tmp_path):
    np.save(tmp_path / "z.npy", z.astype(np.float64))
    np.savez(tmp_path / "z.npz", latents=z, labels=np.arange(3000))
    for name in ("z.npy", "z.npz"):
        loaded = load_latents(tmp_path / name)
        assert loaded.dtype == np.float32
        np.testing.assert_array_equal(loaded, z)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": np.zeros((3, 2)), "b": np.zeros((3, 2))}, r"one array \(n, d\), found a \(3, 2\), b \(3, 2\)"),
        ({"a": np.zeros((3, 2), int)}, "floating-point"),
        ({"a": np.full((3, 2), np.nan)}, "3 vectors are not finite"),
    ],
)
def test_load_latents_errors(content, words, tmp_path):
    np.savez(tmp_path / "z.npz", **content)
    with pytest.raises((ValueError, TypeError), match=words):
        load_latents(tmp_path / "z.npz")


def test_load_latents_of_another_kind(tmp_path):
    for content in (b"no array at all", b"", b"PK\x03\x04 broken"):
        path = tmp_path / "z.npy"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"not a \.npy or"):
            load_latents(path)


# In a frame, because a browser's window is never as narrow as a phone.
_FRAMED = """<!DOCTYPE html><title>probe</title>
<iframe id="frame" style="width: WIDTHpx; height: 800px; border: 0" srcdoc="PAGE"></iframe>
<script>
addEventListener("load", () => {
  const page = document.getElementById("frame").contentDocument;
  const broken = [...page.images].filter(image => !image.complete || !image.naturalWidth);
  document.documentElement.dataset.images = page.images.length;
  document.documentElement.dataset.broken = broken.length;
  document.documentElement.dataset.overflow = page.documentElement.scrollWidth - WIDTH;
});
</script>"""


@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(page, parsed, tmp_path, width):
    """No sideways scrolling, no picture that fails to load, nothing on the console."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine: install chromium to see the page in a browser")
    framed = _FRAMED.replace("WIDTH", str(width)).replace("PAGE", escape(page.read_text(encoding="utf-8")))
    (tmp_path / "framed.html").write_text(framed, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--window-size=1400,900"]
    done = subprocess.run(
        [browser, *options, "--dump-dom", (tmp_path / "framed.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    html = Page(done.stdout).all("html")[0]
    assert int(html["data-images"]) == len(parsed.all("img"))
    assert int(html["data-broken"]) == 0
    assert int(html["data-overflow"]) <= 0


def test_of_very_many_coordinates_the_file_has_the_most_correlated_pairs(monkeypatch):
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((300, 12)) @ rng.standard_normal((12, 12))).astype(np.float32)
    matrix = np.corrcoef(z.T)
    first, second = sections.most_correlated(matrix, 9)
    size = np.abs(matrix[np.triu_indices(12, 1)])
    assert (first < second).all()
    np.testing.assert_allclose(np.abs(matrix[first, second]), np.sort(size)[::-1][:9])
    monkeypatch.setattr(sections, "_MOST_IN_CSV", 9)
    table = sections.correlations(sections.Latents(z, jl.ExactSampler.fit(z), jax.random.key(0))).table
    assert len(table.rows) == 9
    assert table.header[0] == "coordinates, the 9 most correlated of 66 pairs"
