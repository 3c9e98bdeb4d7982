"""The deterministic partition."""

import random
from collections import Counter

import pytest

from jaxlatent.data.splits import partition, split_of

NAMES = [f"a/{i:04d}.png" for i in range(1000)]


def test_five_per_cent_each_for_validation_and_test():
    assert Counter(partition(NAMES)) == {"train": 900, "validation": 50, "test": 50}


def test_it_depends_on_the_names_and_not_on_their_order():
    expected = dict(zip(NAMES, partition(NAMES), strict=True))
    shuffled = random.Random(0).sample(NAMES, len(NAMES))
    assert dict(zip(shuffled, partition(shuffled), strict=True)) == expected
    held_out = [i for i, split in enumerate(partition(NAMES)) if split != "train"]
    assert held_out != list(range(held_out[0], held_out[0] + len(held_out))), "not a run of files"


@pytest.mark.parametrize(("n", "held_out"), [(1, 0), (2, 0), (3, 1), (10, 1), (40, 2)])
def test_small_sources(n, held_out):
    counts = Counter(partition(NAMES[:n]))
    assert counts["validation"] == counts["test"] == held_out
    assert counts["train"] == n - 2 * held_out


def test_given_splits_are_kept_and_missing_ones_come_from_train():
    given = ["train"] * 600 + ["test"] * 390 + [""] * 10
    result = partition(NAMES, given)
    assert result[600:] == given[600:]
    assert Counter(result[:600]) == {"train": 570, "validation": 30}
    assert partition(NAMES, ["train"] * 500 + ["validation"] * 250 + ["test"] * 250)[:500] == (
        ["train"] * 500
    )


def test_splits_without_train_do_not_count():
    assert partition(NAMES, ["test"] * 1000) == partition(NAMES)


@pytest.mark.parametrize(
    ("word", "split"),
    [("Train", "train"), ("val", "validation"), ("valid", "validation"), ("cats", "")],
)
def test_split_names(word, split):
    assert split_of(word) == split
