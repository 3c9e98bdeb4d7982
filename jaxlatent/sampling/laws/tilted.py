"""Vectors in the tilted body: a Markov chain of its own for each, all chains of a tile in step."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Unpack

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
)
from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.half_width import GAUSSIAN_FWHM
from jaxlatent.latent.sharded import Vectors
from jaxlatent.latent.trim import PointOptions
from jaxlatent.sampling.bodies.tilted import TiltedBody, squared_gauge
from jaxlatent.sampling.chains import gibbs, mirror
from jaxlatent.sampling.draws import equip, tables
from jaxlatent.sampling.fitting.region import FACT
from jaxlatent.sampling.laws.diagnostics import Diagnostics, Mixing
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.tables.densities import ParametricDensity
from jaxlatent.sampling.words import Seed, normals, seed_words, uniforms

SWEEPS = {"uniform": 32, "normal": 192}

_State = gibbs.GibbsState | mirror.MirrorState
_Sweep = Callable[[jax.Array, Any], Any]


@pytree
class TiltedSampler(Sampler):
    """Draws vectors of the latent frame, of which every pair of coordinates lies in its tilted ellipse.

    Every vector is the end of a Markov chain of its own, so the vectors are independent of each other. A
    chain starts in a random direction with covariance rho^2, longer than the body along the large principal
    components, which are forgotten last, at a random fraction of the way to the border. It then goes through
    `sweeps` sweeps, each of which moves all coordinates: one after the other under the uniform density
    (`jaxlatent.sampling.chains.gibbs`), all at once under a normal one (`jaxlatent.sampling.chains.mirror`).

    How many it takes was measured with `diagnose`. On the latents of four convolutional autoencoders with
    d = 256 and mean |rho| 0.12 to 0.21, the slowest square has an autocorrelation time of 2.1 to 2.4 sweeps
    under the uniform density, so that 6 sweeps leave 1 % of the start, and the default of 32 nothing to be
    seen. With mean |rho| 0.46 it was 20, and 48 sweeps are needed. Under a normal density with `fact` 0.7 it
    was 40 and 50 sweeps on two sets of latents with mean |rho| 0.22 and 0.26, 116 of which leave 1 % of the
    start; Gibbs sampling took 137 and 176. In a body far larger than the density (`fact` 2), 192 sweeps leave
    the first component a variance 6 and 51 % too large, 512 of Gibbs sampling 21 and 78 %. A pair with |rho|
    near 1 takes about 1 / (1 - |rho|) sweeps, twice that under a normal density.

    Attributes:
        body: the ellipses.
        density: "uniform" on the body, or "normal": the normal density of the mean and covariance of the
            body, restricted to it.
        sweeps: their number, >= 1, to which the time of a draw is proportional; where not given, 32 for a
            uniform density and 192 for a normal one.

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

    @property
    def _bytes_a_vector(self) -> int:
        # Compiled for an H100, a sweep of the normal density takes 120 bytes for each coordinate.
        return super()._bytes_a_vector if self.density == "uniform" else 128 * self.n_components

    def _derive(self) -> mirror.Tables | None:
        return mirror.Tables.of(self.body) if self.density == "normal" else None

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
        z = self._run(key, n_chains, n_draws, thin, warmup)
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
        z = self._run(key, n_chains, n_draws, 1, None)
        return Mixing.of(self.body.standardise(z), np.asarray(self.body.correlation))

    def _run(
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
        state, sweep = self._chains(seed, index)
        return self._place(jax.lax.fori_loop(0, self.sweeps, sweep, state))

    def _chains(self, seed: Seed, index: UInt32[Array, " b"]) -> tuple[_State, _Sweep]:
        """The chains `index` at their start, and what takes them through the sweep of a given number."""
        t, derived = self._start(seed, index), tables(self)
        if derived is None:
            return gibbs.start(t), gibbs.sweeper(self.body, seed, index)
        return mirror.start(t), mirror.sweeper(self.body, derived, seed, index)

    def _start(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "d b"]:
        body = self.body
        varies = (body.sigma > 0).astype(jnp.float32)[:, None]
        direction = varies * jnp.matmul(
            body.correlation, varies * normals(seed, index, 0, body.n_components), precision="highest"
        )
        fraction = uniforms(seed, index, 1, 1)
        return direction * (fraction / jnp.sqrt(squared_gauge(direction, body.correlation)))

    def _place(self, state: _State) -> Float[Array, "b d"]:
        return self.body.place(state.t[: self.body.n_components])


def _check_inverse(body: TiltedBody) -> None:
    least = np.linalg.eigvalsh(np.asarray(body.correlation, np.float64))[0]
    # What rounding to float32 makes of an eigenvalue that is 0.
    if not least > np.finfo(np.float32).eps * math.sqrt(body.n_components):
        raise ValueError(
            f"density: 'normal' needs a correlation with an inverse, its smallest eigenvalue is {least:.2g}; "
            "use density='uniform', fit more z-points, or draw in a PCA frame"
        )


@jax.jit
def _unnormalized(sampler: TiltedSampler, derived: mirror.Tables | None, z: jax.Array) -> jax.Array:
    body = sampler.body
    inside = body.nearest(z)[1] <= 1
    if derived is None:
        return jnp.where(inside, 0.0, -jnp.inf)
    t = jnp.where(body.sigma > 0, (z - body.mean.reshape(-1)) / jnp.where(body.sigma > 0, body.sigma, 1), 0)
    square = jnp.einsum("ni,ij,nj->n", t, derived.precision, t, precision="highest")
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
    start, sweep = sampler._chains(seed, jnp.arange(n_chains, dtype=jnp.uint32))

    def draw(state: _State, begin: jax.Array) -> tuple[_State, jax.Array]:
        return jax.lax.fori_loop(begin, begin + thin, sweep, state), sampler._place(state)

    state = jax.lax.fori_loop(0, warmup, sweep, start)
    _, z = jax.lax.scan(draw, state, warmup + thin * jnp.arange(n_draws))
    return z.swapaxes(0, 1)
