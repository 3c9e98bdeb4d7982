"""Image data sets prepared by TensorFlow Datasets, read without TensorFlow."""

import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxlatent.data import celeba
from jaxlatent.data.decode import open_image
from jaxlatent.data.source import ImageSource, Labels
from jaxlatent.data.splits import SPLITS, partition, split_of


def open_tfds(name: str, data_dir: str | os.PathLike[str] | None, title: str) -> ImageSource:
    """The `image` feature of a prepared data set, split by split: train, validation, test, others.

    Nothing is downloaded. Attributes that are all boolean, as CelebA's are, become labels, and so do the
    classes of a feature `label`.

    Args:
        name: TFDS's `NAME[/CONFIG][:VERSION]`.
        data_dir: where TFDS keeps its data; None for $TFDS_DATA_DIR or else TFDS's own default.
        title: how messages name it.

    Raises:
        FileNotFoundError: if it is not prepared.
        ValueError: if TFDS knows no such data set or version, it holds no images, or it is prepared
            in a file format that has no random access.
    """
    import tensorflow_datasets as tfds

    data_dir = data_dir or os.environ.get("TFDS_DATA_DIR")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # data sets raise what they like; some need further packages
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{title}: TFDS has no such data set or version, or cannot load it: {reason}"
        ) from error
    folder = Path(builder.data_dir)
    where = f", data_dir={os.fspath(data_dir)!r}" if data_dir else ""
    prepare = (
        f'python -c "import tensorflow_datasets as tfds; tfds.builder({name!r}{where})'
        ".download_and_prepare(file_format='array_record')\""
    )
    if not (folder / "dataset_info.json").is_file():
        raise FileNotFoundError(
            f"{title}: not prepared at {folder}; prepare it once with: {prepare} (some data sets, "
            "celeb_a among them, need TensorFlow for this step, none for reading)"
        )
    features = dict(builder.info.features.items())
    image = features.get("image")
    if not isinstance(image, tfds.features.Image) or image.np_dtype == np.float32:
        found = ", ".join(features)
        raise ValueError(f"{title}: expected 8- or 16-bit images as the feature image; found {found}")
    try:
        splits = builder.as_data_source(decoders={"image": tfds.decode.SkipDecoding()})
    except NotImplementedError as error:
        raise ValueError(
            f"{title}: prepared at {folder} in a file format without random access; delete that "
            f"folder and run: {prepare}"
        ) from error

    rank = {split: i for i, split in enumerate(SPLITS)}
    order = sorted(splits, key=lambda split: (rank.get(split_of(split), len(rank)), split))
    records = [(splits[split], i) for split in order for i in range(len(splits[split]))]
    names = [f"{split}/{i}" for split in order for i in range(len(splits[split]))]
    given = [split_of(split) for split in order for _ in range(len(splits[split]))]

    def example(i: int) -> dict[str, Any]:
        data, place = records[i]
        return data[place]

    listing = sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in folder.iterdir())
    attributes, label = features.get("attributes"), features.get("label")
    labels = None
    if isinstance(attributes, tfds.features.FeaturesDict) and all(
        feature.np_dtype == np.bool_ for feature in attributes.values()
    ):
        labels = partial(_labels, example)
    elif isinstance(label, tfds.features.ClassLabel):
        labels = partial(_classes, example, label.names)
    return ImageSource(
        title=title,
        names=names,
        open=lambda i: open_image(io.BytesIO(example(i)["image"])),
        partition=partial(partition, names, given),
        fingerprint=f"{folder.resolve()}|{listing}",
        crop=celeba.CROP if builder.name == "celeb_a" else None,
        labels=labels,
    )


def _classes(
    example: Callable[[int], dict[str, Any]], names: list[str], indices: Int[np.ndarray, " m"]
) -> Labels:
    return Labels.of_classes(np.array([example(int(i))["label"] for i in indices]), names)


def _labels(example: Any, indices: Int[np.ndarray, " m"]) -> Labels:
    examples = [example(int(i)) for i in indices]
    names = tuple(examples[0]["attributes"])
    present = np.array([[each["attributes"][name] for name in names] for each in examples])
    identities = None
    if "identity" in examples[0]:
        identities = np.array([each["identity"]["Identity_No"] for each in examples], dtype=np.int32)
    return Labels(names, np.where(present, 1, -1).astype(np.int8), identities)
