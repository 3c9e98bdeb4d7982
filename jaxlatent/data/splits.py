"""Which images are for training, validation and test, and which ones a limit keeps: by their names alone."""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt64

SPLITS = ("train", "validation", "test")
#: Raise it whenever a source's splits or limits come to hold other images: runs note it.
CHOICE = 2
_ALIASES = {"val": "validation", "valid": "validation"}
_SHARE = 2**64 // 20  # 5 % of the hashes for validation, 5 % for the test


def split_of(word: str) -> str:
    """The split that a folder of this name holds; "" if it is no split's name."""
    word = _ALIASES.get(word.lower(), word.lower())
    return word if word in SPLITS else ""


def partition(names: Sequence[str], given: Sequence[str] | None = None) -> np.ndarray:
    """Assigns each image to a split, so that training and measuring never share an image.

    Splits that the source gives are kept. A validation or test split that it lacks is taken out of its
    training images: those whose names' SHA-256 lies in the first (validation) or second (test) 5 % of all
    its values. So an image stays in its split whatever images come or go.

    Few images may leave such a split empty; it then gets the training image with the smallest hash, as long
    as another one is left. That choice alone depends on what other images there are. Fewer than three
    training images are left whole.

    Args:
        names: one unique name an image.
        given: the source's own splits, one an image. They count where "train" is among them; else all images
            are taken for training images.

    Returns:
        n texts.
    """
    own = ["train"] * len(names) if given is None or "train" not in given else given
    result = np.array(own, dtype="<U10")
    lacking = {split: i for i, split in enumerate(SPLITS[1:]) if split not in own}
    pool = np.flatnonzero(result == "train")
    if not lacking or len(pool) < 3:
        return result
    hashes = _hashes([names[i] for i in pool.tolist()])[:, 0]
    for split, i in lacking.items():
        result[pool[hashes // _SHARE == i]] = split
    for split in lacking:
        left = np.flatnonzero(result[pool] == "train")
        if len(left) > 1 and not (result == split).any():
            result[pool[left[hashes[left].argmin()]]] = split
    return result


def fair_choice(
    names: Sequence[str], rows: Int[np.ndarray, " n"], limit: int | None
) -> Int[np.ndarray, " m"]:
    """At most `limit` of some images, in their order: those whose names have the smallest hashes.

    The first ones would be of the first folders. Which are chosen depends on no order, and more of them
    contain the fewer. The hash is independent of that of `partition`.

    Args:
        names: of all images.
        rows: the images to choose from.
        limit: how many; None for all.
    """
    if limit is None or limit >= len(rows):
        return rows
    hashes = _hashes([names[i] for i in rows.tolist()])[:, 1]
    return rows[np.sort(np.argpartition(hashes, limit - 1)[:limit])]


def _hashes(names: Sequence[str]) -> UInt64[np.ndarray, "n 4"]:
    """Independent, uniform numbers that a name gives."""
    digests = (hashlib.sha256(name.encode(errors="surrogateescape")).digest() for name in names)
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(len(names), 4)
