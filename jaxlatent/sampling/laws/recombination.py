"""New vectors as combinations of a few z-points, with the mean and the covariance of all of them."""

import math
from typing import Any, ClassVar, Literal, Unpack

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float16, UInt32

from jaxlatent._boundary import as_count, convert_fields
from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.fitting.parents import check_parents, combined, fit_parents
from jaxlatent.sampling.fitting.region import FitOptions
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed, directions, distinct_indices

Weights = Literal["equal", "random"]


@pytree
class RecombinationSampler(Sampler):
    """Draws sum_i w_i x_i of m distinct, random z-points x_i in the whitened PCA frame, sum_i w_i^2 = 1.

    Such weights keep both moments, whatever the law of the z-points. For independent parents, E x = 0 and
    Cov x = I give E sum_i w_i x_i = 0 and Cov sum_i w_i x_i = sum_i w_i^2 Cov x = I, and y = sigma * that
    has mean 0 and covariance diag(explained_variance). Weights that sum to 1 instead, as of a mean of
    images, would keep the mean and shrink the spread.

    Parents are drawn without replacement, so the covariance of vectors with equal weights is (n - m) / n
    of the unbiased one of n z-points, with random weights (n - 1) / n. All n with equal weights give their
    mean alone.

    Skewness and other traits of third and higher order fade as m grows, by the central limit theorem: with
    equal weights skewness is 1 / sqrt(m) of the z-points', with random weights it vanishes, as these have
    random signs.

    Attributes:
        pca: the frame, with k components.
        parents: whitened z-points, (n, k) float16, centred, 0 in components without variance. Half
            precision is wrong by up to 2^-11 = 5e-4 of a component; 170,000 z-points of 256 take 87 MB.
        n_parents: m, from 2 to n.
        weights: "equal", all 1 / sqrt(m), or "random", uniform on the unit sphere, of either sign.

    Raises:
        ValueError: if `parents` and `pca` differ in k, `n_parents` is out of range or `weights` unknown.
    """

    _INSTEAD: ClassVar[str] = "take BootstrapSampler, or ClusterMixtureSampler, which has one"

    pca: PCA
    parents: Float16[Array | np.ndarray, "n k"]
    n_parents: int = static_field(default=2)
    weights: Weights = static_field(default="equal")

    def __post_init__(self) -> None:
        check_parents(self.parents)
        convert_fields(self, as_count, "n_parents", minimum=2)
        if self.n_parents > len(self.parents):
            raise ValueError(
                f"n_parents: expected at most {len(self.parents)}, the number of points, got {self.n_parents}"
            )

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        n_parents: int = 2,
        weights: Weights = "equal",
        **options: Unpack[FitOptions],
    ) -> "RecombinationSampler":
        """Finds the frame from z-points and keeps these, whitened.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            n_parents: m, from 2 to the number of points kept.
            weights: see the class.
            **options: `n_components` and which z-points are described, see `jaxlatent.sampling.FitOptions`.
                They are the parents, and the covariance is theirs; of a subset, the frame's mean is shrunk
                towards the whole.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        pca, parents = fit_parents(z, **options)
        return cls(pca, parents, n_parents, weights)

    def _kept(self, k: int) -> dict[str, Any]:
        return super()._kept(k) | {"parents": self.parents[:, :k]}

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        m, n = self.n_parents, self.parents.shape[0]
        if self.weights == "equal":
            weights = jnp.full((m, index.shape[0]), 1 / math.sqrt(m), jnp.float32)
        else:
            weights = directions(seed, index, 1, m)
        drawn = combined(jnp.asarray(self.parents), distinct_indices(seed, index, 0, m, n), weights)
        return drawn * jnp.sqrt(self.pca.explained_variance)
