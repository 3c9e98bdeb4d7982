"""The first weights that make a network the PCA of its images."""

import jax
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.autoencoder.pca_init import start_as_pca

_LATENT = 12


def _images(count: int = 96, size: int = 32, channels: int = 3) -> np.ndarray:
    """Smooth random images of some thirty dimensions, uint8."""
    rng = np.random.default_rng(0)
    waves = np.cos(np.pi * np.outer(np.arange(3), np.arange(size) + 0.5) / size)
    factors = rng.normal(size=(count, 3, 3, channels)) / (1 + np.arange(3))[:, None, None]
    pixels = 0.5 + 0.1 * np.einsum("nijc,ih,jw->nhwc", factors, waves, waves)
    return np.uint8(np.clip(255 * pixels, 0, 255))


def _error(images: np.ndarray, others: np.ndarray) -> float:
    return float(np.mean((np.asarray(others, np.float64) - images / 255) ** 2))


def _pca_error(images: np.ndarray) -> float:
    x = images.reshape(len(images), -1) / 255
    centred = x - x.mean(axis=0)
    return float((np.linalg.svd(centred, compute_uv=False)[_LATENT:] ** 2).sum() / x.size)


def _started(images: np.ndarray, **fields: object) -> jl.Autoencoder:
    _, height, width, channels = images.shape
    config = jl.AutoencoderConfig(
        image_size=(height, width), channels=channels, latent_dim=_LATENT, filters=(32, 32, 64), **fields
    )
    model = make_autoencoder(jax.random.key(0), config)
    start_as_pca(model, images, np.random.default_rng(0))
    return model


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kernel_size": 4, "activation": "relu"},
        {"kernel_size": 5, "activation": "gelu"},
        {"activation": "silu"},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())) or "default",
)
def test_a_network_reconstructs_as_pca_does(fields):
    images = _images()
    model = _started(images, **fields)
    error = _error(images, jl.decode(model, jl.encode(model, images)))
    assert error < 1.2 * _pca_error(images) < 0.2 * np.var(images / 255)


def test_sizes_that_have_to_be_padded_and_grey_images():
    images = _images(size=30, channels=1)[:, :, :27]
    model = _started(images)
    error = _error(images, jl.decode(model, jl.encode(model, images)))
    assert error < 0.1 * np.var(images / 255)


def test_fewer_images_than_latent_dimensions():
    images = _images(count=5)
    model = _started(images)
    z = np.asarray(jl.encode(model, images))
    assert np.isfinite(z).all()
    assert _error(images, jl.decode(model, z)) < 0.02 * np.var(images / 255)


def test_images_all_alike_give_finite_weights():
    images = np.full((4, 32, 32, 3), 200, np.uint8)
    model = _started(images)
    assert _error(images, jl.decode(model, jl.encode(model, images))) < 1e-4


def test_every_latent_number_has_a_share_in_all_components():
    z = np.asarray(jl.encode(_started(_images()), _images()))
    deviations = z.std(axis=0)
    assert deviations.max() < 4 * deviations.min()


def test_training_starts_there():
    images = _images()
    config = jl.AutoencoderConfig(image_size=32, latent_dim=_LATENT, filters=(32, 32, 64))
    records = {}
    for init in ("random", "pca"):
        train = jl.TrainConfig(init=init, epochs=1, batch_size=16, learning_rate=1e-4)
        _, history = jl.fit_autoencoder(jax.random.key(0), images, config, train, validation=images)
        records[init] = history.records[-1].val_mse
    assert records["pca"] < 0.2 * records["random"]


def test_a_training_that_goes_on_does_not_start_there_again(tmp_path, monkeypatch):
    config = jl.AutoencoderConfig(image_size=32, latent_dim=4, filters=(8, 8))
    arguments = jax.random.key(0), _images(count=16), config
    first, second = (jl.TrainConfig(init="pca", epochs=n, batch_size=8) for n in (1, 2))
    jl.fit_autoencoder(*arguments, first, directory=tmp_path)
    monkeypatch.setattr("jaxlatent.autoencoder.train.start_as_pca", None)
    _, history = jl.fit_autoencoder(*arguments, second, directory=tmp_path, resume=True)
    assert len(history.records) == 2


def test_what_is_refused_leaves_no_folder(tmp_path):
    config = jl.AutoencoderConfig(image_size=32, latent_dim=4, filters=(8, 8), norm="batch")
    with pytest.raises(ValueError, match="init: pca needs a network without norm"):
        jl.fit_autoencoder(
            jax.random.key(0),
            _images(count=8),
            config,
            jl.TrainConfig(init="pca"),
            directory=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fields", [{"norm": "batch"}, {"norm": "group"}, {"activation": "elu"}], ids=str)
def test_a_network_that_no_linear_map_fits_into_is_refused(fields):
    with pytest.raises(ValueError, match="init: pca needs a network without norm"):
        _started(_images(count=8), **fields)
