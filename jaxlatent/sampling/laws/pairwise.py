"""The source method: uniform draws, and a redraw wherever a pair of components leaves its ellipse."""

import math
from functools import partial
from typing import ClassVar, Literal, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.coverage import largest_two
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.rounding import inverse_rounding
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.bodies.body import LIMIT
from jaxlatent.sampling.bodies.ellipse import EllipseBody
from jaxlatent.sampling.draws import tables
from jaxlatent.sampling.fitting.region import RegionOptions, fit_region
from jaxlatent.sampling.kernels import kernel_platforms
from jaxlatent.sampling.laws.labels import shuffled
from jaxlatent.sampling.laws.round_robin import round_robin
from jaxlatent.sampling.laws.violated import descending, redraw_violated
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed, unit_uniform, words

Order = Literal["round_robin", "permutation"]

# Up to so many components, violated pairs are taken one by one from the start. Of more, rounds of a round
# robin, one for every 8 components, first make most of the redraws, many at a time.
_MOST_WITHOUT_ROUNDS = 128
_COMPONENTS_A_ROUND = 8


@pytree
class PairwiseSampler(Sampler):
    """Draws every PCA component uniformly, then redraws one of every pair that lies outside its ellipse.

    Component i is uniform in [-a_i, a_i]. Then each of the k (k - 1) / 2 pairs is looked at once, in random
    order: where (y_i / a_i)^2 + (y_j / a_j)^2 > 1, one of the two, by a fair coin, is drawn anew, uniform
    within what the other one leaves. A redraw only shrinks a component, so one pass is enough, and every
    vector ends inside `body`.

    The law is not the uniform one on the body: a redraw leaves more room near 0. At k = 256 a component
    has a standard deviation of 0.342 semi-axes, against 0.408 of uniform vectors.

    Attributes:
        pca: the frame, with k components.
        body: the semi-axes, k >= 2.
        order: "permutation" looks at the pairs one by one, in a uniformly random order for each vector.
            "round_robin" visits only those that are violated, 120 of 32,640 at k = 256. Up to k = 128 its
            law is the same, by proof (`jaxlatent.sampling.laws.violated`) and by test. Beyond, the first
            k / 8 rounds of a round robin come before: at k = 256, E u^2 is 0.08 % larger than in the other
            order.

    Raises:
        ValueError: if `body` and `pca` differ in k, or `order` is unknown.
    """

    _INSTEAD: ClassVar[str] = "take ExactSampler, which draws from a known density on the same body"

    pca: PCA
    body: EllipseBody
    order: Order = static_field(default="round_robin")

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        order: Order = "round_robin",
        **options: Unpack[RegionOptions],
    ) -> "PairwiseSampler":
        """Finds the frame and the semi-axes `fact` * half-width from z-points.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            order: see the class.
            **options: `n_components`, `fact`, `half_width`, and which z-points are described, see
                `jaxlatent.sampling.RegionOptions`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        pca, body, _ = fit_region(z, **options)
        return cls(pca, body, order)

    @property
    def _bytes_a_vector(self) -> int:
        if self.order == "permutation":
            # For each pair two sort keys, its number, a draw and a coin; the sort makes copies.
            return 32 * math.comb(self.body.n_components, 2)
        return super()._bytes_a_vector

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        k = self.body.n_components
        start, _ = words(seed, index, 0, k)
        negative = start & 1 == 1
        if self.order == "permutation":
            q = permutation_pass(jnp.square(unit_uniform(start)) * jnp.float32(LIMIT), seed, index, 2, LIMIT)
            pair, u = largest_two(q.T), jnp.sqrt(q)
        else:
            q = _redrawn(seed, index, k)
            # The components are exchangeable, so any order of them is as good as the one lost by sorting.
            pair = q[0] + q[1]
            u = shuffled(jnp.sqrt(q), words(seed, index, 1, k)[0])
        # What rounding could lead outside is drawn towards the centre.
        u = u * jnp.minimum(tables(self) / jnp.sqrt(pair), 1)
        return jnp.where(negative, -u, u).T * self.body.semi_axes

    def _derive(self) -> Float[Array, ""]:
        """The gauge up to which rounding, on the way to the latent frame, does not lead outside."""
        return self.body.inner_gauge(inverse_rounding(self.pca, self.body.semi_axes))


def _redrawn(seed: Seed, index: UInt32[Array, " b"], k: int) -> Float[Array, "{k} b"]:
    """`redrawn` of so many components, by the kernel on the platforms that may take it."""
    rounds = k // _COMPONENTS_A_ROUND if k > _MOST_WITHOUT_ROUNDS else 0
    plain = partial(redrawn, k=k, rounds=rounds, limit=LIMIT, stream=2)
    platforms = kernel_platforms()
    if not platforms:
        return plain(seed, index)
    # Pallas takes long to import.
    from jaxlatent.sampling.laws.pairwise_chip import fits, redrawn_on_chip

    kernel = partial(redrawn_on_chip, k=k, rounds=rounds, limit=LIMIT, stream=2)
    kernels = {p: partial(kernel, platform=p) for p in platforms if fits(p, k, rounds)}
    q: Array = jax.lax.platform_dependent(seed, index, **kernels, default=plain)
    return q


def redrawn(
    seed: Seed, index: UInt32[Array, " b"], *, k: int, rounds: int, limit: float, stream: int
) -> Float[Array, "{k} b"]:
    """Draws squares of uniform components, and redraws one of every pair that is violated.

    Args:
        seed: the cipher's key.
        index: the vectors' indices, (b,).
        k: number of components, >= 2.
        rounds: of a round robin that comes first, >= 0.
        limit: the value of 1 in the pair condition.
        stream: of random words for the redraws; the start takes stream 0.

    Returns:
        The squares, (k, b), in descending order, with q_i + q_j <= limit for every pair of rows.
    """
    start, other = words(seed, index, 0, k)
    q = jnp.square(unit_uniform(start)) * jnp.float32(limit)
    if rounds:
        q = round_robin(q, other[: k // 2 + 1], limit, rounds)
    return redraw_violated(descending(q)[:k], seed, index, stream, limit)


def permutation_pass(
    q: Float[Array, "k b"],
    seed: Seed,
    index: UInt32[Array, " b"],
    stream: int,
    limit: float | Float[Array, ""],
) -> Float[Array, "k b"]:
    """One pass over all pairs in uniformly random order; which one of a pair is redrawn is a fair coin.

    The source method to the letter, and the reference: k (k - 1) / 2 steps one after the other.

    Args:
        q: squared components in units of the semi-axes, (k, b), each at most `limit`.
        seed: the cipher's key.
        index: the vectors' indices, (b,).
        stream: the first of two streams of random words that this pass may use.
        limit: the value of 1 in the pair condition.

    Returns:
        The squared components, (k, b), with q_i + q_j <= limit for every pair of rows.
    """
    k, b = q.shape
    first, second = (jnp.asarray(side, jnp.int32) for side in np.triu_indices(k, 1))
    pairs = first.shape[0]
    # 64 bits to sort by, so that ties, which keep the listed order, do not occur in practice.
    high, low = words(seed, index, stream, pairs)
    number = jnp.broadcast_to(jnp.arange(pairs, dtype=jnp.int32)[:, None], (pairs, b))
    *_, order = jax.lax.sort((high, low, number), dimension=0, num_keys=2)
    draws, coins = words(seed, index, stream + 1, pairs)
    vector = jnp.arange(b)

    def step(q: jax.Array, inputs: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        pair, draw, coin = inputs
        heads = coin >> 31 == 1
        kept = jnp.where(heads, first[pair], second[pair])
        redrawn = jnp.where(heads, second[pair], first[pair])
        bound = limit - q[kept, vector]
        old = q[redrawn, vector]
        new = jnp.where(old > bound, bound * jnp.square(unit_uniform(draw)), old)
        return q.at[redrawn, vector].set(new), None

    q, _ = jax.lax.scan(step, q, (order, draws, coins))
    return q
