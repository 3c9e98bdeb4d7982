"""TensorFlow Datasets: its own CelebA builder and others, prepared here from a few files."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder as celeb_a

from jaxlatent.data import load_images, load_labelled

N = 24
SPLIT = [0] * 14 + [1] * 6 + [2] * 4
VALUES = np.where(np.random.default_rng(0).random((N, 40)) < 0.5, 1, -1)


def face(i: int) -> Image.Image:
    """Grey level 10 i in the centred 140 x 140, black around it."""
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[39:179, 19:159] = 10 * i
    return Image.fromarray(pixels)


def encode(image: Image.Image, suffix: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, suffix)
    return buffer.getvalue()


def prepare(builder) -> None:
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(file_format="array_record", download_config=config)


@pytest.fixture(scope="module")
def celeba_data(tmp_path_factory) -> Path:
    """TFDS's data folder with celeb_a, prepared by its own builder from files made here."""
    root = tmp_path_factory.mktemp("tfds")
    files = [f"{i + 1:06d}.jpg" for i in range(N)]

    def table(name: str, head: list[str], rows: list[str]) -> Path:
        lines = [*head, *(f"{file} {row}" for file, row in zip(files, rows, strict=True)), ""]
        (root / name).write_text("\n".join(lines))
        return root / name

    def headed(name: str, columns: list[str], rows: list[str]) -> Path:
        return table(name, [str(N), " ".join(columns)], rows)

    local = {
        "img_align_celeba": root / "img_align_celeba.zip",
        "list_eval_partition": table("partition.txt", [], [str(s) for s in SPLIT]),
        "list_attr_celeba": headed(
            "attributes.txt", celeb_a.ATTR_HEADINGS, [" ".join(map(str, row)) for row in VALUES]
        ),
        "landmarks_celeba": headed("landmarks.txt", celeb_a.LANDMARK_HEADINGS, [" ".join(["9"] * 10)] * N),
        "identity_celeba": table("identity.txt", [], [str(i // 2 + 100) for i in range(N)]),
    }
    with zipfile.ZipFile(local["img_align_celeba"], "w") as archive:
        for i, file in enumerate(files):
            archive.writestr(f"img_align_celeba/{file}", encode(face(i), "JPEG"))

    def iter_archive(_, path):  # TFDS's own one opens files with TensorFlow
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, io.BytesIO(archive.read(name))

    with mock.patch.multiple(
        tfds.download.DownloadManager,
        download=lambda _, urls: {name: local[name] for name in urls},
        iter_archive=iter_archive,
    ):
        prepare(tfds.builder("celeb_a", data_dir=root / "data"))
    return root / "data"


class GreyDigits(tfds.core.GeneratorBasedBuilder):
    """Greyscale, not square, without a validation split; as many image data sets are."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(20, 30, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            )
        )

    def _split_generators(self, dl_manager):
        return {"test": self._generate_examples(50, 55), "train": self._generate_examples(0, 40)}

    def _generate_examples(self, start=0, stop=0):
        for i in range(start, stop):
            pixels = np.full((20, 30), 200, np.uint8)
            pixels[:, 5:25] = i
            image = encode(Image.fromarray(pixels), "PNG") if i != 7 else b"no image"
            yield i, {"image": io.BytesIO(image), "label": i % 10}


class NoImages(tfds.core.GeneratorBasedBuilder):
    """A data set of words."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
        return self.dataset_info_from_configs(features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"text": "word"}


def numbers(images: np.ndarray) -> list[int]:
    return np.rint(images.mean((1, 2, 3)) / 10).astype(int).tolist()


def test_celeb_a_splits_crop_and_cache(celeba_data, tmp_path):
    loaded = {
        split: load_images("tfds:celeb_a", split=split, data_dir=celeba_data, cache=tmp_path)
        for split in ("train", "validation", "test", None)
    }
    # TFDS shuffles while preparing, the same way every time.
    found = {split: sorted(numbers(images)) for split, images in loaded.items()}
    assert found == {
        "train": list(range(14)),
        "validation": list(range(14, 20)),
        "test": list(range(20, 24)),
        None: list(range(24)),
    }
    images = loaded["train"]
    assert images.shape == (14, 64, 64, 3)
    assert isinstance(images, np.memmap)
    assert (images.max((1, 2, 3)).astype(int) - images.min((1, 2, 3))).max() <= 40, "not cropped"
    np.testing.assert_array_equal(loaded[None][:14], images)


def test_celeb_a_labels(celeba_data, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(celeba_data))
    images, labels = load_labelled("tfds:celeb_a:2.1.0", cache=False)
    order = numbers(images)
    assert sorted(labels.names) == sorted(celeb_a.ATTR_HEADINGS)
    assert labels.values.dtype == np.int8
    columns = [celeb_a.ATTR_HEADINGS.index(name) for name in labels.names]
    np.testing.assert_array_equal(labels.values, VALUES[order][:, columns])
    assert labels.identities is not None
    assert labels.identities.tolist() == [i // 2 + 100 for i in order]


def test_other_data_sets(tmp_path):
    prepare(tfds.builder("grey_digits", data_dir=tmp_path))

    def load(**options):
        with pytest.warns(UserWarning, match=r"left out 1 of \d+ .*train/\d+:"):
            images = load_images("tfds:grey_digits", data_dir=tmp_path, image_size=20, **options)
        assert (images == images[:, :1, :1, :1]).all(), "not the centre, or not grey"
        return images[:, 0, 0, 0].tolist()

    for cache in (tmp_path / "cache", tmp_path / "cache", False):
        everything = load(cache=cache)
        assert sorted(everything) == [i for i in range(40) if i != 7] + list(range(50, 55))
    train = load(split="train", cache=False)
    held_out = load_images(
        "tfds:grey_digits", split="validation", data_dir=tmp_path, image_size=20, cache=False
    )
    assert 0 < len(held_out) < len(train)
    assert sorted([*train, *held_out[:, 0, 0, 0]]) == [i for i in range(40) if i != 7]
    assert load(cache=False, channels=3) == everything
    images, labels = load_labelled("tfds:grey_digits", split="test", data_dir=tmp_path, image_size=20)
    assert images.shape == (5, 20, 20, 1)
    assert labels.names == tuple("0123456789")
    assert labels.classes.tolist() == [i % 10 for i in images[:, 0, 0, 0]]


def test_no_tensorflow(celeba_data):
    code = (
        "import sys; from jaxlatent.data import load_images, load_labelled\n"
        "assert 'tensorflow_datasets' not in sys.modules\n"
        f"x = load_images('tfds:celeb_a', data_dir={str(celeba_data)!r}, cache=False)\n"
        "assert x.shape == (24, 64, 64, 3) and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=100)


def test_not_prepared(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tfds:mnist: not prepared at .*mnist") as error:
        load_images("tfds:mnist", data_dir=tmp_path)
    assert "download_and_prepare(file_format='array_record')" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["no_such_data_set", "celeb_a:9.9.9", "mnist/large", "a b"])
def test_unknown_data_sets(tmp_path, name):
    with pytest.raises(ValueError, match=f"tfds:{name}: TFDS has no such data set") as error:
        load_images(f"tfds:{name}", data_dir=tmp_path)
    assert "\n" not in str(error.value)


def test_a_data_set_without_images(tmp_path):
    prepare(tfds.builder("no_images", data_dir=tmp_path))
    with pytest.raises(ValueError, match="feature image; found text"):
        load_images("tfds:no_images", data_dir=tmp_path)


def test_a_file_format_without_random_access(celeba_data, tmp_path):
    source = celeba_data / "celeb_a" / "2.1.0"
    target = tmp_path / "celeb_a" / "2.1.0"
    target.mkdir(parents=True)
    for path in source.iterdir():
        name = path.name.replace("array_record", "tfrecord")
        content = path.read_bytes()
        if path.suffix == ".json":
            content = content.replace(b"array_record", b"tfrecord")
        (target / name).write_bytes(content)
    with pytest.raises(ValueError, match="without random access; delete that folder and run: p"):
        load_images("tfds:celeb_a", data_dir=tmp_path)
