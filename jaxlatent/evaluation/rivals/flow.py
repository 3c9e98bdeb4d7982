"""A normalizing flow of coupling layers with splines, by flowjax."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_count
from jaxlatent._random import as_seed, seed_key
from jaxlatent.evaluation.rivals.rival import Rival, require, split_off, whiten
from jaxlatent.evaluation.rivals.training import Budget, train
from jaxlatent.latent.sharded import Vectors

_LAYERS, _WIDTH = 6, 256
# Of the splines: knots, and the interval outside which they are the identity, in standard deviations.
_KNOTS, _INTERVAL = 4, 5
_LEARNING_RATE, _BATCH, _WEIGHT_DECAY = 1e-3, 256, 2.0


class FlowRival(Rival):
    """A coupling flow with rational-quadratic splines.

    A masked autoregressive flow would need k passes for one draw, a coupling flow needs one. It begins as the
    identity, so that it is never worse than the Gaussian that the whitened frame begins with, and ends with
    the parameters that are best on the held-out z-points.

    Source: C. Durkan, A. Bekasov, I. Murray, G. Papamakarios, "Neural spline flows", NeurIPS 2019.

    `held_out` is the mean log-likelihood of these above that of a Gaussian of the same covariance, in nats.
    """

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, "n d"],
        *,
        budget: float = 60.0,
        n_components: int = 128,
        steps: int | None = None,
        seed: int = 0,
    ) -> "FlowRival":
        """Fits it to z-points by maximum likelihood.

        Args:
            z: floating point (n, d), n >= 20.
            budget: seconds of wall clock, compilation included, > 0. What is reached depends on the machine.
            n_components: how many of the first components the flow bends, at least 2; all where there are
                fewer. The others stay independent normal ones: on CelebA's 256, a flow of all learns less
                in a minute.
            steps: in place of the budget, for a fit that can be repeated, up to rounding.
            seed: of the weights and of the batches.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
            ImportError: without flowjax.
        """
        limits, seed = Budget(budget, steps), as_seed(seed)
        n_components = as_count("n_components", n_components, 2)
        require("flow")
        import equinox
        import paramax

        pca, y = whiten(z)
        k = min(n_components, as_count("z: number of components that vary", pca.n_components, 2))
        data, held_out = split_off(y[:, :k], np.random.default_rng(seed))
        weights_key, key = jax.random.split(seed_key(seed))
        with jax.numpy_dtype_promotion("standard"):
            flow = _identity(weights_key, k)
        params, rest = equinox.partition(
            flow, equinox.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)
        )

        def whole(params: Any) -> Any:
            return paramax.unwrap(equinox.combine(params, rest))

        def loss(params: Any, y: Float[Array, "b k"], key: jax.Array) -> Float[Array, ""]:
            """Nats above those of the standard normal law, which do not change."""
            gaussian = -0.5 * jnp.sum(jnp.square(y) + jnp.log(2 * jnp.pi), axis=1)
            with jax.numpy_dtype_promotion("standard"):  # flowjax mixes floats and integers
                return jnp.mean(gaussian - whole(params).log_prob(y))

        found = train(
            loss,
            loss,
            params,
            data,
            held_out,
            limits,
            key,
            learning_rate=_LEARNING_RATE,
            batch_size=_BATCH,
            weight_decay=_WEIGHT_DECAY,
        )

        @jax.jit
        def push(params: Any, normal: Array) -> Array:
            with jax.numpy_dtype_promotion("standard"):
                bent = jax.vmap(whole(params).bijection.transform)(normal[:, :k])
            return jnp.concatenate([bent, normal[:, k:]], axis=1)

        return cls(pca, lambda normal: push(found.params, normal), -found.loss)


def _identity(key: jax.Array, k: int) -> Any:
    """The flow with its last layers' weights at 0."""
    import equinox
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow

    flow = coupling_flow(
        key,
        base_dist=Normal(jnp.zeros(k)),
        transformer=RationalQuadraticSpline(knots=_KNOTS, interval=_INTERVAL),
        flow_layers=_LAYERS,
        nn_width=_WIDTH,
    )

    def last(flow: Any) -> Any:
        layer = flow.bijection.bijection.bijection.bijections[0].conditioner.layers[-1]
        return layer.weight, layer.bias

    return equinox.tree_at(last, flow, [jnp.zeros_like(leaf) for leaf in last(flow)])
