"""Every format: records come back exactly, bytes repeat, damage shows and is made good."""

import errno
import gc
import io
import json
import re
import resource
import subprocess
import sys
import tarfile
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxlatent.data import load_images
from jaxlatent.generation.formats import FORMATS, Item, Layout, RowsFormat
from jaxlatent.generation.formats.base import entry

ALL = {**FORMATS, "rows": RowsFormat}
ITEMS = {
    "images": {"images": Item((6, 5, 3), np.dtype(np.uint8))},
    "latents": {"latents": Item((7,), np.dtype(np.float32))},
    "both": {
        "images": Item((6, 5, 3), np.dtype(np.uint8)),
        "latents": Item((7,), np.dtype(np.float32)),
    },
    "grey": {"images": Item((6, 5, 1), np.dtype(np.uint8))},
}
CASES = [(name, outputs) for name in ALL for outputs in ITEMS if (name, outputs) != ("png", "latents")]


def records(layout: Layout) -> dict[str, np.ndarray]:
    """All records of a job, the same in every call."""
    rng = np.random.default_rng(0)
    make = {
        "images": lambda shape: rng.integers(0, 256, shape, np.uint8),
        "latents": lambda shape: rng.normal(size=shape).astype(np.float32),
    }
    return {name: make[name]((layout.n, *item.shape)) for name, item in layout.items.items()}


def write(store, shard):
    arrays = {name: array[shard.start : shard.stop] for name, array in records(store.layout).items()}
    return store.write(shard, arrays)


def write_all(store):
    """Writes all shards and finishes; the entries of each shard, and the others."""
    return [write(store, shard) for shard in store.layout.shards()], store.finish()


def read_npy(folder, layout):
    return {
        name: np.concatenate([np.load(path, mmap_mode="r") for path in sorted(folder.glob(f"{name}-*.npy"))])
        for name in layout.items
    }


def read_rows(folder, layout):
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in layout.items}


def read_npz(folder, layout):
    assert [path.name for path in folder.iterdir()] == ["samples.npz"]
    names = {"images": "arr_0", "latents": "latents"}
    with np.load(folder / "samples.npz") as content:
        assert content.files == [names[name] for name in layout.items]
        return {name: content[names[name]] for name in layout.items}


def read_png(folder, layout):
    paths = sorted(folder.glob("images-*/*.png"))
    assert [path.name for path in paths] == [f"{i:012d}.png" for i in range(layout.n)]
    found = {"images": np.stack([decode_png(path.read_bytes(), layout) for path in paths])}
    if "latents" in layout.items:
        found["latents"] = np.concatenate([np.load(path) for path in sorted(folder.glob("*.npy"))])
    return found


def decode_png(content, layout):
    return np.asarray(Image.open(io.BytesIO(content))).reshape(layout.items["images"].shape)


def read_webdataset(folder, layout):
    found = []
    for path in sorted(folder.glob("shard-*.tar")):
        with tarfile.open(path) as archive:
            for info in archive:
                assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
                found.append((info.name, archive.extractfile(info).read()))
    suffixes = [{"images": "png", "latents": "npy"}[name] for name in layout.items]
    assert [name for name, _ in found] == [
        f"{i:012d}.{suffix}" for i in range(layout.n) for suffix in suffixes
    ]
    decode = {"images": lambda b: decode_png(b, layout), "latents": lambda b: np.load(io.BytesIO(b))}
    return {
        name: np.stack([decode[name](content) for _, content in found[k :: len(suffixes)]])
        for k, name in enumerate(layout.items)
    }


def read_tfds(folder, layout):
    builder = tfds.builder_from_directory(folder)
    source = builder.as_data_source("train")
    assert builder.info.splits["train"].shard_lengths == [shard.count for shard in layout.shards()]
    sizes = [path.stat().st_size for path in folder.glob("*array_record*")]
    assert (len(sizes), sum(sizes)) == (layout.n_shards, builder.info.splits["train"].num_bytes)
    found = list(source)
    assert [each["index"] for each in found] == list(range(layout.n))
    features = {"images": "image", "latents": "latent"}
    assert set(found[0]) == {"index", *(features[name] for name in layout.items)}
    return {name: np.stack([each[features[name]] for each in found]) for name in layout.items}


READ = {
    "npy": read_npy,
    "npz": read_npz,
    "png": read_png,
    "rows": read_rows,
    "tfds": read_tfds,
    "webdataset": read_webdataset,
}


def assert_reads_back(name, store):
    found = READ[name](store.folder, store.layout)
    for item, array in records(store.layout).items():
        assert found[item].dtype == array.dtype
        np.testing.assert_array_equal(found[item], array)


@pytest.mark.parametrize(("name", "outputs"), CASES)
@pytest.mark.parametrize("shard_size", [4, 64])
def test_records_come_back_and_bytes_repeat(name, outputs, shard_size, tmp_path):
    layout = Layout(11, shard_size, ITEMS[outputs])
    entries = []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        store = ALL[name](tmp_path / run, layout)
        written, others = write_all(store)
        entries.append((written, others))
        assert_reads_back(name, store)
        for shard, files in zip(layout.shards(), written, strict=True):
            assert tuple(store.entry(shard, each.name) for each in files) == files
            assert all(each.bytes > 0 for each in files)
        assert tuple(entry(store.folder, each.name) for each in others) == others
        hidden = [path.name for path in store.folder.rglob(".*")]
        assert not hidden
    assert entries[0] == entries[1]


@pytest.mark.parametrize("name", ALL)
def test_shards_in_any_order_and_at_once(name, tmp_path):
    store = ALL[name](tmp_path, Layout(50, 3, ITEMS["both"]))
    shards = list(store.layout.shards())
    np.random.default_rng(1).shuffle(shards)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda shard: write(store, shard), shards))
    store.finish()
    assert_reads_back(name, store)


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def truncate(path, place):
    with path.open("r+b") as file:
        file.truncate(int(place * path.stat().st_size))


def delete(path, place):
    path.unlink()


@pytest.mark.parametrize("damage", [flip, truncate, delete])
@pytest.mark.parametrize("name", ALL)
def test_damage_shows_and_is_made_good(name, damage, tmp_path):
    store = ALL[name](tmp_path, Layout(11, 4, ITEMS["both"]))
    written, others = write_all(store)
    whole = {path: path.read_bytes() for path in files_of(tmp_path)}

    def intact(look, kept):
        try:
            return look(kept.name) == kept
        except OSError:
            return False

    for path in whole:
        for place in (0.0, 0.4, 0.8):
            damage(path, place)
            broken = [
                shard
                for shard, files in zip(store.layout.shards(), written, strict=True)
                if not all(intact(lambda each, shard=shard: store.entry(shard, each), kept) for kept in files)
            ]
            finished = all(intact(lambda each: entry(tmp_path, each), kept) for kept in others)
            assert broken or not finished, (path, place)
            if damage is flip:
                assert len(broken) <= 1, "flipped one bit"
            for shard in broken:
                assert write(store, shard) == written[shard.number]
            assert store.finish() == others
            assert {path: path.read_bytes() for path in files_of(tmp_path)} == whole


@pytest.mark.parametrize("name", ALL)
def test_a_full_disk(name, tmp_path):
    """The limit of a file's size stands for it, as both make `write` fail."""
    items = {"images": Item((32, 32, 3), np.dtype(np.uint8)), "latents": Item((500,), np.dtype(np.float32))}
    store = ALL[name](tmp_path, Layout(8, 4, items))
    first, second = store.layout.shards()
    kept = write(store, first)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            write(store, second)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG
    assert "\n" not in str(error.value)
    assert tuple(store.entry(first, each.name) for each in kept) == kept
    write(store, second)
    store.finish()
    assert_reads_back(name, store)


def test_an_npz_that_is_damaged_says_where(tmp_path):
    layout = Layout(11, 4, ITEMS["both"])
    store = FORMATS["npz"](tmp_path, layout)
    written, _ = write_all(store)
    assert [each.name for each in written[1]] == [
        "samples.npz/arr_0.npy[4:8]",
        "samples.npz/latents.npy[4:8]",
    ]
    path = tmp_path / "samples.npz"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    content = path.read_bytes()
    row = content.index(records(layout)["latents"][5].tobytes())
    path.write_bytes(content[:row] + b"????" + content[row + 4 :])
    found = [
        each.name
        for shard, files in zip(layout.shards(), written, strict=True)
        for each in files
        if store.entry(shard, each.name) != each
    ]
    assert found == ["samples.npz/latents.npy[4:8]"]
    # A repair that is cut short leaves no samples.npz, and is taken up again.
    write(store, layout.shard(1))
    assert [each.name for each in tmp_path.iterdir()] == ["samples.npz.part"]
    store.finish()
    assert path.read_bytes() == content


def test_a_finish_that_was_cut_short(tmp_path):
    """The archive's own parts are there, but not its name."""
    store = FORMATS["npz"](tmp_path, Layout(11, 4, ITEMS["both"]))
    _, others = write_all(store)
    part = (tmp_path / "samples.npz").rename(tmp_path / "samples.npz.part")
    with part.open("ab") as file:
        file.write(b"more than there should be")
    assert store.finish() == others


def test_a_png_folder_with_other_files_is_replaced(tmp_path):
    store = FORMATS["png"](tmp_path, Layout(11, 4, ITEMS["images"]))
    written, _ = write_all(store)
    (tmp_path / "images-00001" / "more.png").write_bytes(b"")
    assert (store.entry(store.layout.shard(1), "images-00001"),) != written[1]
    assert write(store, store.layout.shard(1)) == written[1]
    assert len(files_of(tmp_path)) == 11


def test_the_digest_of_a_folder_is_that_of_sha256sum(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("y.png", "x.png"):
        (tmp_path / "a" / name).write_text(name)
    command = "cd a; sha256sum * | sha256sum"
    result = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert entry(tmp_path, "a").sha256 == result.stdout.split()[0]
    assert entry(tmp_path, "a").bytes == 10


@pytest.mark.slow
def test_tfds_bytes_repeat_in_other_processes(tmp_path):
    """The order of a protocol buffer's map differs from process to process if nothing is done about it."""
    code = """
import sys
from pathlib import Path
import numpy as np
from jaxlatent.generation.formats import FORMATS, Item, Layout
arrays = {"images": np.zeros((3, 6, 5, 3), np.uint8), "latents": np.ones((3, 7), np.float32)}
layout = Layout(3, 4, {name: Item(array.shape[1:], array.dtype) for name, array in arrays.items()})
store = FORMATS["tfds"](Path(sys.argv[1]), layout)
print(store.write(layout.shard(0), arrays), store.finish())
assert "tensorflow" not in sys.modules
"""

    def run(number):
        command = [sys.executable, "-W", "error", "-c", code, tmp_path / str(number)]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=100).stdout

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(run, range(3)))) == 1


def test_tfds_names_and_metadata(tmp_path):
    write_all(FORMATS["tfds"](tmp_path, Layout(11, 4, ITEMS["both"])))
    names = {path.name for path in tmp_path.iterdir()}
    shards = {f"jaxlatent-train.array_record-0000{i}-of-00003" for i in range(3)}
    assert names == {*shards, "dataset_info.json", "features.json"}
    assert json.loads((tmp_path / "dataset_info.json").read_text())["fileFormat"] == "array_record"
    assert str(tmp_path) not in (tmp_path / "dataset_info.json").read_text()


def test_load_images_reads_a_tfds_job(tmp_path):
    folder = tmp_path / "jaxlatent" / "1.0.0"
    folder.mkdir(parents=True)
    layout = Layout(11, 4, {"images": Item((6, 6, 3), np.dtype(np.uint8))})
    write_all(FORMATS["tfds"](folder, layout))
    images = load_images("tfds:jaxlatent", data_dir=tmp_path, image_size=6, split="train", cache=False)
    everything = load_images("tfds:jaxlatent", data_dir=tmp_path, image_size=6, cache=False)
    np.testing.assert_array_equal(everything, records(layout)["images"])
    assert len(images) <= 11


def test_webdataset_reads_it(tmp_path):
    wds = pytest.importorskip("webdataset")
    layout = Layout(11, 4, ITEMS["both"])
    write_all(FORMATS["webdataset"](tmp_path, layout))
    urls = [str(path) for path in sorted(tmp_path.glob("*.tar"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # webdataset leaves files to the garbage collector
        found = list(wds.WebDataset(urls, shardshuffle=False).decode("rgb8"))
        gc.collect()
    assert [each["__key__"] for each in found] == [f"{i:012d}" for i in range(11)]
    for item, suffix in (("images", "png"), ("latents", "npy")):
        np.testing.assert_array_equal(np.stack([each[suffix] for each in found]), records(layout)[item])


@pytest.mark.parametrize("name", ["png", "tfds", "webdataset"])
@pytest.mark.parametrize("shape", [(6, 5, 5), (6, 5, 0), (6, 5)])
def test_images_that_png_cannot_hold(name, shape, tmp_path):
    layout = Layout(4, 4, {"images": Item(shape, np.dtype(np.uint8))})
    with pytest.raises(ValueError, match=re.escape(f"1 to 4 channels, got {shape}; choose npy or npz")):
        FORMATS[name](tmp_path, layout)


def test_png_without_images(tmp_path):
    with pytest.raises(ValueError, match="png stores images, which were not asked for; choose npy"):
        FORMATS["png"](tmp_path, Layout(4, 4, ITEMS["latents"]))


def test_tfds_without_array_record(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxlatent.generation.formats.tfds.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="tfds needs the package array_record; install it, or choose"):
        FORMATS["tfds"](tmp_path, Layout(4, 4, ITEMS["latents"]))


@pytest.mark.parametrize("name", ["npz", "rows"])
def test_a_name_that_is_no_part_of_the_shard(name, tmp_path):
    store = ALL[name](tmp_path, Layout(11, 4, ITEMS["both"]))
    written, _ = write_all(store)
    with pytest.raises(FileNotFoundError, match="no part of shard 1 has this name"):
        store.entry(store.layout.shard(1), written[0][0].name)


@pytest.mark.parametrize("name", ALL)
def test_a_folder_that_is_empty(name, tmp_path):
    layout = Layout(4, 4, ITEMS["both"])
    (tmp_path / "written").mkdir()
    (files,), _ = write_all(ALL[name](tmp_path / "written", layout))
    for each in files:
        with pytest.raises(FileNotFoundError):
            ALL[name](tmp_path, layout).entry(layout.shard(0), each.name)
