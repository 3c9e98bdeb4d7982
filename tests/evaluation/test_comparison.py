"""Samplers side by side on a small autoencoder of procedural faces."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent._pytree import pytree
from jaxlatent.evaluation import (
    EncoderFeatures,
    References,
    Row,
    TradeoffPoint,
    compare,
    read_records,
    tradeoff,
    write_records,
)
from jaxlatent.evaluation.comparison import FLOOR, NULL
from jaxlatent.sampling import InterpolationSampler, Sampler, Spec

COUNT = 100
TRAINING = jl.TrainConfig(epochs=12, batch_size=10, learning_rate=5e-3)
TIMES = {"fit_seconds", "vectors_per_second"}


@pytest.fixture(scope="module")
def images():
    return jl.load_images("synthetic:200", image_size=32, split="train")


@pytest.fixture(scope="module")
def model(images):
    config = jl.AutoencoderConfig(image_size=32, latent_dim=8, filters=(8, 8, 8, 16))
    return jl.fit_autoencoder(jax.random.key(0), images, config, TRAINING)[0]


@pytest.fixture(scope="module")
def z(model, images):
    return np.asarray(jl.encode(model, images))


@pytest.fixture(scope="module")
def references(model, images, z):
    unseen = jl.load_images("synthetic:120", image_size=32, split="test")
    return References.of(model, EncoderFeatures(model), images, z, unseen, COUNT)


@pytest.fixture(scope="module")
def rows(references, z):
    return compare(references, _named("gaussian", "box"), z, jax.random.key(3))


@pytree
class Replay(InterpolationSampler):
    """Gives training vectors back as they are."""

    def _draw(self, seed, index):
        return jax.numpy.asarray(self.points)[index % self.points.shape[0]]


@pytree
class Broken(InterpolationSampler):
    """Fails when it draws."""

    def _draw(self, seed, index):
        raise RuntimeError("no vectors\ntoday")


@pytree
class Others(InterpolationSampler):
    """Gives the z-points of images of the training images' law, each once."""

    def _draw(self, seed, index):
        return jax.numpy.asarray(self.points)[index]


def _named(*texts: str) -> dict[str, Spec | Sampler]:
    return {(spec := Spec.parse(text)).title: spec for text in texts}


def _numbers(row):
    return {
        field.name: getattr(row, field.name)
        for field in dataclasses.fields(Row)
        if field.name not in TIMES | {"images"}
    }


def test_reference_rows_come_first(rows):
    assert [row.title for row in rows] == [NULL, FLOOR, "box, b 1.5", "gaussian", "box"]
    assert [row.spec for row in rows] == ["", "", "box:b=1.5", "gaussian", "box"]
    for row in rows[:2]:
        assert row.copy_p is row.closer is row.duplicates is row.fit_seconds is None
        assert row.vectors_per_second is None
    for row in rows[2:]:
        assert row.fit_seconds >= 0
        assert row.vectors_per_second > 0


def test_rows_are_finite_and_in_range(rows):
    for row in rows:
        assert row.n == COUNT
        assert row.images.shape == (64, 32, 32, 3)
        assert row.images.dtype == np.uint8
        numbers = [x for x in _numbers(row).values() if isinstance(x, float)]
        assert np.isfinite(numbers).all()
        for name in ("precision", "recall", "coverage", "classifier_accuracy"):
            assert 0 <= getattr(row, name) <= 1
        assert row.faces is None


def test_the_floor_and_a_gaussian_are_better_than_the_boxes(rows):
    _, floor, cube, gaussian, ranges = rows
    assert max(floor.frechet, gaussian.frechet) < min(cube.frechet, ranges.frechet)
    assert max(floor.energy, gaussian.energy) < min(cube.energy, ranges.energy)


def test_a_row_depends_on_its_sampler_and_the_key_alone(rows, references, z):
    again = compare(references, _named("gaussian"), z, jax.random.key(3))
    assert [_numbers(row) for row in again] == [_numbers(row) for row in rows[:4]]
    np.testing.assert_array_equal(again[3].images, rows[3].images)
    other = compare(references, {}, z, jax.random.key(4))
    assert other[-1].frechet != rows[2].frechet


def test_samplers_that_fail_are_left_out_and_the_others_measured(rows, references, z):
    asked = _named("pairwise:n_components=9", "gaussian") | {"broken": Broken.fit(z)}
    with pytest.warns(UserWarning, match="samplers: ") as caught:
        measured = compare(references, asked, z, jax.random.key(3))
    assert [_numbers(row) for row in measured] == [_numbers(row) for row in rows[:4]]
    fit, draw = (str(warning.message) for warning in caught)
    assert fit.startswith("samplers: pairwise, 9 components failed and is left out: ")
    assert "n_components: expected at most 8" in fit
    assert draw == "samplers: broken failed and is left out: no vectors today"


def test_where_all_fail_there_is_an_error(references, z):
    with (
        pytest.warns(UserWarning, match="samplers: broken failed"),
        pytest.raises(RuntimeError, match="no vectors"),
    ):
        compare(references, {"broken": Broken.fit(z)}, z, jax.random.key(3))


def test_images_are_those_of_the_vectors(rows, model, z):
    draw, _ = jax.random.split(jax.random.key(3))
    decoded = jl.decode(model, jl.GaussianSampler.fit(z).sample(draw, 64))
    np.testing.assert_allclose(rows[3].images / 255, decoded, atol=0.51 / 255)


def test_copies_are_seen(references, z):
    replayed = compare(references, {"replay": Replay.fit(z)}, z, jax.random.key(3))[-1]
    assert replayed.closer == pytest.approx(1, abs=0.01)
    assert replayed.copy_p < 1e-6
    assert replayed.fit_seconds is None
    twice = compare(references, {"replay": Replay.fit(z[:30])}, z, jax.random.key(3))[-1]
    assert twice.duplicates == 1


def test_rows_of_the_same_law_agree_where_there_are_few_training_images(model, images, z):
    """With the number asked for, the sampler's row would have less bias than the floor's."""
    unseen = jl.load_images("synthetic:120", image_size=32, split="test")
    more = jl.load_images("synthetic:1200", image_size=32, split="train")[len(images) :]

    waves = np.random.default_rng(0).normal(0, 20, (192, 64))

    def features(x):
        """64 that depend on each other little: much bias, small standard errors."""
        return np.cos((x[:, ::4, ::4] / 255).reshape(len(x), -1) @ waves)

    references = References.of(model, features, images[:100], z[:100], unseen, len(more))
    others = Others.fit(np.asarray(jl.encode(model, more)))
    rows = compare(references, {"others": others}, z, jax.random.key(3))
    floor, same = rows[1], rows[-1]
    assert {row.n for row in rows} == {references.n} == {100}
    assert (floor.n_limit, same.n_limit) == (100, len(more))
    for name in ("frechet", "frechet_limit"):
        difference = getattr(floor, name) - getattr(same, name)
        assert abs(difference) < 5 * np.hypot(floor.frechet_error, same.frechet_error), name
    error = np.sqrt(2 * 0.25 / 100)
    for name in ("precision", "recall", "coverage"):
        assert abs(getattr(floor, name) - getattr(same, name)) < 5 * error, name


def test_faces_are_counted_where_asked(references, z):
    pytest.importorskip("cv2")
    assert all(0 <= row.faces <= 1 for row in compare(references, {}, z, jax.random.key(3), faces=True))


def test_tradeoff(references, z, rows):
    points = tradeoff(references, z, jax.random.key(3), [4, 8], facts=[0.3, 1.0], temperatures=[0.5, 1.0])
    series = ["pairwise, 4 components"] * 2 + ["pairwise, 8 components"] * 2 + ["gaussian"] * 2
    assert [point.series for point in points[:6]] == series
    assert [point.dial for point in points] == ["fact"] * 4 + ["temperature"] * 4
    assert points[2].recall < points[3].recall
    gaussian = points[5]
    assert (gaussian.precision, gaussian.recall) == (rows[3].precision, rows[3].recall)


def test_csv_gives_back_what_was_written(rows, tmp_path):
    path = tmp_path / "rows.csv"
    write_records(path, Row, rows)
    back = read_records(path, Row)
    assert [_numbers(row) for row in back] == [_numbers(row) for row in rows]
    assert back[0].images is None
    points = [TradeoffPoint("gaussian", "temperature", 0.5, 100, 1.25, 0.9, 0.1)]
    write_records(path, TradeoffPoint, points)
    assert read_records(path, TradeoffPoint) == points
    with pytest.raises(ValueError, match="is no table of Row of this version"):
        read_records(path, Row)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(references, model, images, z):
    function = EncoderFeatures(model)
    with pytest.raises(ValueError, match="unseen_images: expected at least 24 images, got 5"):
        References.of(model, function, images, z, images[:5], COUNT)
    with pytest.raises(ValueError, match="z: expected a row for each of 200 images, got 199"):
        References.of(model, function, images, z[1:], images, COUNT)
    with pytest.raises(ValueError, match="count: expected at least 24, got 9"):
        References.of(model, function, images, z, images, 9)
    with pytest.raises(TypeError, match="key: expected a typed key"):
        compare(references, {}, z, 0)
