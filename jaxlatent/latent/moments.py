"""Mean and covariance of z-points in one pass, accurate whatever the mean and however many points."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from jaxlatent._checks import check_vectors
from jaxlatent.latent.sharded import ShardedVectors, Vectors
from jaxlatent.processes import together, total

_BATCH = 8192

# Count of a batch, and its centre, the sum of the centred vectors, and their Gram matrix.
_Pending = tuple[int, tuple[jax.Array | np.ndarray, ...]]


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and scatter matrix of a set of vectors, float64 on the host.

    Attributes:
        count: number of vectors.
        mean: (d,).
        scatter: sum of (z - mean)(z - mean)^T, (d, d).
    """

    count: int
    mean: Float64[np.ndarray, " d"]
    scatter: Float64[np.ndarray, "d d"]

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
        )


def moments(z: Float[Vectors, "n d"], *, distributed: bool = False, name: str = "z") -> Moments:
    """Mean and scatter matrix, streamed in batches of 8,192 vectors with O(d^2) memory.

    Each batch is centred on its own mean before it is multiplied, in float32 at highest precision, and
    the batches are merged in float64: the rounding error of an entry (i, j) stays near 1e-7 of
    sigma_i sigma_j, however large the mean.

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
            found = _streamed(z, name)
        found = _of_all_processes(found)
    else:
        found = _streamed(z, name)
    if not found.count:
        raise ValueError(f"{name}: expected at least 1 vector, got 0")
    return found


def _of_all_processes(part: Moments) -> Moments:
    """In two passes over the sums, so that a large mean costs no precision."""
    count, summed = total((np.float64(part.count), part.count * part.mean))
    mean = summed / max(count, 1)
    shift = part.mean - mean
    scatter = total(part.scatter + part.count * np.outer(shift, shift))
    return Moments(int(count), mean, scatter)


def _streamed(z: Float[Vectors, "n d"], name: str) -> Moments:
    if not isinstance(z, ShardedVectors):
        check_vectors(name, z)
    merged: Moments | None = None
    pending: _Pending | None = None
    started: _Pending
    room: np.ndarray | None = None
    for begin in range(0, z.shape[0], _BATCH):
        count = min(_BATCH, z.shape[0] - begin)
        batch = z[begin : begin + _BATCH]
        if jax.default_backend() == "cpu":
            if room is None:
                room = np.empty((_BATCH, z.shape[1]), np.float32)
            started = (count, _host_moments(np.asarray(batch, np.float32), room[:count]))
        else:
            started = (count, _batch_moments(_padded(batch), jnp.int32(count)))
        # Merged one batch late, so that the host works while the device does.
        merged, pending = _merged(merged, pending), started
    found = _merged(merged, pending)
    if found is None:
        return Moments(0, np.zeros(z.shape[1]), np.zeros((z.shape[1], z.shape[1])))
    if not (np.isfinite(found.mean).all() and np.isfinite(found.scatter).all()):
        bad = np.flatnonzero(~np.isfinite(np.diag(found.scatter)))
        raise ValueError(
            f"{name}: NaN, infinite or overflowing values in {bad.size} coordinates (the first is "
            f"{bad[0]}); remove those vectors"
        )
    return found


def _padded(batch: Array | np.ndarray) -> Array | np.ndarray:
    missing = _BATCH - batch.shape[0]
    if not missing:
        return batch
    pad = np.pad if isinstance(batch, np.ndarray) else jnp.pad
    return pad(batch, ((0, missing), (0, 0)))


@jax.jit
def _batch_moments(z: jax.Array, count: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    z = z.astype(jnp.float32)
    real = (jnp.arange(z.shape[0]) < count)[:, None]
    n = count.astype(jnp.float32)
    centre = jnp.sum(z, axis=0) / n
    centred = jnp.where(real, z - centre, 0.0)
    gram = jnp.matmul(centred.T, centred, precision="highest")
    return centre, jnp.sum(centred, axis=0), gram


def _host_moments(z: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`_batch_moments` for a CPU: BLAS gets by with half of a symmetric product, XLA does not.

    `room` takes the centred vectors; fresh memory for each batch takes a good part of the time.
    """
    ones = np.ones(len(z), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        centre = ones @ z / np.float32(len(z))
        centred = np.subtract(z, centre, out=room)
        return centre, ones @ centred, centred.T @ centred


def _merged(total: Moments | None, pending: _Pending | None) -> Moments | None:
    if pending is None:
        return total
    count, arrays = pending
    centre, rest, gram = (np.asarray(x, np.float64) for x in arrays)
    # `centre` is the mean rounded to float32; the sum of what is left corrects for that.
    offset = rest / count
    batch = Moments(count, centre + offset, gram - count * np.outer(offset, offset))
    return batch if total is None else total.merge(batch)
