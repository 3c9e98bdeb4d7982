"""What an evaluation measures, one record a line, as a CSV file keeps it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True, eq=False)
class Row:
    """One set of images in a comparison; see `jaxlatent.evaluation.compare` for what it is compared with.

    What depends on `n` can be compared among rows of equal `n` only: the Fréchet distances but for
    `frechet_limit`, precision, recall, density, coverage and duplicates.

    Attributes:
        title: what was measured.
        spec: the text that names the sampler, see `jaxlatent.sampling.Spec`; "" for other rows.
        n: number of images, and of those that they are compared with.
        frechet: Fréchet distance to the reconstructions of unseen images, in squared units of the features.
        frechet_limit: the same, extrapolated to infinitely many images; may be below 0 by chance.
        n_limit: number of images that it was extrapolated from, at least n.
        frechet_error: standard error of `frechet_limit`.
        frechet_unseen: Fréchet distance to the unseen images themselves.
        random_limit: as `frechet_limit`, but from n images, in the features of random convolutions, see
            `random_features`.
        random_error: its standard error.
        kernel: kernel distance (KID) to the reconstructions, mean over subsets; not multiplied by 1,000.
        kernel_deviation: its standard deviation over the subsets.
        precision: share of the images that lie among the reconstructions, in [0, 1].
        recall: share of the reconstructions that lie among the images, in [0, 1].
        density: as precision, counting how often; near 1 for equal laws.
        coverage: share of the reconstructions that have one of the images near, in [0, 1].
        faces: share of the images with a detected face, in [0, 1].
        classifier_accuracy: of a classifier that tells images and reconstructions apart; 0.5 is chance.
        energy: unbiased squared energy distance to the reconstructions, in units of the features.
        copy_p: of the one-sided test that the images are closer to training images than unseen ones are.
        closer: probability that one is closer; 0.5 is chance, 1 copies.
        duplicates: share of the images that have another one alike, in [0, 1].
        fit_seconds: time to fit the sampler, compilation included.
        vectors_per_second: of the sampler, once compiled.
        features: what images are compared in, see `jaxlatent.evaluation.features`.
        seed: of the vectors and of the choices that some measures make.
        unseen: the split of the data that the unseen images are from.
        model: the autoencoder, the first digits of its SHA-256 digest.
        images: the first of them, at most 64.
    """

    title: str
    spec: str
    n: int
    frechet: float
    frechet_limit: float
    n_limit: int
    frechet_error: float
    frechet_unseen: float
    random_limit: float
    random_error: float
    kernel: float
    kernel_deviation: float
    precision: float
    recall: float
    density: float
    coverage: float
    faces: float | None
    classifier_accuracy: float
    energy: float
    copy_p: float | None
    closer: float | None
    duplicates: float | None
    fit_seconds: float | None
    vectors_per_second: float | None
    features: str = ""
    seed: int | None = None
    unseen: str = ""
    model: str = ""
    images: UInt8[np.ndarray, "m h w c"] | None = None


@dataclass(frozen=True)
class TradeoffPoint:
    """One setting of a sampler's dial.

    Attributes:
        series: the sampler whose dial is turned.
        dial: name of the dial, "fact" or "temperature".
        setting: of the dial.
        n: number of images.
        frechet: as in `Row`.
        precision: as in `Row`.
        recall: as in `Row`.
    """

    series: str
    dial: str
    setting: float
    n: int
    frechet: float
    precision: float
    recall: float
