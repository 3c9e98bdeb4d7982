"""Nearest neighbours, exact, in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int

from jaxlatent._boundary import as_count, as_vectors

_ROWS, _VALUES = 4096, 1 << 23  # of a block, at most
_SPARE = 4
_RUN = 32  # references of which only the best is sorted among those of a block


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest references of n points, the nearest first.

    Attributes:
        distance: Euclidean, in the unit of the points, (n, k).
        index: rows of the references, (n, k).
    """

    distance: Float64[np.ndarray, "n k"]
    index: Int[np.ndarray, "n k"]


def nearest_distances(
    points: Float[Array | np.ndarray, "n f"],
    references: Float[Array | np.ndarray, "m f"],
    *,
    k: int = 1,
    exclude_self: bool = False,
) -> Neighbours:
    """Finds the k nearest references of each point, in blocks, never n x m in memory.

    Blocks of squared distances come from a matrix product of centred points, in float32 at highest
    precision. Its error, some 1e-7 of the squared norms, hides how near the nearest are; so the best k + 4
    are measured again, by their differences in float64, and ordered by that. A neighbour can be missed only
    where more than 4 others are as near to within that error.

    Args:
        points: floating point (n, f), images flattened; a memory map is read block by block.
        references: floating point (m, f), likewise.
        k: from 1 to m, or to m - 1 where a point is left out.
        exclude_self: `points` are the `references`, and row i is no neighbour of itself; an equal vector in
            another row is.

    Raises:
        TypeError, ValueError: if an argument is out of range, or holds a NaN or an infinity.
    """
    points = as_vectors("points", points)
    references = as_vectors("references", references, points.shape[1])
    k = as_count("k", k, 1)
    if exclude_self and len(points) != len(references):
        raise ValueError(
            "exclude_self: expected the same array as points and references, got "
            f"{len(points)} and {len(references)} rows"
        )
    available = len(references) - exclude_self
    if k > available:
        raise ValueError(f"k: expected at most {available}, the neighbours that there are, got {k}")
    rows, some = (block_rows(len(each), points.shape[1]) for each in (references, points))
    total = sum(
        np.sum(block, axis=0, dtype=np.float64) for _, block in blocks("references", references, rows)
    )
    centre = np.asarray(total / len(references), np.float32)
    found = [
        _nearest(block, references, centre, (some, rows), k, begin if exclude_self else None)
        for begin, block in blocks("points", points, some)
    ]
    none = Neighbours(np.zeros((0, k)), np.zeros((0, k), np.int64))
    distance, index = zip((none.distance, none.index), *found, strict=True)
    return Neighbours(np.concatenate(distance), np.concatenate(index))


def block_rows(count: int, dim: int) -> int:
    """Rows of a block, for at most `count` vectors of `dim` dimensions; few fill a power of 2."""
    return min(_ROWS, max(1, _VALUES // max(1, dim)), 1 << max(0, count - 1).bit_length())


def blocks(name: str, vectors: Array | np.ndarray, rows: int) -> Iterator[tuple[int, np.ndarray]]:
    """The vectors, `rows` at a time with the row of the first; they have to be finite."""
    for begin in range(0, len(vectors), rows):
        block = np.asarray(vectors[begin : begin + rows])
        if not np.isfinite(block).all():
            raise ValueError(
                f"{name}: NaN or infinite values in rows {begin} to {begin + len(block) - 1}; remove them"
            )
        yield begin, block


def _nearest(
    points: np.ndarray,
    references: Array | np.ndarray,
    centre: np.ndarray,
    sizes: tuple[int, int],
    k: int,
    own: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices (n, k) of one block; `own` is the row of the first point among the references.

    Rows of a block of points and of references are the `sizes`.
    """
    kept = min(k + _SPARE, len(references) - (own is not None))
    some, rows = sizes
    x = filled(points, centre, some)
    score = jnp.full((some, kept), -jnp.inf, jnp.float32)
    index = jnp.zeros((some, kept), jnp.int32)
    itself = -some if own is None else own
    for begin in range(0, len(references), rows):
        block = np.asarray(references[begin : begin + rows])
        y = filled(block, centre, rows)
        score, index = _best(score, index, x, y, len(block), begin, itself)
    candidates = np.asarray(index)[: len(points)].astype(np.int64)
    near = np.stack([_distances(points, np.asarray(references[column])) for column in candidates.T], axis=1)
    order = np.lexsort((candidates, near))[:, :k]
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(candidates, order, axis=1)


def filled(block: np.ndarray, centre: np.ndarray, rows: int) -> np.ndarray:
    """Centred, float32, and with further rows of zeros, so that all blocks run in one program."""
    filled = np.zeros((rows, block.shape[1]), np.float32)
    filled[: len(block)] = block - centre
    return filled


@jax.jit
def _best(
    score: jax.Array,
    index: jax.Array,
    x: jax.Array,
    y: jax.Array,
    count: jax.Array,
    begin: jax.Array,
    itself: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The best candidates and the first `count` rows of `y`, of which the best are kept."""
    # Half of |x|^2 - |x - y|^2, which orders the references of a point as their distances do.
    here = jnp.matmul(x, y.T, precision="highest") - jnp.sum(jnp.square(y), axis=1) / 2
    row, column = jnp.arange(x.shape[0])[:, None], jnp.arange(y.shape[0])
    excluded = (column >= count) | (column + begin == row + itself)
    here = jnp.where(excluded, -jnp.inf, here)
    # The k best lie in the k runs with the best ones: so few are left that sorting takes no time.
    kept, rows = score.shape[1], y.shape[0]
    run = _RUN if rows % _RUN == 0 and rows >= kept * _RUN else 1
    runs = here.reshape(x.shape[0], -1, run)
    _, chosen = jax.lax.top_k(runs.max(axis=2), min(kept, runs.shape[1]))
    some = jnp.take_along_axis(runs, chosen[:, :, None], axis=1).reshape(x.shape[0], -1)
    which = (chosen[:, :, None] * run + jnp.arange(run)).reshape(x.shape[0], -1)
    score, place = jax.lax.top_k(jnp.concatenate([score, some], axis=1), kept)
    return score, jnp.take_along_axis(jnp.concatenate([index, which + begin], axis=1), place, axis=1)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    difference = np.subtract(a, b, dtype=np.float64)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))
