"""The z-points that a fit is made on."""

from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from jaxlatent._boundary import as_array, as_count, as_key, as_mask, as_positive, as_vectors
from jaxlatent._random import numpy_generator
from jaxlatent.latent.moments import moments
from jaxlatent.latent.sharded import Vectors, on_host

_BATCH = 8192


class PointOptions(TypedDict, total=False):
    """Which z-points a fit describes: options that every `fit` takes.

    Attributes:
        where: mask (n,) of a subset, at least two points, which alone is described. Its mean and covariance
            are shrunk towards those of all points where it is small, see `jaxlatent.latent.subset`.
        max_points: at most this many random points are looked at, >= 2; all where not given.
        within_sigma: only points are looked at of which each coordinate lies within this many standard
            deviations of the coordinate's mean, > 0. (At d = 256 that leaves half of Gaussian points at 3.)
        key: a typed key for what is random in a fit; `jax.random.key(0)` where not given.
    """

    where: Bool[Array | np.ndarray, " n"] | None
    max_points: int | None
    within_sigma: float | None
    key: jax.Array | None


class Choice(NamedTuple):
    """The z-points of a fit.

    Attributes:
        z: those that are looked at, (n, d) or (n, c, h, w).
        mask: of those among them that are described, on the host (n,); all where it is none.
        rows: their numbers among all that were given, (n,); none where all were taken.
        total: number of all that were given.
    """

    z: Float[Vectors, " n *latent"]
    mask: Bool[np.ndarray, " n"] | None
    rows: Int[np.ndarray, " n"] | None
    total: int

    @property
    def points(self) -> Float[Vectors, " m *latent"]:
        """Those that are described."""
        return self.z if self.mask is None else _take(self.z, self.mask)

    def of_points(self, name: str, values: Any) -> Shaped[np.ndarray, " m"]:
        """The entries that belong to the points described, of one entry for each that was given.

        Raises:
            ValueError: if there are more or fewer.
        """
        values = np.asarray(as_array(name, values))
        if values.shape != (self.total,):
            raise ValueError(
                f"{name}: expected shape ({self.total},), one entry a vector of z, got {values.shape}"
            )
        values = values if self.rows is None else values[self.rows]
        return values if self.mask is None else values[self.mask]


def choose(
    z: Float[Vectors, " n *latent"],
    *,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    max_points: int | None = None,
    within_sigma: float | None = None,
    key: jax.Array | None = None,
) -> Choice:
    """Takes the z-points that `PointOptions` name.

    Raises:
        TypeError, ValueError: if an argument is out of range, or fewer than 2 points are left.
    """
    z = as_array("z", z)
    total = z.shape[0] if z.ndim else 0
    mask = None if where is None else as_mask("where", where, total)
    rows = _rows(z, max_points, within_sigma, key)
    if rows is None:
        return Choice(z, mask, None, total)
    if mask is not None:
        mask = mask[rows]
        if mask.sum() < 2:
            raise ValueError(
                f"where: {mask.sum()} of the chosen vectors are left by max_points and within_sigma; "
                "leave these out or raise them"
            )
    return Choice(_take(z, rows), mask, rows, total)


def trim(
    z: Float[Vectors, " n *latent"],
    *,
    max_points: int | None = None,
    within_sigma: float | None = None,
    key: jax.Array | None = None,
) -> Float[Array | np.ndarray, " m *latent"]:
    """Takes at most `max_points` random z-points of those near the mean.

    The source took 100,000 points within 3 standard deviations.

    Args:
        z: z-points, (n, d) or (n, c, h, w).
        max_points: see `PointOptions`, as for `within_sigma` and `key`.
        within_sigma: see there.
        key: see there.

    Returns:
        The points kept, in their order in `z`; a JAX array where `z` is one, NumPy's otherwise.

    Raises:
        TypeError, ValueError: if an argument is out of range, or fewer than 2 points are left.
    """
    kept = choose(z, max_points=max_points, within_sigma=within_sigma, key=key).z
    return kept if isinstance(kept, jax.Array) else np.asarray(kept)


def _rows(
    z: Float[Vectors, " n *latent"], max_points: int | None, within_sigma: float | None, key: jax.Array | None
) -> Int[np.ndarray, " m"] | None:
    """Numbers of the points that are looked at, rising; none where these are all."""
    if max_points is None and within_sigma is None:
        return None
    z = as_vectors("z", on_host(z))
    keep = np.arange(z.shape[0])
    if within_sigma is not None:
        within_sigma = as_positive("within_sigma", within_sigma)
        whole = moments(z)
        limit = within_sigma * np.sqrt(np.diag(whole.covariance))
        keep = np.flatnonzero(_near(z, whole.mean, limit))
        if keep.size < 2:
            raise ValueError(
                f"within_sigma: only {keep.size} of {z.shape[0]} points have all coordinates within "
                f"{within_sigma} standard deviations; raise it"
            )
    if max_points is not None:
        max_points = as_count("max_points", max_points, 2)
        key = jax.random.key(0) if key is None else as_key(key)
        if keep.size > max_points:
            keep = np.sort(numpy_generator(key).choice(keep, max_points, replace=False))
    return None if keep.size == z.shape[0] else keep


def _take(z: Float[Vectors, " n *latent"], rows: np.ndarray) -> Float[Array | np.ndarray, " m *latent"]:
    """Rows by number or mask. On the host: another number of rows would be compiled anew."""
    chosen = on_host(z)[rows]
    return jnp.asarray(chosen) if isinstance(z, jax.Array) else chosen


def _near(z: Float[Vectors, " n *latent"], mean: np.ndarray, limit: np.ndarray) -> Bool[np.ndarray, " n"]:
    batches = (z[begin : begin + _BATCH] for begin in range(0, z.shape[0], _BATCH))
    return np.concatenate([np.all(np.abs(batch - mean) <= limit, axis=1) for batch in batches])
