"""The training state and the compiled functions that work on it."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Shaped

from jaxlatent.autoencoder.config import AutoencoderConfig, TrainConfig
from jaxlatent.autoencoder.losses import reconstruction_losses
from jaxlatent.autoencoder.network import Autoencoder, to_unit_range


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


def make_optimizer(config: TrainConfig, steps: int) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """Builds AdamW with a linear warm-up and a cosine decay to 0 over `steps`, and that schedule."""
    warmup = max(1, round(config.warmup * steps))

    def schedule(step: Array | int) -> Array:
        step = jnp.asarray(step).astype(jnp.float32)
        rise = (step + 1) / warmup
        fall = 0.5 + 0.5 * jnp.cos(jnp.pi * (step - warmup) / max(1, steps - warmup))
        return config.learning_rate * jnp.where(step < warmup, rise, fall)

    optimizer = optax.adamw(schedule, weight_decay=config.weight_decay)
    if config.gradient_clip is not None:
        optimizer = optax.chain(optax.clip_by_global_norm(config.gradient_clip), optimizer)
    return optimizer, schedule


def make_state(
    model: Autoencoder, optimizer: optax.GradientTransformation
) -> tuple[nnx.GraphDef, TrainState]:
    """Splits a network into its definition and the state that training starts from."""
    graphdef, *states = nnx.split(model, nnx.Param, ...)
    params, rest = states
    return graphdef, TrainState(params, rest, optimizer.init(params))


def mirror_half(images: Shaped[Array, "n h w c"], key: Key[Array, ""]) -> Shaped[Array, "n h w c"]:
    """Mirrors each image left to right with probability 1/2."""
    mirrored = jax.random.bernoulli(key, jnp.float32(0.5), shape=(images.shape[0], 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


def train_step(
    graphdef: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    config: TrainConfig,
    state: TrainState,
    images: Shaped[Array, "n h w 3"],
    key: Key[Array, ""],
) -> tuple[TrainState, Float[Array, ""]]:
    """Takes one optimizer step on a batch; gives the new state and the batch's mean loss before it."""
    if config.mirror:
        images = mirror_half(images, key)
    x = to_unit_range(images)

    def loss_of(params: PyTree) -> tuple[Array, PyTree]:
        model = nnx.merge(graphdef, params, state.rest, copy=True)
        losses = []
        for part in jnp.split(x, _parts(x.shape[0], model.config.norm)):
            logits = model.decode_logits(model.encode(part, train=True), train=True)
            losses.append(reconstruction_losses(part, logits, config)[0])
        return jnp.mean(jnp.concatenate(losses)), nnx.state(model, nnx.Not(nnx.Param))

    (loss, rest), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), rest, opt_state), loss


def train_steps(
    graphdef: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    config: TrainConfig,
    state: TrainState,
    batches: Shaped[Array, "s n h w 3"],
    keys: Key[Array, " s"],
    count: Int[Array, ""],
) -> tuple[TrainState, Float[Array, " s"]]:
    """Takes the first `count` of s steps in one call; gives the new state and the steps' losses.

    XLA returns its scratch memory after each call, so on a CPU a call a step spends a tenth of its time on
    page faults; elsewhere it saves the time between calls.
    """

    def one(i: Array, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
        state, losses = carry
        state, loss = train_step(graphdef, optimizer, config, state, batches[i], keys[i])
        return state, losses.at[i].set(loss)

    return lax.fori_loop(0, count, one, (state, jnp.zeros(batches.shape[0], jnp.float32)))


def _parts(count: int, norm: str) -> int:
    """Into how many independent parts a batch is cut.

    On a CPU, XLA runs most convolutions on one core, but side by side what does not depend on each other.
    Batch norm needs the batch as a whole.
    """
    halves = jax.default_backend() == "cpu" and norm != "batch" and count % 2 == 0
    return 2 if halves else 1


def evaluate_batch(
    graphdef: nnx.GraphDef,
    config: TrainConfig,
    state: TrainState,
    images: Shaped[Array, "n h w 3"],
    valid: Bool[Array, " n"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Gives the sums of loss and of squared error over the valid images of a batch, outside training."""
    model = nnx.merge(graphdef, state.params, state.rest)
    x = to_unit_range(images)
    losses, errors = reconstruction_losses(x, model.decode_logits(model.encode(x)), config)
    return jnp.sum(jnp.where(valid, losses, 0)), jnp.sum(jnp.where(valid, errors, 0))


def all_finite(params: PyTree) -> Bool[Array, ""]:
    """Tells whether every weight is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)]))


class Program(NamedTuple):
    """The compiled functions of one pair of configurations.

    Attributes:
        graphdef: the network's definition.
        optimizer: makes the first optimizer state.
        schedule: learning rate of a step.
        steps: `train_steps` of (state, batches, keys, count); it takes the state's memory over.
        evaluate: `evaluate_batch` of (state, images, valid).
        finite: `all_finite` of the weights.
    """

    graphdef: nnx.GraphDef
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    steps: Callable[..., Any]
    evaluate: Callable[..., Any]
    finite: Callable[..., Any]


@lru_cache(maxsize=8)
def make_program(config: AutoencoderConfig, train: TrainConfig, steps: int) -> Program:
    """Prepares training over `steps`; the same arguments give what is already compiled."""
    optimizer, schedule = make_optimizer(train, steps)
    graphdef, _ = nnx.split(nnx.eval_shape(lambda: Autoencoder(config, rngs=nnx.Rngs(0))))
    run = jax.jit(partial(train_steps, graphdef, optimizer, train), donate_argnums=0)
    evaluate = jax.jit(partial(evaluate_batch, graphdef, train))
    return Program(graphdef, optimizer, schedule, run, evaluate, jax.jit(all_finite))
