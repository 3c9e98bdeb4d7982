"""Data of classes: sub-folders, and a .npz in the layout of Keras."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from jaxlatent.data import Labels, load_images, load_labelled
from jaxlatent.data.load import loaded_shape

RNG = np.random.default_rng(0)
DIGITS = RNG.integers(0, 256, (50, 20, 20), dtype=np.uint8)
DIGITS[:, 0, 0] = np.arange(50)  # which one it is
KINDS = np.arange(50, dtype=np.uint8) % 3 + 4


def keras(path, **changes):
    arrays = {"x_train": DIGITS[:40], "y_train": KINDS[:40], "x_test": DIGITS[40:], "y_test": KINDS[40:]}
    arrays |= changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def folders(path, names, mode="RGB", size=(24, 18), as_zip=False):
    """Files whose pixels are all their number."""
    for i, name in enumerate(names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, i if mode == "L" else (i,) * 3).save(path / name)
    if not as_zip:
        return path
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for name in names:
            archive.write(path / name, f"all/{name}")
    return path.with_suffix(".zip")


def test_a_npz_of_keras_gives_its_own_test_split_and_classes(tmp_path):
    path = keras(tmp_path / "digits.npz")
    parts = {split: load_labelled(path, split=split) for split in ("train", "validation", "test")}
    for images, labels in parts.values():
        assert images.shape == (len(images), 20, 20, 1)
        rows = images[:, 0, 0, 0]
        np.testing.assert_array_equal(images[..., 0], DIGITS[rows])
        assert labels.names == ("4", "5", "6")
        assert labels.classes.tolist() == (rows % 3).tolist()
        assert labels.values.dtype == np.int8
        np.testing.assert_array_equal(labels.values.argmax(axis=1), labels.classes)
        assert (np.sort(labels.values, axis=1) == [-1, -1, 1]).all()
    assert [int(row) for row in parts["test"][0][:, 0, 0, 0]] == list(range(40, 50))
    assert 0 < len(parts["validation"][0]) < 10
    assert sum(len(images) for images, _ in parts.values()) == 50
    few, labels = load_labelled(path, split="train", limit=7)
    assert labels.classes.tolist() == [int(row) % 3 for row in few[:, 0, 0, 0]]


def test_a_npz_without_classes_or_of_colours_or_floats(tmp_path):
    path = keras(tmp_path / "a.npz", y_train=None, y_test=None)
    assert len(load_images(path)) == 50
    with pytest.raises(ValueError, match="has no labels"):
        load_labelled(path)
    colours = np.stack([DIGITS] * 3, axis=-1)
    path = keras(tmp_path / "b.npz", x_train=colours[:40], x_test=colours[40:], y_train=KINDS[:40, None])
    images, labels = load_labelled(path, split="test")
    np.testing.assert_array_equal(images, colours[40:])
    assert labels.classes.tolist() == [i % 3 for i in range(40, 50)]
    floats = (DIGITS / 255).astype(np.float32)
    path = keras(tmp_path / "c.npz", x_train=floats[:40], x_test=floats[40:])
    np.testing.assert_array_equal(load_images(path)[..., 0], DIGITS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_test": DIGITS[40:, :10]},
            r"expected x_train and x_test of one shape and type, found .*\[10, 10, 20",
        ),
        ({"x_test": DIGITS[40:] / 255}, "of one shape and type, found uint8.* and float64"),
        (
            {"y_test": KINDS[41:]},
            r"expected y_train and y_test, an integer for each image, found .* uint8\[9\]",
        ),
        ({"y_test": None}, "expected y_train and y_test, an integer for each image, found uint8"),
        ({"y_test": KINDS[40:] / 2}, "an integer for each image, found uint8.* and float64"),
        ({"x_train": KINDS[:40]}, "found uint8"),
    ],
)
def test_a_npz_that_does_not_fit_is_named(tmp_path, changes, message):
    path = keras(tmp_path / "digits.npz", **changes)
    with pytest.raises(ValueError, match=f"{path}: .*{message}"):
        load_images(path)


def test_a_damaged_npz_is_named(tmp_path):
    path = keras(tmp_path / "digits.npz")
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"digits\.npz: not a whole \.npy or \.npz of numbers"):
        load_images(path)


@pytest.mark.parametrize("as_zip", [False, True])
def test_sub_folders_are_classes(tmp_path, as_zip):
    names = [f"{kind}/{i}.png" for kind in ("cat", "ape", "dog") for i in range(4)]
    path = folders(tmp_path / "a", names, as_zip=as_zip)
    images, labels = load_labelled(path, image_size=8, cache=False)
    assert labels.names == ("ape", "cat", "dog")
    assert [names[i].partition("/")[0] for i in images[:, 0, 0, 0]] == [
        labels.names[number] for number in labels.classes
    ]


def test_folders_inside_those_of_splits_are_classes(tmp_path):
    """CIFAR-10 as files: train/CLASS/0000.jpg, test/CLASS/0000.jpg."""
    names = [f"{split}/{kind}/{i}.png" for split in ("train", "test") for kind in "ab" for i in range(9)]
    path = folders(tmp_path / "a", [*names, "readme.png"])
    for split in ("train", "validation", "test"):
        images, labels = load_labelled(path, image_size=8, cache=False, split=split)
        assert labels.names == ("a", "b")
        paths = [names[i].split("/") for i in images[:, 0, 0, 0]]
        assert {folder for folder, _, _ in paths} == {"test" if split == "test" else "train"}
        assert [kind for _, kind, _ in paths] == [labels.names[number] for number in labels.classes]


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "b.png"],
        ["one/a.png", "one/b.png"],
        ["one/a.png", "two/b.png", "c.png"],
        ["train/a.png", "test/b.png"],
        ["train/one/a.png", "test/one/b.png"],
    ],
    ids=str,
)
def test_folders_without_classes_have_no_labels(tmp_path, names):
    with pytest.raises(ValueError, match="has no labels"):
        load_labelled(folders(tmp_path / "a", names), cache=False)


def test_labels_keep_to_readable_images(tmp_path):
    path = folders(tmp_path / "a", [f"{kind}/{i}.png" for kind in "ab" for i in range(3)])
    (path / "a" / "1.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match="left out 1 of 6"):
        images, labels = load_labelled(path, cache=False)
    assert (len(images), labels.classes.tolist()) == (5, [0, 0, 1, 1, 1])


def test_too_many_classes_are_refused():
    with pytest.raises(ValueError, match="labels: expected at most 1,000 classes, got 1,001"):
        Labels.of_classes(np.zeros(3, int), [str(i) for i in range(1001)])


def test_grey_files_stay_grey_and_one_of_colour_makes_all_rgb(tmp_path):
    grey = folders(tmp_path / "a", [f"{i}.png" for i in range(4)], mode="L")
    assert load_images(grey, cache=False).shape == (4, 18, 24, 1)
    assert load_images(grey, cache=False, channels=3).shape == (4, 18, 24, 3)
    Image.new("RGB", (24, 18)).save(grey / "colour.png")
    assert load_images(grey, cache=False).shape == (5, 18, 24, 3)
    assert load_images(grey, cache=False, channels=1).shape == (5, 18, 24, 1)


def test_sizes_that_differ_or_are_large_become_64_pixels(tmp_path):
    path = folders(tmp_path / "a", [f"{i}.png" for i in range(4)])
    assert loaded_shape(path) == (18, 24, 3)
    assert loaded_shape(path, image_size=(30, 20), channels=1) == (30, 20, 1)
    Image.new("RGB", (25, 18)).save(path / "other.png")
    assert loaded_shape(path) == (64, 64, 3)
    assert loaded_shape(folders(tmp_path / "b", ["a.png"], size=(100, 50))) == (64, 64, 3)
    assert loaded_shape("synthetic:5") == (64, 64, 3)


def test_a_size_is_that_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("L", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert load_images(tmp_path, cache=False).shape == (1, 40, 20, 1)


def test_each_shape_is_kept_by_itself(tmp_path):
    path = folders(tmp_path / "a", [f"{i}.png" for i in range(4)])
    for shape in ((8, 8, 3), (8, 8, 1), (8, 12, 3), (8, 8, 3)):
        images = load_images(path, image_size=shape[:2], channels=shape[2], cache=tmp_path / "c")
        assert images.shape == (4, *shape)
        assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert len(list((tmp_path / "c" / "images").iterdir())) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, r"channels: expected 1 \(grey\) or 3 \(RGB\), got 2"),
        ({"image_size": (8, 0)}, "image_size: expected at least 1, got 0"),
        ({"image_size": (8, 8, 3)}, "image_size: expected one side, or height and width, got"),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_shapes_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        load_images(DIGITS, **options)


@pytest.mark.parametrize("options", [{"channels": 1}, {"image_size": (32, 64)}])
def test_procedural_faces_are_rgb_squares(options):
    with pytest.raises(ValueError, match="image_size, channels: procedural faces are squares in RGB"):
        load_images("synthetic:5", **options)
