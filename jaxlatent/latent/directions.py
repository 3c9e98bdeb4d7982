"""Directions in the latent frame along which an attribute of the images changes."""

from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxlatent._boundary import as_array, as_choice, as_vectors
from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.centred import centred
from jaxlatent.latent.moments import Moments, moments
from jaxlatent.latent.pca import PCA

DirectionKind = Literal["mean", "linear"]

_HELD_OUT = 5  # one z-point in five


@pytree
class Direction:
    """A step in the latent frame that gives z-points an attribute, and how well it tells who has it.

    With labels (n, m), every field has a leading axis of the m attributes.

    Attributes:
        vector: in latent units, float32 of the shape of a latent vector, (d,) or (c, h, w). z + vector has
            an attribute's score, the projection on `vector`, that is higher by the difference between the
            mean z-points with it and without it.
        accuracy: balanced accuracy, the mean over both classes, of telling from the score who has the
            attribute, on z-points that were held out; 0.5 is chance, 1 is perfect. NaN where none of the
            held-out points, or all of them, have it.
        separation: d', the difference between the mean scores of the two classes over the root of their
            mean variance, on the held-out points; 0 where the attribute is not linearly visible.
        kind: "mean" or "linear", see `attribute_direction`.

    Raises:
        ValueError: if `kind` is unknown.
    """

    vector: Float[Array, "..."]
    accuracy: Float[Array, "*m"]
    separation: Float[Array, "*m"]
    kind: DirectionKind = static_field(default="mean")


def attribute_direction(
    z: Float[Array | np.ndarray, " n *latent"],
    labels: Shaped[Array | np.ndarray, "n ..."],
    *,
    kind: DirectionKind = "mean",
    pca: PCA | None = None,
) -> Direction:
    """Finds the direction of one attribute, or of m attributes at once, from labelled z-points.

    "mean" is the difference between the mean z-points with and without the attribute. It takes along
    whatever goes with the attribute in the data: a beard makes a face male.

    "linear" is the normal of the hyperplane that separates the two classes best, which leaves alone what
    merely goes with the attribute: Fisher's linear discriminant, C^-1 (m_1 - m_0), where C is the covariance
    (R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7, 1936).
    That C may be the one of all z-points, which differs from that within the classes by a multiple of
    (m_1 - m_0)(m_1 - m_0)^T and hence changes the length of the normal alone, makes one factorisation do
    for all attributes. C is shrunk towards a multiple of the identity, as Y. Chen, A. Wiesel, Y. C. Eldar,
    A. O. Hero, "Shrinkage algorithms for MMSE covariance estimation", IEEE Transactions on Signal Processing
    58, 2010, find the amount for Gaussian points (their oracle approximating estimator). The normal is scaled
    to what of m_1 - m_0 lies along it, so that a step by 1 means the same for both kinds.

    Accuracy and separation are those of a direction found without every fifth point (chosen at random, but
    always the same ones) on these points; the vector is from all points.

    Args:
        z: z-points, floating point (n, d).
        labels: who has the attribute, (n,) or (n, m): bool, or 0 and 1, or -1 and 1, of any dtype.
        kind: see above.
        pca: a frame with k components that the directions should lie in; they are then found from the
            components (n, k). For `edit` with fewer components than dimensions, as a normal often
            has its largest part where the z-points vary least.

    Raises:
        TypeError: if `z` is not floating point, or `labels` are no numbers.
        ValueError: if an argument has another shape, `labels` have other values or lack a class, `z` is not
            finite, or `kind` is unknown.
    """
    as_choice("kind", kind, get_args(DirectionKind))
    z = as_array("z", z)
    latent_shape, z = z.shape[1:], as_vectors("z", z)
    present = _presence(labels, z.shape[0])
    y = np.asarray(centred(z) if pca is None else pca.transform(z))
    table = np.column_stack([y, present.astype(np.float32)])
    chance = np.random.default_rng(0).permutation(len(table))
    held_out, part = table[chance % _HELD_OUT == 0], moments(table[chance % _HELD_OUT != 0])
    vectors, _ = _fit(part.merge(moments(held_out)), y.shape[1], kind)
    if pca is not None:
        vectors = vectors @ np.asarray(pca.components)
    # Both classes are there in all points, but perhaps not among the held-out ones or the others.
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy, separation = _measure(*_fit(part, y.shape[1], kind), held_out)
    shape = present.shape[1:]
    return Direction(
        jnp.asarray(vectors.reshape((*shape, *latent_shape)), jnp.float32),
        jnp.asarray(accuracy.reshape(shape), jnp.float32),
        jnp.asarray(separation.reshape(shape), jnp.float32),
        kind,
    )


def _presence(labels: Array | np.ndarray, n: int) -> np.ndarray:
    """Who has the attribute, bool in the shape of `labels`."""
    table = np.asarray(as_array("labels", labels))
    if table.ndim not in (1, 2) or len(table) != n or not table.size:
        raise ValueError(
            f"labels: expected shape ({n},) or ({n}, m), one row a vector of z, got {table.shape}"
        )
    present, zero, minus = table == 1, table == 0, table == -1
    other = ~(present | zero | minus)
    if other.any():
        raise ValueError(
            f"labels: expected bool, 0 and 1, or -1 and 1, got {table[other][0]}; compare with a threshold"
        )
    mixed = np.flatnonzero(zero.any(axis=0) & minus.any(axis=0))
    if mixed.size:
        raise ValueError(
            f"labels: attribute {mixed[0]} has both 0 and -1; leave out z-points without a label"
        )
    alike = np.flatnonzero(present.all(axis=0) | ~present.any(axis=0))
    if alike.size:
        raise ValueError(
            f"labels: all or none of the z-points have attribute {alike[0]} ({alike.size} such); a direction "
            "needs some with it and some without"
        )
    return present


def _fit(joint: Moments, k: int, kind: DirectionKind) -> tuple[np.ndarray, np.ndarray]:
    """Steps (m, k) from the moments of k components beside m attributes; scores (m,) between the classes."""
    # The difference of the class means is the regression of a component on the attribute.
    difference = joint.scatter[k:, :k] / np.diag(joint.scatter)[k:, None]
    middle = joint.mean[:k] + (0.5 - joint.mean[k:, None]) * difference
    steps = difference
    if kind == "linear":
        normal = np.linalg.solve(_shrunk(joint.covariance[:k, :k], joint.count), difference.T).T
        square = np.sum(normal**2, axis=1, keepdims=True)
        along = np.sum(normal * difference, axis=1, keepdims=True)
        steps = normal * np.divide(along, square, out=np.zeros_like(along), where=square != 0)
    return steps, np.sum(steps * middle, axis=1)


def _shrunk(covariance: np.ndarray, count: int) -> np.ndarray:
    """The oracle approximating shrinkage estimate of a covariance, see `attribute_direction`."""
    k = len(covariance)
    trace, square = np.trace(covariance), np.sum(covariance**2)
    if not trace > 0:
        return np.eye(k)
    excess = (count + 1 - 2 / k) * (square - trace**2 / k)
    above = (1 - 2 / k) * square + trace**2
    weight = above / excess if excess > above else 1.0
    return (1 - weight) * covariance + weight * trace / k * np.eye(k)


def _measure(steps: np.ndarray, middle: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Balanced accuracy and separation (m,) of scores against `middle`; a score at it counts half."""
    k = steps.shape[1]
    score, present = table[:, :k] @ steps.T - middle, table[:, k:] == 1

    def means(values: np.ndarray) -> list[np.ndarray]:
        return [np.sum(values * who, axis=0) / np.sum(who, axis=0) for who in (present, ~present)]

    side, mean, mean_square = means(np.sign(score)), means(score), means(score**2)
    variance = mean_square[0] - mean[0] ** 2 + mean_square[1] - mean[1] ** 2
    return 0.5 + (side[0] - side[1]) / 4, (mean[0] - mean[1]) / np.sqrt(variance / 2)
