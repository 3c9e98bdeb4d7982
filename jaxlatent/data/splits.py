"""Which images are for training, validation and test, where the source does not say it all."""

import hashlib
from collections.abc import Sequence

SPLITS = ("train", "validation", "test")
_ALIASES = {"val": "validation", "valid": "validation"}
_SHARE = 20  # one image in 20 for validation, one in 20 for the test


def split_of(word: str) -> str:
    """The split that a folder of this name holds; "" if it is no split's name."""
    word = _ALIASES.get(word.lower(), word.lower())
    return word if word in SPLITS else ""


def partition(names: Sequence[str], given: Sequence[str] | None = None) -> list[str]:
    """Assigns each image to a split, so that training and measuring never share an image.

    Splits that the source gives are kept. A validation or test split that it lacks is taken out of
    its training images, 5 % each and at least one image: those whose names have the smallest
    SHA-256. The choice depends on the names alone, not on their order. Fewer than three training
    images are left whole.

    Args:
        names: one unique name an image.
        given: the source's own splits, one an image. They count where "train" is among them; else
            all images are taken for training images.
    """
    if given is None or "train" not in given:
        given = ["train"] * len(names)
    result = list(given)
    pool = [i for i, split in enumerate(given) if split == "train"]
    if len(pool) < 3:
        return result
    pool.sort(key=lambda i: hashlib.sha256(names[i].encode(errors="surrogateescape")).digest())
    count = max(1, round(len(pool) / _SHARE))
    for split in ("validation", "test"):
        if split not in given:
            for i in pool[:count]:
                result[i] = split
            del pool[:count]
    return result
