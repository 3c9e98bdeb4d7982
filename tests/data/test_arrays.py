"""Arrays, .npy and .npz."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent.data import load_images, load_labelled

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)


def test_uint8_of_the_final_size_is_not_copied():
    images = load_images(PIXELS, image_size=16)
    assert np.shares_memory(images, PIXELS)
    np.testing.assert_array_equal(images, PIXELS)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_is_rounded_to_the_nearest(dtype):
    images = load_images((PIXELS / 255).astype(dtype), image_size=16)
    np.testing.assert_array_equal(images, PIXELS)


def test_jax_arrays():
    images = load_images(jnp.asarray(PIXELS / 255, jnp.float32), image_size=16)
    np.testing.assert_array_equal(images, PIXELS)
    np.testing.assert_array_equal(load_images(jnp.asarray(PIXELS), image_size=16), PIXELS)


def test_grey_stays_grey_unless_rgb_is_asked_for():
    grey = PIXELS[..., :1]
    for given in (grey, grey[..., 0]):
        images = load_images(given, image_size=16)
        np.testing.assert_array_equal(images, grey)
        assert np.shares_memory(images, grey)
        rgb = load_images(given, image_size=16, channels=3)
        np.testing.assert_array_equal(rgb, np.repeat(grey, 3, axis=-1))
    floats = load_images((grey / 255).astype(np.float32), image_size=16)
    np.testing.assert_array_equal(floats, grey)


def test_colours_become_their_luma_where_grey_is_asked_for():
    luma = PIXELS @ np.array([0.299, 0.587, 0.114])
    grey = load_images(PIXELS, channels=1)
    assert grey.shape == (40, 16, 16, 1)
    assert np.abs(grey[..., 0] - luma).max() < 1


def test_transparency_is_laid_on_white():
    grey = PIXELS[..., :1]
    clear = np.concatenate([PIXELS, np.zeros_like(grey)], -1)
    assert (load_images(clear, image_size=16) == 255).all()
    opaque = np.concatenate([PIXELS, np.full_like(grey, 255)], -1)
    np.testing.assert_array_equal(load_images(opaque, image_size=16), PIXELS)


def test_small_images_of_one_size_keep_it():
    for height, width in ((16, 16), (28, 28), (64, 48)):
        assert load_images(np.zeros((3, height, width, 3), np.uint8)).shape == (3, height, width, 3)
    for height, width in ((15, 15), (65, 65), (16, 65)):
        assert load_images(np.zeros((3, height, width), np.uint8)).shape == (3, 64, 64, 1)


def test_the_centre_of_other_proportions_is_kept():
    tall = np.zeros((2, 30, 10), np.uint8)
    tall[:, 5:25] = 200
    images = load_images(tall, image_size=(8, 4))
    assert images.shape == (2, 8, 4, 1)
    assert (images == 200).all()
    assert (load_images(tall.swapaxes(1, 2), image_size=(4, 8), channels=3) == 200).all()


def test_other_sizes_are_cropped_and_resized():
    wide = np.zeros((2, 10, 30, 3), np.uint8)
    wide[:, :, 10:20] = 200
    images = load_images(wide, image_size=5)
    assert images.shape == (2, 5, 5, 3)
    assert (images == 200).all()


def test_splits_and_limit():
    splits = [load_images(PIXELS, image_size=16, split=s) for s in ("train", "validation", "test")]
    assert all(map(len, splits))
    assert sum(map(len, splits)) == 40
    rows = {split.tobytes() for part in splits for split in part}
    assert rows == {image.tobytes() for image in PIXELS}
    few = [load_images(PIXELS, image_size=16, limit=n) for n in (3, 9)]
    assert list(map(len, few)) == [3, 9]
    assert {image.tobytes() for image in few[0]} < {image.tobytes() for image in few[1]} < rows
    assert len(load_images(PIXELS, image_size=16, limit=100)) == 40


def test_npy_is_mapped(tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    images = load_images(tmp_path / "a.npy", image_size=16)
    assert isinstance(images, np.memmap)
    np.testing.assert_array_equal(images, PIXELS)


@pytest.mark.parametrize(
    "content",
    [{"images": PIXELS, "z": PIXELS[:2]}, {"arr_0": PIXELS, "z": PIXELS[:2]}, {"faces": PIXELS}],
    ids=["images", "arr_0", "only one"],
)
def test_npz(tmp_path, content):
    np.savez(tmp_path / "a.npz", **content)
    np.testing.assert_array_equal(load_images(tmp_path / "a.npz", image_size=16), PIXELS)


def test_npz_of_several_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", faces=PIXELS, masks=PIXELS)
    with pytest.raises(ValueError, match=r"a\.npz: expected one array.*found faces, masks"):
        load_images(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_files(tmp_path, name):
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, PIXELS)
    whole = (tmp_path / name).read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"nonsense"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.np[yz]: not a whole"):
            load_images(tmp_path / name)


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"a\.npy: not a whole"):
        load_images(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (PIXELS[0], ValueError, r"that of one image.*array\[None\]"),
        (PIXELS[0, 0], ValueError, r"expected images of shape .* got \(16, 3\)"),
        (PIXELS[..., :2], ValueError, "expected images of shape"),
        (PIXELS[None], ValueError, "expected images of shape"),
        (PIXELS[:0], ValueError, "no images in an array"),
        (PIXELS.astype(np.int32), TypeError, "expected uint8.*got int32"),
        (PIXELS > 0, TypeError, "got bool"),
        (PIXELS.astype(np.float32), ValueError, r"in \[0, 1\], found 0 to 255"),
        (PIXELS / 127.5 - 1, ValueError, r"in \[0, 1\], found -1 to 1"),
        (np.full((1, 8, 8), np.nan), ValueError, r"in \[0, 1\], found nan"),
    ],
)
def test_arrays_that_are_no_images(array, error, message):
    with pytest.raises(error, match=f"spec: .*{message}"):
        load_images(array)


def test_arrays_have_no_labels():
    with pytest.raises(ValueError, match="spec: has no labels"):
        load_labelled(PIXELS)
