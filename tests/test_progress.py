"""How fast, and how long."""

import pytest

from jaxlatent._progress import Speed, in_words


def test_speed_is_told_once_after_some_seconds_without_the_first_units(monkeypatch):
    now, told = [100.0], []
    monkeypatch.setattr("jaxlatent._progress.time.monotonic", lambda: now[0])
    speed = Speed(told.append, after=5.0)
    for second, done in ((30, 64), (33, 300), (35, 564), (40, 5000)):
        now[0] = 100.0 + second
        speed.note(done)
        assert told == ([100.0] if second >= 35 else [])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.0, "10 seconds"),
        (44.0, "40 seconds"),
        (89.0, "90 seconds"),
        (95.0, "2 minutes"),
        (3000.0, "50 minutes"),
        (9000.0, "2.5 hours"),
    ],
)
def test_in_words(seconds, words):
    assert in_words(seconds) == words
