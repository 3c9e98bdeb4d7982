"""Training within a number of seconds, as all rivals that learn do."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float32

from jaxlatent._boundary import as_count, as_positive

# In parts of the budget: the learning rate rises, the held-out points are looked at once, no step is begun.
_WARMUP, _LOOK, _RESERVE = 0.02, 0.04, 0.03
# The average is over about so large a part of the steps until now.
_AVERAGED = 0.1
_CLIP = 1.0

#: Of parameters and vectors (b, k), with a key for what is drawn.
Loss = Callable[[Any, Float[Array, "b k"], jax.Array], Float[Array, ""]]


@dataclass(frozen=True)
class Budget:
    """How long a fit may take; it begins where this is made.

    Attributes:
        seconds: of wall clock, compilation included, > 0.
        steps: in place of the seconds, >= 1: the same steps give the same fit, seconds do not.
        start: on the clock of `time.monotonic`.
    """

    seconds: float
    steps: int | None = None
    start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seconds", as_positive("budget", self.seconds))
        if self.steps is not None:
            object.__setattr__(self, "steps", as_count("steps", self.steps, 1))

    def used(self, step: int) -> float:
        """The part that is over after so many steps; from 1 on, no further one is to be begun."""
        if self.steps is not None:
            return step / self.steps
        return (time.monotonic() - self.start) / (self.seconds * (1 - _RESERVE))


class Trained(NamedTuple):
    """The best parameters, averaged over steps, and their loss on the held-out vectors."""

    params: Any
    loss: float


def train(
    loss: Loss,
    held_out_loss: Loss,
    params: Any,
    data: Float32[np.ndarray, "n k"],
    held_out: Float32[np.ndarray, "m k"],
    budget: Budget,
    key: jax.Array,
    *,
    learning_rate: float,
    batch_size: int,
    weight_decay: float = 0.0,
) -> Trained:
    """Minimizes a loss by Adam as long as the budget lasts, and keeps the averaged parameters that are best.

    The learning rate falls with the cosine of the budget's part that is over, whatever the speed of the
    machine. Parameters are averaged over the last tenth of the steps (T. Karras et al., "Analyzing and
    improving the training dynamics of diffusion models", CVPR 2024, section 3.1), and looked at on held-out
    vectors 25 times.

    Args:
        loss: of a batch.
        held_out_loss: of all held-out vectors, with one and the same key.
        params: a pytree of float32 arrays to begin with.
        data: to train on.
        held_out: to choose by.
        budget: when to end; a step or a look that has begun is finished.
        key: of the batches, and of what the losses draw.
        learning_rate: the highest.
        batch_size: drawn with replacement.
        weight_decay: the part of each parameter that a step takes away, in learning rates.
    """
    optimizer = optax.chain(
        optax.clip_by_global_norm(_CLIP),
        optax.scale_by_adam(b2=0.99),
        optax.add_decayed_weights(weight_decay),
    )
    steps_key, look_key = jax.random.split(key)

    # Arrays that a program closes over would be compiled into it.
    @jax.jit
    def advance(state: tuple, data: Array, step: Array, rate: Array, kept: Array) -> tuple:
        params, averaged, memory = state
        batch_key, key = jax.random.split(jax.random.fold_in(steps_key, step))
        batch = data[jax.random.randint(batch_key, (batch_size,), 0, len(data))]
        gradient = jax.grad(loss)(params, batch, key)
        with jax.numpy_dtype_promotion("standard"):  # optax takes a power of a float by an integer
            updates, memory = optimizer.update(gradient, memory, params)
        params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
        averaged = jax.tree.map(lambda a, p: kept * a + (1 - kept) * p, averaged, params)
        return params, averaged, memory

    look = jax.jit(lambda params, held_out: held_out_loss(params, held_out, look_key))
    points, others = jnp.asarray(data), jnp.asarray(held_out)
    state = params, params, jax.jit(optimizer.init)(params)
    best = Trained(params, float(look(params, others)))
    step, begun, looked = 0, budget.used(0), budget.used(0)
    while (used := budget.used(step)) < 1:
        rate = learning_rate * min(1, (used - begun) / _WARMUP) * (1 + math.cos(math.pi * used)) / 2
        kept = 1 - 1 / (1 + _AVERAGED * step)
        state = advance(state, points, np.uint32(step), np.float32(rate), np.float32(kept))
        jax.block_until_ready(state)
        step += 1
        used = budget.used(step)
        if used - looked >= _LOOK or used >= 1:
            looked = used
            found = Trained(state[1], float(look(state[1], others)))
            best = min(best, found, key=lambda each: each.loss)
    return best
