import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlatent.autoencoder import AutoencoderConfig, TrainConfig, fit_autoencoder
from jaxlatent.autoencoder.config import DTYPES
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.autoencoder.train import make_program
from jaxlatent.data import load_images

KEY = jax.random.key(0)


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_only_products_and_activations_are_rounded(norm):
    """Sums over pixels, the loss, weights and moments are float32, whatever a compiler makes of bfloat16."""
    config = AutoencoderConfig(32, latent_dim=6, filters=(4, 6, 8, 10), norm=norm, dtype="bfloat16")
    program = make_program(config, TrainConfig(), 1000)
    _, *states = nnx.split(make_autoencoder(KEY, config), nnx.Param, ...)
    state = program.steps.start(*states)
    examples, rows = (jnp.zeros((9, 32 * 32 * 3), jnp.uint8),), jnp.zeros((2, 4), jnp.int32)
    call = examples, rows, KEY, np.int32(0), np.int32(2)
    lowered = program.steps.run.lower(state, *call, shapes=((32, 32, 3),))
    assert {leaf.dtype for leaf in jax.tree.leaves(lowered.out_info)} == {np.dtype("f4"), np.dtype("i4")}
    lines = lowered.as_text().splitlines()
    products = [line for line in lines if re.search(r"stablehlo\.(convolution|dot_general)", line)]
    assert len([line for line in products if "bf16" in line]) > 20
    sums = [line for line in lines if "stablehlo.reduce" in line]
    assert len(sums) > 20
    assert not [line for line in sums if "bf16" in line]


def test_the_quality_is_that_of_float32():
    images, errors = load_images("synthetic:192", image_size=32), []
    train = TrainConfig(epochs=30, batch_size=16, learning_rate=2e-3)
    for dtype in DTYPES:
        config = AutoencoderConfig(32, latent_dim=16, filters=(8, 8, 16, 16), dtype=dtype)
        _, history = fit_autoencoder(KEY, images[:160], config, train, validation=images[160:])
        assert history[-1].val_mse < 0.8 * history[0].val_mse
        errors.append(history[-1].val_mse)
    assert errors[0] != errors[1]
    assert errors[1] == pytest.approx(errors[0], rel=0.03)
