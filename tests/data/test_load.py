"""What `load_images` makes of its arguments, and the procedural faces."""

import numpy as np
import pytest
from PIL import Image

from jaxlatent.data import load, load_images, load_labelled
from jaxlatent.data.faces import FACTORS, sample_factors, synthetic_faces


@pytest.fixture
def asked(monkeypatch) -> list[tuple]:
    """What is asked of the procedural faces: (n, image_size, seed, start)."""
    calls = []

    def record(n, *, image_size, seed, start, progress):
        calls.append((n, image_size, seed, start))
        return np.zeros((n, image_size, image_size, 3), np.uint8)

    monkeypatch.setattr(load, "synthetic_faces", record)
    return calls


def test_procedural_faces():
    images, labels = load_labelled("synthetic:3@5", split="test")
    expected, factors = synthetic_faces(3, seed=5, start=1 << 31), sample_factors(5, 1 << 31, 3)
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(labels.values, factors)
    assert labels.names == FACTORS
    assert labels.identities is None
    assert labels.files is None
    np.testing.assert_array_equal(load_images("synthetic:3", seed=5, split="test"), expected)


def test_splits_of_procedural_faces_are_ranges_that_never_meet(asked):
    for split in (None, "train", "validation", "test"):
        load_images("synthetic:9", split=split, image_size=16)
    assert asked == [(9, 16, 0, start) for start in (0, 0, 1 << 30, 1 << 31)]


def test_seed_and_limit_of_procedural_faces(asked):
    load_images("synthetic:9@7", seed=3, limit=4)
    load_images("synthetic:9", seed=3, limit=40)
    assert asked == [(4, 64, 7, 0), (9, 64, 3, 0)]


@pytest.mark.parametrize("text", ["0", "x", "-3", "1.5", "8@", "8@x", "8@-1", "@3", str(2**30 + 1)])
def test_malformed_numbers_of_procedural_faces(text):
    with pytest.raises(ValueError, match=r"spec: expected synthetic:N or synthetic:N@SEED"):
        load_images(f"synthetic:{text}")


@pytest.mark.parametrize("spec", ["synthetic:", "celeba:", "tfds:"])
def test_nothing_after_the_colon(spec):
    with pytest.raises(ValueError, match="spec: nothing after the colon"):
        load_images(spec)


def test_an_unknown_source():
    with pytest.raises(ValueError, match="spec: unknown source 'mnist' in 'mnist:10'; expected"):
        load_images("mnist:10")


@pytest.mark.parametrize("spec", ["no/such/folder", "x.npy", "", "celeba:no/such/folder", "C:\\x"])
def test_a_missing_path(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"spec: no such file or folder: '.*'; expected"):
        load_images(spec)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=r"spec: cannot load '.*a\.txt'; expected a folder"):
        load_images(tmp_path / "a.txt")


def test_a_path_that_looks_like_a_source_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic:2").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "synthetic:2" / "a.png")
    assert load_images("synthetic:2", image_size=8, cache=False).shape == (1, 8, 8, 3)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "a.npy", np.zeros((2, 8, 8, 3), np.uint8))
    assert load_images("~/a.npy", image_size=8).shape == (2, 8, 8, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "training"}, "split: expected one of train, validation, test, got 'training'"),
        ({"limit": 0}, "limit: expected at least 1, got 0"),
        ({"limit": -1}, "limit: expected at least 1, got -1"),
        ({"image_size": 0}, "image_size: expected at least 1, got 0"),
        ({"seed": -1}, "seed: expected at least 0, got -1"),
        ({"data_dir": "x"}, "data_dir: only for a spec tfds:NAME"),
    ],
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        load_images("synthetic:4", **options)


@pytest.mark.parametrize("options", [{"limit": True}, {"image_size": 8.5}, {"cache": True}])
def test_arguments_of_the_wrong_type(options):
    with pytest.raises(TypeError):
        load_images("synthetic:4", **options)


def test_a_spec_of_the_wrong_type():
    with pytest.raises(TypeError):
        load_images([1, 2])


def test_no_labels(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"has no labels; synthetic:N, celeba:DIR, .* and a \.npz"):
        load_labelled(tmp_path)
