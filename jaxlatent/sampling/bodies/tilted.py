"""The tilted body: the vectors of which every pair of latent coordinates lies in its tilted ellipse.

In the angles a_i = arcsin t_i of t_i = (z_i - mu_i) / (level sigma_i), and with rho_ij = sin f_ij, the
ellipse of a pair is a rectangle: for given t_j it holds t_i between rho t_j -+ sqrt((1 - rho^2) (1 - t_j^2)),
which are -cos(a_j + f) and cos(a_j - f). So, given all others, coordinate i may be anywhere in

    max_j |a_j + f_ij| - pi / 2  <=  a_i  <=  pi / 2 - max_j |a_j - f_ij|,

six operations a pair and no square root.
"""

import math
from functools import reduce
from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import (
    as_positive,
    as_vectors,
    convert_fields,
    is_traced,
    on_device,
)
from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.sharded import Vectors
from jaxlatent.latent.subset import moments_of
from jaxlatent.latent.trim import PointOptions, choose
from jaxlatent.sampling.bodies.body import Body, room_within

# Below it, float32 can no longer tell an ellipse from a line.
_LEAST_WIDTH = 1e-6
_EPS = float(np.finfo(np.float32).eps)
# Vectors per block of `gauge`: its working memory stays in the cache of a CPU.
_BLOCK = 128
RIGHT_ANGLE = np.float32(math.pi / 2)
#: Rows of angles come in a multiple of it.
GROUPS = 8


@pytree
class TiltedBody(Body):
    """{ z : (z_i - mu_i, z_j - mu_j) lies in the confidence ellipse of its covariance, for all i < j }.

    With t_i = (z_i - mu_i) / (level sigma_i), the ellipse of a pair is
    (t_i^2 - 2 rho_ij t_i t_j + t_j^2) / (1 - rho_ij^2) <= 1: in the plane of two latent coordinates, the
    contour of the density of the z-points at the Mahalanobis distance `level`, tilted as these are. The
    body is convex and symmetric about the mean. An `EllipseBody` has such ellipses in the PCA frame, where
    they are not tilted.

    Attributes:
        mean: mu, float32 in latent units and the shape of a latent vector, (d,) or (c, h, w), d >= 2.
        sigma: standard deviations, (d,), >= 0. A coordinate with 0 keeps the value of the mean.
        correlation: rho, (d, d), symmetric, ones on the diagonal, |rho| < 1 elsewhere.
        level: Mahalanobis distance of the ellipses, > 0; of a normal density, the ellipse of one pair holds
            1 - exp(-level^2 / 2).

    Raises:
        ValueError: if the shapes do not fit, a number is out of range, or two coordinates follow each other
            so closely that their ellipse is a line.
    """

    mean: Float[Array, "*latent"]
    sigma: Float[Array, " d"]
    correlation: Float[Array, "d d"]
    level: float = static_field()

    def __post_init__(self) -> None:
        convert_fields(self, as_positive, "level")
        arrays = (self.mean, self.sigma, self.correlation)
        if not is_traced(arrays):
            _check(*map(np.asarray, arrays))

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        level: float,
        **points: Unpack[PointOptions],
    ) -> "TiltedBody":
        """The body of the mean and the covariance of z-points.

        Args:
            z: z-points, floating point (n, d), n >= 3, d >= 2.
            level: see the class; `fact` * 2.3548 is what `fact` times the FWHM is in a PCA frame.
            **points: which z-points are described, see `jaxlatent.latent.PointOptions`.

        Raises:
            TypeError, ValueError: if `z`, `where` or `level` is not as above, or two coordinates are copies
                of each other.
        """
        choice = choose(z, **points)
        as_vectors("z", choice.z, least=3)
        found = moments_of(choice)
        variance = np.diag(found.covariance)
        # A constant float32 coordinate may be left with a variance of the square of its last digit.
        alive = variance > np.square(_EPS * found.mean)
        sigma = np.where(alive, np.sqrt(np.where(alive, variance, 1.0)), 0.0)
        unit = np.where(alive, sigma, np.inf)
        correlation = found.covariance / np.outer(unit, unit)
        np.fill_diagonal(correlation, 1.0)
        return cls(
            on_device(found.mean.reshape(choice.z.shape[1:])), on_device(sigma), on_device(correlation), level
        )

    @property
    def n_components(self) -> int:
        """The number of latent coordinates d."""
        return self.sigma.shape[0]

    @property
    def extent(self) -> Float[Array, " d"]:
        """See `Body`."""
        return jnp.abs(self.mean.reshape(-1)) + jnp.float32(self.level) * self.sigma

    def nearest(self, y: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """See `Body`; the largest quadratic form of all pairs: O(d^2) a vector, in blocks of vectors."""
        n, d = y.shape
        block = max(1, min(n, _BLOCK))
        t = self.standardise(jnp.pad(y, ((0, -n % block), (0, 0))))
        forms = jax.lax.map(lambda rows: squared_gauge(rows.T, self.correlation), t.reshape(-1, block, d))
        return jnp.broadcast_to(self.mean.reshape(-1), y.shape), forms.reshape(-1)[:n]

    def room(
        self, y: Float[Array, "n d"], way: Float[Array, "#n d"], rounding: Float[Array, "#n d"]
    ) -> Float[Array, " n"]:
        """See `Body`."""
        w, errors = (jnp.where(self.sigma > 0, v / self._scale, 0) for v in (way, rounding))

        def norm(t: jax.Array) -> jax.Array:
            return jnp.sqrt(squared_gauge(t.T, self.correlation))

        return room_within(norm, self.standardise(y), w, jnp.max(errors, axis=1) * self._sensitivity)

    @property
    def _scale(self) -> Float[Array, " d"]:
        return jnp.maximum(self.sigma * jnp.float32(self.level), jnp.float32(1e-30))

    @property
    def _sensitivity(self) -> Float[Array, ""]:
        """By how much an error of 1 in every t can change the gauge, at most."""
        others = ~jnp.eye(self.n_components, dtype=bool)
        width = 1 - jnp.max(jnp.abs(self.correlation), where=others, initial=0.0)
        return jnp.sqrt(2 / width)

    def standardise(self, z: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """The vectors t = (z - mean) / (level sigma); a constant coordinate is 0, or huge off the mean."""
        return (z.astype(jnp.float32) - self.mean.reshape(-1)) / self._scale

    def place(self, t: Float[Array, "d b"]) -> Float[Array, "b d"]:
        """The latent vectors of columns t of the body, moved inwards by what rounding may have moved them.

        An error e of every t changes the gauge by at most 2 e / sqrt(2 (1 - |rho|)). The factor makes up for
        16 half units in the last place of t and 2 of z: about 1e-6, more where a pair is strongly
        correlated or a mean is many standard deviations from 0.
        """
        scale = self.sigma * jnp.float32(self.level)
        digits = jnp.abs(self.mean.reshape(-1)) / jnp.where(scale > 0, scale, jnp.inf)
        error = jnp.float32(_EPS / 2) * (16 + 2 * jnp.max(digits))
        return self.mean.reshape(-1) + scale / (1 + error * self._sensitivity) * t.T


def squared_gauge(t: Float[Array, "d b"], correlation: Float[Array, "d d"]) -> Float[Array, " b"]:
    """The largest quadratic form of all pairs, of vectors in the columns of t, in units of level * sigma.

    As (t_i + t_j)^2 / (2 (1 + rho)) + (t_i - t_j)^2 / (2 (1 - rho)), whose terms are positive: the form
    itself loses its digits where |rho| is near 1. The pair of a coordinate with itself adds t_i^2, which
    no pair falls short of.
    """
    same = jnp.eye(t.shape[0], dtype=bool)
    along = 0.5 / (1 + correlation)
    across = jnp.where(same, 0.0, 0.5 / jnp.where(same, 1.0, 1 - correlation))

    def raise_to(i: jax.Array, largest: jax.Array) -> jax.Array:
        form = along[i][:, None] * jnp.square(t + t[i]) + across[i][:, None] * jnp.square(t - t[i])
        return jnp.maximum(largest, form)

    # One maximum for each coordinate until the end: XLA takes twice as long for a reduction in each step.
    return jnp.max(jax.lax.fori_loop(0, t.shape[0], raise_to, jnp.zeros_like(t)), axis=0)


def free_angles(
    angles: Float[Array, "rows b"], tilt: Float[Array, " rows"]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """The least and the largest angle that the others leave to a coordinate.

    Args:
        angles: of the other coordinates, vectors in columns; the number of rows is a multiple of 8. A row
            with angle and tilt 0 binds nothing.
        tilt: f_j = arcsin of the correlation with each of them.
    """
    column = tilt[:, None]
    least = _largest(jnp.abs(angles + column)) - RIGHT_ANGLE
    return least, RIGHT_ANGLE - _largest(jnp.abs(angles - column))


def sin(x: jax.Array) -> jax.Array:
    """Of x in [-pi / 2, pi / 2], by its Taylor series: seven times as fast as `jnp.sin` on a CPU."""
    y = jnp.square(x)
    return x * (1 + y * (-1 / 6 + y * (1 / 120 + y * (-1 / 5040 + y * (1 / 362_880 - y / 39_916_800)))))


def arcsin(x: jax.Array) -> jax.Array:
    """By the polynomial of `asinf` in S. L. Moshier's library Cephes, for the same reason."""
    size = jnp.abs(x)
    upper = size > 0.5
    square = jnp.where(upper, (1 - size) / 2, jnp.square(size))
    root = jnp.where(upper, jnp.sqrt(square), size)
    series = jnp.float32(4.2163199048e-2)
    for coefficient in (2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1):
        series = series * square + coefficient
    angle = root + root * square * series
    return jnp.sign(x) * jnp.where(upper, RIGHT_ANGLE - 2 * angle, angle)


def larger(a: jax.Array, b: jax.Array) -> jax.Array:
    """Of two numbers, by comparison: `jnp.maximum` passes on NaN, for which a CPU takes longer."""
    return jnp.where(a > b, a, b)


def _largest(x: jax.Array) -> jax.Array:
    """The largest of each column of numbers that are not negative.

    In two steps, and by `larger`: three times as fast on a CPU as `jnp.max`.
    """
    rows = jax.lax.reduce(x.reshape(GROUPS, -1, x.shape[1]), np.float32(0), larger, (0,))
    return reduce(larger, list(rows))


def _check(mean: np.ndarray, sigma: np.ndarray, correlation: np.ndarray) -> None:
    dim = mean.size
    if not mean.ndim or dim < 2 or sigma.shape != (dim,) or correlation.shape != (dim, dim):
        raise ValueError(
            "mean, sigma, correlation: expected shapes (d,), (d,) and (d, d) with d >= 2, "
            f"got {mean.shape}, {sigma.shape} and {correlation.shape}"
        )
    if not np.isfinite(mean).all():
        raise ValueError("mean: expected finite numbers")
    if not (np.isfinite(sigma) & (sigma >= 0)).all() or not sigma.any():
        raise ValueError("sigma: expected finite numbers, none negative and not all 0")
    if not np.allclose(correlation, correlation.T, rtol=0, atol=1e-6) or (np.diag(correlation) != 1).any():
        raise ValueError("correlation: expected a symmetric matrix with ones on its diagonal")
    strength = np.abs(correlation - np.eye(dim, dtype=np.float32))
    i, j = np.unravel_index(np.argmax(strength), strength.shape)
    if not strength[i, j] <= 1 - _LEAST_WIDTH:
        raise ValueError(
            f"correlation: {correlation[i, j]:.7g} between coordinates {min(i, j)} and {max(i, j)}, expected "
            "|rho| < 1; leave one of them out, fit more z-points, or draw in a PCA frame (PairwiseSampler)"
        )
