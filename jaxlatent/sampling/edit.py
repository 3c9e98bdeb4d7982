"""Moves vectors along a direction, an attribute's say, as far as the body of a sampler lets them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_array, as_floats, as_vectors, is_traced
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.rounding import body_extent, round_trip_rounding
from jaxlatent.sampling.body import LIMIT, EllipseBody
from jaxlatent.sampling.sampler import Sampler

# Against an endless loop only: 256 components take 5 at most.
_MOST_ROUNDS = 64

# t, the left side of the worst pair condition there, that pair, and the rounds so far.
State = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def edit(
    z: Float[Array | np.ndarray, " n *latent"],
    direction: Float[Array | np.ndarray, "*latent"],
    strength: int | float | Float[Array | np.ndarray, ""] | Float[Array | np.ndarray, " n"],
    *,
    sampler: Sampler,
) -> Float[Array, " n *latent"]:
    """Moves each vector by `strength` times `direction`, or as far as it stays inside the sampler's body.

    The body bounds the components in the sampler's frame, and it is convex: what stays inside is a part of
    the line, up to the boundary. It is found exactly, from the two components that reach the boundary
    first. With fewer components than dimensions, only the part of `direction` that lies in the frame is
    taken, as nothing would bound the rest; what of z lies outside the frame is left as it is, as it is
    detail of an image that the edit is not about.

    A vector that starts outside the body is first pulled to the boundary, along the straight line to the
    frame's mean. With `strength` 0, vectors inside are returned unchanged.

    Every vector of the result is inside: `sampler.body.contains(sampler.pca.transform(result))`. For that it
    stops short of the boundary by the rounding error of float32 numbers of this size; a vector so large that
    no room is left does not move.

    Args:
        z: vectors in the latent frame, floating point (n, d): z-points, or drawn ones.
        direction: (d,) in latent units, such as the `vector` of `jaxlatent.latent.attribute_direction`.
        strength: how many times the direction, one number for all or (n,); negative for the opposite way,
            infinite for as far as possible.
        sampler: one with a PCA frame and a body, such as `PairwiseSampler`.

    Returns:
        float32 (n, d).

    Raises:
        TypeError: if an array is not floating point, or `sampler` has no frame or no body.
        ValueError: if an array has another shape, or `direction` or `strength` is NaN.
    """
    pca, body = getattr(sampler, "pca", None), getattr(sampler, "body", None)
    if not (isinstance(pca, PCA) and isinstance(body, EllipseBody)):
        found = type(sampler).__name__
        raise TypeError(f"sampler: expected one with a PCA frame and a body, as PairwiseSampler, got {found}")
    shape = pca.mean.shape
    z = as_vectors("z", z, pca.n_features)
    direction = as_floats("direction", direction)
    strength = as_array("strength", strength)
    if np.shape(direction) not in (shape, (pca.n_features,)):
        raise ValueError(f"direction: expected shape {shape}, got {np.shape(direction)}; give one at a time")
    if np.shape(strength) not in ((), (z.shape[0],)):
        raise ValueError(f"strength: expected one number or ({z.shape[0]},), got {np.shape(strength)}")
    for name, value in (("direction", direction), ("strength", strength)):
        if not is_traced(value) and np.isnan(value).any():
            raise ValueError(f"{name}: expected numbers, got NaN")
    z = jnp.asarray(z, jnp.float32)
    step = jnp.asarray(direction, jnp.float32).reshape(-1)
    strengths = jnp.broadcast_to(jnp.asarray(strength, jnp.float32), z.shape[:1])
    y = pca.transform(z)
    return _edit(pca, body, z, y, body.contains(y), step, strengths).reshape(-1, *shape)


@jax.jit
def _edit(
    pca: PCA,
    body: EllipseBody,
    z: jax.Array,
    y: jax.Array,
    inside: jax.Array,
    step: jax.Array,
    strength: jax.Array,
) -> jax.Array:
    axes, mean = body.semi_axes, pca.mean.reshape(-1)
    offset = z - mean
    along = jnp.matmul(pca.components, step, precision="highest")
    # How long vectors can be inside the body, and with what of them is outside the frame.
    reach = jnp.minimum(1, 1 / body.gauge(y))
    extent = reach[:, None] * jnp.abs(offset) + body_extent(pca, axes)
    rounding = round_trip_rounding(pca, extent) / axes
    pull = jnp.where(inside, 1, jnp.minimum(reach, _room(jnp.zeros_like(y), y / axes, rounding)))
    way = jnp.where(strength < 0, -1, 1)[:, None] * along
    most = _room(pull[:, None] * y / axes, way / axes, rounding)
    start = jnp.where(inside[:, None], z, mean + pull[:, None] * offset)
    moved = jnp.minimum(jnp.abs(strength), most)[:, None] * way
    return start + jnp.matmul(moved, pca.components, precision="highest")


def _room(u: jax.Array, w: jax.Array, rounding: jax.Array) -> jax.Array:
    """The largest t with u + t w inside the body of semi-axes 1, (n,); 0 where no t > 0 is.

    Inside means that of s_i = |u_i + t w_i| + rounding_i the squares of the two largest sum to at most 1.
    The sum is a maximum of quadratic functions of t, one a pair of components and signs. So starting from a
    t that is too large, the larger root for the pair that is largest there is still not too small, and the
    next t: Newton's method with quadratic instead of linear pieces, which ends on the right pair.
    """
    sign = jnp.sign(w)
    # The first t at which a component alone gets too large.
    alone = jnp.where(w != 0, (1 - rounding - sign * u) / jnp.abs(w), jnp.inf)
    start = jnp.maximum(jnp.min(alone, axis=1), 0)

    def left_side(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        sizes, pair = jax.lax.top_k(jnp.abs(u + t[:, None] * w) + rounding, 2)
        return jnp.sum(jnp.square(sizes), axis=1), pair

    def larger_root(t: jax.Array, pair: jax.Array) -> jax.Array:
        u_pair, w_pair, more = (jnp.take_along_axis(x, pair, axis=1) for x in (u, w, rounding))
        side = jnp.where(u_pair + t[:, None] * w_pair < 0, -1, 1)
        first, slope = side * u_pair + more, side * w_pair
        a, b = jnp.sum(jnp.square(slope), axis=1), jnp.sum(first * slope, axis=1)
        left = LIMIT - jnp.sum(jnp.square(first), axis=1)
        square = jnp.square(b) + a * left
        root = jnp.sqrt(jnp.maximum(square, 0))
        # Of the two ways to write it the one without a difference of nearly equal numbers.
        found = jnp.where(b > 0, left / (b + root), (root - b) / a)
        return jnp.where((square >= 0) & (found > 0), jnp.minimum(found, t), 0)

    def outside(state: State) -> jax.Array:
        t, total, _, _ = state
        return (total > 1) & (t > 0)

    def unfinished(state: State) -> jax.Array:
        return jnp.any(outside(state)) & (state[-1] < _MOST_ROUNDS)

    def nearer(state: State) -> State:
        t, _, pair, rounds = state
        t = jnp.where(outside(state), larger_root(t, pair), t)
        return t, *left_side(t), rounds + 1

    t, total, _, _ = jax.lax.while_loop(unfinished, nearer, (start, *left_side(start), jnp.int32(0)))
    return jnp.where(total <= 1, t, 0)
