import dataclasses

import jax
import numpy as np
import pytest

import jaxlatent.evaluation.classifier_training as training
from jaxlatent.autoencoder import DivergenceError
from jaxlatent.evaluation.classifier import load_classifier
from jaxlatent.evaluation.classifier_training import ClassifierConfig, cached_features, fit_features
from jaxlatent.evaluation.features import extract

CONFIG = ClassifierConfig(filters=(8, 12), epochs=12, batch_size=32, learning_rate=1e-2)


def shaded(count, seed):
    """Noise, brighter by one factor, and from left to right by another; the third factor is a constant."""
    rng = np.random.default_rng(seed)
    factors = np.column_stack([rng.uniform(-1, 1, (count, 2)), np.full(count, 2)])
    images = rng.integers(100, 120, (count, 16, 16, 3)) + 40 * factors[:, 0, None, None, None]
    images += 40 * factors[:, 1, None, None, None] * np.linspace(-1, 1, 16)[:, None]
    return images.astype(np.uint8), (factors * [3, 1, 1] + [10, 0, 0]).astype(np.float32)


def tinted(count, seed):
    """Noise that is reddish or not, and bright or not; attributes in -1 and 1, the second one rare."""
    rng = np.random.default_rng(seed)
    attributes = np.where(rng.uniform(size=(count, 2)) < [0.5, 0.2], 1, -1).astype(np.int8)
    images = rng.integers(60, 120, (count, 16, 16, 3))
    images[..., 0] += 25 * (attributes[:, 0, None, None] > 0)
    images += 25 * (attributes[:, 1, None, None, None] > 0)
    return images.astype(np.uint8), attributes


@pytest.fixture(scope="module")
def data():
    return tinted(256, 0)


@pytest.fixture(scope="module")
def fitted(data):
    return fit_features(jax.random.key(0), *data, config=CONFIG)


def test_attributes_are_learned(fitted):
    images, attributes = tinted(200, 1)
    skill = fitted.skill(images, attributes)
    assert skill.shape == (2,)
    assert skill.min() > 0.9
    predicted = fitted.predict(images, batch_size=64)
    assert predicted.dtype == np.float32
    right = (predicted > 0) == (attributes > 0)
    present = attributes > 0
    by_hand = [(right[p, i].mean() + right[~p, i].mean()) / 2 for i, p in enumerate(present.T)]
    np.testing.assert_allclose(skill, by_hand)


def test_factors_are_learned_in_their_own_units_and_not_mirrored():
    images, factors = shaded(256, 1)
    fitted = fit_features(jax.random.key(0), *shaded(256, 0), config=CONFIG)
    predicted = fitted.predict(images)
    error = np.square(predicted - factors).sum(axis=0)
    explained = 1 - error[:2] / np.square(factors - factors.mean(axis=0)).sum(axis=0)[:2]
    assert explained.min() > 0.8
    np.testing.assert_allclose(fitted.skill(images, factors)[:2], explained, rtol=1e-4)
    np.testing.assert_allclose(predicted[:, 2], 2, atol=0.5)

    mirrored = fit_features(
        jax.random.key(0), *shaded(256, 0), config=dataclasses.replace(CONFIG, mirror=True)
    )
    assert mirrored.skill(images, factors)[1] < 0.3


def test_attributes_are_mirrored(fitted, data):
    plain = fit_features(jax.random.key(0), *data, config=dataclasses.replace(CONFIG, mirror=False))
    assert (plain.predict(data[0]) != fitted.predict(data[0])).any()


def test_features_are_one_row_an_image(fitted, data):
    images = data[0][:11]
    features = extract(fitted, images, batch_size=4)
    assert features.shape == (11, 12)
    assert features.dtype == np.float32
    assert features.min() >= 0  # averages of ReLU
    np.testing.assert_allclose(features, fitted(images), rtol=1e-5, atol=1e-6)
    assert np.unique(features, axis=0).shape == (11, 12)


def test_the_key_decides(fitted, data):
    images, attributes = data
    again = fit_features(jax.random.key(0), images, attributes > 0, config=CONFIG)
    np.testing.assert_array_equal(again.predict(images), fitted.predict(images))
    other = fit_features(jax.random.key(1), images, attributes, config=CONFIG)
    assert (other.predict(images) != fitted.predict(images)).any()


def test_few_images_are_one_batch(data):
    images, attributes = data
    fitted = fit_features(jax.random.key(0), images[:3], attributes[:3], config=CONFIG)
    assert np.isfinite(fitted.predict(images)).all()


def test_saved_classifiers_come_back(fitted, data, tmp_path):
    fitted.save(tmp_path / "classifier")
    fitted.save(tmp_path / "classifier")  # replaces
    found = load_classifier(tmp_path / "classifier")
    np.testing.assert_array_equal(found(data[0]), fitted(data[0]))
    np.testing.assert_array_equal(found.predict(data[0]), fitted.predict(data[0]))
    assert (found.digest, found.image_shape, found.attributes) == (fitted.digest, (16, 16, 3), True)


def test_folders_of_something_else_are_refused(fitted, data, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists and holds no classifier; choose another folder"):
        fitted.save(tmp_path)
    with pytest.raises(ValueError, match="holds no classifier; expected a folder"):
        load_classifier(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_classifier(tmp_path / "none")
    with pytest.raises(ValueError, match="holds no classifier"):
        cached_features(tmp_path, jax.random.key(0), *data, config=CONFIG)


def test_a_cache_fits_once(fitted, data, tmp_path, monkeypatch):
    images, attributes = data
    fits = []

    def pretend(key, images, labels, *, config, progress):
        fits.append(config)
        return dataclasses.replace(fitted, digest=training._digest(key, images, labels, config))

    monkeypatch.setattr(training, "fit_features", pretend)

    def digest(seed=0, images=images, attributes=attributes, config=CONFIG):
        key = jax.random.key(seed)
        return cached_features(tmp_path / "features", key, images, attributes, config=config).digest

    assert digest() == digest() == fitted.digest
    assert len(fits) == 1
    changed = images.copy()
    changed[-1, -1, -1, -1] ^= 1
    changes = (
        {"seed": 1},
        {"images": changed},
        {"attributes": -attributes},
        {"config": dataclasses.replace(CONFIG, batch_size=16)},
    )
    assert len({digest(**change) for change in changes} | {fitted.digest}) == 5
    assert len(fits) == 5
    assert digest(**changes[-1]) == load_classifier(tmp_path / "features").digest
    assert len(fits) == 5


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"key": 0}, TypeError, "key: expected a typed key"),
        ({"images": np.zeros((256, 16, 16, 3), np.int32)}, TypeError, "images: expected uint8 or floating"),
        ({"images": np.zeros((256, 16, 16, 2), np.uint8)}, ValueError, "images: expected shape"),
        (
            {"images": np.zeros((0, 16, 16, 3), np.uint8)},
            ValueError,
            "images: expected at least 1 image, got 0",
        ),
        ({"labels": np.zeros((255, 2), np.int8)}, ValueError, r"labels: expected shape \(256, k\)"),
        ({"labels": np.zeros(256, np.int8)}, ValueError, "labels: expected shape"),
        ({"labels": np.zeros((256, 0), np.int8)}, ValueError, "labels: expected shape"),
        ({"labels": np.full((256, 1), 7, np.int8)}, ValueError, r"attributes as -1 and 1, .* got \[7\]"),
        ({"labels": np.full((256, 1), np.nan)}, ValueError, "labels: expected finite factors"),
        ({"labels": np.full((256, 1), "a")}, TypeError, "labels: expected an array of real numbers"),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(data, change, error, message):
    arguments = {"key": jax.random.key(0), "images": data[0], "labels": data[1], **change}
    with pytest.raises(error, match=message):
        fit_features(*arguments.values(), config=CONFIG)


def test_what_does_not_fit_the_classifier_is_refused(fitted, data):
    images, attributes = data
    with pytest.raises(ValueError, match="images: expected shape"):
        fitted(np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r"labels: expected the 2 attributes .* got int8"):
        fitted.skill(images, attributes[:, :1])
    with pytest.raises(ValueError, match=r"labels: expected the 2 attributes .* got float32"):
        fitted.skill(images, attributes.astype(np.float32))


def test_divergence_names_the_learning_rate(data):
    with pytest.raises(DivergenceError, match="lower learning_rate"):
        fit_features(
            jax.random.key(0), *data, config=dataclasses.replace(CONFIG, learning_rate=1e30, epochs=40)
        )


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("filters", (), ValueError),
        ("filters", (0,), ValueError),
        ("epochs", 0, ValueError),
        ("batch_size", 1.5, TypeError),
        ("learning_rate", 0.0, ValueError),
        ("weight_decay", -1.0, ValueError),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_settings_are_checked(field, value, error):
    with pytest.raises(error, match=f"{field}: expected"):
        ClassifierConfig(**{field: value})
