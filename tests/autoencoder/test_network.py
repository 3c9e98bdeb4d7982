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
# What 0.1 drew from key 3: the last number of four kernels.
DRAWN = (-0.1192060783, -0.0281036645, 0.0197473112, -0.0502590574)
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


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": 48},
        {"kernel_size": 4},
        {"kernel_size": 5},
        {"image_size": 16, "filters": (4, 6)},
        {"image_size": 28, "channels": 1, "filters": (4, 6, 8)},
        {"image_size": (33, 17), "channels": 1, "filters": (4, 6, 8, 8, 8)},
        {"image_size": (17, 70), "filters": (4, 6, 8), "kernel_size": 4},
        {"image_size": 64, "filters": (2, 2, 4, 4, 4, 4)},
    ],
    ids=str,
)
def test_shapes_and_range(changes):
    model = make(**changes)
    shape = (2, *model.config.image_shape)
    z = encode(model, jnp.zeros(shape, jnp.uint8), batch_size=2)
    x = decode(model, z, batch_size=2)
    assert z.shape == (2, 6)
    assert x.shape == shape
    assert z.dtype == x.dtype == jnp.float32
    assert 0 <= float(x.min()) <= float(x.max()) <= 1


def test_odd_images_are_continued_with_their_edges_and_the_decoder_crops():
    odd, whole = ({"image_size": size, "filters": (4, 6, 8)} for size in ((21, 30), (24, 32)))
    inner, outer = make(**odd), make(**whole)  # the same weights
    images = np.asarray(IMAGES)[:, :21, :30]
    continued = np.pad(images, ((0, 0), (1, 2), (1, 1), (0, 0)), mode="edge")
    z = encode(inner, images, batch_size=4)
    np.testing.assert_allclose(z, encode(outer, continued, batch_size=4), atol=1e-5)
    cropped = decode(outer, z, batch_size=4)[:, 1:-2, 1:-1]
    np.testing.assert_allclose(decode(inner, z, batch_size=4), cropped, atol=1e-6)


def test_a_seed_gives_the_weights_that_it_gave():
    model = make_autoencoder(jax.random.key(3), AutoencoderConfig())
    kernels = [model.down1.conv.kernel, model.down4.conv.kernel, model.to_latent.kernel, model.up1.kernel]
    found = [float(kernel[...].ravel()[-1]) for kernel in kernels]
    np.testing.assert_allclose(found, DRAWN, rtol=1e-6)


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
