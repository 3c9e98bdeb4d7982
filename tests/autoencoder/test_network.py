import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlatent.autoencoder import AutoencoderConfig, TrainConfig, decode, encode
from jaxlatent.autoencoder.config import ACTIVATIONS
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.autoencoder.train import make_program
from jaxlatent.autoencoder.trainer import Steps, mirror_half

IMAGES = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))
SHAPES = (IMAGES.shape[1:],)
SMALL = {"image_size": 32, "latent_dim": 6, "filters": (4, 6, 8, 10)}


# Compiled as one: an operation at a time, the layers are dozens of programs.
run_encoder = nnx.jit(lambda model, images, train: model.encode(images, train=train), static_argnums=2)


def make(**changes):
    return make_autoencoder(jax.random.key(0), AutoencoderConfig(**{**SMALL, **changes}))


def no_loss(params, rest, batch, key):
    raise NotImplementedError


def start(program, model):
    _, *states = nnx.split(model, nnx.Param, ...)
    return program.steps.start(*states)


@pytest.mark.parametrize(("size", "kernel_size"), [(48, 3), (32, 4), (32, 5)])
def test_shapes_and_range(size, kernel_size):
    model = make(image_size=size, kernel_size=kernel_size)
    z = encode(model, jnp.zeros((2, size, size, 3), jnp.uint8), batch_size=2)
    x = decode(model, z, batch_size=2)
    assert z.shape == (2, 6)
    assert x.shape == (2, size, size, 3)
    assert z.dtype == x.dtype == jnp.float32
    assert 0 <= float(x.min()) <= float(x.max()) <= 1


def test_uint8_and_float_images_give_the_same_vectors():
    model = make()
    floats = IMAGES.astype(jnp.float32) / 255
    np.testing.assert_allclose(
        run_encoder(model, IMAGES, False), run_encoder(model, floats, False), atol=1e-6
    )


def test_every_activation_gives_other_vectors():
    vectors = [encode(make(activation=name), IMAGES, batch_size=4) for name in ACTIVATIONS]
    for i, a in enumerate(vectors):
        for b in vectors[:i]:
            assert float(jnp.abs(a - b).max()) > 1e-4


def test_bfloat16_is_close_but_not_equal_and_keeps_float32_parameters():
    full, half = make(), make(dtype="bfloat16")
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(nnx.state(half)))
    a, b = (encode(model, IMAGES, batch_size=4) for model in (full, half))
    assert b.dtype == jnp.float32
    assert 0 < float(jnp.abs(a - b).max()) < 0.05 * float(jnp.abs(a).max())


def test_group_norm_does_not_depend_on_the_other_images_of_a_batch():
    model = make(norm="group")
    among_others, alone = run_encoder(model, IMAGES, True)[:1], run_encoder(model, IMAGES[:1], False)
    np.testing.assert_allclose(among_others, alone, atol=1e-5)


def test_batch_norm_uses_the_batch_in_training_and_running_averages_outside():
    model = make(norm="batch")
    before = run_encoder(model, IMAGES, False)
    trained = run_encoder(model, IMAGES, True)
    assert float(jnp.abs(trained - before).max()) > 1e-3
    alone = run_encoder(model, IMAGES[:1], False)
    np.testing.assert_allclose(run_encoder(model, IMAGES, False)[:1], alone, atol=1e-5)
    assert float(jnp.abs(alone - before[:1]).max()) > 1e-4  # the averages have moved


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "batch", "loss": "mse"},
        pytest.param({"norm": "group", "loss": "bce", "kernel_size": 4}, marks=pytest.mark.slow),
        {"dtype": "bfloat16", "loss": "mse+ssim"},
    ],
    ids=str,
)
def test_a_few_steps_lower_the_loss_and_compile_once(changes):
    loss = changes.pop("loss")
    train = TrainConfig(learning_rate=3e-3, loss=loss, mirror=False, warmup=0.0)
    program = make_program(AutoencoderConfig(**{**SMALL, **changes}), train, 1000)
    state = start(program, make(**changes))
    call = (jnp.stack([IMAGES] * 6),), jnp.arange(6), jax.random.key(0), np.int32(0), np.int32(6)
    state, first = program.steps.run(state, *call, shapes=SHAPES)
    _, second = program.steps.run(state, *call, shapes=SHAPES)
    assert second[-1] < first[0]
    assert program.steps.run._cache_size() == 1


def test_steps_of_one_call_are_those_of_several():
    program = make_program(AutoencoderConfig(**SMALL), TrainConfig(), 1000)
    batches = (jnp.stack([IMAGES, IMAGES[::-1], IMAGES[:, :, ::-1], IMAGES * 0]),)
    rows, key = jnp.arange(4), jax.random.key(0)
    state = start(program, make())
    at_once, losses = program.steps.run(state, batches, rows, key, np.int32(5), np.int32(3), shapes=SHAPES)
    assert losses[3] == 0
    assert (losses[:3] > 0).all()
    state = start(program, make())
    for i in range(3):
        call = batches, jnp.roll(rows, -i), key, np.int32(5 + i), np.int32(1)
        state, loss = program.steps.run(state, *call, shapes=SHAPES)
        assert loss[0] == losses[i]
    for a, b in zip(jax.tree.leaves(at_once), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_schedule_rises_to_the_learning_rate_and_falls_to_zero():
    steps = Steps.of(no_loss, TrainConfig(learning_rate=0.5, warmup=0.1), 100)
    rates = np.array([steps.learning_rate(step) for step in range(101)])
    # As 0.1 computed them.
    step, warmup = np.arange(101), 10
    fall = 0.5 + 0.5 * np.cos(np.pi * (step - warmup) / 90)
    np.testing.assert_allclose(rates, 0.5 * np.where(step < warmup, (step + 1) / warmup, fall), atol=2e-7)
    assert (np.diff(rates[:10]) > 0).all()
    assert rates.max() == pytest.approx(0.5)
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[100] == pytest.approx(0, abs=1e-7)


def test_gradient_clip_and_weight_decay_act():
    params = {"w": jnp.full(3, 2.0)}
    gradient = {"w": jnp.full(3, 10.0)}

    def update(**changes):
        train = TrainConfig(learning_rate=0.1, warmup=0.0, **changes)
        optimizer = Steps.of(no_loss, train, 10**6).optimizer
        with jax.numpy_dtype_promotion("standard"):
            return np.asarray(optimizer.update(gradient, optimizer.init(params), params)[0]["w"])

    np.testing.assert_allclose(update(gradient_clip=None), -0.1, rtol=1e-5)
    np.testing.assert_allclose(update(weight_decay=0.5), -0.1 - 0.1 * 0.5 * 2, rtol=1e-5)
    # Adam divides by the gradient's size plus 1e-8, which a tiny clipped gradient makes visible.
    np.testing.assert_allclose(update(gradient_clip=3**0.5 * 1e-8), -0.05, rtol=1e-3)


def test_mirroring_mirrors_about_half_of_the_images():
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (400, 2, 4, 3), dtype=np.uint8))
    found = np.asarray(mirror_half(images, jax.random.key(0)))
    same = (found == images).all((1, 2, 3))
    flipped = (found == images[:, :, ::-1]).all((1, 2, 3))
    assert (same | flipped).all()
    assert abs(int(flipped.sum()) - 200) < 5 * 10  # five standard errors
