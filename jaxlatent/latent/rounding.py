"""How far float32 arithmetic moves vectors on their way between the components and the latent frame."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.latent.pca import PCA

# Of rounding errors of one component, in float32 epsilons of their length as `_bound` adds them up: at least
# 1.8 times the largest found. The way back sums d numbers, and more of them cancel.
_MARGIN, _MARGIN_BACK = 2.0, 4.0


@jax.jit
def inverse_rounding(pca: PCA, semi_axes: Float[Array, " k"]) -> Float[Array, " k"]:
    """How far a latent vector of a body can be off in each component, as float32 holds it.

    y inside semi-axes a becomes z = `pca.inverse_transform(y)`; z is transformed back exactly, say in
    float64, to y' = (z - mean) C^T. Then |y'_i - y_i| stays below the bound r_i, so that what is drawn inside
    semi-axes a - r stays inside a as a latent vector.

    Derivation, with C the components in rows and e = 2^-23: coordinate j of z - mean has a size of about
    s_j = sqrt(sum_i (a_i C_ij)^2). Its sum of k products is rounded k times, by at most e/2 of partial sums
    no larger than about s_j, in directions that are as good as random: sqrt(k) s_j e/2. Adding the mean m_j
    rounds once, by (|m_j| + s_j) e/2. That the rounded C is not quite orthonormal moves y' by less than e s_j
    again. Component i collects C_ij of these errors, which are independent from one coordinate to the next:

        r_i = 2 e sqrt( sum_j C_ij^2 (|m_j| + sqrt(k) s_j)^2 ).

    So it is a bound of random errors, about 10 of their standard deviations, and not of the worst
    conceivable. It is 2 to 5 times the largest found among hundreds of thousands, with 3 to 512 dimensions,
    means of 0 to 1,000 deviations and deviations over up to five decades.

    Args:
        pca: the frame.
        semi_axes: (k,), in the components' units.

    Returns:
        float32 (k,), in the components' units; traceable.
    """
    return _bound(pca, body_extent(pca, semi_axes), _MARGIN, _MARGIN * math.sqrt(pca.n_components))


def body_extent(pca: PCA, semi_axes: Float[Array, " k"]) -> Float[Array, " d"]:
    """The size of each coordinate of z - mean of a body, s in `inverse_rounding`, (d,) float32."""
    squares = jnp.square(pca.components)
    return jnp.sqrt(jnp.matmul(jnp.square(semi_axes), squares, precision="highest"))


@jax.jit
def round_trip_rounding(pca: PCA, extent: Float[Array, "*n d"]) -> Float[Array, "*n k"]:
    """The bound for a component whose way back is `pca.transform`, which rounds in float32 too.

    See `inverse_rounding`; a sum of d products comes on top, whose rounding is that of d steps.

    Args:
        pca: the frame.
        extent: size of each coordinate of z - mean, >= 0, in latent units.

    Returns:
        float32, in the components' units; traceable.
    """
    return _bound(pca, extent, _MARGIN, _MARGIN_BACK * math.sqrt(pca.components.shape[1]))


def _bound(pca: PCA, extent: jax.Array, of_mean: float, of_extent: float) -> jax.Array:
    squares = jnp.square(of_mean * jnp.abs(pca.mean.reshape(-1)) + of_extent * extent)
    variance = jnp.matmul(squares, jnp.square(pca.components).T, precision="highest")
    return jnp.finfo(jnp.float32).eps * jnp.sqrt(variance)
