"""What every sampler is: a frame and a law. All that a user calls stands here, once.

The frame is the affine map between latent vectors and components, a `PCA`, or none: then the components are
the latent coordinates. The law lives in the space of components. A sampler writes

- `_draw`: the vectors of some indices, from random words addressed by (seed, index, row);
- `_log_density`, where it has one, or names in `_INSTEAD` the sampler to take that has;
- `_gauge`, where its support is bounded, or has a `body`;
- `_derive`, where it looks up what is computed from its leaves, by `draws.tables`;
- `_conditioned`, where it knows its law given some components.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from jaxlatent._boundary import as_count, as_key, as_vectors, is_traced, on_device
from jaxlatent.latent.pca import PCA
from jaxlatent.sampling.draws import Law, draw_latent, equip, sample_range, sample_sharded, tables
from jaxlatent.sampling.scores import ScoreName, Scores, Threshold
from jaxlatent.sampling.words import seed_words

S = TypeVar("S", bound="Sampler")

# Vectors whose log density is computed at once.
_ROWS = 1024


class Sampler(Law):
    """Draws latent vectors; subclasses are frozen pytree dataclasses with a class method `fit(z, ...)`.

    Vector i of a key depends on (key, i) alone: `sampler.sample(key, 1000)[:10]` equals
    `sampler.sample(key, 10)` bit for bit on the same kind of device, and `sample(key, 5, start=10)` gives
    vectors 10 to 14 of it.
    """

    #: Log density of component vectors, traceable; minus infinity outside the support.
    _log_density: ClassVar[Callable[..., Any] | None] = None
    #: Where there is none in closed form, what to do instead.
    _INSTEAD: ClassVar[str] = "take a sampler whose law has one, as GaussianMixtureSampler"

    #: Given the values of the components `at`, of which `rest` are left: the fields that change.
    _conditioned: ClassVar[Callable[..., dict[str, Any]] | None] = None

    def _gauge(self, y: Float[Array, "n k"]) -> Float[Array, " n"] | None:
        """The factor by which the support has to be scaled for each component vector to be on its border."""
        return self.body.gauge(y) if hasattr(self, "body") else None

    @property
    def frame(self) -> PCA | None:
        """The map between latent vectors and components; None where these are the latent coordinates."""
        return getattr(self, "pca", None)

    @property
    def n_components(self) -> int:
        """The number of components k; d where there is no frame."""
        if self.frame is not None:
            return self.frame.n_components
        seed, index = (jax.ShapeDtypeStruct((n,), np.uint32) for n in (2, 1))
        return jax.eval_shape(lambda *x: self._draw(*x), seed, index).shape[1]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Of a vector that is drawn: (d,), or (c, h, w) where the sampler was fitted to such."""
        return (self.n_components,) if self.frame is None else self.frame.mean.shape

    def sample(
        self,
        key: jax.Array,
        n: int | tuple[int, ...],
        *,
        start: int = 0,
        out_sharding: jax.sharding.Sharding | None = None,
    ) -> Float[Array, "..."]:
        """Draws the vectors `start` to `start + n - 1` of `key`, in the latent frame.

        Args:
            key: a typed key, `jax.random.key(seed)`.
            n: number of vectors, at least 0; or a shape of as many, filled row by row.
            start: index of the first vector; `start + n` is at most 2^32.
            out_sharding: how the result is to lie on devices, each of which draws its own part: the
                same vectors, in any number of parts.

        Returns:
            float32 (n, d), or the shape and d; (n, c, h, w) if the sampler was fitted to such, here and in
            all that follows.

        Raises:
            TypeError: if `key` is not a typed key or `n` not an integer.
            ValueError: if `n` or `start` is out of range, or `out_sharding` does not divide n.
        """
        if isinstance(n, tuple):
            shape = tuple(as_count("n", size) for size in n)
            drawn = self.sample(key, int(np.prod(shape)), start=start, out_sharding=out_sharding)
            return drawn.reshape(*shape, *drawn.shape[1:])
        if out_sharding is not None:
            return sample_sharded(self, as_key(key), as_count("n", n), as_count("start", start), out_sharding)
        return sample_range(self, key, n, start, latent=True)

    def sample_components(self, key: jax.Array, n: int, *, start: int = 0) -> Float[Array, "{n} k"]:
        """Draws the same vectors as `sample`, in components; arguments and errors as there.

        Returns:
            float32 (n, k).
        """
        return sample_range(self, key, n, start, latent=False)

    def sample_and_log_prob(
        self, key: jax.Array, n: int, *, start: int = 0
    ) -> tuple[Float[Array, " {n} *latent"], Float[Array, " {n}"]]:
        """The vectors of `sample`, up to rounding, with their log densities; arguments and errors as there.

        Raises:
            NotImplementedError: see `log_prob`.
        """
        y = self.sample_components(key, n, start=start)
        return self._to_latent(y), self.log_prob_components(y)

    def draw(self, key: jax.Array, index: Int[Array, "*b"] | UInt32[Array, "*b"]) -> Float[Array, "..."]:
        """The vectors of `key` whose indices are given, for use within a program of one's own.

        Traceable in all arguments, and in the sampler; `jax.vmap`, `jax.grad` and sharded indices work. Up
        to rounding, the vectors are those of `sample`.

        Args:
            key: a typed key.
            index: indices from 0 to 2^32 - 1, of any shape.

        Returns:
            float32, the shape of `index` and d.
        """
        index = jnp.asarray(index)
        if not jnp.issubdtype(index.dtype, jnp.integer):
            raise TypeError(f"index: expected integers, got {index.dtype}")
        return _draw_at(self, tables(self), seed_words(as_key(key)), index.astype(jnp.uint32))

    def batches(
        self, key: jax.Array, n: int, batch_size: int, *, start: int = 0
    ) -> Iterator[Float[Array, " b *latent"]]:
        """The vectors of `sample(key, n, start=start)`, `batch_size` at a time: for more than memory holds.

        Args:
            key: a typed key.
            n: number of vectors, at least 0.
            batch_size: of each array but the last one, at least 1.
            start: see `sample`.

        Yields:
            float32 (batch_size, d), the last with what is left.
        """
        n, batch_size, start = (
            as_count("n", n),
            as_count("batch_size", batch_size, 1),
            as_count("start", start),
        )
        return (
            self.sample(key, min(batch_size, n - first), start=start + first)
            for first in range(0, n, batch_size)
        )

    def log_prob(self, z: Float[Array | np.ndarray, " n *latent"]) -> Float[Array, " n"]:
        """The natural logarithm of the density at latent vectors.

        With k < d the vectors drawn fill a k-dimensional plane, and the density is that on the plane, in the
        coordinates of the frame. **How far z lies from the plane does not count**: a vector far off it gets
        the density of its foot. `score` gives the distance beside it.

        Args:
            z: vectors, floating point (n, d) or (n, c, h, w).

        Returns:
            float32 (n,), minus infinity outside the support.

        Raises:
            TypeError, ValueError: if `z` is not a floating-point array (n, d).
            NotImplementedError: if the law has no density in closed form; the message names another sampler.
        """
        return self.log_prob_components(self._to_components(z))

    def log_prob_components(self, y: Float[Array | np.ndarray, "n k"]) -> Float[Array, " n"]:
        """The same for vectors in components, (n, k); arguments and errors as for `log_prob`."""
        if self._log_density is None:
            name = type(self).__name__
            raise NotImplementedError(f"log_prob: {name} has no density in closed form; {self._INSTEAD}")
        y = as_vectors("y", y, self.n_components)
        return _log_density(self, tables(self), y.astype(np.float32))

    def contains(self, z: Float[Array | np.ndarray, " n *latent"]) -> Bool[Array, " n"]:
        """Whether the component vectors of latent vectors lie in the support, which is its `body`'s.

        Raises:
            TypeError: if the sampler has no bounded support, or `z` is not floating point.
            ValueError: if `z` is not an array (n, d).
        """
        gauge = self._gauge(self._to_components(z))
        if gauge is None:
            raise TypeError(f"sampler: {type(self).__name__} has no body; take one that has, as ExactSampler")
        return gauge <= 1

    def coverage(self, z: Float[Array | np.ndarray, " n *latent"]) -> float:
        """The share of n >= 1 latent vectors in the support; arguments and errors as for `contains`."""
        return float(jnp.mean(self.contains(as_vectors("z", z, least=1))))

    def score(self, z: Float[Array | np.ndarray, " n *latent"]) -> Scores:
        """How unusual latent vectors are: log density, gauge, and distance from the frame's plane.

        Raises:
            TypeError, ValueError: if `z` is not a floating-point array (n, d).
        """
        frame, y = self.frame, self._to_components(z)
        log_prob = None if self._log_density is None else self.log_prob_components(y)
        distance = jnp.zeros(len(y), jnp.float32) if frame is None else frame.distance(z)
        return Scores(log_prob, self._gauge(y), distance)

    def threshold(
        self, z: Float[Array | np.ndarray, " n *latent"], rate: float = 0.01, *, by: ScoreName | None = None
    ) -> Threshold:
        """From where on vectors count as outliers: `threshold(z).exceeded(score(new))`.

        Args:
            z: usual vectors that the sampler was NOT fitted to, floating point (n, d), n >= 1 / rate - 1.
                Those of a fit would give a limit that is too tight, and a higher rate.
            rate: the probability that another such vector counts as an outlier, at most, in (0, 1).
            by: "log_prob", "gauge" or "distance"; the first of them that the sampler has where not given.

        Raises:
            TypeError: if `z` is not floating point.
            ValueError: if an argument is out of range, the sampler has no such score, or too many of the
                vectors lie outside its support for a limit.
        """
        return Threshold.of(self.score(z), rate, by)

    def keep(self: S, n_components: int) -> S:
        """The sampler of the first `n_components` components, with the same law for them.

        Raises:
            TypeError: if the sampler has no frame.
            ValueError: if it has fewer components, or its law needs more.
        """
        if self.frame is None:
            raise TypeError(f"keep: {type(self).__name__} has no frame of components; fit it on fewer")
        k = as_count("n_components", n_components, 1, self.n_components)
        return dataclasses.replace(self, **self._kept(k))  # type: ignore[type-var]

    def condition(self: S, given: Mapping[int, Any] | None = None, *, label: int | None = None) -> S:
        """The sampler of the conditional law, given some components or a class; exact.

        A given component moves to its value and is no longer one: what is left has a frame of the other
        components, through the point that is given. They count from 0 again, and `sample`, `log_prob` and
        all else are those of the conditional law, whose density is that in the components left. A
        `BoxSampler`, which has no frame, keeps its coordinates, and draws the given ones as they are given.

        Args:
            given: component, from 0 to k - 1, and its value, one number in the component's unit, which may
                be traced; in the support.
            label: a class, of a sampler that was fitted with `labels`: only its clusters are drawn from.

        Raises:
            TypeError, ValueError: if there is no such component, class, or vector in the support, if no
                component is left, or if the sampler was not fitted with labels.
            NotImplementedError: if the conditional law is not known in closed form; the message names another
                sampler.
        """
        sampler = self if label is None else dataclasses.replace(self, **self._of_class(label))  # type: ignore[type-var]
        if not given:
            return sampler
        k, name = sampler.n_components, type(self).__name__
        if sampler._conditioned is None:
            raise NotImplementedError(
                f"condition: {name} has no conditional law in closed form; take ExactSampler or "
                "GaussianMixtureSampler"
            )
        at = [as_count("given", i, 0, k - 1) for i in given]
        known = not is_traced(list(given.values()))
        values = jnp.stack([jnp.asarray(value, jnp.float32).reshape(()) for value in given.values()])
        rest = np.setdiff1d(np.arange(k), at)
        if not rest.size:
            raise ValueError(f"given: expected fewer than all {k} components, or nothing is left to draw")
        if known and not np.isfinite(np.asarray(values)).all():
            raise ValueError(f"given: expected finite numbers, got {values}")
        fields = sampler._conditioned(np.array(at), values, rest)
        return dataclasses.replace(sampler, **fields)  # type: ignore[type-var]

    def _of_class(self, label: int) -> dict[str, Any]:
        """The fields that change where only the clusters of a class are drawn from."""
        raise TypeError(
            f"label: {type(self).__name__} knows no classes; fit a cluster sampler with labels, or this one "
            "with where=labels == label"
        )

    def _kept(self, k: int) -> dict[str, Any]:
        """The fields that change where k components are kept."""
        return {name: getattr(self, name).keep(k) for name in ("pca", "body") if hasattr(self, name)}

    def _to_latent(self, y: Float[Array, "b k"]) -> Float[Array, " b *latent"]:
        return y.reshape(-1, *self.latent_shape) if self.frame is None else self.frame.inverse_transform(y)

    def _to_components(self, z: Float[Array | np.ndarray, " n *latent"]) -> Float[Array, "n k"]:
        if self.frame is not None:
            return self.frame.transform(z)
        return on_device(as_vectors("z", z, self.n_components))


@jax.jit
def _log_density(sampler: Sampler, tables: Any, y: jax.Array) -> jax.Array:
    # In blocks of vectors, so that no law needs memory for all of them times its clusters or points.
    law, (n, k) = equip(sampler, tables), y.shape
    rows = min(max(n, 1), _ROWS)
    blocks = jnp.pad(y, ((0, -n % rows), (0, 0))).reshape(-1, rows, k)
    return jax.lax.map(law._log_density, blocks).reshape(-1)[:n]


@jax.jit
def _draw_at(sampler: Sampler, tables: Any, seed: jax.Array, index: jax.Array) -> jax.Array:
    drawn = draw_latent(equip(sampler, tables), seed, index.reshape(-1))
    return drawn.reshape(*index.shape, *drawn.shape[1:])
