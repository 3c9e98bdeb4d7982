"""Clusters within classes: which points each cluster is made of, and the clusters of one class."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Int

from jaxlatent._boundary import as_count
from jaxlatent.latent.trim import Choice


class ClassPart(NamedTuple):
    """The points of one class.

    Attributes:
        label: of the class.
        rows: numbers of its points, rising, (m,).
        n_clusters: how many of all clusters it gets, at least 1.
    """

    label: int
    rows: Int[np.ndarray, " m"]
    n_clusters: int


def by_class(
    labels: Int[Array | np.ndarray, " n"] | None, choice: Choice, n_clusters: int
) -> list[ClassPart]:
    """Shares clusters out among the classes of points by their sizes; one part where there are no labels.

    Args:
        labels: the class of each z-point that was given, an integer.
        choice: the z-points that are clustered.
        n_clusters: of all classes together, at least 1.

    Raises:
        TypeError: if the labels are no integers.
        ValueError: if there is not one for each z-point.
    """
    count = len(choice.z) if choice.mask is None else int(choice.mask.sum())
    if labels is None:
        return [ClassPart(0, np.arange(count), n_clusters)]
    known = choice.of_points("labels", labels)
    if known.dtype.kind not in "iub":
        raise TypeError(f"labels: expected integers, got {known.dtype}")
    parts = []
    for label in np.unique(known):
        rows = np.flatnonzero(known == label)
        parts.append(ClassPart(int(label), rows, max(1, round(n_clusters * len(rows) / count))))
    return parts


def clusters_of(labels: Int[Array | np.ndarray, " c"] | None, label: int) -> Int[np.ndarray, " m"]:
    """The numbers of the clusters of a class.

    Raises:
        TypeError: if the clusters have no classes.
        ValueError: if there is no such class.
    """
    if labels is None:
        raise TypeError("label: the sampler was fitted without classes; give `fit` labels=")
    label, known = as_count("label", label, -(2**31)), np.asarray(labels)
    found = np.flatnonzero(known == label)
    if not found.size:
        listed = ", ".join(map(str, np.unique(known)))
        raise ValueError(f"label: expected one of {listed}, got {label}")
    return found
