"""The loop by which networks are fitted here: steps, epochs, devices."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Shaped

from jaxlatent._random import numpy_generator
from jaxlatent._rows import Rows
from jaxlatent.autoencoder.config import TrainConfig
from jaxlatent.autoencoder.feed import Feed, placed

#: Of weights, the network's other variables, a batch (arrays of the same length) and a key: the batch's mean
#: loss and the other variables after it.
Loss = Callable[[PyTree, PyTree, Any, Key[Array, ""]], tuple[Float[Array, ""], PyTree]]


class NotFiniteError(ArithmeticError):
    """A loss, or a weight, is no longer a finite number; the message says where."""


class TrainState(NamedTuple):
    """What a step changes.

    Attributes:
        params: the network's weights.
        rest: its other variables, batch norm's running averages.
        opt_state: the optimizer's moments and step count.
    """

    params: PyTree
    rest: PyTree
    opt_state: optax.OptState


@dataclass(frozen=True)
class Steps:
    """A compiled training.

    Attributes:
        optimizer: makes the first optimizer state.
        schedule: learning rate of a step.
        run: takes steps, of (state, examples, rows, key, first, count, shapes), see `Call` and `Feed`; the
            key is the epoch's. It takes the state's memory over.
    """

    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    run: Callable[..., Any]

    @classmethod
    def of(cls, loss: Loss, config: TrainConfig, count: int) -> "Steps":
        """Prepares AdamW with a linear warm-up and a cosine decay to 0 over `count` steps."""
        warmup = max(1, round(config.warmup * count))
        peak = config.learning_rate
        rise = optax.linear_schedule(peak / warmup, peak * (warmup + 1) / warmup, warmup)
        fall = optax.cosine_decay_schedule(peak, max(1, count - warmup))
        schedule = optax.join_schedules([rise, fall], [warmup])
        optimizer = optax.adamw(schedule, weight_decay=config.weight_decay)
        if config.gradient_clip is not None:
            optimizer = optax.chain(optax.clip_by_global_norm(config.gradient_clip), optimizer)
        run = jax.jit(partial(_steps, loss, optimizer), donate_argnums=0, static_argnames="shapes")
        return cls(optimizer, schedule, run)

    def start(self, params: PyTree, rest: PyTree) -> TrainState:
        """The state before the first step."""
        return TrainState(params, rest, self.optimizer.init(params))

    def learning_rate(self, step: int) -> float:
        """After so many steps."""
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
            return float(self.schedule(step))


def training_devices(batch: int) -> list[jax.Device]:
    """The local devices that share batches of this size: as many as divide it."""
    devices = jax.local_devices()
    return devices[: max(n for n in range(1, len(devices) + 1) if batch % n == 0)]


class Trainer:
    """Takes the steps of epochs on arrays of examples, on all local devices.

    The order of the examples depends on the key and the epoch's number alone. An epoch leaves out the
    examples that fill no whole batch, others each time; with fewer examples than a batch, all of them are one
    batch.

    Args:
        steps: from `Steps.of`.
        state: from `Steps.start`.
        examples: arrays of n >= 1 entries, which `loss` sees batch by batch; memory maps are read so.
        key: of the order; each step's key is made of it.
        batch_size: examples a step.
    """

    def __init__(
        self,
        steps: Steps,
        state: TrainState,
        examples: Sequence[Shaped[Array | np.ndarray | Rows, "n ..."]],
        key: Key[Array, ""],
        batch_size: int,
    ):
        self._count, self.key = examples[0].shape[0], key
        self.batch = min(batch_size, self._count)
        self.steps = self._count // self.batch
        self._run = steps.run
        devices = training_devices(self.batch)
        # One device needs no mesh, and is faster without.
        self._mesh = Mesh(np.array(devices), ("data",)) if len(devices) > 1 else None
        self.feed = Feed(examples, self._mesh)
        self.place(state)

    def place(self, state: TrainState) -> None:
        """Goes on from this state."""
        self.state: TrainState = placed(state, self._mesh)

    def epoch(
        self,
        number: int,
        losses: list[float],
        advance: Callable[[int, float], None],
        *,
        due: Callable[[], bool] = lambda: False,
        keep: Callable[[], None] = lambda: None,
    ) -> float:
        """Takes the steps of an epoch that are not taken yet; gives the mean loss of all of them.

        Args:
            number: of the epoch, from 1.
            losses: of the steps that were taken before; those of further ones are appended.
            advance: called with the number of further examples and the last loss.
            due: asked between two calls of the program whether the state is to be kept.
            keep: called then; `state` and `losses` belong together.

        Raises:
            NotFiniteError: if a loss or a weight is no longer finite.
        """
        pending: list[tuple[Array, int]] = []

        def note() -> None:
            while pending:
                values, count = pending.pop()
                for loss in np.asarray(values)[:count].tolist():
                    losses.append(loss)
                    if not math.isfinite(loss):
                        where = f"epoch {number}, step {len(losses)}"
                        raise NotFiniteError(f"training loss became {loss} in {where}")
                advance(count * self.batch, losses[-1])

        key = jax.random.fold_in(self.key, number)
        sent = placed(key, self._mesh)
        for call in self.feed.calls(self._order(key), len(losses)):
            self.state, values = self._run(
                self.state, call.examples, call.rows, sent, call.first, call.steps, shapes=self.feed.shapes
            )
            # One call late, so that the device never waits for the check.
            note()
            pending.append((values, int(call.steps)))
            if due():
                note()
                keep()
        note()
        if not _all_finite(self.state.params):
            raise NotFiniteError(f"weights were no longer finite after epoch {number}")
        return float(np.mean(losses))

    def _order(self, key: Key[Array, ""]) -> Int[np.ndarray, "steps b"]:
        """Numbers of the examples in each step of the epoch with this key, int32."""
        order = numpy_generator(key).permutation(self._count)[: self.steps * self.batch]
        # Sorted, so that a memory map is read forwards; the order within a batch is no matter.
        return np.sort(order.reshape(self.steps, self.batch), axis=1).astype(np.int32)


def mirror_half(images: Shaped[Array, "n h w c"], key: Key[Array, ""]) -> Shaped[Array, "n h w c"]:
    """Mirrors each image left to right with probability 1/2."""
    mirrored = jax.random.bernoulli(key, jnp.float32(0.5), shape=(images.shape[0], 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


def _step(
    loss: Loss, optimizer: optax.GradientTransformation, state: TrainState, batch: Any, key: Key[Array, ""]
) -> tuple[TrainState, Float[Array, ""]]:
    """Takes one optimizer step on a batch; gives the new state and the batch's mean loss before it."""
    (value, rest), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, state.rest, batch, key)
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), rest, opt_state), value


def _steps(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    examples: tuple[Shaped[Array, "..."], ...],
    rows: Int[Array, " s *b"],
    key: Key[Array, ""],
    first: Int[Array, ""],
    count: Int[Array, ""],
    shapes: tuple[tuple[int, ...], ...],
) -> tuple[TrainState, Float[Array, " s"]]:
    """Takes the first `count` of s steps in one call, see `Call`; gives the new state and the steps' losses.

    XLA returns its scratch memory after each call, so on a CPU a call a step spends a tenth of its time on
    page faults; elsewhere it saves the time between calls.
    """

    def one(i: Array, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
        state, losses = carry
        # Of one number a slice, of several a gather of whole examples; neither copies the others.
        taken = (x.at[rows[i]].get(mode="promise_in_bounds", wrap_negative_indices=False) for x in examples)
        batch = tuple(x.reshape(-1, *shape) for x, shape in zip(taken, shapes, strict=True))
        state, value = _step(loss, optimizer, state, batch, jax.random.fold_in(key, first + i))
        return state, losses.at[i].set(value)

    return lax.fori_loop(0, count, one, (state, jnp.zeros(rows.shape[0], jnp.float32)))


@jax.jit
def _all_finite(params: PyTree) -> Bool[Array, ""]:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)]))
