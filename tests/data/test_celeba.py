"""CelebA's official files: made here in small, and a few of the real ones where present."""

import io
import itertools
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxlatent.data import Labels, load_images, load_labelled

NAMES = ("Bald", "Eyeglasses", "Smiling")
FILES = tuple(f"{i:06d}.jpg" for i in range(1, 31))
SPLIT = [0] * 20 + [1] * 6 + [2] * 4
VALUES = np.where(np.random.default_rng(0).random((30, 3)) < 0.5, 1, -1)


def jpeg(i: int) -> bytes:
    """A face of grey level 8 i on a black background that the crop removes."""
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[39:179, 19:159] = 8 * i
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("JAXLATENT_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "celeba"
    root.mkdir()
    with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as archive:
        archive.writestr("img_align_celeba/", b"")
        for i in reversed(range(30)):
            archive.writestr(f"img_align_celeba/{FILES[i]}", jpeg(i))
    lines = [f"{file} {split}" for file, split in zip(FILES, SPLIT, strict=True)]
    (root / "list_eval_partition.txt").write_text("\n".join([*lines, ""]))
    lines = [f"{file} " + " ".join(f"{v:2d}" for v in row) for file, row in zip(FILES, VALUES, strict=True)]
    (root / "list_attr_celeba.txt").write_text("\n".join(["30", " ".join(NAMES) + " ", *lines, ""]))
    lines = [f"{file} {i // 2 + 100}" for i, file in enumerate(FILES)]
    (root / "identity_CelebA.txt").write_text("\n".join(lines))
    return root


def numbers(images: np.ndarray) -> list[int]:
    return np.rint(images.mean((1, 2, 3)) / 8).astype(int).tolist()


@pytest.mark.parametrize("unpacked", [False, True])
def test_images_in_the_order_of_their_files_and_cropped(folder, unpacked):
    if unpacked:
        archive = folder / "img_align_celeba.zip"
        shutil.unpack_archive(archive, folder)
        archive.unlink()
    images = load_images(f"celeba:{folder}", strict=True)
    assert images.shape == (30, 64, 64, 3)
    assert numbers(images) == list(range(30))
    spread = images.max((1, 2, 3)).astype(int) - images.min((1, 2, 3))
    assert spread.max() <= 40, "the black background is not cropped"


def test_official_splits_are_views_of_the_cache(folder):
    splits = [load_images(f"celeba:{folder}", split=s) for s in ("train", "validation", "test")]
    assert [numbers(images) for images in splits] == [
        list(range(20)),
        list(range(20, 26)),
        list(range(26, 30)),
    ]
    assert all(isinstance(images, np.memmap) for images in splits)


def test_labels(folder):
    images, labels = load_labelled(f"celeba:{folder}", split="validation", limit=4)
    chosen = numbers(images)
    assert len(chosen) == 4
    assert chosen == sorted(chosen)
    assert set(chosen) < set(range(20, 26))
    assert isinstance(labels, Labels)
    assert labels.names == NAMES
    assert labels.values.dtype == np.int8
    np.testing.assert_array_equal(labels.values, VALUES[chosen])
    assert labels.identities is not None
    assert labels.identities.dtype == np.int32
    assert labels.identities.tolist() == [100 + i // 2 for i in chosen]
    assert labels.files == tuple(FILES[i] for i in chosen)


def test_labels_of_unreadable_images_are_left_out(folder):
    shutil.unpack_archive(folder / "img_align_celeba.zip", folder)
    (folder / "img_align_celeba.zip").unlink()
    (folder / "img_align_celeba" / FILES[1]).write_bytes(jpeg(1)[:900])
    with pytest.warns(UserWarning, match=rf"left out 1 of 30 .*{FILES[1]}"):
        images, labels = load_labelled(f"celeba:{folder}")
    kept = [0, *range(2, 30)]
    assert numbers(images) == kept
    np.testing.assert_array_equal(labels.values, VALUES[kept])
    assert labels.files == tuple(FILES[i] for i in kept)
    assert labels.identities is not None
    assert labels.identities.tolist() == [i // 2 + 100 for i in kept]


def test_text_files_are_only_needed_for_what_they_tell(folder):
    (folder / "identity_CelebA.txt").unlink()
    _, labels = load_labelled(f"celeba:{folder}")
    assert labels.identities is None
    (folder / "list_attr_celeba.txt").unlink()
    assert len(load_images(f"celeba:{folder}", split="test")) == 4
    (folder / "list_eval_partition.txt").unlink()
    assert len(load_images(f"celeba:{folder}")) == 30
    with pytest.raises(FileNotFoundError, match=r"list_eval_partition\.txt: needed .* splits"):
        load_images(f"celeba:{folder}", split="train")
    with pytest.raises(FileNotFoundError, match=r"list_attr_celeba\.txt: needed .* attributes"):
        load_labelled(f"celeba:{folder}")


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("list_eval_partition.txt", "", "000007.jpg is not listed"),
        ("list_eval_partition.txt", "000007.jpg 3", "expected lines 'FILE 0|1|2'"),
        ("list_eval_partition.txt", "000007.jpg -1", "expected lines 'FILE 0|1|2'"),
        ("list_eval_partition.txt", "000007.jpg", "expected lines 'FILE 0|1|2'"),
        ("list_attr_celeba.txt", "x.jpg 1 1 1", "000007.jpg is not listed"),
        ("list_attr_celeba.txt", "000007.jpg 1 1 1 1", "3 values -1 or 1"),
        ("list_attr_celeba.txt", "000007.jpg 1 0 1", "3 values -1 or 1"),
        ("list_attr_celeba.txt", "000007.jpg 1 -10 1", "3 values -1 or 1"),
        ("list_attr_celeba.txt", "000007.jpg 1 1000 1", "3 values -1 or 1"),
        ("list_attr_celeba.txt", "000007.jpg 1 no 1", "3 values -1 or 1"),
        ("identity_CelebA.txt", "000007.jpg ?", "expected lines 'FILE IDENTITY'"),
    ],
)
def test_damaged_text_files_are_named(folder, file, line, message):
    lines = (folder / file).read_text().splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("000007.jpg"))
    lines[at] = line
    (folder / file).write_text("\n".join(lines))
    with pytest.raises(ValueError, match=file.replace(".", r"\.")) as error:
        load_labelled(f"celeba:{folder}", split="train")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("between", [" ", "\t", " \t "])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_text_files_of_editors(folder, between, mark):
    for name in ("list_eval_partition.txt", "list_attr_celeba.txt", "identity_CelebA.txt"):
        lines = (folder / name).read_text().splitlines()
        text = "\r\n".join(between.join(line.split()) for line in lines)
        (folder / name).write_bytes(mark + text.encode())
    images, labels = load_labelled(f"celeba:{folder}", split="validation")
    assert numbers(images) == list(range(20, 26))
    assert labels.names == NAMES
    np.testing.assert_array_equal(labels.values, VALUES[20:26])
    assert labels.identities.tolist() == [i // 2 + 100 for i in range(20, 26)]


def test_images_that_lie_there_twice_are_taken_once(folder):
    archive = folder / "img_align_celeba.zip"
    shutil.unpack_archive(archive, folder)
    archive.unlink()
    images = folder / "img_align_celeba"
    (images / "img_align_celeba").mkdir()
    for file in FILES[3:8]:
        (images / "img_align_celeba" / file).write_bytes(jpeg(0))
    with pytest.warns(UserWarning, match="5 images lie there twice"):
        found = load_images(f"celeba:{folder}", strict=True)
    assert numbers(found) == list(range(30))


def test_a_part_without_images_of_a_split(folder):
    text = (folder / "list_eval_partition.txt").read_text()
    (folder / "list_eval_partition.txt").write_text(text.replace(" 1\n", " 0\n"))
    with pytest.raises(ValueError, match="none of its 30 images is of the split validation"):
        load_images(f"celeba:{folder}", split="validation")


def test_a_folder_without_the_images(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither img_align_celeba\.zip nor a folder"):
        load_images(f"celeba:{tmp_path}")


def test_the_real_files(celeba_dir, tmp_path):
    images, labels = load_labelled(f"celeba:{celeba_dir}", split="validation", limit=200, cache=tmp_path)
    assert images.shape == (200, 64, 64, 3)
    assert labels.values.shape == (200, 40)
    assert set(np.unique(labels.values)) == {-1, 1}
    assert labels.files == tuple(sorted(labels.files))
    with zipfile.ZipFile(celeba_dir / "img_align_celeba.zip") as archive:
        for i in (0, 99, 199):
            with Image.open(archive.open(f"img_align_celeba/{labels.files[i]}")) as image:
                face = image.crop((19, 39, 159, 179)).resize((64, 64), Image.Resampling.LANCZOS)
            np.testing.assert_array_equal(images[i], face)
    parts = [
        load_labelled(f"celeba:{celeba_dir}", split=s, limit=20, cache=tmp_path)
        for s in ("train", "validation", "test")
    ]
    files = [set(labels.files) for _, labels in parts]
    assert not any(a & b for a, b in itertools.combinations(files, 2))
    # Attributes that can be seen: light hair lies above dark hair.
    blond = labels.values[:, labels.names.index("Blond_Hair")] == 1
    black = labels.values[:, labels.names.index("Black_Hair")] == 1
    top = images[:, :12].mean((1, 2, 3))
    assert top[blond].mean() > top[black].mean()
