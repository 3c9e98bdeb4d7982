import json

import jax
import numpy as np
import pytest
from flax import nnx

from jaxlatent.autoencoder import (
    AutoencoderConfig,
    EpochRecord,
    History,
    decode,
    encode,
    inference,
    load_model,
    save_model,
)
from jaxlatent.autoencoder.network import make_autoencoder

SMALL = {"image_size": 32, "latent_dim": 6, "filters": (4, 6, 8, 10)}
IMAGES = np.random.default_rng(0).integers(0, 256, (11, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    return make_autoencoder(jax.random.key(0), AutoencoderConfig(**SMALL))


def test_batches_of_any_kind_give_the_same_and_compile_once(model, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    z = encode(model, IMAGES, batch_size=4)
    x = decode(model, z, batch_size=4)
    # Counted from here, as another test may have compiled the same programs, or some may have been dropped.
    encoders, decoders = inference._encode._cache_size(), inference._decode._cache_size()
    for n in (0, 1, 4, 7):
        np.testing.assert_array_equal(encode(model, mapped[:n], batch_size=4), z[:n])
        np.testing.assert_array_equal(decode(model, np.asarray(z)[:n], batch_size=4), x[:n])
    assert inference._encode._cache_size() <= encoders
    assert inference._decode._cache_size() <= decoders
    assert z.shape == (11, 6)
    assert x.shape == (11, 32, 32, 3)
    assert isinstance(z, jax.Array)
    assert z.dtype == x.dtype == np.float32
    plain_z = nnx.jit(lambda model, images: model.encode(images))(model, jax.numpy.asarray(IMAGES))
    plain_x = nnx.jit(lambda model, z: model.decode(z))(model, z)
    np.testing.assert_allclose(z, plain_z, atol=1e-5)
    np.testing.assert_allclose(x, plain_x, atol=1e-5)


def test_errors_name_the_argument(model):
    with pytest.raises(ValueError, match=r"images: expected shape \(n, 32, 32, 3\), got \(11, 16"):
        encode(model, IMAGES[:, :16])
    with pytest.raises(TypeError, match="images: expected uint8 or floating point"):
        encode(model, IMAGES.astype(np.int32))
    with pytest.raises(ValueError, match="batch_size: expected at least 1"):
        encode(model, IMAGES, batch_size=0)
    with pytest.raises(ValueError, match=r"z: expected an array of shape \(n, 6\)"):
        decode(model, np.zeros((2, 5), np.float32))


def test_a_saved_model_is_the_same_after_loading(tmp_path):
    config = AutoencoderConfig(**SMALL, norm="batch", activation="elu", kernel_size=4)
    model = make_autoencoder(jax.random.key(1), config)
    model.down1.norm.mean[...] = model.down1.norm.mean[...] + 0.5  # running averages travel too
    save_model(tmp_path / "model", model)
    loaded = load_model(tmp_path / "model")
    assert loaded.config == config
    np.testing.assert_array_equal(encode(loaded, IMAGES), encode(model, IMAGES))


def test_saving_replaces_a_model_but_nothing_else(model, tmp_path):
    other = make_autoencoder(jax.random.key(0), AutoencoderConfig(**{**SMALL, "latent_dim": 3}))
    save_model(tmp_path / "model", other)
    save_model(tmp_path / "model", model)
    assert load_model(tmp_path / "model").config == model.config
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match="photos exists and is no saved model"):
        save_model(tmp_path / "photos", model)


def test_loading_names_what_is_wrong(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_model(tmp_path / "nothing")
    with pytest.raises(ValueError, match="holds no saved model"):
        load_model(tmp_path)
    save_model(tmp_path / "model", model)
    file = tmp_path / "model" / "description.json"
    description = json.loads(file.read_text())
    description["config"]["latent_dim"] = 7
    file.write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"does not fit: from_latent\.kernel"):
        load_model(tmp_path / "model")


def test_history_survives_its_file(tmp_path):
    rows = [EpochRecord(i, 1 / (3 + i), 0.5, float("nan"), 10.0, 1e-3, 2.5) for i in (1, 2)]
    history = History(tuple(rows))
    history.to_csv(tmp_path / "history.csv")
    found = History.from_csv(tmp_path / "history.csv")
    assert repr(found) == repr(history)
    assert found.column("train_loss") == [0.25, 0.2]
    assert found.best().epoch == 1
    with pytest.raises(ValueError, match="name: expected one of epoch"):
        history.column("loss")
    with pytest.raises(ValueError, match="no epoch"):
        History().best()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is no table of EpochRecord"):
        History.from_csv(tmp_path / "other.csv")
