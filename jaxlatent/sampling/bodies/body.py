"""What a body is: a region that grows when it is scaled about its centre."""

import abc
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent._boundary import (
    as_vectors,
)
from jaxlatent.latent.coverage import largest_two

# The value of 1 in the pair conditions of what is drawn: 1e-6 inside the body, so that rounding to float32
# components and back cannot lead outside.
LIMIT = 1 - 2**-20
# Where rounding moves a component by more, float32 cannot hold it, and no margin helps.
MOST_ERROR = 0.125
# Of the length of an interval, 2^-32 of which float32 no longer tells apart.
_HALVINGS = 32


class Body(abc.ABC):
    """A region of vectors that grows when it is scaled about its centre."""

    @property
    @abc.abstractmethod
    def n_components(self) -> int:
        """The number of components k, or of latent coordinates d."""

    @property
    @abc.abstractmethod
    def extent(self) -> Float[Array, " k"]:
        """How far from 0 a component can be inside, of `EllipseBody` from the centre."""

    @abc.abstractmethod
    def nearest(self, y: Float[Array, "n k"]) -> tuple[Float[Array, "n k"], Float[Array, " n"]]:
        """The centre of the body, of several of the one that is scaled least to reach the vector; traceable.

        Returns:
            The centre of each vector's body, (n, k), and the square of its `gauge`, (n,).
        """

    @abc.abstractmethod
    def room(
        self, y: Float[Array, "n k"], way: Float[Array, "#n k"], rounding: Float[Array, "#n k"]
    ) -> Float[Array, " n"]:
        """The largest t up to which all of y + t way is inside, whatever errors of `rounding` it has.

        0 where no t > 0 is.
        """

    def gauge(self, y: Float[Array | np.ndarray, "n k"]) -> Float[Array, " n"]:
        """The factor by which the body has to be scaled about its centre to have each vector on its border.

        Args:
            y: vectors in the frame and units of the body, floating point (n, k).

        Returns:
            float32 (n,): 0 at the centre, at most 1 inside; NaN for a vector with a NaN.

        Raises:
            TypeError, ValueError: if `y` is not a floating-point array of shape (n, k).
        """
        return jnp.sqrt(self._square(y))

    def contains(self, y: Float[Array | np.ndarray, "n k"]) -> Bool[Array, " n"]:
        """Whether each vector lies inside; one with a NaN does not. Arguments and errors as for `gauge`."""
        return self._square(y) <= 1

    def coverage(self, y: Float[Array | np.ndarray, "n k"]) -> float:
        """The share of n >= 1 vectors that lie inside; arguments and errors as for `gauge`."""
        return float(jnp.mean(self.contains(as_vectors("y", y, self.n_components, least=1))))

    def _square(self, y: Float[Array | np.ndarray, "n k"]) -> Float[Array, " n"]:
        y = as_vectors("y", y, self.n_components)
        return _squared_gauge(self, y.astype(np.float32))


@jax.jit
def _squared_gauge(body: Body, y: jax.Array) -> jax.Array:
    return body.nearest(y)[1]


def room_within(
    norm: Callable[[jax.Array], jax.Array],
    x: Float[Array, "n k"],
    way: Float[Array, "#n k"],
    error: Float[Array, "#n"],
) -> Float[Array, " n"]:
    """The largest t >= 0 with norm(x + t way) <= 1 - error, by bisection; 0 for no way, or an x outside.

    What a norm bounds is convex, so that all of the line up to there is inside. Vectors that differ by t way
    are t norm(way) apart, so that t is at most 2 / norm(way).
    """
    limit = LIMIT - error

    def halve(_: int | jax.Array, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2
        inside = norm(x + middle[:, None] * way) <= limit
        return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

    length = jnp.broadcast_to(norm(way), x.shape[:1])
    most = jnp.where(length > 0, 2 / jnp.where(length > 0, length, 1), 0)
    found = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.zeros_like(most), most))[0]
    # On the boundary, which is where such a way ends and the next begins, rounding may say either.
    return jnp.where(norm(x) <= limit * (1 + 2**-21), found, 0)


def largest_pair(x: Float[Array, "n k"]) -> Float[Array, " n"]:
    """The largest Euclidean norm of a pair of components: the norm whose unit ball is the body of axes 1."""
    return jnp.sqrt(largest_two(jnp.square(x)))


def shrinking(x: Float[Array, "b k"], error: Float[Array, "*#b k"]) -> Float[Array, " b"]:
    """The factor, at most 1, that keeps vectors inside the body of semi-axes 1 whatever errors they have.

    The largest of the pairs' Euclidean norms is itself a norm, N(x), and N(|t x| + e) <= t N(x) + N(e), which
    is at most 1 for t = (1 - N(e)) / N(x).
    """
    norm = largest_pair
    error = jnp.broadcast_to(jnp.minimum(error, MOST_ERROR), x.shape)
    limit = jnp.float32(LIMIT)
    factor = (limit - norm(error)) / jnp.maximum(norm(x), limit / 2)
    return jnp.where(norm(jnp.abs(x) + error) > limit, jnp.minimum(factor, 1), 1)
