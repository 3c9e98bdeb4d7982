import dataclasses
import math
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent.autoencoder import (
    AutoencoderConfig,
    DivergenceError,
    History,
    TensorBoard,
    TrainConfig,
    encode,
    feed,
    fit_autoencoder,
    load_model,
    train as train_module,
)
from jaxlatent.autoencoder.feed import Feed
from jaxlatent.autoencoder.train import _Run
from jaxlatent.autoencoder.trainer import Trainer

KEY = jax.random.key(0)
CONFIG = AutoencoderConfig(image_size=32, latent_dim=4, filters=(4, 4, 6, 8))
TRAIN = TrainConfig(epochs=4, batch_size=8, learning_rate=1e-2)


def blobs(n, seed=0):
    """Images that differ in a few numbers: a soft spot of some colour somewhere."""
    rng = np.random.default_rng(seed)
    centre, colour = rng.uniform(8, 24, (n, 2)), rng.uniform(80, 255, (n, 1, 1, 3))
    axis = np.arange(32)
    rows = np.exp(-((axis - centre[:, :1]) ** 2) / 40)[:, :, None, None]
    columns = np.exp(-((axis - centre[:, 1:]) ** 2) / 40)[:, None, :, None]
    return (rows * columns * colour).astype(np.uint8)


IMAGES, VALIDATION = blobs(70), blobs(20, seed=1)


def numbers(history):
    """What must repeat bit for bit: all but the times."""
    return [(r.epoch, r.train_loss, r.val_loss, r.val_mse, r.learning_rate) for r in history]


@pytest.fixture(params=[False, True], ids=["streamed", "resident"])
def resident(request, monkeypatch):
    """Both ways in which images reach the program, whatever the device."""
    monkeypatch.setattr(feed, "_fit", lambda *_: request.param)
    return request.param


@pytest.fixture(scope="module")
def trained():
    return fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN, validation=VALIDATION)


class KilledError(Exception):
    pass


def stop_before(monkeypatch, epoch, name="epoch"):
    """Interrupts a training when it calls a method of an epoch."""
    owner = Trainer if name == "epoch" else _Run
    original = getattr(owner, name)

    def method(self, *args, **options):
        if (args[0] if name == "epoch" else len(self.records)) == epoch:
            raise KilledError
        return original(self, *args, **options)

    monkeypatch.setattr(owner, name, method)


def test_training_lowers_the_loss_and_records_every_epoch(trained):
    _, history = trained
    assert history.column("epoch") == [1, 2, 3, 4]
    assert history[3].train_loss < 0.9 * history[0].train_loss
    assert history[3].val_mse < 0.9 * history[0].val_mse
    assert history.column("val_loss") == history.column("val_mse")  # the loss is mse
    assert all(r.images_per_s > 0 and r.seconds > 0 for r in history)
    assert history[3].learning_rate == pytest.approx(0, abs=1e-9)


def test_the_same_key_repeats_and_nothing_is_written_without_directory(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, history = fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN, validation=VALIDATION)
    assert numbers(history) == numbers(trained[1])
    np.testing.assert_array_equal(encode(model, IMAGES), encode(trained[0], IMAGES))
    assert not list(tmp_path.iterdir())


def test_another_key_gives_another_training(trained):
    _, history = fit_autoencoder(jax.random.key(1), IMAGES, CONFIG, TRAIN, validation=VALIDATION)
    assert numbers(history) != numbers(trained[1])


def test_validation_does_not_change_the_training(trained):
    _, history = fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN)
    assert history.column("train_loss") == trained[1].column("train_loss")
    assert all(math.isnan(v) for v in history.column("val_loss") + history.column("val_mse"))


def test_the_validation_error_is_that_of_the_returned_model(trained):
    from jaxlatent.autoencoder import decode

    model, history = trained
    output = np.asarray(decode(model, encode(model, VALIDATION)))
    mse = np.mean((output - VALIDATION / np.float32(255)) ** 2)
    assert history.best().val_mse == pytest.approx(float(mse), rel=1e-4)


@pytest.mark.parametrize("method", ["epoch", "validate", "save"])
def test_resuming_gives_the_numbers_of_an_uninterrupted_run(trained, tmp_path, monkeypatch, method):
    arguments = (KEY, IMAGES, CONFIG, TRAIN)
    with monkeypatch.context() as patch:
        stop_before(patch, 3, method)
        with pytest.raises(KilledError):
            fit_autoencoder(*arguments, validation=VALIDATION, directory=tmp_path)
    model, history = fit_autoencoder(*arguments, validation=VALIDATION, directory=tmp_path, resume=True)
    assert numbers(history) == numbers(trained[1])
    np.testing.assert_array_equal(encode(model, IMAGES), encode(trained[0], IMAGES))
    kept = History.from_csv(tmp_path / "history.csv")
    assert kept == history
    again, same = fit_autoencoder(*arguments, validation=VALIDATION, directory=tmp_path, resume=True)
    assert same == history
    np.testing.assert_array_equal(encode(again, IMAGES), encode(model, IMAGES))


CHILD = """
import sys
import numpy as np
import jax
from jaxlatent.autoencoder import AutoencoderConfig, TrainConfig, fit_autoencoder
folder = sys.argv[1]
config = AutoencoderConfig.from_dict({config})
train = TrainConfig.from_dict({train})
images, validation = np.load(folder + "/images.npy"), np.load(folder + "/validation.npy")
fit_autoencoder(jax.random.key(0), images, config, train, validation=validation,
                directory=folder + "/run", resume=True)
"""


def test_a_killed_process_is_resumed_exactly(trained, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "validation.npy", VALIDATION)
    code = CHILD.format(config=CONFIG.to_dict(), train=TRAIN.to_dict())
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as child:
        deadline = time.monotonic() + 100
        # KilledError as soon as the first checkpoint is there: in the second epoch or a little later.
        while not (tmp_path / "run" / "epoch-00001").exists():
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(child.pid, signal.SIGKILL)
    _, history = fit_autoencoder(
        KEY, IMAGES, CONFIG, TRAIN, validation=VALIDATION, directory=tmp_path / "run", resume=True
    )
    assert numbers(history) == numbers(trained[1])


def test_a_checkpoint_that_was_being_written_does_no_harm(trained, tmp_path, monkeypatch):
    arguments = (KEY, IMAGES, CONFIG, TRAIN)
    with monkeypatch.context() as patch:
        stop_before(patch, 3)
        with pytest.raises(KilledError):
            fit_autoencoder(*arguments, validation=VALIDATION, directory=tmp_path)
    partial = tmp_path / ".epoch-00003.0123abcd.tmp"
    (partial / "weights").mkdir(parents=True)
    (tmp_path / ".best.0123abcd.tmp").mkdir()
    _, history = fit_autoencoder(*arguments, validation=VALIDATION, directory=tmp_path, resume=True)
    assert numbers(history) == numbers(trained[1])
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"best", "epoch-00004", "history.csv"}


def test_a_signal_in_the_middle_of_an_epoch_loses_nothing(trained, tmp_path, monkeypatch, resident):
    """The state is kept with the steps taken; resuming takes only the others."""
    monkeypatch.setattr(feed, "_STEPS_A_CALL", {"cpu": 2})
    original, taken = Feed.calls, []

    def calls(self, rows, done):
        for call in original(self, rows, done):
            taken.append(call.first)
            yield call
            if len(taken) == 6 and not resumed:  # the second of epoch 2
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Feed, "calls", calls)
    resumed = False
    with pytest.raises(KeyboardInterrupt):
        fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN, validation=VALIDATION, directory=tmp_path)
    assert [path.name for path in tmp_path.glob("epoch-*")] == ["epoch-00001-step-0000006"]
    resumed, before = True, len(taken)
    seen = []
    _, history = fit_autoencoder(
        KEY,
        IMAGES,
        CONFIG,
        TRAIN,
        validation=VALIDATION,
        directory=tmp_path,
        resume=True,
        callback=seen.append,
    )
    assert taken[before:][:2] == [6, 0]  # of 8 steps an epoch
    tolerance = 1e-4 if resident else 1e-6
    expected = trained[1].column("train_loss")
    assert history.column("train_loss") == pytest.approx(expected, rel=tolerance)
    assert seen == list(history)[1:]


@pytest.mark.usefixtures("as_without_type_checks")
def test_the_state_is_kept_every_two_minutes(tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "_STEPS_A_CALL", {"cpu": 2})
    monkeypatch.setattr(train_module, "_SECONDS", 0.0)
    written = []
    monkeypatch.setattr(
        train_module, "write_checkpoint", lambda path, *_: written.append(path.name) or path.mkdir()
    )
    monkeypatch.setattr(_Run, "best_model", lambda self: None)
    fit_autoencoder(KEY, IMAGES[:48], CONFIG, dataclasses.replace(TRAIN, epochs=1), directory=tmp_path)
    assert written == [f"epoch-00000-step-000000{i}" for i in (2, 4, 6)] + ["epoch-00001"]


def test_images_are_digested_once_whatever_the_checkpoints(tmp_path, monkeypatch):
    digested = []
    monkeypatch.setattr(train_module, "fingerprint", lambda images: digested.append(len(images)) or "0")
    fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN, validation=VALIDATION, directory=tmp_path)
    assert sorted(digested) == [20, 70]


def test_more_epochs_go_on(tmp_path):
    fit_autoencoder(KEY, IMAGES, CONFIG, dataclasses.replace(TRAIN, epochs=2), directory=tmp_path)
    _, history = fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN, directory=tmp_path, resume=True)
    assert history.column("epoch") == [1, 2, 3, 4]
    # The rates are those of four epochs from now on.
    _, whole = fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN)
    assert history.column("learning_rate")[2:] == whole.column("learning_rate")[2:]
    with pytest.raises(ValueError, match=r"epochs: .* has 4, now it is 3"):
        fit_autoencoder(
            KEY, IMAGES, CONFIG, dataclasses.replace(TRAIN, epochs=3), directory=tmp_path, resume=True
        )


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    board = TensorBoard(tmp_path)
    _, history = fit_autoencoder(KEY, IMAGES, CONFIG, dataclasses.replace(TRAIN, epochs=2), callback=board)
    del board
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    assert content.count(b"train_loss") == content.count(b"learning_rate") == len(history)


DEVICES = """
import sys
import jax, numpy as np
from jaxlatent.autoencoder import AutoencoderConfig, TrainConfig, feed, fit_autoencoder
feed._fit = lambda *_: {resident}
assert len(jax.local_devices()) == int(sys.argv[1])
config, train = AutoencoderConfig.from_dict({config}), TrainConfig.from_dict({train})
images = np.load(sys.argv[2])
_, history = fit_autoencoder(jax.random.key(0), images, config, train, validation=images[:20])
print(history.column("train_loss"), history.column("val_loss"), sep="|")
"""


@pytest.mark.parametrize("norm", ["none", pytest.param("batch", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("count", "resident"), [(2, True), pytest.param(2, False, marks=pytest.mark.slow), (4, False)]
)
def test_devices_share_the_batches(tmp_path, count, resident, norm):
    """The same losses on one, two and four devices, up to rounding."""
    np.save(tmp_path / "images.npy", IMAGES)
    config, short = dataclasses.replace(CONFIG, norm=norm), dataclasses.replace(TRAIN, epochs=2)
    code = DEVICES.format(config=config.to_dict(), train=short.to_dict(), resident=resident)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(count), str(tmp_path / "images.npy")],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"XLA_FLAGS": flags},
    )
    _, history = fit_autoencoder(KEY, IMAGES, config, short, validation=IMAGES[:20])
    found = [[float(x) for x in part.strip("[]\n").split(",")] for part in done.stdout.split("|")]
    # Batch norm divides by small deviations, and so rounding grows faster.
    tolerance = 1e-4 if norm == "none" else 2e-3
    expected = [history.column("train_loss"), history.column("val_loss")]
    np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_a_directory_in_use_and_changed_settings_are_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_before(patch, 2)
        with pytest.raises(KilledError):
            fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN, directory=tmp_path)
    with pytest.raises(ValueError, match=r"directory: .*epoch-00001; pass resume=True"):
        fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN, directory=tmp_path)
    other = TrainConfig(epochs=4, batch_size=8, learning_rate=1e-3)
    with pytest.raises(ValueError, match=r"learning_rate: .* has 0\.01, now it is 0\.001"):
        fit_autoencoder(KEY, IMAGES, CONFIG, other, directory=tmp_path, resume=True)
    # As a version wrote it that did not know a field yet.
    description = tmp_path / "epoch-00001" / "description.json"
    text = description.read_text()
    assert text.count('"contrast_weight": 5.0,') == 1
    description.write_text(text.replace('"contrast_weight": 5.0,', ""))
    other = dataclasses.replace(TRAIN, contrast_weight=2.0)
    with pytest.raises(ValueError, match=r"contrast_weight: .* has 5\.0, now it is 2\.0"):
        fit_autoencoder(KEY, IMAGES, CONFIG, other, directory=tmp_path, resume=True)
    wider = AutoencoderConfig(image_size=32, latent_dim=5, filters=CONFIG.filters)
    with pytest.raises(ValueError, match=r"latent_dim: .* has 4, now it is 5"):
        fit_autoencoder(KEY, IMAGES, wider, TRAIN, directory=tmp_path, resume=True)
    with pytest.raises(ValueError, match="images: "):
        fit_autoencoder(KEY, 255 - IMAGES, CONFIG, TRAIN, directory=tmp_path, resume=True)
    with pytest.raises(ValueError, match="key: "):
        fit_autoencoder(jax.random.key(1), IMAGES, CONFIG, TRAIN, directory=tmp_path, resume=True)


def test_nan_stops_the_training_and_the_last_checkpoint_stays(tmp_path, monkeypatch):
    images = IMAGES.astype(np.float32) / 255
    original = Trainer.epoch

    def poisoned(self, number, *args, **options):
        if number == 2:
            params = jax.tree.map(lambda x: x * jnp.float32(np.nan), self.state.params)
            self.place(self.state._replace(params=params))
        return original(self, number, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "epoch", poisoned)
        with pytest.raises(DivergenceError, match=r"loss became nan in epoch 2.*learning_rate") as e:
            fit_autoencoder(KEY, images, CONFIG, TRAIN, directory=tmp_path)
    assert "\n" not in str(e.value)
    assert isinstance(e.value, RuntimeError)
    assert (tmp_path / "epoch-00001").is_dir()
    assert np.isfinite(encode(load_model(tmp_path / "best"), images)).all()


@pytest.mark.parametrize("directory", [False, True])
def test_the_best_epoch_is_returned_and_early_stopping_stops(tmp_path, monkeypatch, directory):
    losses = iter([0.5, 0.2, 0.3, 0.2])
    states = []

    def validate(self):
        states.append(jax.device_get(self.trainer.state.params))
        value = next(losses)
        return value, value

    monkeypatch.setattr(_Run, "validate", validate)
    train = TrainConfig(epochs=6, batch_size=16, patience=2)
    model, history = fit_autoencoder(
        KEY,
        IMAGES,
        CONFIG,
        train,
        validation=VALIDATION,
        directory=tmp_path / "run" if directory else None,
    )
    assert len(history) == 4  # epoch 4 equals the best, which is no improvement
    assert history.best().epoch == 2
    kernel = np.asarray(model.to_latent.kernel[...])
    np.testing.assert_array_equal(kernel, states[1]["to_latent"]["kernel"][...])


def test_fewer_images_than_a_batch_are_one_batch():
    _, history = fit_autoencoder(KEY, IMAGES[:3], CONFIG, TrainConfig(epochs=1, batch_size=16))
    assert len(history) == 1


def test_memory_maps_train_like_arrays(trained, tmp_path, resident):
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    model, history = fit_autoencoder(KEY, mapped, CONFIG, TRAIN, validation=VALIDATION)
    # A gather and a slice are two programs, which may round differently.
    tolerance = 1e-4 if resident else 0
    np.testing.assert_allclose(numbers(history), numbers(trained[1]), rtol=tolerance)
    z, expected = encode(model, IMAGES), encode(trained[0], IMAGES)
    np.testing.assert_allclose(z, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="images: expected shape"):
        fit_autoencoder(KEY, IMAGES[:, :16], CONFIG, TRAIN)
    with pytest.raises(TypeError, match="images: expected uint8 or floating point"):
        fit_autoencoder(KEY, IMAGES.astype(np.int32), CONFIG, TRAIN)
    with pytest.raises(ValueError, match="images: expected at least 1 image, got 0"):
        fit_autoencoder(KEY, IMAGES[:0], CONFIG, TRAIN)
    with pytest.raises(ValueError, match="validation: expected at least 1 image, got 0"):
        fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN, validation=IMAGES[:0])
    with pytest.raises(ValueError, match="patience: "):
        fit_autoencoder(KEY, IMAGES, CONFIG, TrainConfig(patience=1))
    with pytest.raises(ValueError, match="resume: "):
        fit_autoencoder(KEY, IMAGES, CONFIG, TRAIN, resume=True)
    with pytest.raises(TypeError, match="key"):
        fit_autoencoder(jax.random.PRNGKey(0), IMAGES, CONFIG, TRAIN)
