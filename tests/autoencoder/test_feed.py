from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent.autoencoder import feed
from jaxlatent.autoencoder.feed import Feed

RNG = np.random.default_rng(0)
EXAMPLES = (RNG.integers(0, 256, (40, 4, 4, 3), dtype=np.uint8), RNG.standard_normal(40).astype(np.float32))
ROWS = RNG.permutation(40)[:36].reshape(9, 4).astype(np.int32)


@pytest.fixture(autouse=True)
def small_calls(monkeypatch):
    monkeypatch.setattr(feed, "_STEPS_A_CALL", {"cpu": 4})


def batches(source, done):
    """What the program makes of the calls: the number and the batch of each step."""
    for call in source.calls(ROWS, done):
        for i in range(call.steps):
            yield (
                call.first + i,
                [
                    np.asarray(x[call.rows[i]]).reshape(-1, *shape)
                    for x, shape in zip(call.examples, source.shapes, strict=True)
                ],
            )


@pytest.mark.parametrize("examples", [EXAMPLES, tuple(map(jnp.asarray, EXAMPLES))], ids=["numpy", "jax"])
@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("done", [0, 6, 9])
def test_each_step_gets_its_examples(monkeypatch, resident, examples, done):
    monkeypatch.setattr(feed, "_fit", lambda *_: resident)
    source = Feed(examples, None)
    taken = list(batches(source, done))
    assert [number for number, _ in taken] == list(range(done, 9))
    for number, batch in taken:
        for part, whole in zip(batch, EXAMPLES, strict=True):
            np.testing.assert_array_equal(part, whole[ROWS[number]])


@pytest.mark.parametrize("resident", [False, True])
def test_calls_have_one_shape_and_resident_examples_stay_where_they_are(monkeypatch, resident):
    monkeypatch.setattr(feed, "_fit", lambda *_: resident)
    calls = list(Feed(EXAMPLES, None).calls(ROWS, 0))
    assert [(int(call.first), int(call.steps)) for call in calls] == [(0, 4), (4, 4), (8, 1)]
    assert len({str(jax.tree.map(jnp.shape, tuple(call))) for call in calls}) == 1
    assert all((call.examples[0] is calls[0].examples[0]) == resident for call in calls[1:])


@pytest.mark.parametrize("resident", [False, True])
def test_large_examples_take_fewer_steps_a_call(monkeypatch, resident):
    monkeypatch.setattr(feed, "_fit", lambda *_: resident)
    monkeypatch.setattr(feed, "BYTES_A_CALL", 2 * ROWS.shape[1] * (4 * 4 * 3 + 4))
    assert [call.steps for call in Feed(EXAMPLES, None).calls(ROWS, 0)] == [2, 2, 2, 2, 1]


def device(limit, used=0):
    stats = None if limit is None else {"bytes_limit": limit, "bytes_in_use": used}
    return SimpleNamespace(memory_stats=lambda: stats)


@pytest.mark.usefixtures("as_without_type_checks")
def test_examples_stay_on_devices_that_all_have_room_to_spare():
    size = sum(x.nbytes for x in EXAMPLES)
    assert feed._fit(EXAMPLES, [device(4 * size)])
    assert not feed._fit(EXAMPLES, [device(4 * size - 1)])
    assert not feed._fit(EXAMPLES, [device(5 * size, used=2 * size)])
    assert not feed._fit(EXAMPLES, [device(9 * size), device(3 * size)])
    assert not feed._fit(EXAMPLES, [device(None)])
    assert not feed._fit(EXAMPLES, jax.devices("cpu"))


@pytest.mark.usefixtures("as_without_type_checks")
def test_a_device_that_is_only_described_has_no_room():
    def fail():
        raise RuntimeError("described")

    assert not feed._fit(EXAMPLES, [SimpleNamespace(memory_stats=fail)])
