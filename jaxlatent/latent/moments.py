"""Mean and covariance of z-points in one pass, accurate whatever the mean and however many points."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64

from jaxlatent._boundary import as_vectors
from jaxlatent.latent.sharded import Vectors, on_host
from jaxlatent.processes import together, total

# What stays in a processor's cache at 256 dimensions.
_BATCH = 4096
# Vectors of a batch that are looked at for whether their numbers were float32 once.
_PROBE = 256


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and scatter matrix of a set of vectors, float64 on the host.

    Attributes:
        count: number of vectors.
        mean: (d,).
        scatter: sum of (z - mean)(z - mean)^T, (d, d).
        epsilon: relative spacing of the vectors' numbers, 2^-23 where they are float32, or were once; 0 where
            they are exact. Of different vectors the root of the mean square.
    """

    count: int
    mean: Float64[np.ndarray, " d"]
    scatter: Float64[np.ndarray, "d d"]
    epsilon: float = 0.0

    @property
    def covariance(self) -> Float64[np.ndarray, "d d"]:
        """Unbiased covariance (divisor count - 1); NaN for a single vector."""
        return self.scatter / (self.count - 1) if self.count > 1 else self.scatter * np.nan

    def merge(self, other: "Moments") -> "Moments":
        """The moments of both sets together.

        Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
        variances", 1979, for vectors.
        """
        count = self.count + other.count
        delta = other.mean - self.mean
        weight = other.count / count
        return Moments(
            count,
            self.mean + weight * delta,
            self.scatter + other.scatter + self.count * weight * np.outer(delta, delta),
            math.sqrt((1 - weight) * self.epsilon**2 + weight * other.epsilon**2),
        )


def moments(z: Float[Vectors, " n *latent"], *, distributed: bool = False, name: str = "z") -> Moments:
    """Mean and scatter matrix, streamed in batches of 4,096 vectors with O(d^2) memory.

    The vectors are centred on the mean of the first batch, and multiplied, in float64 on the host, whatever
    their dtype and wherever they are: the rounding error of an entry (i, j) stays near 1e-16 of
    sigma_i sigma_j, however large the mean, and few accelerators are as exact.

    Args:
        z: vectors (n, d), n >= 1, floating point; a memory map, or shards, are read batch by batch.
        distributed: `z` is the part of this process, n >= 0, see `jaxlatent.latent.sharded.part`. All
            processes have to call it, and get the moments of all parts together, the same bits.
        name: what errors call the vectors.

    Raises:
        TypeError: if `z` is not floating point.
        ValueError: if `z` is not (n, d), is empty, or holds a NaN or an infinity.
        RuntimeError: if it was distributed and another process failed or was lost.
    """
    if distributed and jax.process_count() > 1:
        with together(f"moments of vectors of shape {np.shape(z)[1:]}"):
            found = _checked(z, name)
        found = _of_all_processes(found)
    else:
        found = _checked(z, name)
    if not found.count:
        raise ValueError(f"{name}: expected at least 1 vector, got 0")
    return found


def float32_moments(z: Float[Vectors, " n *latent"]) -> tuple[Moments, Float64[np.ndarray, " d"]]:
    """As `moments`, multiplied in float32, in less than half of the time; NaN where `moments` raises.

    Returns:
        The moments, and the error that the multiplication leaves in the covariance, as a variance in each
        coordinate, (d,): that of the sums of squares of the first batch, root mean square. It is 1e-7 of
        a variance for most vectors and 1e-6 for those of few different numbers, the rounding of whose
        products adds up.
    """
    return _streamed(as_vectors("z", z), np.float32)


def _of_all_processes(part: Moments) -> Moments:
    """In two passes over the sums, so that a large mean costs no precision."""
    sums = np.float64(part.count), part.count * part.mean, np.float64(part.count * part.epsilon**2)
    count, summed, squares = total(sums)
    mean = summed / max(count, 1)
    shift = part.mean - mean
    scatter = total(part.scatter + part.count * np.outer(shift, shift))
    return Moments(int(count), mean, scatter, math.sqrt(squares / max(count, 1)))


def _checked(z: Float[Vectors, " n *latent"], name: str) -> Moments:
    found, _ = _streamed(as_vectors(name, z), np.float64)
    bad = np.flatnonzero(~(np.isfinite(found.mean) & np.isfinite(np.diag(found.scatter))))
    if bad.size:
        raise ValueError(
            f"{name}: NaN, infinite or overflowing values in {bad.size} coordinates (the first is "
            f"{bad[0]}); remove those vectors"
        )
    return found


def _streamed(
    z: Float[Vectors, " n *latent"], dtype: type[np.floating]
) -> tuple[Moments, Float64[np.ndarray, " d"]]:
    """The moments by products in `dtype`, and the error of these, see `float32_moments`."""
    z = on_host(z)
    n, dim = z.shape
    if not n:
        return Moments(0, np.zeros(dim), np.zeros((dim, dim))), np.zeros(dim)
    # Fresh memory for each batch would take a good part of the time.
    room, ones = np.empty((min(_BATCH, n), dim), dtype), np.ones(_BATCH, dtype)
    gram, summed, error = np.zeros((dim, dim)), np.zeros(dim), 0.0
    was_float32 = True
    with np.errstate(invalid="ignore", over="ignore"):
        centre = np.mean(z[:_BATCH], axis=0, dtype=np.float64).astype(dtype)
        for begin in range(0, n, _BATCH):
            batch = z[begin : begin + _BATCH]
            was_float32 = was_float32 and bool((batch[:_PROBE].astype(np.float32) == batch[:_PROBE]).all())
            centred = room[: len(batch)]
            centred[...] = batch
            centred -= centre
            summed += ones[: len(batch)] @ centred
            # NumPy knows a product with its transpose, and takes half of the time.
            product = centred.T @ centred
            gram += product
            if not begin:
                squares = np.einsum("ni,ni->i", centred, centred, dtype=np.float64)
                relative = (np.diag(product) - squares) / np.where(squares > 0, squares, 1)
                error = np.sqrt(np.mean(np.square(relative)))
        offset = summed / n
        epsilon = float(jnp.finfo(np.float32 if was_float32 and z.dtype == np.float64 else z.dtype).eps)
        found = Moments(n, centre + offset, gram - n * np.outer(offset, offset), epsilon)
        return found, error * np.diag(gram) / n
