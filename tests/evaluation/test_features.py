import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent.autoencoder import AutoencoderConfig, encode
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.data import load_images
from jaxlatent.evaluation.features import EncoderFeatures, extract


@pytest.fixture(scope="module")
def images():
    return load_images("synthetic:13", image_size=32, cache=False)


def colours(images):
    """Mean colour of each image: features that need no network."""
    return np.asarray(images, np.float64).mean(axis=(1, 2))


@pytest.mark.parametrize("batch_size", [1, 4, 13, 50])
def test_batches_make_no_difference(images, batch_size):
    np.testing.assert_array_equal(extract(colours, images, batch_size=batch_size), colours(images))


def test_the_function_sees_uint8_batches_of_one_shape(images):
    seen = []

    def note(batch):
        seen.append((type(batch), batch.dtype, batch.shape))
        return colours(batch)

    extract(note, jnp.asarray(images, jnp.float32) / 255, batch_size=5)
    assert set(seen) == {(np.ndarray, np.dtype(np.uint8), (5, 32, 32, 3))}
    assert len(seen) == 3


def test_a_compiled_function_is_compiled_once(images):
    function = jax.jit(lambda x: jnp.mean(x.astype(jnp.float32), axis=(1, 2)))
    found = extract(function, images, batch_size=4)
    assert found.dtype == np.float32
    assert function._cache_size() == 1
    np.testing.assert_allclose(found, colours(images), rtol=1e-5)


def test_floating_point_images_are_rounded_as_if_stored(images):
    noise = np.random.default_rng(0).uniform(-0.4, 0.4, images.shape)
    unit = ((images + noise) / 255).astype(np.float32)
    np.testing.assert_array_equal(extract(colours, unit), colours(images))
    beyond = np.array([-0.05, 1.05], np.float64).reshape(2, 1, 1, 1) * np.ones((1, 8, 8, 3))
    np.testing.assert_array_equal(extract(colours, beyond)[:, 0], [0, 255])


def test_memory_maps_are_read(images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    np.testing.assert_array_equal(extract(colours, mapped, batch_size=5), colours(images))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_short_floats_become_float32(images, dtype):
    found = extract(lambda x: jnp.asarray(colours(x), dtype), images)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.asarray(jnp.asarray(colours(images), dtype), np.float32))


def test_tensors_of_pytorch_are_taken(images):
    torch = pytest.importorskip("torch")
    weights = torch.ones(3, 2, requires_grad=True)
    found = extract(lambda x: torch.tensor(x).float().mean(dim=(1, 2)) @ weights, images)
    np.testing.assert_allclose(found, colours(images) @ np.ones((3, 2)), rtol=1e-5)


def test_the_encoder_gives_latent_vectors(images, key):
    model = make_autoencoder(key, AutoencoderConfig(image_size=32, latent_dim=5, filters=(4, 4, 4, 4)))
    found = extract(EncoderFeatures(model), images, batch_size=6)
    assert found.shape == (13, 5)
    np.testing.assert_array_equal(found, encode(model, images, batch_size=6))
    with pytest.raises(ValueError, match="images: expected shape"):
        extract(EncoderFeatures(model), np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"images": np.zeros((0, 8, 8, 3), np.uint8)},
            ValueError,
            "images: expected at least 1 image, got 0",
        ),
        ({"images": np.zeros((2, 8, 8), np.uint8)}, ValueError, "images: expected shape"),
        ({"images": np.zeros((2, 8, 8, 2), np.uint8)}, ValueError, "images: expected shape"),
        ({"images": np.zeros((2, 8, 8, 3), np.int32)}, TypeError, "images: expected uint8 .* got int32"),
        ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
        ({"features": lambda x: np.zeros((len(x), 2), int)}, TypeError, "function gives: expected floating"),
        ({"features": lambda x: np.zeros(len(x))}, ValueError, r"function gives: expected an array of shape"),
        ({"features": lambda x: np.zeros((3, 2))}, ValueError, "expected 256 rows for 256 images, got 3"),
        ({"features": lambda x: np.full((len(x), 2), np.nan)}, ValueError, "finite numbers, got NaN"),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(images, change, error, message):
    arguments = {"features": colours, "images": images, "batch_size": 256, **change}
    with pytest.raises(error, match=message):
        extract(arguments["features"], arguments["images"], batch_size=arguments["batch_size"])
