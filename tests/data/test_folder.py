"""Folders and .zip files of images."""

import contextlib
import io
import itertools
import os
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxlatent.data import load_images
from jaxlatent.data.folder import open_folder
from jaxlatent.data.splits import fair_choice


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLATENT_CACHE", str(tmp_path / "cache"))


def encoded(color, size=(20, 20), suffix=".png") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, Image.registered_extensions()[suffix])
    return buffer.getvalue()


def write(root: Path, files: dict[str, bytes], kind: str) -> Path:
    """The files in a folder or a .zip."""
    root.mkdir(exist_ok=True)
    if kind == "zip":
        with zipfile.ZipFile(root / "images.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return root / "images.zip"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def reds(images: np.ndarray) -> list[int]:
    return images[:, 4, 4, 0].astype(int).tolist()


kinds = pytest.mark.parametrize("kind", ["folder", "zip"])


@kinds
def test_images_at_any_depth_sorted_by_path(tmp_path, kind):
    files = {
        "b.png": encoded((30, 0, 0)),
        "a/z.PNG": encoded((10, 0, 0), (40, 25)),
        "a/zz/deep.bmp": encoded((20, 0, 0), suffix=".bmp"),
        "notes.txt": b"no image",
        ".hidden.png": b"no image",
        "__MACOSX/._b.png": b"no image",
        ".git/c.png": b"no image",
    }
    path = write(tmp_path / "images", files, kind)
    images = load_images(path, image_size=8, strict=True)
    assert images.dtype == np.uint8
    assert images.shape == (3, 8, 8, 3)
    assert reds(images) == [10, 20, 30]
    np.testing.assert_array_equal(load_images(str(path), image_size=8, cache=False), images)


@kinds
def test_every_suffix(tmp_path, kind):
    suffixes = [".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"]
    files = {f"{i}{s}": encoded((200, 0, 0), suffix=s) for i, s in enumerate(suffixes)}
    images = load_images(write(tmp_path / "images", files, kind), image_size=8, strict=True)
    assert images.shape == (8, 8, 8, 3)
    assert np.abs(images.astype(int) - (200, 0, 0)).max() <= 4


@kinds
def test_sub_folders_name_the_splits(tmp_path, kind):
    files = {f"all/train/{i}.png": encoded((i, 0, 0)) for i in range(30)}
    files |= {f"all/val/{i}.png": encoded((100 + i, 0, 0)) for i in range(3)}
    files |= {f"all/test/cats/{i}.png": encoded((200 + i, 0, 0)) for i in range(2)}
    path = write(tmp_path / "images", files, kind)
    loaded = {s: reds(load_images(path, image_size=8, split=s)) for s in ("validation", "test")}
    assert loaded == {"validation": [100, 101, 102], "test": [200, 201]}
    assert len(load_images(path, image_size=8, split="train")) == 30
    assert len(load_images(path, image_size=8)) == 35


@kinds
@pytest.mark.parametrize("folders", ["cats train zebras", "test", "train val cats", "Test Train unlabelled"])
def test_folders_among_others_are_classes(tmp_path, kind, folders):
    """COCO has a class "train", and all others were lost."""
    names = [f"all/{folder}/{i}.png" for folder in folders.split() for i in range(30)]
    path = write(tmp_path / "images", dict.fromkeys(names, encoded("red")), kind)
    many_splits = folders in ("train val cats", "Test Train unlabelled")
    with pytest.warns(match="taken for classes") if many_splits else contextlib.nullcontext():
        counts = [len(load_images(path, image_size=8, split=s)) for s in ("train", "validation", "test")]
    assert sum(counts) == len(names)
    assert max(counts[1:]) < len(names) / 4


@kinds
def test_a_limit_is_fair_to_all_folders(tmp_path, kind):
    files = {f"{k}/{i}.png": encoded((k, 0, 0), (8, 8)) for k in range(5) for i in range(40)}
    path = write(tmp_path / "images", files, kind)
    loaded = reds(load_images(path, image_size=8, split="train", limit=60))
    assert len(loaded) == 60
    assert loaded == sorted(loaded), "in the order of the source"
    assert np.bincount(loaded, minlength=5).min() >= 4


@kinds
def test_without_sub_folders_the_splits_are_disjoint_complete_and_repeatable(tmp_path, kind):
    files = {f"{i:03d}.png": encoded((i, 0, 0)) for i in range(60)}
    path = write(tmp_path / "images", files, kind)
    splits = [reds(load_images(path, image_size=8, split=s)) for s in ("train", "validation", "test")]
    assert all(splits)
    assert sorted(itertools.chain(*splits)) == list(range(60))
    again = load_images(path, image_size=8, split="validation", cache=False)
    assert reds(again) == splits[1]
    limited = {n: reds(load_images(path, image_size=8, split="train", limit=n)) for n in (2, 9)}
    assert set(limited[2]) < set(limited[9]) < set(splits[0])


def test_too_few_images_for_a_split(tmp_path):
    path = write(tmp_path / "images", {"a.png": encoded("red")}, "folder")
    assert len(load_images(path, split="train")) == 1
    with pytest.raises(ValueError, match="none of its 1 images is of the split validation"):
        load_images(path, split="validation")


@kinds
def test_unreadable_images_are_left_out_with_one_warning(tmp_path, kind):
    jpeg = encoded("blue", (64, 64), ".jpg")
    png = encoded("blue", (64, 64))
    files = {f"{i}.png": encoded((i, 0, 0)) for i in range(5)}
    files |= {
        "0a.jpg": jpeg[: len(jpeg) // 2],
        "1a.png": b"",
        "2a.gif": b"GIF89a nonsense",
        "2b.png": png[:60],
        "2c.png": png[:40] + b"\xff\xff" + png[42:],
    }
    path = write(tmp_path / "images", files, kind)
    for _ in range(2):  # decoded, then from the cache
        with pytest.warns(UserWarning, match=r"left out 5 of 10 images .* first, 0a\.jpg") as seen:
            images = load_images(path, image_size=8)
        assert len(seen) == 1
        assert reds(images) == [0, 1, 2, 3, 4]
    for cache in (None, False):
        with pytest.raises(ValueError, match=r"cannot read the image 0a\.jpg"):
            load_images(path, image_size=8, strict=True, cache=cache)
    chosen = fair_choice(sorted(files), np.arange(10), 8)
    bad = int(
        np.isin([sorted(files)[i][1:] for i in chosen], ["a.jpg", "a.png", "a.gif", "b.png", "c.png"]).sum()
    )
    with pytest.warns(UserWarning, match=f"left out {bad} of 8"):
        assert len(load_images(path, image_size=8, limit=8)) == 8 - bad


@kinds
def test_all_unreadable(tmp_path, kind):
    path = write(tmp_path / "images", {"a.png": b"x", "b.png": b"y"}, kind)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"none of the 2 images can be read; the first, a\.png"):
            load_images(path)


def test_an_image_that_cannot_be_opened_now_is_tried_again(tmp_path):
    path = write(tmp_path / "images", {"a.png": encoded((7, 0, 0))}, "folder")
    (path / "b.png").symlink_to(tmp_path / "later.png")
    with pytest.warns(UserWarning, match=r"left out 1 of 2 .* b\.png"):
        assert len(load_images(path)) == 1
    (tmp_path / "later.png").write_bytes(encoded((9, 0, 0)))
    assert reds(load_images(path)) == [7, 9]


@kinds
def test_no_images(tmp_path, kind):
    path = write(tmp_path / "images", {"readme.txt": b"x"}, kind)
    with pytest.raises(ValueError, match=r"no images found; expected files ending in \.png"):
        load_images(path)


def test_a_damaged_zip(tmp_path):
    path = write(tmp_path / "images", {"a.png": encoded("red")}, "zip")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"images\.zip: not a whole \.zip"):
        load_images(path)


def test_a_zip_with_one_damaged_member(tmp_path):
    path = write(tmp_path / "images", {f"{i}.png": encoded((i, 0, 0)) for i in range(3)}, "zip")
    content = bytearray(path.read_bytes())
    at = content.index(b"IDAT") + 6
    content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"0\.png: .*CRC"):
        assert reds(load_images(path, image_size=8)) == [1, 2]


def test_many_images_keep_their_order(tmp_path):
    """More than one chunk of the pool."""
    files = {f"{i:03d}.png": encoded((i, 0, 0), (8, 8)) for i in range(200)}
    path = write(tmp_path / "images", files, "zip")
    assert reds(load_images(path, image_size=8, progress=True)) == list(range(200))


def test_names_that_are_no_utf8(tmp_path):
    path = write(tmp_path / "images", {"a.png": encoded("red")}, "folder")
    with open(os.fsencode(path) + b"/\xff.png", "wb") as file:  # noqa: PTH123
        file.write(encoded("red"))
    assert len(load_images(path)) == 2


def bomb(side: int) -> bytes:
    """A whole bitmap of 24 bits a pixel, all black."""
    header = struct.pack("<2sIHHI", b"BM", 54 + 3 * side * side, 0, 0, 54)
    return (
        header + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(3 * side * side)
    )


PEAK = """
import sys, warnings
from pathlib import Path
from jaxlatent.data import load_images

def peak():
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) // 1024

before = peak()
try:
    load_images(sys.argv[1], image_size=8, cache=False)
except ValueError as error:
    print(error)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize(
    ("side", "reason"),
    [(8400, r"unpacks to 211 MB; give one of at most 200"), (7200, "has 7200 x 7200 pixels")],
)
def test_bombs_in_a_zip_are_refused_before_they_are_unpacked_or_decoded(tmp_path, side, reason):
    """A .zip of 1.4 MB took 3.1 GB."""
    content = bomb(side)
    with zipfile.ZipFile(tmp_path / "images.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.bmp", content)
    asked = [sys.executable, "-c", PEAK, tmp_path / "images.zip"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=True)
    said, megabytes = done.stdout.strip().splitlines()
    assert re.search(rf"none of the 1 images can be read; the first, a\.bmp: {reason}", said)
    assert int(megabytes) < (50 if "unpacks" in reason else 350), "unpacked, and not decoded"


def test_a_bomb_in_a_folder_is_left_out(tmp_path):
    header = bomb(2)[:18] + struct.pack("<ii", 8000, 8000) + bomb(2)[26:]
    path = write(tmp_path / "images", {"a.png": encoded((7, 0, 0)), "b.bmp": header}, "folder")
    with pytest.warns(UserWarning, match=r"b\.bmp: has 8000 x 8000 pixels; give one of at most 50 million"):
        assert reds(load_images(path, image_size=8)) == [7]


@kinds
def test_kinds_that_pillow_reads_with_the_help_of_programs_are_unreadable(tmp_path, kind):
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    path = write(tmp_path / "images", {"a.png": eps}, kind)
    with pytest.raises(ValueError, match=r"none of the 1 images can be read; .*cannot identify image file"):
        load_images(path)


def test_links_to_folders_are_followed_once_and_nothing_hidden_is_taken(tmp_path):
    files = dict.fromkeys(
        ["a/b/1.png", "a/.b/2.png", "a/__MACOSX/3.png", "a/@eaDir/1.png/SYNOPHOTO_THUMB_S.png", "a/.4.png"],
        encoded((7, 0, 0)),
    )
    path = write(tmp_path / "images", files, "folder")
    other = write(tmp_path / "other", {"5.png": encoded((5, 0, 0)), "c/6.png": encoded((6, 0, 0))}, "folder")
    (path / "a" / "loop").symlink_to(path)
    (path / "a" / "0").symlink_to(path / "a" / "b")  # before the folder itself, in any order
    (path / "z").symlink_to(other)
    (path / "y").symlink_to(other)  # found first
    (other / "back").symlink_to(path / "a")
    (path / "nowhere").symlink_to(tmp_path / "nowhere")
    assert list(open_folder(path, "x").names) == ["a/b/1.png", "y/5.png", "y/c/6.png"]
    assert reds(load_images(path, image_size=20)) == [7, 5, 6]


def test_splits_may_be_links(tmp_path):
    path = write(tmp_path / "images", {f"train/{i}.png": encoded((i, 0, 0)) for i in range(40)}, "folder")
    held = write(tmp_path / "held", {f"{i}.png": encoded((100 + i, 0, 0)) for i in range(5)}, "folder")
    (path / "validation").symlink_to(held)
    assert reds(load_images(path, image_size=20, split="validation")) == [100, 101, 102, 103, 104]


@kinds
@pytest.mark.parametrize(
    "suffix", [".jfif", ".jpe", ".avif", ".jp2", ".ppm", ".pgm", ".pnm", ".tga", ".apng", ".webp"]
)
def test_suffixes(tmp_path, kind, suffix):
    Image.init()
    if suffix == ".avif" and "AVIF" not in Image.OPEN:
        pytest.skip("this Pillow is built without AVIF")
    color = (90, 90, 90)
    path = write(tmp_path / "images", {f"a{suffix.upper()}": encoded(color, suffix=suffix)}, kind)
    assert abs(reds(load_images(path, image_size=20))[0] - 90) <= 3


@kinds
def test_image_files_that_are_not_read_are_counted(tmp_path, kind):
    names = ["a/1.heic", "2.HEIC", "3.svg", ".4.heic", "__MACOSX/5.heic", "notes.txt", "labels.csv", "README"]
    files = {"a.png": encoded((7, 0, 0))} | dict.fromkeys(names, b"")
    path = write(tmp_path / "images", files, kind)
    with pytest.warns(
        UserWarning, match=r"left out 3 image files .*\(2 \.heic, 1 \.svg\); convert"
    ) as caught:
        assert len(load_images(path)) == 1
    assert len(caught) == 1
