"""The uniform density on a tilted body, by Gibbs sampling.

Each coordinate in turn is drawn uniformly in the interval that the others leave; a sweep draws each once.

Source: S. Geman, D. Geman, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of
images", IEEE Transactions on Pattern Analysis and Machine Intelligence 6, 1984.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from jaxlatent.sampling.bodies.tilted import GROUPS, TiltedBody, arcsin, free_angles, sin
from jaxlatent.sampling.words import Seed, threefry2x32, unit_uniform

# Streams 0 and 1 of the random words belong to the start, the rest to 2^33 / d sweeps.
_SWEEP_ROW = 2 << 24


class GibbsState(NamedTuple):
    """Of a tile of chains, a coordinate a row; rows of 0 fill up to a multiple of 8."""

    t: jax.Array
    angle: jax.Array


def start(t: Float[Array, "d b"]) -> GibbsState:
    """The state of chains at the columns t of the body."""
    t = jnp.pad(t, ((0, -t.shape[0] % GROUPS), (0, 0)))
    return GibbsState(t, arcsin(t))


def sweeper(
    body: TiltedBody, seed: Seed, index: UInt32[Array, " b"]
) -> Callable[[jax.Array, GibbsState], GibbsState]:
    """The function that takes the chains `index` through the sweep of a given number."""
    d = body.n_components
    same, unused = jnp.eye(d, dtype=bool), ((0, 0), (0, -d % GROUPS))
    tilt = jnp.pad(jnp.arcsin(jnp.where(same, 0.0, body.correlation)), unused)
    varies = body.sigma > 0
    addresses = -(-d // 2)

    def sweep(number: jax.Array, state: GibbsState) -> GibbsState:
        row = jnp.arange(addresses, dtype=jnp.uint32) + number.astype(jnp.uint32) * jnp.uint32(addresses)
        upper, lower = threefry2x32(seed, index[None, :], (row + jnp.uint32(_SWEEP_ROW))[:, None])
        w = unit_uniform(jnp.concatenate([upper, lower]))

        def redraw(i: jax.Array, state: GibbsState) -> GibbsState:
            # With its own angle 0, and no tilt against itself, a coordinate does not bind itself.
            others = jax.lax.dynamic_update_index_in_dim(state.angle, jnp.zeros_like(w[0]), i, 0)
            least, most = free_angles(others, tilt[i])
            low, high = sin(least), sin(most)
            t = jnp.where(varies[i], jnp.clip(low + w[i] * (high - low), low, high), 0.0)
            table = jax.lax.dynamic_update_index_in_dim(state.t, t, i, 0)
            # From the table: with a second use of `t`, XLA would compute it twice. Clipped, as the arc
            # sine loses digits near 1, where the bounds of the others depend on them.
            angle = jnp.clip(arcsin(table[i]), least, most)
            return GibbsState(table, jax.lax.dynamic_update_index_in_dim(others, angle, i, 0))

        return jax.lax.fori_loop(0, d, redraw, state)

    return sweep
