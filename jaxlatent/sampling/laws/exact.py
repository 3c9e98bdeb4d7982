"""Independent, exact draws from a product density restricted to the ellipse body, without rejection."""

from typing import Any, NamedTuple, Unpack, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from jaxlatent._boundary import (
    as_choice,
    as_positive,
    as_vectors,
    is_traced,
    on_device,
)
from jaxlatent._pytree import positive_field, pytree, static_field
from jaxlatent.latent.histogram import component_counts
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.rounding import inverse_rounding
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.bodies.body import LIMIT, MOST_ERROR
from jaxlatent.sampling.bodies.ellipse import EllipseBody
from jaxlatent.sampling.draws import tables
from jaxlatent.sampling.fitting.region import RegionOptions, check_variance, fit_region
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.tables.densities import (
    DensityName,
    EmpiricalDensity,
    NormalDensity,
    ProductDensity,
    UniformDensity,
)
from jaxlatent.sampling.tables.largest import largest_angle, spread
from jaxlatent.sampling.tables.table import Table, tabulate
from jaxlatent.sampling.words import Seed, uniforms, unit_uniform, words

_LEAST_BINS, _MOST_BINS = 64, 256


class _Tables(NamedTuple):
    """The law of the largest component's angle, and what rounding leaves to two components and to one."""

    table: Table
    most: Float[Array, ""]
    most_alone: Float[Array, ""]


@pytree
class ExactSampler(Sampler):
    """Draws PCA components from a product density restricted to the ellipse body: exactly, in O(k).

    The largest component is drawn first, from its own law (`jaxlatent.sampling.tables.largest` derives it),
    then which one it is, then all others, independent of each other, within what it leaves.

    Attributes:
        pca: the frame, with k components.
        body: the semi-axes, k >= 2.
        density: "uniform" on the body; "normal", each component with its own standard deviation, the square
            root of `pca.explained_variance`; or "empirical", each component with its own measured marginal.
        temperature: scales the standard deviations of "normal", not the body, > 0; 1 leaves them. (The
            measured marginals are scaled by `fit`; a uniform density has no scale.)
        reach: what |y_i / a_i| is at most, in (0, 1]; less than 1 where `condition` has given components,
            whose ellipses leave no more to the others.
        marginals: for "empirical", the probability of each component below the edges of equal bins of
            [-a_j, a_j], (k, bins + 1) float32, see `measure_marginals`.

    Raises:
        ValueError: if `body` and `pca` differ in k, an option is out of range, `density` is "empirical" and
            `marginals` are missing, "normal" and a component has no variance, or, when it is drawn from, the
            density vanishes on the body.
    """

    pca: PCA
    body: EllipseBody
    density: DensityName = static_field(default="uniform")
    temperature: float | Float[Array, ""] = positive_field(default=1.0)
    marginals: Float[Array | np.ndarray, "k edges"] | None = None
    reach: float | Float[Array, ""] = positive_field(default=1.0)

    def __post_init__(self) -> None:
        if self.density == "normal":
            check_variance(self.pca)
        if self.density != "empirical":
            return
        if self.marginals is None:
            raise ValueError("marginals: missing for density 'empirical'; use ExactSampler.fit(z, ...)")
        edges = self.marginals.shape[1]
        if edges % 2 == 0 or edges < 3:
            raise ValueError(
                f"marginals: expected an even number of bins, and one edge more, got {edges} edges"
            )

    @property
    def table(self) -> Table:
        """The law of the largest component's angle; `log_total` is the log of the body's probability."""
        return tables(self).table

    def _derive(self) -> "_Tables":
        traced = is_traced(self)
        # A Python number and an array of float32 give the same table.
        reach = self.reach if traced else float(np.float32(self.reach))
        law = largest_angle(self._density(), jnp if traced else np, reach=reach)
        rounding = inverse_rounding(self.pca, self.body.semi_axes)
        error = jnp.minimum(jnp.max(rounding / self.body.semi_axes), MOST_ERROR * self.reach)
        return _Tables(tabulate(law), self.body.inner_gauge(rounding), self.reach * LIMIT - error)

    def _density(self) -> ProductDensity:
        if self.density == "uniform":
            return UniformDensity(self.pca.n_components)
        if self.density == "normal":
            deviation = jnp.sqrt(self.pca.explained_variance) * jnp.asarray(self.temperature, jnp.float32)
            return NormalDensity(deviation / self.body.semi_axes)
        assert self.marginals is not None
        return EmpiricalDensity(self.marginals)

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        density: DensityName = "uniform",
        temperature: float = 1.0,
        **options: Unpack[RegionOptions],
    ) -> "ExactSampler":
        """Finds the frame, the semi-axes and the density from z-points.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            density: see the class.
            temperature: scales the density, not the body, > 0: standard deviations of "normal", values of
                "empirical". "uniform" has no scale, so nothing changes.
            **options: `n_components`, `fact`, `half_width`, and which z-points are described, see
                `jaxlatent.sampling.RegionOptions`.
                "empirical" takes the marginals of the points described.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        temperature = as_positive("temperature", temperature)
        as_choice("density", density, get_args(DensityName))
        pca, body, choice = fit_region(z, **options)
        marginals = None
        if density == "empirical":
            marginals = measure_marginals(pca.transform(choice.points), body, temperature=temperature)
        return cls(pca, body, density, temperature, marginals)

    def _kept(self, k: int) -> dict[str, Any]:
        return super()._kept(k) | {"marginals": None if self.marginals is None else self.marginals[:k]}

    def _conditioned(
        self, at: Int[np.ndarray, " g"], values: Float[Array, " g"], rest: Int[np.ndarray, " r"]
    ) -> dict[str, Any]:
        axes = self.body.semi_axes
        u = values / axes[at]
        left = jnp.square(self.reach) - jnp.max(jnp.square(u))
        if not is_traced(left):
            whole = jnp.zeros((1, self.n_components)).at[0, at].set(values)
            if not (self._gauge(whole)[0] < 1 and left > 0):
                raise ValueError(f"given: {values} lies outside the body, u = {u}")
            if rest.size < 2:
                raise ValueError("given: expected to leave at least two components, as a body needs them")
        # What is left by the largest that is given, and by those given before.
        reach = jnp.minimum(self.reach, jnp.sqrt(1 - jnp.max(jnp.square(u))))
        return {
            "pca": self.pca.through(at, values, rest),
            "body": EllipseBody(axes[rest]),
            "marginals": None if self.marginals is None else self.marginals[rest],
            "reach": reach,
        }

    def _gauge(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        largest = jnp.max(jnp.abs(y / self.body.semi_axes), axis=1)
        return jnp.maximum(self.body.gauge(y), largest / self.reach)

    def _log_density(self, y: Float[Array, "n k"]) -> Float[Array, " n"]:
        axes, inside = self.body.semi_axes, self._gauge(y) <= 1
        u = jnp.where(inside[:, None], y / axes, 0.0)
        log_prob = self._density().log_prob(u) - jnp.sum(jnp.log(axes)) - self.table.log_total
        return jnp.where(inside, log_prob, -jnp.inf)

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        k = self.pca.n_components
        density = self._density()
        first, second = words(seed, index, 0, 2)
        table, most, most_alone = tables(self)
        angle = table.draw(first[0], unit_uniform(second[0]))
        m, t = jnp.sin(angle), spread(angle, jnp)
        which, largest = density.largest(m, t, unit_uniform(jnp.stack([first[1], second[1]])))
        u = density.within(t, uniforms(seed, index, 1, k))
        u = jnp.where(jnp.arange(k, dtype=jnp.int32)[:, None] == which, largest, u)
        # No pair is longer than (m, t); what rounding could lead outside is drawn towards the centre.
        shrink = jnp.minimum(jnp.minimum(most / jnp.hypot(m, t), most_alone / m), 1)
        return (u * shrink).T * self.body.semi_axes


def measure_marginals(
    y: Float[Array | np.ndarray, "n k"], body: EllipseBody, *, temperature: float = 1.0
) -> Float[Array, "k edges"]:
    """The distribution function of each component within its semi-axes, as a histogram.

    Equal bins of [-a_j, a_j], 4 n^(1/3) of them, between 64 and 256. That is twice the number of Rice's rule:
    what is drawn needs the distribution function, which bins smooth, rather than a smooth density.

    Args:
        y: components of the z-points, floating point (n, k).
        body: the semi-axes.
        temperature: the values are multiplied by it first.

    Returns:
        Probability below each edge, float32 (k, bins + 1), from 0 to 1.

    Raises:
        ValueError: if a component has no value within its semi-axis.
    """
    y = as_vectors("y", y, body.n_components, least=1)
    temperature = as_positive("temperature", temperature)
    bins = int(np.clip(4 * round(y.shape[0] ** (1 / 3)), _LEAST_BINS, _MOST_BINS))
    axes = np.asarray(body.semi_axes, np.float64) / temperature
    inside = component_counts(y, -axes, 2 * axes / bins, bins)[:, 1:-1]
    total = inside.sum(axis=1, keepdims=True)
    empty = np.flatnonzero(total == 0)
    if empty.size:
        raise ValueError(f"body: no value of component {empty[0]} lies within its semi-axis; enlarge it")
    cumulative = np.cumsum(inside, axis=1) / total
    return on_device(np.pad(cumulative, ((0, 0), (1, 0))))
