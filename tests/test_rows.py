"""Rows of a memory map: NumPy's answers, and nothing in memory that was not asked for."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent._blocks import images_at_once
from jaxlatent._boundary import as_images
from jaxlatent._rows import Rows, WithMirrored, take
from jaxlatent.autoencoder import inference
from jaxlatent.autoencoder.config import AutoencoderConfig
from jaxlatent.autoencoder.feed import Feed
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.data import load_images
from jaxlatent.data.fingerprint import fingerprint
from jaxlatent.generation import encode_to

CHOSEN = np.array([1, 2, 5, 6, 9])


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8))
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def test_shape_and_size(mapped):
    rows, whole = Rows(mapped, CHOSEN), mapped[CHOSEN]
    assert (rows.shape, rows.dtype, rows.ndim, rows.nbytes) == (whole.shape, np.uint8, 4, whole.nbytes)
    assert len(rows) == 5
    assert repr(rows) == "Rows(shape=(5, 4, 4, 3), dtype=uint8)"
    with pytest.raises(AttributeError):
        _ = rows.detach
    with pytest.raises(AttributeError):
        _ = rows.__cuda_array_interface__


@pytest.mark.parametrize(
    "index",
    [
        0,
        np.int64(-1),
        slice(1, 4),
        slice(None, None, -2),
        np.array([3, 0, 0]),
        [4, 1],
        np.arange(5) % 2 == 0,
        (slice(None), 0, 1),
        (2, slice(1, 3)),
        (np.array([1, 2]), slice(None), 0),
        (..., 0),
        None,
    ],
    ids=str,
)
def test_indices_give_what_numpy_gives(mapped, index):
    found = Rows(mapped, CHOSEN)[index]
    assert type(found) is np.ndarray or np.isscalar(found)
    np.testing.assert_array_equal(found, np.asarray(mapped)[CHOSEN][index])


def test_they_can_do_what_arrays_can(mapped):
    rows, whole = Rows(mapped, CHOSEN), np.asarray(mapped)[CHOSEN]
    np.testing.assert_array_equal(np.asarray(rows), whole)
    np.testing.assert_array_equal(jnp.asarray(rows), whole)
    np.testing.assert_array_equal(np.concatenate([rows, rows]), np.concatenate([whole, whole]))
    np.testing.assert_array_equal(rows.mean((1, 2)), whole.mean((1, 2)))
    np.testing.assert_array_equal(255 - rows, 255 - whole)
    np.testing.assert_array_equal(list(rows), whole)
    assert (rows == whole).all()
    assert as_images("images", rows, (4, 4, 3)) is rows
    with pytest.raises(ValueError, match=r"images: expected shape \(n, 8, 8, 3\), got \(5, 4, 4, 3\)"):
        as_images("images", rows, (8, 8, 3))


def test_take(mapped):
    assert take(mapped, np.arange(3, 7)).base is not None
    assert isinstance(take(mapped, np.arange(3, 7)), np.memmap)
    for array in (mapped, np.asarray(mapped)):
        rows = take(array, CHOSEN)
        assert isinstance(rows, Rows)
        fewer = take(rows, np.array([0, 4]))
        assert isinstance(fewer, Rows)
        np.testing.assert_array_equal(fewer, mapped[[1, 9]])
        assert isinstance(take(rows, np.array([0, 1])), np.ndarray), "a view"
    assert isinstance(take(np.array(mapped), CHOSEN), np.ndarray)


def test_a_large_file_is_loaded_digested_encoded_and_fed_in_blocks(tmp_path, monkeypatch):
    """614 MB took 610 MB of memory as soon as a split was named."""
    path, n = tmp_path / "x.npy", 100_000
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (n, 32, 32, 3))
    images[::1000] = np.arange(100, dtype=np.uint8)[:, None, None, None]
    size = images.nbytes
    del images

    def fake(model, images, batch_size):
        return np.asarray(images)[:, :2, 0, 0].astype(np.float32)

    monkeypatch.setattr(inference, "encode", fake)
    config = AutoencoderConfig(image_size=32, latent_dim=2, filters=(2, 2, 2, 2))
    model = make_autoencoder(jax.random.key(0), config)
    tracemalloc.start()
    try:
        images = load_images(path, image_size=32, split="train")
        assert isinstance(images, Rows)
        fingerprint(images)
        z = encode_to(tmp_path / "z.npy", model, str(path))
        feed = Feed((images,), None)
        for call in feed.calls(np.arange(512, dtype=np.int32).reshape(8, 64), 0):
            assert call.examples[0].shape == (8, 64, 32, 32, 3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size / 5
    np.testing.assert_array_equal(z[:, 0], images[:, 0, 0, 0])


class Slices:
    """As h5py's arrays: rows in rising order alone."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        assert isinstance(index, slice)
        return self.array[index]


@pytest.mark.parametrize("chosen", [None, CHOSEN])
def test_mirror_images_come_after_the_images(mapped, chosen):
    images = mapped if chosen is None else Rows(mapped, chosen)
    some = np.asarray(images)
    whole = np.concatenate([some, some[:, :, ::-1]])
    both, n = WithMirrored(images), len(images)
    assert (both.shape, len(both), both.dtype) == (whole.shape, 2 * n, np.uint8)
    np.testing.assert_array_equal(np.asarray(both), whole)
    for index in (
        0,
        -1,
        n,
        slice(n - 2, n + 3),
        [n, 0, 2 * n - 1],
        np.array([[n, 0], [1, n + 1]]),
        np.arange(2 * n) % 2 == 0,
        slice(0, 0),
    ):
        np.testing.assert_array_equal(both[index], whole[index])
    np.testing.assert_array_equal(both[n:, 1, ::2], whole[n:, 1, ::2])
    rows = np.array([n + 1, 0, n - 1])
    np.testing.assert_array_equal(np.asarray(take(both, rows)), whole[rows])
    assert as_images("images", both) is both


def test_mirror_images_are_encoded_after_the_images(tmp_path, mapped):
    model = make_autoencoder(jax.random.key(0), AutoencoderConfig(16, latent_dim=3, filters=(4, 4)))
    images = np.repeat(np.repeat(mapped, 4, axis=1), 4, axis=2)
    z = encode_to(tmp_path / "z.npy", model, Slices(images), mirror=True)
    assert z.shape == (20, 3)
    np.testing.assert_allclose(z[:10], inference.encode(model, images), atol=1e-5)
    np.testing.assert_allclose(z[10:], inference.encode(model, images[:, :, ::-1]), atol=1e-5)


def test_as_many_images_at_once_as_suit_the_device(monkeypatch):
    found = {}
    for backend in ("cpu", "gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        found[backend] = [images_at_once((side, side, 3)) for side in (28, 64, 128, 2048)]
    assert found == {"cpu": [256, 64, 16, 1], "gpu": [256, 256, 64, 1]}
