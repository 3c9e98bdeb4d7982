"""The region that a sampler draws from: a PCA frame and semi-axes, fitted to z-points."""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent._boundary import is_traced
from jaxlatent._checks import check_choice
from jaxlatent.latent.half_width import HalfWidth, half_width
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.subset import subset_mask, subset_weight
from jaxlatent.sampling.body import EllipseBody

#: What semi-axes are measured by: a half-width, or the variance that uniform vectors should have.
Axes = Literal[HalfWidth, "matched"]

FACT = 0.7


def fit_frame(
    z: Float[Array | np.ndarray, "n d"],
    n_components: int | None = None,
    **options: Any,
) -> PCA:
    """The PCA frame of z-points; without `n_components`, of all components of positive variance.

    Args:
        z: z-points, floating point (n, d), n >= 2.
        n_components: k, from 1 to d.
        **options: `where`, `max_points`, `within_sigma` and `key` of `PCA.fit`.
    """
    pca = PCA.fit(z, n_components, **options)
    if n_components is None:
        pca = pca.keep(max(1, int(jnp.sum(pca.explained_variance > 0))))
    return pca


def fit_region(
    z: Float[Array | np.ndarray, "n d"],
    *,
    n_components: int | None = None,
    fact: float | None = None,
    axes: Axes = "fwhm",
    where: Bool[Array | np.ndarray, " n"] | None = None,
    **trimming: Any,
) -> tuple[PCA, EllipseBody]:
    """Finds the frame and the semi-axes, `fact` times the width of each component.

    Args:
        z: z-points, floating point (n, d), n >= 2.
        n_components: k, from 2 to d; all that have a positive variance where not given.
        fact: scale of the widths, > 0; where not given, 0.7 of a half-width and 1 of "matched". The source
            used 0.6 to 0.8 of the FWHM.
        axes: "fwhm", "hwhm" or "sigma", see `jaxlatent.half_width`, or "matched": the semi-axes for which
            vectors uniform on the body have the variance of the z-points, which are 2 standard deviations
            at k = 2 and tend to sqrt(6) = 2.449 for many components.
        where: mask of a subset of the z-points. Mean, covariance and widths are those of the subset, shrunk
            towards the whole where it is small: see `jaxlatent.latent.subset`.
        **trimming: `max_points`, `within_sigma` and `key` of `PCA.fit`.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
    """
    check_choice("half_width", axes, get_args(Axes))
    if fact is None:
        fact = 1.0 if axes == "matched" else FACT
    if not fact > 0:
        raise ValueError(f"fact: expected a positive number, got {fact}")
    pca = fit_frame(z, n_components, where=where, **trimming)
    if axes == "matched":
        deviation = EllipseBody(jnp.ones(pca.n_components)).uniform_deviation()
        return pca, EllipseBody(jnp.sqrt(pca.explained_variance) * jnp.float32(fact / deviation))
    y = pca.transform(z)
    widths = (
        half_width(y, axes) if where is None else _subset_widths(y, subset_mask(z, where), axes, z.shape[1])
    )
    return pca, EllipseBody(jnp.float32(fact) * widths)


def _subset_widths(y: jax.Array, mask: np.ndarray, axes: HalfWidth, dim: int) -> jax.Array:
    """Widths of the chosen vectors, shrunk towards those of all vectors as in `subset_moments`."""
    chosen, rest = y[mask], y[~mask]
    own = half_width(chosen, axes)
    weight = subset_weight(len(chosen), dim)
    # Each about its own mean: a distance between the two is no width.
    centred = [part - jnp.mean(part, axis=0) for part in (chosen, rest)]
    return weight * own + (1 - weight) * half_width(jnp.concatenate(centred), axes)


def check_variance(pca: PCA) -> None:
    """Accepts a frame of which every component varies, as far as its numbers are known.

    Raises:
        ValueError: otherwise.
    """
    if is_traced(pca.explained_variance):
        return
    bad = np.flatnonzero(~(np.asarray(pca.explained_variance) > 0))
    if bad.size:
        raise ValueError(f"pca: component {bad[0]} has no variance ({bad.size} such); keep fewer components")
