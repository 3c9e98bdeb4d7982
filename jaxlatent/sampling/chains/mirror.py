"""The normal density restricted to a tilted body: all coordinates of a chain move at once, by reflections.

Gibbs sampling goes along the large principal components in steps as small as the standard deviation of a
coordinate given all others, back and forth at random. Here a vector of centres m stands beside the vector t.
With P the inverse of the covariance of t and D a diagonal matrix with P <= D^-1,

    m given t is normal with mean t - D P t and covariance D - D P D,
    t given m has independent coordinates with means m and variances D, within the body,

which together have the density of t that is wanted. A sweep reflects m about its mean given t, and then t
about m. Each keeps the density as it is; the two in turn go on in one direction, a component of standard
deviation s by an angle of about 2 sqrt(D) / s of its circle a sweep. From time to time both are drawn anew.

A coordinate may move only where the body allows it together with all that move beside it. `movable` decides
that from the two values of each, without regard to which of two that may change is the present one, so that
the way back is as free as the way there.

Source: reflections about conditional means are the over-relaxation of S. L. Adler, "Over-relaxation method
for the Monte Carlo evaluation of the partition function for multiquadratic actions", Physical Review D 23,
1981; `movable` was worked out here.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt32

from jaxlatent._boundary import is_traced, on_device
from jaxlatent.sampling.bodies.tilted import RIGHT_ANGLE, TiltedBody, arcsin, larger
from jaxlatent.sampling.words import Seed, normals, threefry2x32

# From one sweep that draws anew to the next, at most.
_PERIOD = 24

# Of P <= D^-1: short of 1, so that D - D P D has a Cholesky factor after rounding.
_SHARE = 0.98
# The most of sqrt(D), as a share of the narrowest ellipse of a coordinate, half its width at the centre:
# longer moves would be stopped by the border too often.
_LONGEST = 0.14
# The words of a sweep have a key of their own, made from this row, which is in no stream of the start.
_SWEEP_ROW = 0xFFFFFFFF
# A tilt that keeps a coordinate from binding itself.
_NEVER = 4.0

# Coordinates that `_room` takes at once on an accelerator, which waits for every step to begin. A CPU takes a
# hundred times as long for more than one.
_COUNT = 64

# What `_room` takes of coordinates, and their tilts against each, more and less by that of themselves.
_Rows = tuple[tuple[jax.Array, ...], jax.Array, jax.Array]


class Tables(NamedTuple):
    """What is derived from a body, float32 (d, d) but for the last; t is in units of level * sigma."""

    precision: jax.Array
    """Inverse of the correlation."""
    mean: jax.Array
    """I - D P, from t to the mean of the centres."""
    factor: jax.Array
    """Of the covariance D - D P D of the centres."""
    spread: jax.Array
    """Square root of D, (d, 1); 0 of a constant coordinate."""

    @classmethod
    def of(cls, body: TiltedBody) -> "Tables":
        """From a body whose correlation has an inverse; in float64 where its numbers are known."""
        if is_traced(body):
            return cls(*_tables(jnp, body.correlation, body.sigma, body.level))
        correlation, sigma = (np.asarray(x, np.float64) for x in (body.correlation, body.sigma))
        return cls(*map(on_device, _tables(np, correlation, sigma, body.level)))


class MirrorState(NamedTuple):
    """Of a tile of chains, a coordinate a row."""

    t: jax.Array
    centre: jax.Array


def start(t: Float[Array, "d b"]) -> MirrorState:
    """The state of chains at the columns t of the body; the first sweep draws the centres."""
    return MirrorState(t, jnp.zeros_like(t))


def sweeper(
    body: TiltedBody, tables: Tables, seed: Seed, index: UInt32[Array, " b"]
) -> Callable[[jax.Array, MirrorState], MirrorState]:
    """The function that takes the chains `index` through the sweep of a given number."""
    d = body.n_components
    tilt = jnp.arcsin(jnp.where(jnp.eye(d, dtype=bool), 0.0, body.correlation))

    def sweep(number: jax.Array, state: MirrorState) -> MirrorState:
        mean = jnp.matmul(tables.mean, state.t, precision="highest")

        def anew() -> tuple[jax.Array, jax.Array]:
            words = threefry2x32(seed, number.astype(jnp.uint32), jnp.uint32(_SWEEP_ROW))
            noise = normals(jnp.stack(words), index, 0, 2 * d)
            centre = mean + jnp.matmul(tables.factor, noise[:d], precision="highest")
            return centre, centre + tables.spread * noise[d:]

        def mirrored() -> tuple[jax.Array, jax.Array]:
            centre = 2 * mean - state.centre
            return centre, 2 * centre - state.t

        # Reflections leave the density of a chain as improbable as that of its start was, and each drawing
        # makes up for half of that: so the first follow each other closely, at sweeps 0, 1, 2, 4 and so on.
        is_anew = (number & (number - 1) == 0) | (number % _PERIOD == 0)
        centre, t = jax.lax.cond(is_anew, anew, mirrored)
        t = jnp.where(jnp.abs(t) < 1, t, state.t)
        return MirrorState(jnp.where(movable(arcsin(state.t), arcsin(t), tilt), t, state.t), centre)

    return sweep


def movable(
    angle: Float[Array, "d b"], other: Float[Array, "d b"], tilt: Float[Array, "d d"]
) -> Bool[Array, "d b"]:
    """Which coordinates may go from one angle to another, all at once.

    First, a coordinate stays where one of its angles is outside with both of some other coordinate. Of two
    that are left, the one that reaches less far has to be inside with both angles of the other, which may
    move; the one that reaches further, only with the present angle of the other, which else stays.

    Args:
        angle: arcsin t of vectors in the body, in columns.
        other: the angles that they may go to.
        tilt: arcsin of the correlations; of the diagonal, nothing is read.
    """
    low, high = jnp.minimum(angle, other), jnp.maximum(angle, other)
    reach = jnp.maximum(jnp.abs(angle), jnp.abs(other))
    least, most = _room(lambda low, high: (high, low), (low, high), tilt)
    free = (low >= least) & (high <= most)
    low, high = (jnp.where(free, x, angle) for x in (low, high))

    def seen(
        low: jax.Array, high: jax.Array, present: jax.Array, far: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        moves = far >= reach
        return jnp.where(moves, low, present), jnp.where(moves, high, present)

    least, most = _room(seen, (low, high, angle, reach), tilt)
    return free & (low >= least) & (high <= most)


def _room(
    interval: Callable[..., tuple[jax.Array, jax.Array]],
    rows: tuple[Float[Array, "d b"], ...],
    tilt: Float[Array, "d d"],
) -> tuple[Float[Array, "d b"], Float[Array, "d b"]]:
    """The least and the largest angle that the others leave to each coordinate.

    Args:
        interval: the angles of a coordinate j that the others (d, b) have to go with, from the rows j.
        rows: what `interval` takes.
        tilt: see `movable`.
    """
    same = jnp.eye(len(tilt), dtype=bool)
    # A coordinate does not bind itself.
    above, below = jnp.where(same, _NEVER, tilt), jnp.where(same, -_NEVER, tilt)

    def bounds(row: _Rows) -> tuple[jax.Array, jax.Array]:
        values, more, less = row
        low, high = interval(*values)
        more, less = more[:, None], less[:, None]
        return larger(high + less, -low - more), larger(high - more, less - low)

    def in_steps(rows: _Rows, count: int) -> tuple[jax.Array, jax.Array]:
        def bind(
            so_far: tuple[jax.Array, jax.Array], rows: _Rows
        ) -> tuple[tuple[jax.Array, jax.Array], None]:
            under, over = (jnp.max(x, axis=0) for x in jax.vmap(bounds)(rows))
            return (larger(under, so_far[0]), larger(over, so_far[1])), None

        count = min(count, len(tilt))
        steps = jax.tree.map(lambda x: x.reshape(-1, count, x.shape[1]), _padded(rows, -len(tilt) % count))
        zeros = jnp.zeros_like(rows[0][0])
        return jax.lax.scan(bind, (zeros, zeros), steps)[0]

    under, over = jax.lax.platform_dependent(
        (rows, above, below), cpu=partial(in_steps, count=1), default=partial(in_steps, count=_COUNT)
    )
    return under - RIGHT_ANGLE, RIGHT_ANGLE - over


def _padded(rows: _Rows, count: int) -> _Rows:
    """With coordinates that bind nothing at the end."""
    values, above, below = rows

    def pad(x: jax.Array, value: float) -> jax.Array:
        return jnp.pad(x, ((0, count), (0, 0)), constant_values=value)

    return tuple(pad(x, 0.0) for x in values), pad(above, _NEVER), pad(below, -_NEVER)


def _tables(xp: Any, correlation: Any, sigma: Any, level: float) -> tuple[Any, ...]:
    """Those of `Tables`, by NumPy or by JAX."""
    precision = xp.linalg.inv(correlation)
    precision = (precision + precision.T) / 2
    scaled = level**2 * precision
    same = xp.eye(len(sigma))
    longest = _LONGEST * xp.sqrt(xp.min(1 - xp.square(correlation - same), axis=0))
    # In proportion to the variances given all others, the largest D that P allows.
    variance = xp.minimum(1 / xp.diag(scaled), xp.square(longest))
    share = _SHARE / xp.linalg.eigvalsh(xp.sqrt(xp.outer(variance, variance)) * scaled)[-1]
    spread = xp.where(sigma > 0, xp.minimum(xp.sqrt(share * variance), longest), 0.0)
    if xp is jnp:
        # The law does not depend on it, and eigenvalues that are equal have no derivative.
        spread = jax.lax.stop_gradient(spread)
    remaining = same - xp.outer(spread, spread) * scaled
    factor = spread[:, None] * xp.linalg.cholesky(remaining)
    return precision, same - xp.square(spread)[:, None] * scaled, factor, spread[:, None]
