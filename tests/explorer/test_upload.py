"""Images that a person brings: of every kind, damaged, and bombs."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from jaxlatent.explorer.upload import read_image

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


FILES = {
    kind: saved(Image.fromarray(PICTURE), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
}


def png(width, height, row=b"", depth=1):
    """A PNG file of grey pixels, all rows alike; whatever the header says."""
    packer = zlib.compressobj(9)
    rows = [packer.compress(b"\0" + row) for _ in range(height if row else 1)]

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", b"".join(rows) + packer.flush()), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("kind", FILES)
def test_files_of_each_kind(kind):
    expected = np.asarray(Image.open(io.BytesIO(FILES[kind])).convert("RGB"))
    found = read_image(FILES[kind], (24, 24, 3))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_the_centred_square_is_taken_upright():
    wide = Image.fromarray(np.concatenate([PICTURE, PICTURE[::-1], PICTURE], axis=1))
    np.testing.assert_array_equal(read_image(saved(wide, "PNG"), (24, 24, 3)), PICTURE[::-1])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    turned = saved(Image.fromarray(PICTURE), "PNG", exif=exif)
    np.testing.assert_array_equal(read_image(turned, (24, 24, 3)), np.rot90(PICTURE, -1))
    assert read_image(FILES["PNG"], (7, 7, 3)).shape == (7, 7, 3)
    for shape in ((1, 1, 3), (1, 3000, 3), (3000, 1, 3)):
        content = saved(Image.fromarray(np.full(shape, 9, np.uint8)), "PNG")
        np.testing.assert_array_equal(read_image(content, (8, 8, 3)), np.full((8, 8, 3), 9))


def test_modes_of_pixels():
    shades = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    grey = read_image(saved(Image.fromarray(shades), "PNG"), (8, 8, 3))
    np.testing.assert_allclose(grey, np.repeat(shades[..., None] / 257, 3, axis=2), atol=1)
    clear = Image.fromarray(np.dstack([PICTURE, np.zeros((24, 24), np.uint8)]), "RGBA")
    assert (read_image(saved(clear, "PNG"), (24, 24, 3)) == 255).all()
    for mode in ("1", "L", "LA", "P", "CMYK"):
        kind = "TIFF" if mode == "CMYK" else "PNG"
        assert read_image(saved(Image.fromarray(PICTURE).convert(mode), kind), (24, 24, 3)).shape == (
            24,
            24,
            3,
        )


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in range(0, 250, 5)]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert not read_image(content, (8, 8, 3)).any()


@settings(deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_files_are_read_or_refused_in_one_line(kind, data):
    content = bytearray(FILES[kind])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    line = "image: "
    try:
        assert read_image(bytes(content[:cut]), (8, 8, 3)).shape == (8, 8, 3)
    except ValueError as error:
        line = str(error)
    assert line.startswith("image: ")
    assert len(line.splitlines()) == 1


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(content):
    with pytest.raises(ValueError, match=r"image: is no image that can be read; give a PNG, JPEG or WebP$"):
        read_image(content, (8, 8, 3))


def test_kinds_that_pillow_reads_with_the_help_of_programs_are_refused():
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    assert Image.open(io.BytesIO(eps)).format == "EPS"
    icon = saved(Image.fromarray(PICTURE), "ICO", sizes=[(24, 24)])
    for content in (eps, icon):
        with pytest.raises(ValueError, match="image: is no image that can be read"):
            read_image(content, (8, 8, 3))


BOMBS = {
    "a header that lies": png(60_000, 60_000, depth=8),
    "true and empty": png(20_000, 20_000, bytes(2500)),
    "a large screen": b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + bytes(3) + FILES["GIF"][13:],
    "a bitmap": FILES["BMP"][:18] + struct.pack("<ii", 40_000, 40_000) + FILES["BMP"][26:],
}

MEASURED = """
import json, sys
from pathlib import Path
from jaxlatent.explorer.upload import read_image

def peak():
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

before, lines = peak(), []
for path in sys.argv[1:]:
    try:
        read_image(Path(path).read_bytes(), (64, 64, 3))
    except ValueError as error:
        lines.append(str(error))
print(json.dumps([peak() - before, lines]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
def test_bombs_are_refused_from_their_header_without_taking_memory(tmp_path):
    paths = [tmp_path / str(i) for i in range(len(BOMBS))]
    for path, content in zip(paths, BOMBS.values(), strict=True):
        assert len(content) < 200_000
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    megabytes, lines = json.loads(done.stdout)
    assert len(lines) == len(BOMBS)
    assert all(line.startswith("image: ") and "pixels" in line for line in lines)
    assert megabytes < 30
