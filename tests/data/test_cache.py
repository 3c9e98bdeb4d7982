"""Decoded images are kept, mapped, checked and made again when anything changed."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxlatent.data import load, load_images
from jaxlatent.data.cache import cache_folder


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "images").mkdir()
    for i in range(6):
        Image.new("RGB", (9, 9), (i, 0, 0)).save(tmp_path / "images" / f"{i}.png")
    return tmp_path / "images"


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """How many images each call decoded."""
    counts = []
    decode = load.decode

    def counting(source, indices, out, **options):
        counts.append(len(indices))
        return decode(source, indices, out, **options)

    monkeypatch.setattr(load, "decode", counting)
    return counts


def reds(images: np.ndarray) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def test_the_second_load_maps_the_first(folder, tmp_path, decoded):
    first = load_images(folder, image_size=4, cache=tmp_path / "c")
    second = load_images(folder, image_size=4, cache=str(tmp_path / "c"))
    assert decoded == [6]
    for images in (first, second):
        assert isinstance(images, np.memmap)
        assert not images.flags.writeable
        assert reds(images) == list(range(6))


def test_splits_and_sizes_have_entries_of_their_own(folder, tmp_path, decoded):
    for split in ("train", "validation", None):
        for size in (4, 5):
            load_images(folder, image_size=size, split=split, cache=tmp_path)
            load_images(folder, image_size=size, split=split, cache=tmp_path)
    assert decoded == [4, 4, 1, 1, 6, 6]


def test_no_cache(folder, tmp_path, monkeypatch, decoded):
    monkeypatch.setenv("JAXLATENT_CACHE", str(tmp_path / "c"))
    for _ in range(2):
        images = load_images(folder, image_size=4, cache=False)
    assert decoded == [6, 6]
    assert images.flags.writeable
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("change", ["new", "gone", "other content", "other time"])
def test_a_changed_source_is_decoded_again(folder, tmp_path, decoded, change):
    load_images(folder, image_size=4, cache=tmp_path)
    if change == "new":
        Image.new("RGB", (9, 9), (90, 0, 0)).save(folder / "9.png")
    elif change == "gone":
        (folder / "0.png").unlink()
    elif change == "other content":
        Image.new("RGB", (40, 40), (90, 0, 0)).save(folder / "5.png")
    else:
        os.utime(folder / "5.png", (1, 1))
    images = load_images(folder, image_size=4, cache=tmp_path)
    np.testing.assert_array_equal(images, load_images(folder, image_size=4, cache=False))
    assert decoded[:2] == [6, len(images)]


def _truncate(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-1])


def _other_shape(entry: Path) -> None:
    np.save(entry, np.zeros((6, 4, 4, 1), np.uint8))


def _other_dtype(entry: Path) -> None:
    np.save(entry, np.zeros((6, 4, 4, 3), np.float32))


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        (".npy", _truncate),
        (".npy", _other_shape),
        (".npy", _other_dtype),
        (".npy", Path.unlink),
        (".npy", lambda entry: entry.write_bytes(b"")),
        (".json", _truncate),
        (".json", Path.unlink),
        (".json", lambda entry: entry.write_text("[]")),
        (".json", lambda entry: entry.write_text('{"unreadable": [{"no": 1}]}')),
    ],
)
def test_a_broken_entry_is_made_again(folder, tmp_path, decoded, part, damage):
    load_images(folder, image_size=4, cache=tmp_path)
    (entry,) = tmp_path.rglob(f"*{part}")
    damage(entry)
    for _ in range(2):
        assert reds(load_images(folder, image_size=4, cache=tmp_path)) == list(range(6))
    assert decoded == [6, 6]


def test_loads_at_the_same_time(folder, tmp_path):
    def one(_):
        return reds(load_images(folder, image_size=4, cache=tmp_path))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(24))) == [list(range(6))] * 24


def test_an_interrupted_load_leaves_nothing(folder, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(load, "decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_images(folder, image_size=4, cache=tmp_path / "c")
    assert not list((tmp_path / "c").rglob("*.*"))


def test_an_entry_says_what_it_holds(folder, tmp_path):
    load_images(folder, image_size=4, cache=tmp_path / "c")
    (note,) = (tmp_path / "c").rglob("*.json")
    assert json.loads(note.read_text()) == {"source": str(folder), "unreadable": []}


def test_a_full_disk_is_found_before_writing(folder, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"cache: cannot write to .*0 MB free.*cache=False"):
        load_images(folder, image_size=4, cache=tmp_path)


def test_a_cache_folder_that_cannot_be_made(folder, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=r"cache: cannot write to .*JAXLATENT_CACHE"):
        load_images(folder, image_size=4, cache=tmp_path / "file")


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXLATENT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / ".cache" / "jaxlatent"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder(None) == Path("/x/jaxlatent")
    monkeypatch.setenv("JAXLATENT_CACHE", "~/own")
    assert cache_folder(None) == tmp_path / "own"
    assert cache_folder("/given") == Path("/given")
    assert cache_folder(False) is None
