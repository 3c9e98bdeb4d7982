"""A vine copula of the PCA components, by pyvinecopulib."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_count
from jaxlatent._cores import cores
from jaxlatent._random import as_seed
from jaxlatent.evaluation.rivals.rival import Rival, require, split_off, whiten
from jaxlatent.latent.sharded import Vectors

# Points by which the pairs of the trees are chosen: it takes 2 ms for each of k (k - 1) / 2 pairs.
_CHOOSING = 2000


class CopulaRival(Rival):
    """Empirical margins, tied together by a truncated vine of non-parametric pair copulas.

    The components are uncorrelated, so that the pairs are chosen by Hoeffding's D, which sees any dependence
    (J. Dissmann et al., "Selecting and estimating regular vine copulae", Computational Statistics & Data
    Analysis 59, 2013), and their copulas are local likelihood estimates (T. Nagler, C. Schellhase, C. Czado,
    "Nonparametric estimation of simplified vine copula models", Dependence Modeling 5, 2017).

    It has no budget: at k = 256, a tree takes the time that it takes. `held_out` is the mean log density of
    the copula at the held-out z-points, in nats; 0 where the components are independent.
    """

    @classmethod
    def fit(cls, z: Float[Vectors, "n d"], *, n_trees: int = 1, seed: int = 0) -> "CopulaRival":
        """Fits it to z-points.

        Args:
            z: floating point (n, d), n >= 20.
            n_trees: after so many trees all pairs are taken as independent, from 1 to k - 1.
            seed: of the choice of the points held out.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
            ImportError: without pyvinecopulib.
        """
        n_trees, seed = as_count("n_trees", n_trees, 1), as_seed(seed)
        require("copula")
        import pyvinecopulib as vines

        pca, y = whiten(z)
        as_count("n_trees", n_trees, 1, pca.n_components - 1)
        data, held_out = split_off(y, np.random.default_rng(seed))
        options: dict[str, Any] = {
            "family_set": [vines.families.tll],
            "trunc_lvl": n_trees,
            "num_threads": cores(),
        }
        ranks = vines.to_pseudo_obs(data.astype(np.float64))
        chosen = vines.Vinecop.from_data(
            ranks[:_CHOOSING], controls=vines.FitControlsVinecop(tree_criterion="hoeffd", **options)
        )
        vine = vines.Vinecop.from_data(
            ranks, structure=chosen.structure, controls=vines.FitControlsVinecop(**options)
        )
        ordered = np.sort(data, axis=0)
        levels = (np.arange(len(data)) + 0.5) / len(data)

        def push(normal: Array) -> Float[Array, "b k"]:
            uniform = np.asarray(jax.scipy.special.ndtr(normal), np.float64)
            tied = vine.inverse_rosenblatt(np.clip(uniform, 1e-7, 1 - 1e-7), num_threads=cores())
            pairs = zip(tied.T, ordered.T, strict=True)
            quantiles = [np.interp(column, levels, points) for column, points in pairs]
            return jnp.asarray(np.stack(quantiles, axis=1), jnp.float32)

        pairs = zip(held_out.T, ordered.T, strict=True)
        at = np.stack([np.interp(column, points, levels) for column, points in pairs], axis=1)
        return cls(pca, push, float(np.mean(np.log(vine.pdf(at, num_threads=cores())))))
