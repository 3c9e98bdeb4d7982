"""Decoded images are kept, mapped, checked and made again when anything changed."""

import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxlatent.data import Rows, cache, load, load_images
from jaxlatent.data.cache import cache_folder, clear, entries


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


def test_splits_and_limits_share_a_file(folder, tmp_path):
    for options in ({"limit": 2}, {"limit": 4}, {"split": "train"}, {}, {"split": "test"}, {"limit": 3}):
        images = load_images(folder, image_size=4, cache=tmp_path / "c", **options)
        np.testing.assert_array_equal(images, load_images(folder, image_size=4, cache=False, **options))
    assert [each.decoded for each in entries(tmp_path / "c")] == [6]
    assert len([path for path in (tmp_path / "c").rglob("*") if path.is_file()]) == 1


def test_each_image_is_decoded_once(folder, tmp_path, decoded):
    for options in ({"limit": 2}, {"limit": 4}, {"limit": 4}, {}, {"split": "train"}, {"limit": 3}):
        load_images(folder, image_size=4, cache=tmp_path, **options)
    assert decoded == [2, 2, 2]
    load_images(folder, image_size=5, cache=tmp_path)
    assert decoded == [2, 2, 2, 6]


def test_an_unreadable_image_does_not_bring_the_others_into_memory(folder, tmp_path, decoded):
    (folder / "3.png").write_bytes(b"no image")
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"left out 1 of 6 .* 3\.png"):
            images = load_images(folder, image_size=4, cache=tmp_path)
        assert isinstance(images, Rows)
        assert reds(images) == [0, 1, 2, 4, 5]
    assert decoded == [6, 1]


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


@pytest.mark.parametrize("damage", [_truncate, Path.unlink, lambda entry: entry.write_bytes(b"")])
def test_a_broken_entry_is_made_again(folder, tmp_path, decoded, damage):
    load_images(folder, image_size=4, cache=tmp_path)
    (entry,) = tmp_path.rglob("*.images")
    damage(entry)
    for _ in range(2):
        assert reds(load_images(folder, image_size=4, cache=tmp_path)) == list(range(6))
    assert decoded == [6, 6]


def test_loads_at_the_same_time(folder, tmp_path):
    def one(_):
        return reds(load_images(folder, image_size=4, cache=tmp_path))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(24))) == [list(range(6))] * 24


SHARED = """
import sys
from jaxlatent.data import load_images
for limit in map(int, sys.argv[3:]):
    images = load_images(sys.argv[1], image_size=16, cache=sys.argv[2], limit=limit)
    alone = load_images(sys.argv[1], image_size=16, cache=False, limit=limit)
    assert (images == alone).all(), limit
"""


def test_processes_at_the_same_time(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(300):
        Image.new("RGB", (20, 20), (i % 256, i // 2, 0)).save(tmp_path / "images" / f"{i}.png")
    asked = [sys.executable, "-c", SHARED, tmp_path / "images", tmp_path / "c"]
    started = [subprocess.Popen([*asked, *limits]) for limits in (("20", "200", "299"), ("300", "50"))]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    load_images(tmp_path / "images", image_size=16, cache=tmp_path / "c")
    (entry,) = entries(tmp_path / "c")
    assert entry.decoded == 300


def test_an_interrupted_load_keeps_what_was_decoded(folder, tmp_path, monkeypatch, decoded):
    def interrupt(source, indices, out, **_):
        out[2] = np.full((4, 4, 3), 2, np.uint8)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(load, "decode", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load_images(folder, image_size=4, cache=tmp_path / "c")
    assert reds(load_images(folder, image_size=4, cache=tmp_path / "c")) == list(range(6))
    assert decoded == [5]


def test_a_killed_process_marks_nothing_that_is_half_written(folder, tmp_path, decoded):
    killed = (
        "import os, sys; from jaxlatent.data import cache, load_images; write = cache._Out._write\n"
        "def half(self, place, content):\n"
        "    write(self, place, content[:5]); os._exit(9)\n"
        "cache._Out._write = half; load_images(sys.argv[1], image_size=4, cache=sys.argv[2])"
    )
    done = subprocess.run([sys.executable, "-c", killed, folder, tmp_path / "c"], timeout=120)
    assert done.returncode == 9
    (entry,) = entries(tmp_path / "c")
    assert entry.decoded == 0
    assert reds(load_images(folder, image_size=4, cache=tmp_path / "c")) == list(range(6))
    assert decoded == [6]


def test_entries_say_what_they_hold(folder, tmp_path):
    load_images(folder, image_size=4, cache=tmp_path / "c", limit=2)
    (entry,) = entries(tmp_path / "c")
    assert (entry.source, entry.image_shape, entry.images, entry.decoded) == (str(folder), (4, 4, 3), 6, 2)
    assert 0 < entry.size < 100_000
    clear(tmp_path / "c")
    assert entries(tmp_path / "c") == []
    assert entries(tmp_path / "nowhere") == []


def test_a_file_of_all_images_takes_the_room_of_those_that_are_there(folder, tmp_path):
    load_images(folder, image_size=1000, cache=tmp_path / "c", limit=1)
    (entry,) = entries(tmp_path / "c")
    assert entry.path.stat().st_size > 18_000_000
    assert entry.size < 4_000_000


def test_the_longest_unused_goes_first(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLATENT_CACHE_GB", "0.01")  # 10 MB; each takes 3.4
    (tmp_path / "c" / "images").mkdir(parents=True)
    (tmp_path / "c" / "images" / "older.npy").write_bytes(bytes(10**6))
    os.utime(tmp_path / "c" / "images" / "older.npy", (1, 1))
    for moment, size in enumerate((430, 431, 430, 432)):
        load_images(folder, image_size=size, cache=tmp_path / "c")
        for entry in entries(tmp_path / "c"):
            if entry.image_shape == (size, size, 3):
                os.utime(entry.path, (moment + 10, moment + 10))
    assert {entry.image_shape[0] for entry in entries(tmp_path / "c")} == {430, 432}
    monkeypatch.setenv("JAXLATENT_CACHE_GB", "0")
    load_images(folder, image_size=433, cache=tmp_path / "c")
    assert [entry.image_shape[0] for entry in entries(tmp_path / "c")] == [433], "that in use stays"
    monkeypatch.setenv("JAXLATENT_CACHE_GB", "many")
    with pytest.raises(ValueError, match="JAXLATENT_CACHE_GB: expected a number of gigabytes, got 'many'"):
        load_images(folder, image_size=434, cache=tmp_path / "c")


def test_images_outlive_the_removal_of_their_file(folder, tmp_path):
    images = load_images(folder, image_size=4, cache=tmp_path / "c")
    clear(tmp_path / "c")
    assert reds(images) == list(range(6))


def test_a_full_disk_is_found_before_writing(folder, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"cache: cannot write to .*0 MB free.*cache=False"):
        load_images(folder, image_size=4, cache=tmp_path)


def test_a_disk_that_fills_up_meanwhile(folder, tmp_path, monkeypatch):
    def full(self, place, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache._Out, "_write", full)
    with pytest.raises(OSError, match=r"cache: cannot write to .*No space left on device.*cache=False"):
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
