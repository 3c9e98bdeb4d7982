"""One row of a comparison: all that is measured of a set of images beside those of a target."""

import dataclasses

import jax

from jaxlatent.evaluation.detection import face_rate
from jaxlatent.evaluation.frechet import FrechetReference, frechet_distance
from jaxlatent.evaluation.kernel import KernelReference
from jaxlatent.evaluation.manifold import Manifold
from jaxlatent.evaluation.references import Seen
from jaxlatent.evaluation.rows import Row
from jaxlatent.evaluation.two_sample import EnergyReference, classifier_two_sample_test
from jaxlatent.latent.moments import moments

_PICTURED = 64
_SUBSETS, _SUBSET_SIZE = 50, 1000


class Measures:
    """The measures that need no sampler; what belongs to the target alone is measured once.

    Args:
        target: what images are compared with.
        unseen: of which these are the reconstructions; or the same.
        key: of the choices that some measures make.
    """

    def __init__(self, target: Seen, unseen: Seen, key: jax.Array):
        self.n = n = len(target.features)
        self.target, self.key = target.features, key
        self.limit = FrechetReference(self.target, key=key)
        self.random_limit = FrechetReference(target.random, key=key)
        self.unseen = moments(unseen.features)
        # Subsets of nearly all vectors would be one and the same.
        size = min(_SUBSET_SIZE, n // 2)
        self.kernel = KernelReference(self.target, n, key=key, subsets=_SUBSETS, subset_size=size)
        self.manifold = Manifold(self.target)
        self.energy = EnergyReference(self.target)

    def row(self, title: str, seen: Seen, faces: bool) -> Row:
        """Measures as many images as the target has, and the limit of infinitely many with all.

        Args:
            title: of the row.
            seen: the images, at least as many as the target has.
            faces: measure how often a face is detected, too.
        """
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn brings it

        # Its many small decompositions take thirty times as long on two threads of OpenBLAS.
        with threadpool_limits(1):
            limit = self.limit.limit(seen.features)
            random = self.random_limit.limit(seen.random)
            total, seen = len(seen.features), seen.leading(self.n)
            to_unseen = frechet_distance(seen.features, self.unseen)
        kernel = self.kernel.compare(seen.features)
        told = classifier_two_sample_test(seen.features, self.target, key=self.key)
        return Row(
            title=title,
            spec="",
            n=self.n,
            n_limit=total,
            frechet=limit.finite,
            frechet_limit=limit.distance,
            frechet_error=limit.standard_error,
            frechet_unseen=to_unseen,
            random_limit=random.distance,
            random_error=random.standard_error,
            kernel=kernel.mean,
            kernel_deviation=kernel.deviation,
            **dataclasses.asdict(self.manifold.compare(seen.features)),
            faces=face_rate(seen.first) if faces else None,
            classifier_accuracy=told.accuracy,
            energy=self.energy.compare(seen.features).unbiased,
            copy_p=None,
            closer=None,
            duplicates=None,
            fit_seconds=None,
            vectors_per_second=None,
            images=seen.first[:_PICTURED],
        )
