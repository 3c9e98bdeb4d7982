"""Vectors in the tilted body: a Markov chain of its own for each, all chains of a tile in step.

Gibbs sampling (S. Geman, D. Geman, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration
of images", IEEE Transactions on Pattern Analysis and Machine Intelligence 6, 1984) draws one coordinate after
the other from its conditional law, within the interval that the others leave; a sweep draws each once.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jaxlatent._boundary import (
    as_count,
    as_key,
    as_positive,
    as_vectors,
    convert_fields,
    is_traced,
    on_device,
)
from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.half_width import GAUSSIAN_FWHM
from jaxlatent.latent.sharded import Vectors
from jaxlatent.latent.trim import PointOptions
from jaxlatent.sampling.bodies.tilted import GROUPS, TiltedBody, arcsin, free_angles, sin, squared_gauge
from jaxlatent.sampling.draws import equip, tables
from jaxlatent.sampling.fitting.region import FACT
from jaxlatent.sampling.laws.diagnostics import Diagnostics, Mixing
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.tables.densities import ParametricDensity
from jaxlatent.sampling.tables.truncated import truncated_normal
from jaxlatent.sampling.words import Seed, normals, seed_words, threefry2x32, uniforms, unit_uniform

SWEEPS = {"uniform": 32, "normal": 512}

# Streams 0 and 1 of the random words belong to the start, the rest to 2^33 / d sweeps.
_SWEEP_ROW = 2 << 24


class _State(NamedTuple):
    """Of a tile of chains, a coordinate a row; rows of 0 fill up to a multiple of 8."""

    angle: jax.Array
    t: jax.Array


_Sweep = Callable[[jax.Array, _State], _State]


@pytree
class TiltedSampler(Sampler):
    """Draws vectors of the latent frame, of which every pair of coordinates lies in its tilted ellipse.

    Every vector is the end of a Markov chain of its own, so the vectors are independent of each other. A
    chain starts in a random direction with covariance rho^2, longer than the body along the large principal
    components, which are forgotten last, at a random fraction of the way to the border. It then goes through
    `sweeps` sweeps of Gibbs sampling.

    How many it takes was measured with `diagnose`. On the latents of four convolutional autoencoders with
    d = 256 and mean |rho| 0.12 to 0.21, the slowest square has an autocorrelation time of 2.1 to 2.4 sweeps
    under the uniform density, so that 6 sweeps leave 1 % of the start, and the default of 32 nothing to be
    seen. With mean |rho| 0.46 it was 20, and 48 sweeps are needed. A normal density moves along its large
    principal components in steps of the small ones: times of 40 to 200 on the four, hence the default of 512,
    and over 1,000 on the fifth. A pair with |rho| near 1 takes about 1 / (1 - |rho|) sweeps.

    Attributes:
        body: the ellipses.
        density: "uniform" on the body, or "normal": the normal density of the mean and covariance of the
            body, restricted to it.
        sweeps: their number, >= 1, to which the time of a draw is proportional; where not given, 32 for a
            uniform density and 512 for a normal one.

    Raises:
        TypeError, ValueError: if `density` is unknown, `sweeps` is no positive integer, or the correlation of
            a normal density has no inverse.
    """

    _INSTEAD: ClassVar[str] = "unnormalized_log_prob is its log density up to a constant"

    body: TiltedBody
    density: ParametricDensity = static_field(default="uniform")
    sweeps: int | None = static_field(default=None)

    def __post_init__(self) -> None:
        if self.sweeps is None:
            object.__setattr__(self, "sweeps", SWEEPS[self.density])
        convert_fields(self, as_count, "sweeps", minimum=1)
        if self.density == "normal" and not is_traced(self):
            _check_inverse(self.body)

    def _derive(self) -> Float[Array, "d d"] | None:
        """Of density "normal", the inverse of the correlation."""
        if self.density == "uniform":
            return None
        correlation = self.body.correlation
        if is_traced(self):
            return jnp.linalg.inv(correlation)
        return on_device(np.linalg.inv(np.asarray(correlation, np.float64)))

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        fact: float = FACT,
        density: ParametricDensity = "uniform",
        sweeps: int | None = None,
        **points: Unpack[PointOptions],
    ) -> "TiltedSampler":
        """Takes the ellipses from the mean and the covariance of z-points.

        Args:
            z: z-points, floating point (n, d), n >= 3, d >= 2.
            fact: > 0; the level of the ellipses is `fact` times the full width at half maximum of a Gaussian,
                2.3548 standard deviations, as the semi-axes of the other samplers are.
            density: see the class.
            sweeps: see the class.
            **points: which z-points are described, see `jaxlatent.latent.PointOptions`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        fact = as_positive("fact", fact)
        body = TiltedBody.fit(z, level=fact * GAUSSIAN_FWHM, **points)
        return cls(body, density=density, sweeps=sweeps)

    def sample_chains(
        self, key: jax.Array, n_chains: int, n_draws: int, *, thin: int = 1, warmup: int | None = None
    ) -> tuple[Float[Array, "{n_chains} {n_draws} d"], Diagnostics]:
        """Several draws from each of a few chains, and how well these have mixed.

        Chain c goes on from vector c of `sample` if `warmup` is the number of sweeps of the sampler.

        Args:
            key: a typed key.
            n_chains: number of chains, >= 1; at least 4 for R-hat to mean much.
            n_draws: draws of each chain, >= 4.
            thin: sweeps from one draw to the next, >= 1.
            warmup: sweeps before the first draw, >= 0; `sweeps` where not given.

        Returns:
            Latent vectors, float32 (n_chains, n_draws, d), and split R-hat and effective sample size of each
            coordinate. Where an R-hat is above 1.01 or an effective sample size below 100 a chain, a
            RuntimeWarning says so.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        z = self._chains(key, n_chains, n_draws, thin, warmup)
        diagnostics = Diagnostics.of(z)
        diagnostics.warn(n_chains)
        return z, diagnostics

    def diagnose(self, key: jax.Array, *, n_chains: int = 32, n_draws: int = 1000) -> Mixing:
        """Measures how many sweeps a chain takes to forget its start: what `sweeps` should be at least.

        Args:
            key: a typed key.
            n_chains: number of chains, >= 1.
            n_draws: sweeps of each chain after `sweeps` of warmup, >= 4, many times the autocorrelation time:
                longer ones are found to be long, but underestimated.

        Returns:
            Autocorrelation times of coordinates, principal components and radius; `steps` are sweeps.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        z = self._chains(key, n_chains, n_draws, 1, None)
        return Mixing.of(self.body.standardise(z), np.asarray(self.body.correlation))

    def _chains(
        self, key: jax.Array, n_chains: int, n_draws: int, thin: int, warmup: int | None
    ) -> Float[Array, "{n_chains} {n_draws} d"]:
        start = self.sweeps if warmup is None else as_count("warmup", warmup)
        counts = as_count("n_chains", n_chains, 1), as_count("n_draws", n_draws, 4), as_count("thin", thin, 1)
        return _run_chains(self, tables(self), seed_words(as_key(key)), *counts, start)

    @property
    def n_components(self) -> int:
        """The number of latent coordinates d."""
        return self.body.n_components

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Of a vector that is drawn."""
        return self.body.mean.shape

    def unnormalized_log_prob(self, z: Float[Array | np.ndarray, " n *latent"]) -> Float[Array, " n"]:
        """The log density of latent vectors up to a constant, which is the same for all of them.

        0 inside the body under the uniform density; under the normal one -1/2 of the squared Mahalanobis
        distance in the covariance of the body.

        Args:
            z: vectors, floating point (n, d).

        Returns:
            float32 (n,), minus infinity outside the body.

        Raises:
            TypeError, ValueError: if `z` is not a floating-point array (n, d).
        """
        z = as_vectors("z", z, self.n_components)
        return _unnormalized(self, tables(self), jnp.asarray(z, jnp.float32))

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b d"]:
        state = jax.lax.fori_loop(0, self.sweeps, self._sweep(seed, index), self._start(seed, index))
        return self.body.place(state.t[: self.body.n_components])

    def _start(self, seed: Seed, index: UInt32[Array, " b"]) -> _State:
        body = self.body
        varies = (body.sigma > 0).astype(jnp.float32)[:, None]
        direction = varies * jnp.matmul(
            body.correlation, varies * normals(seed, index, 0, body.n_components), precision="highest"
        )
        fraction = uniforms(seed, index, 1, 1)
        t = direction * (fraction / jnp.sqrt(squared_gauge(direction, body.correlation)))
        t = jnp.pad(t, ((0, -body.n_components % GROUPS), (0, 0)))
        return _State(arcsin(t), t)

    def _sweep(self, seed: Seed, index: UInt32[Array, " b"]) -> _Sweep:
        """The function that takes a tile of chains through the sweep of a given number."""
        body, d = self.body, self.body.n_components
        same, unused = jnp.eye(d, dtype=bool), ((0, 0), (0, -d % GROUPS))
        tilt = jnp.pad(jnp.arcsin(jnp.where(same, 0.0, body.correlation)), unused)
        varies = body.sigma > 0
        precision = tables(self)
        if precision is not None:
            strength = jnp.diag(precision)[:, None]
            pull = jnp.pad(jnp.where(same, 0.0, -precision / strength), unused)
            spread = 1 / (jnp.float32(body.level) * jnp.sqrt(strength))
        addresses = -(-d // 2)

        def sweep(number: jax.Array, state: _State) -> _State:
            row = jnp.arange(addresses, dtype=jnp.uint32) + number.astype(jnp.uint32) * jnp.uint32(addresses)
            upper, lower = threefry2x32(seed, index[None, :], (row + jnp.uint32(_SWEEP_ROW))[:, None])
            w = unit_uniform(jnp.concatenate([upper, lower]))

            def redraw(i: jax.Array, state: _State) -> _State:
                # With its own angle 0, and no tilt against itself, a coordinate does not bind itself.
                others = jax.lax.dynamic_update_index_in_dim(state.angle, jnp.zeros_like(w[0]), i, 0)
                least, most = free_angles(others, tilt[i])
                low, high = sin(least), sin(most)
                if precision is None:
                    t = low + w[i] * (high - low)
                else:
                    mean = jnp.matmul(pull[i], state.t, precision="highest")
                    t = mean + spread[i] * truncated_normal(
                        w[i], (low - mean) / spread[i], (high - mean) / spread[i]
                    )
                t = jnp.where(varies[i], jnp.clip(t, low, high), 0.0)
                table = jax.lax.dynamic_update_index_in_dim(state.t, t, i, 0)
                # From the table: with a second use of `t`, XLA would compute it twice. Clipped, as the arc
                # sine loses digits near 1, where the bounds of the others depend on them.
                angle = jnp.clip(arcsin(table[i]), least, most)
                return _State(jax.lax.dynamic_update_index_in_dim(others, angle, i, 0), table)

            return jax.lax.fori_loop(0, d, redraw, state)

        return sweep


def _check_inverse(body: TiltedBody) -> None:
    least = np.linalg.eigvalsh(np.asarray(body.correlation, np.float64))[0]
    # What rounding to float32 makes of an eigenvalue that is 0.
    if not least > np.finfo(np.float32).eps * math.sqrt(body.n_components):
        raise ValueError(
            f"density: 'normal' needs a correlation with an inverse, its smallest eigenvalue is {least:.2g}; "
            "use density='uniform', fit more z-points, or draw in a PCA frame"
        )


@jax.jit
def _unnormalized(sampler: TiltedSampler, precision: jax.Array | None, z: jax.Array) -> jax.Array:
    body = sampler.body
    inside = body.nearest(z)[1] <= 1
    if precision is None:
        return jnp.where(inside, 0.0, -jnp.inf)
    t = jnp.where(body.sigma > 0, (z - body.mean.reshape(-1)) / jnp.where(body.sigma > 0, body.sigma, 1), 0)
    square = jnp.einsum("ni,ij,nj->n", t, precision, t, precision="highest")
    return jnp.where(inside, -square / 2, -jnp.inf)


@partial(jax.jit, static_argnames=("n_chains", "n_draws", "thin", "warmup"))
def _run_chains(
    sampler: TiltedSampler,
    tables: Any,
    seed: jax.Array,
    n_chains: int,
    n_draws: int,
    thin: int,
    warmup: int,
) -> jax.Array:
    sampler = equip(sampler, tables)
    index = jnp.arange(n_chains, dtype=jnp.uint32)
    sweep, body = sampler._sweep(seed, index), sampler.body

    def draw(state: _State, begin: jax.Array) -> tuple[_State, jax.Array]:
        return jax.lax.fori_loop(begin, begin + thin, sweep, state), body.place(state.t[: body.n_components])

    state = jax.lax.fori_loop(0, warmup, sweep, sampler._start(seed, index))
    _, z = jax.lax.scan(draw, state, warmup + thin * jnp.arange(n_draws))
    return z.swapaxes(0, 1)
