"""The deterministic partition."""

import random
from collections import Counter

import numpy as np
import pytest

from jaxlatent.data.splits import fair_choice, partition, split_of

NAMES = [f"a/{i:04d}.png" for i in range(1000)]


def test_five_per_cent_each_for_validation_and_test():
    counts = Counter(partition([f"{i}.png" for i in range(100_000)]).tolist())
    five_errors = 5 * (100_000 * 0.05 * 0.95) ** 0.5
    assert abs(counts["validation"] - 5000) < five_errors
    assert abs(counts["test"] - 5000) < five_errors


def test_it_depends_on_the_names_and_not_on_their_order():
    expected = dict(zip(NAMES, partition(NAMES), strict=True))
    shuffled = random.Random(0).sample(NAMES, len(NAMES))
    assert dict(zip(shuffled, partition(shuffled), strict=True)) == expected
    held_out = [i for i, split in enumerate(partition(NAMES)) if split != "train"]
    assert held_out != list(range(held_out[0], held_out[0] + len(held_out))), "not a run of files"


def test_more_images_move_none_to_another_split():
    more = [f"b/{i:04d}.png" for i in range(2000)]
    np.testing.assert_array_equal(partition([*NAMES, *more])[:1000], partition(NAMES))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 10, 40])
@pytest.mark.parametrize("folder", ["a", "b", "c", "d"])
def test_few_images_still_give_each_split_one(folder, n):
    counts = Counter(partition([f"{folder}/{i}.png" for i in range(n)]).tolist())
    assert counts.total() == n
    assert set(counts) == ({"train"} if n < 3 else {"train", "validation", "test"})


def test_given_splits_are_kept_and_missing_ones_come_from_train():
    given = ["train"] * 600 + ["test"] * 390 + [""] * 10
    result = partition(NAMES, given)
    assert result[600:].tolist() == given[600:]
    alone = partition(NAMES)[:600]
    np.testing.assert_array_equal(result[:600], np.where(alone == "test", "train", alone))
    given = ["train"] * 500 + ["validation"] * 250 + ["test"] * 250
    assert partition(NAMES, given).tolist() == given


def test_a_limit_is_fair_nested_and_of_no_order():
    names = [f"{folder}/{i}.png" for folder in "abcde" for i in range(200)]
    chosen = {n: fair_choice(names, np.arange(1000), n) for n in (100, 180, 999, 1000, None)}
    counts = np.bincount(chosen[180] // 200, minlength=5)
    assert counts.sum() == 180
    assert np.abs(counts - 36).max() < 5 * (180 * 0.2 * 0.8) ** 0.5
    assert (np.diff(chosen[180]) > 0).all(), "in the order of the source"
    assert set(chosen[100]) < set(chosen[180]) < set(chosen[999])
    np.testing.assert_array_equal(chosen[1000], np.arange(1000))
    np.testing.assert_array_equal(chosen[None], np.arange(1000))
    backwards = fair_choice(names[::-1], np.arange(1000), 180)
    assert {names[::-1][i] for i in backwards} == {names[i] for i in chosen[180]}


def test_a_limit_does_not_prefer_a_split():
    splits = partition(NAMES)[fair_choice(NAMES, np.arange(1000), 200)]
    assert 100 < (splits == "train").sum() < 200


def test_splits_without_train_do_not_count():
    np.testing.assert_array_equal(partition(NAMES, ["test"] * 1000), partition(NAMES))


@pytest.mark.parametrize(
    ("word", "split"),
    [("Train", "train"), ("val", "validation"), ("valid", "validation"), ("cats", "")],
)
def test_split_names(word, split):
    assert split_of(word) == split
