import jax
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.autoencoder import inference
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.generation import encode as module
from jaxlatent.generation.encode import encode_to

N = 300


@pytest.fixture(scope="module")
def model():
    config = jl.AutoencoderConfig(image_size=32, latent_dim=5, filters=(4, 4, 4, 4))
    return make_autoencoder(jax.random.key(0), config)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (N, 32, 32, 3), np.uint8)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(module, "_SHARD_SIZE", 64)


class StopError(Exception):
    pass


class Faulty:
    """Images that cannot be read from some index on."""

    def __init__(self, images, stop):
        self._images, self._stop = images, stop
        self.shape, self.dtype, self.ndim = images.shape, images.dtype, images.ndim

    def __getitem__(self, rows):
        if 1 < rows.stop - rows.start <= 32 and rows.stop > self._stop:  # as they are encoded, not digested
            raise StopError
        return self._images[rows]


def test_the_file_holds_what_encode_gives(model, images, tmp_path):
    path = tmp_path / "deep" / "latents.npy"
    z = encode_to(path, model, images)
    np.testing.assert_array_equal(z, jl.encode(model, images))
    assert isinstance(z, np.memmap)
    assert not z.flags.writeable
    np.testing.assert_array_equal(np.load(path), z)
    assert list(path.parent.iterdir()) == [path]


def test_sources_and_memory_maps(model, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    expected = jl.encode(model, images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for source in (mapped, images.astype(np.float32) / np.float32(255)):
        np.testing.assert_allclose(encode_to(tmp_path / "z.npy", model, source), expected, atol=1e-5)


def test_a_source_gives_its_training_images(model, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    source = str(tmp_path / "images.npy")
    for options, split in [({}, "train"), ({"split": "test"}, "test"), ({"split": None}, None)]:
        expected = jl.encode(model, jl.load_images(source, image_size=images.shape[1], split=split))
        z = encode_to(tmp_path / "z.npy", model, source, **options)
        np.testing.assert_allclose(z, expected, atol=1e-5)
    with pytest.raises(ValueError, match="split: expected one of train, validation, test"):
        encode_to(tmp_path / "z.npy", model, source, split="all")


@pytest.mark.usefixtures("small_shards", "as_without_type_checks")
def test_an_interrupted_encoding_goes_on(model, images, tmp_path, monkeypatch):
    path = tmp_path / "z.npy"
    with pytest.raises(StopError):
        encode_to(path, model, Faulty(images, 200), batch_size=32)
    assert not path.exists()
    whole, encoded = inference.encode, []

    def counted(model, images, **options):
        encoded.append(len(images))
        return whole(model, images, **options)

    monkeypatch.setattr(inference, "encode", counted)
    z = encode_to(path, model, Faulty(images, N), batch_size=32)
    assert sum(encoded) < N
    np.testing.assert_allclose(z, jl.encode(model, images), atol=1e-5)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("small_shards", "as_without_type_checks")
def test_of_another_model_or_other_images_nothing_is_kept(model, images, tmp_path):
    path = tmp_path / "z.npy"
    for changed in (images, 255 - images):
        with pytest.raises(StopError):
            encode_to(path, model, Faulty(changed, 200), batch_size=32)
    other = make_autoencoder(jax.random.key(1), model.config)
    np.testing.assert_array_equal(encode_to(path, other, images), jl.encode(other, images))


def test_an_old_file_stays_until_the_new_one_is_there(model, images, tmp_path):
    path = tmp_path / "z.npy"
    encode_to(path, model, images)
    encode_to(path, model, images[:10])
    assert np.load(path).shape == (10, 5)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(model, images, tmp_path):
    with pytest.raises(ValueError, match=r"path: expected a name that ends in \.npy"):
        encode_to(tmp_path / "z", model, images)
    with pytest.raises(ValueError, match=r"images: expected shape \(n, 32, 32, 3\)"):
        encode_to(tmp_path / "z.npy", model, images[:, :16])
    with pytest.raises(ValueError, match="batch_size: expected at least 1"):
        encode_to(tmp_path / "z.npy", model, images, batch_size=0)
    with pytest.raises(ValueError, match="images: expected at least 1"):
        encode_to(tmp_path / "z.npy", model, images[:0])
    assert not list(tmp_path.iterdir())
