"""Copies of training images among the generated ones, and generated images that are alike."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Float64, Int

from jaxlatent._boundary import as_count, as_number, as_positive, as_vectors
from jaxlatent.evaluation.neighbours import Neighbours, nearest_distances

# Of the quantiles of distances.
LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95)

# Distance of two that are alike, as a part of the median distance between nearest neighbours. The number of
# neighbours within r falls as r^D with the dimension D of the data, so that few fall below by chance.
_ALIKE = 0.25


@dataclass(frozen=True, eq=False)
class CopyTest:
    """Whether generated images are closer to the training images than held-out images are.

    Attributes:
        p: of the rank test for distances that are smaller on the whole, one-sided; small means copying.
        probability_closer: that a generated image is closer to its nearest training image than a held-out
            image is to its own, ties counted half; 0.5 where they are alike, 1 for copies.
        threshold: the distance that the closest held-out images do not exceed.
        close_share: share of the generated images closer than that.
        expected_share: what this share would be for further held-out images.
        close_p: of as many so close, one-sided; sees a few copies among many new images, which `p` does not.
        levels: of the quantiles, `LEVELS`.
        generated_quantiles: of the distances of the generated images.
        held_out_quantiles: of those of the held-out images.
        generated: distance and index of the nearest training image of each generated one.
        held_out: the same of each held-out one.
    """

    p: float
    probability_closer: float
    threshold: float
    close_share: float
    expected_share: float
    close_p: float
    levels: tuple[float, ...]
    generated_quantiles: Float64[np.ndarray, " q"]
    held_out_quantiles: Float64[np.ndarray, " q"]
    generated: Neighbours
    held_out: Neighbours


@dataclass(frozen=True, eq=False)
class CopyReference:
    """What generated images are compared with by `copies`; what does not depend on them is measured once.

    Attributes:
        training: what could have been copied, (t, f).
        held_out: the nearest training image of each held-out one.
        closest: share of the held-out images that are called close, in (0, 1).
    """

    training: Float[Array | np.ndarray, "t f"]
    held_out: Neighbours
    closest: float

    @classmethod
    def of(
        cls,
        training: Float[Array | np.ndarray, "t f"],
        held_out: Float[Array | np.ndarray, "m f"],
        *,
        closest: float = 0.01,
    ) -> "CopyReference":
        """Measures it; arguments and errors as of `copies`."""
        training = as_vectors("training", training, least=1)
        held_out = as_vectors("held_out", held_out, training.shape[1], least=1)
        closest = as_number("closest", closest)
        if not 0 < closest < 1:
            raise ValueError(f"closest: expected a share in (0, 1), got {closest}")
        return cls(training, nearest_distances(held_out, training), closest)

    def compare(self, generated: Float[Array | np.ndarray, "n f"]) -> CopyTest:
        """Tests generated images, see `copies`."""
        from scipy import stats

        generated = as_vectors("generated", generated, self.training.shape[1], least=1)
        found = nearest_distances(generated, self.training)
        near, reference = found.distance[:, 0], np.sort(self.held_out.distance[:, 0])
        n, m = near.size, reference.size
        ranks = stats.mannwhitneyu(near, reference, alternative="less")
        rank = int(np.ceil(self.closest * m))
        close = int((near < reference[rank - 1]).sum())
        # At least that many come before the rank-th held-out one if they are among the first close + rank - 1
        # of all.
        close_p = stats.hypergeom.sf(close - 1, n + m, n, close + rank - 1)
        return CopyTest(
            float(ranks.pvalue),
            float(1 - ranks.statistic / (n * m)),
            float(reference[rank - 1]),
            close / n,
            rank / (m + 1),
            float(close_p),
            LEVELS,
            np.quantile(near, LEVELS),
            np.quantile(reference, LEVELS),
            found,
            self.held_out,
        )


def copies(
    generated: Float[Array | np.ndarray, "n f"],
    training: Float[Array | np.ndarray, "t f"],
    held_out: Float[Array | np.ndarray, "m f"],
    *,
    closest: float = 0.01,
) -> CopyTest:
    """Compares the distances to the nearest training image of generated and of held-out images.

    Rank test: H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is stochastically
    larger than the other", Annals of Mathematical Statistics 18, 1947, in the use of C. Meehan,
    K. Chaudhuri, S. Dasgupta, "A non-parametric test to detect data-copying in generative models", AISTATS
    2020. Closest images: the precedence test, B. Epstein, "Tables for the distribution of the number of
    exceedances", Annals of Mathematical Statistics 25, 1954, exact whatever the law of the distances.

    Blur brings an image closer to all others, so compare like with like: decoded vectors with
    reconstructions of held-out images. So does too small a spread: images near the mean are close to all
    without being copies, and both p-values are small for them; copies alone have distances near 0.

    Args:
        generated: images flattened, or features, floating point (n, f), n >= 1.
        training: what could have been copied, (t, f), t >= 1.
        held_out: of the same law as `training` and not among them, (m, f), m >= 1.
        closest: share of the held-out images that are called close, in (0, 1).

    Raises:
        TypeError, ValueError: if an argument is out of range, or holds a NaN or an infinity.
    """
    return CopyReference.of(training, held_out, closest=closest).compare(generated)


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Generated images that are alike.

    Attributes:
        threshold: distance below which two are alike.
        pairs: rows of each image that has one alike and of the one nearest to it, each pair once, the
            smaller row first, the closest pair first, (p, 2).
        distance: of the pairs, (p,).
        share: share of the images that have another one alike.
    """

    threshold: float
    pairs: Int[np.ndarray, "p 2"]
    distance: Float64[np.ndarray, " p"]
    share: float


def duplicates(
    generated: Float[Array | np.ndarray, "n f"],
    *,
    real: Float[Array | np.ndarray, "m f"] | None = None,
    threshold: float | None = None,
) -> Duplicates:
    """Finds generated images that are alike.

    Two are alike if they are closer than a quarter of the median distance from a real image to its nearest
    neighbour among as many real images as there are generated ones (or all, if there are fewer). The
    smallest distance would not do: most data sets hold the same image twice.

    Args:
        generated: images flattened, or features, floating point (n, f), n >= 2.
        real: real images, or their reconstructions, likewise (m, f), m >= 2; rows are taken evenly.
        threshold: the distance itself, > 0, in place of `real`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or holds a NaN or an infinity, or not one of
            `real` and `threshold` is given, or more than half of the real images are equal.
    """
    generated = as_vectors("generated", generated, least=2)
    if (real is None) == (threshold is None):
        raise ValueError("threshold: expected either it or real; give one of them")
    if real is not None:
        real = as_vectors("real", real, generated.shape[1], least=2)
        threshold = alike_below(real, len(generated))
    threshold = as_positive("threshold", threshold)
    found = nearest_distances(generated, generated, exclude_self=True)
    distance, other = found.distance[:, 0], found.index[:, 0]
    alike = np.flatnonzero(distance < threshold)
    pairs, first = np.unique(np.sort(np.stack([alike, other[alike]], axis=1)), axis=0, return_index=True)
    between = distance[alike[first]]
    order = np.argsort(between, kind="stable")
    return Duplicates(threshold, pairs[order], between[order], alike.size / len(generated))


def alike_below(real: Float[Array | np.ndarray, "m f"], count: int) -> float:
    """The distance below which two of `count` generated images are alike; see `duplicates`.

    Args:
        real: real images flattened, or features, floating point (m, f), m >= 2.
        count: number of generated images, >= 2.

    Raises:
        TypeError, ValueError: if an argument is out of range, or more than half of the images are equal.
    """
    real, count = as_vectors("real", real, least=2), as_count("count", count, 2)
    some = np.asarray(real[np.linspace(0, len(real) - 1, min(len(real), count)).astype(np.int64)])
    threshold = _ALIKE * float(np.median(nearest_distances(some, some, exclude_self=True).distance))
    if not threshold > 0:
        raise ValueError("real: more than half of the images are equal to others; give a threshold")
    return threshold
