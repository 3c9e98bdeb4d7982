"""The region that a sampler draws from: a PCA frame and semi-axes, fitted to z-points."""

import warnings
from typing import Literal, Unpack, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlatent._boundary import as_choice, as_count, as_positive, is_traced
from jaxlatent.latent.half_width import HalfWidth, half_width as measure
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.peaks import middle_shares
from jaxlatent.latent.sharded import Vectors, on_host
from jaxlatent.latent.subset import subset_weight
from jaxlatent.latent.trim import Choice, PointOptions, choose
from jaxlatent.sampling.bodies.ellipse import EllipseBody

#: The scale of half-widths where none is given.
FACT = 0.7
#: The scale of standard deviations at which uniform vectors have the variance of the z-points.
Matched = Literal["matched"]


class FitOptions(PointOptions, total=False):
    """Options of the `fit` of every sampler in a PCA frame.

    Attributes:
        n_components: k, from 1 (2 where there is a body) to d; all that have a positive variance where not
            given.
    """

    n_components: int | None


class RegionOptions(FitOptions, total=False):
    """Options of the `fit` of a sampler in one ellipse body.

    Attributes:
        fact: scale of the half-widths, > 0, 0.7 where not given; the source used 0.6 to 0.8 of the FWHM. Or
            "matched": the semi-axes are those standard deviations for which vectors uniform on the body have
            the variance of the z-points, 2 at k = 2 and towards sqrt(6) = 2.449 for many components.
        half_width: "fwhm" (where not given), "hwhm" or "sigma", see `jaxlatent.half_width`.
    """

    fact: float | Matched
    half_width: HalfWidth


def fit_frame(
    z: Float[Vectors, " n *latent"], n_components: int | None = None, **points: Unpack[PointOptions]
) -> PCA:
    """The PCA frame of z-points (n, d), n >= 2, see `FitOptions`.

    Raises:
        TypeError, ValueError: see `PCA.fit`, or if all z-points are equal.
    """
    return fit_points(z, n_components, **points)[0]


def fit_points(
    z: Float[Vectors, " n *latent"], n_components: int | None = None, **points: Unpack[PointOptions]
) -> tuple[PCA, Choice]:
    """The same, and the z-points that were chosen."""
    choice = choose(z, **points)
    pca = PCA.of_points(choice, n_components)
    rank = _rank(pca)
    if not rank:
        raise ValueError("z: all vectors are equal but for rounding; give vectors that vary")
    return (pca.keep(rank) if n_components is None else pca), choice


def fit_region(
    z: Float[Vectors, " n *latent"],
    *,
    n_components: int | None = None,
    fact: float | Matched = FACT,
    half_width: HalfWidth = "fwhm",
    **points: Unpack[PointOptions],
) -> tuple[PCA, EllipseBody, Choice]:
    """Finds the frame and the semi-axes, `fact` times the width of each component, see `RegionOptions`.

    Of a subset, the widths are shrunk towards the whole as its covariance is: see `jaxlatent.latent.subset`.

    Args:
        z: z-points, floating point (n, d), n >= 2.
        n_components: see there, as for `fact`, `half_width` and the options of `PointOptions`.
        fact: see there.
        half_width: see there.
        **points: see there.

    Returns:
        Frame, body, and the z-points that were chosen.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.

    Warns:
        UserWarning: if the density of a component is not about its mean, as that of two humps, so that the
            body is where hardly any z-points are.
    """
    as_choice("half_width", half_width, get_args(HalfWidth))
    if not isinstance(fact, str) or fact != "matched":
        fact = as_positive("fact", fact)
    if n_components is not None:
        n_components = as_count("n_components", n_components, 2)
    pca, choice = fit_points(z, n_components, **points)
    rank = _rank(pca)
    if rank < 2:
        raise ValueError(
            "z: varies in one direction only, and a body needs two; take a sampler without a body, as "
            "GaussianSampler"
        )
    if rank < pca.n_components:
        raise ValueError(
            f"n_components: z varies in {rank} directions only, got {pca.n_components}; keep fewer components"
        )
    y, mask = pca.transform(choice.z), choice.mask
    described = y if mask is None else on_host(y)[mask]
    if isinstance(fact, str):
        fact = 1 / EllipseBody(jnp.ones(pca.n_components)).uniform_deviation()
        widths = jnp.sqrt(pca.explained_variance)
    else:
        widths = measure(described, half_width)
        if mask is not None:
            widths = _shrunk_widths(widths, described, on_host(y)[~mask], half_width, pca.n_features)
    body = EllipseBody(jnp.float32(fact) * widths)
    _warn_of_empty_middle(described, body)
    return pca, body, choice


def _rank(pca: PCA) -> int:
    return int(np.count_nonzero(pca.explained_variance))


def _warn_of_empty_middle(y: jax.Array | np.ndarray, body: EllipseBody) -> None:
    shares = middle_shares(y)
    if shares.empty.any():
        worst = int(np.argmin(np.where(shares.empty, shares.middle / shares.densest, np.inf)))
        middle, densest, inside = (
            f"{100 * share:.2g} %"
            for share in (shares.middle[worst], shares.densest[worst], body.coverage(y))
        )
        warnings.warn(
            f"z: the density of component {worst} ({shares.empty.sum()} such) is not about its mean: "
            f"{middle} of the z-points lie within half a half-width of it, {densest} in an interval as long "
            f"elsewhere, and {inside} inside the body; take a sampler of several clusters, as "
            "ClusterMixtureSampler, or fit each cluster with where=",
            stacklevel=4,
        )


def _shrunk_widths(
    widths: jax.Array, chosen: jax.Array | np.ndarray, rest: np.ndarray, kind: HalfWidth, dim: int
) -> jax.Array:
    """Widths of the chosen vectors, shrunk towards those of all vectors as in `subset_moments`."""
    weight = subset_weight(len(chosen), dim)
    # Each about its own mean: a distance between the two is no width.
    centred = [part - np.mean(part, axis=0) for part in (chosen, rest) if len(part)]
    return weight * widths + (1 - weight) * measure(np.concatenate(centred), kind)


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
