"""Signals that wait for short work to be over."""

import signal
import threading

import numpy as np
import pytest

from jaxlatent._signals import signals_held, stop_on_signal
from jaxlatent.autoencoder.checkpoint import read_checkpoint, write_checkpoint


def test_a_signal_acts_once_the_work_is_over():
    before, done = signal.getsignal(signal.SIGINT), []

    def work():
        with signals_held():
            signal.raise_signal(signal.SIGINT)
            done.append("work")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["work"]
    assert signal.getsignal(signal.SIGINT) is before


def test_it_is_a_request_where_signals_are_such():
    with stop_on_signal() as stopped:
        with signals_held():
            signal.raise_signal(signal.SIGTERM)
            assert not stopped()
        assert stopped() == signal.SIGTERM


def test_other_threads_have_no_signals():
    done = []

    def work():
        with signals_held():
            done.append("work")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["work"]


def test_a_checkpoint_is_finished_first(tmp_path, monkeypatch):
    """The event loop of Orbax hangs, or fails at the end of the process, where it is interrupted."""
    from orbax.checkpoint import v1

    save = v1.save

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        save(*args)

    monkeypatch.setattr(v1, "save", interrupted)
    tree = {"a": np.arange(3.0, dtype=np.float32)}
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path / "kept", tree, {})
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "kept", tree)["a"], tree["a"])
