"""The network as a VAE."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jaxlatent as jl
from jaxlatent.autoencoder.losses import kl_divergence

CONFIG = jl.AutoencoderConfig(image_size=16, latent_dim=4, filters=(8, 8), channels=1, variational=True)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (64, 1, 1, 1), np.uint8).repeat(16, 1).repeat(16, 2)


def trained(images, kl_weight):
    train = jl.TrainConfig(epochs=30, batch_size=16, learning_rate=1e-2, kl_weight=kl_weight)
    return jl.fit_autoencoder(jax.random.key(0), images, CONFIG, train)


def test_divergence_is_the_integral():
    mean, log_variance = jnp.float32([[0.5, -1.0]]), jnp.float32([[-0.7, 0.4]])

    def integrand(x, mean, deviation):
        log_p = stats.norm.logpdf(x, mean, deviation)
        return np.exp(log_p) * (log_p - stats.norm.logpdf(x))

    expected = sum(
        integrate.quad(integrand, -12, 12, args=(m, np.exp(v / 2)))[0]
        for m, v in zip(mean[0], log_variance[0], strict=True)
    )
    np.testing.assert_allclose(kl_divergence(mean, log_variance), [expected], rtol=1e-5)
    assert kl_divergence(jnp.zeros((1, 3)), jnp.zeros((1, 3)))[0] == 0


def test_weight_trades_reconstruction_for_the_prior(images):
    loose, tight = trained(images, 1e-4), trained(images, 10.0)
    assert loose[1].records[-1].train_loss < tight[1].records[-1].train_loss
    spread = [np.asarray(jl.encode(model, images)).std(axis=0).max() for model, _ in (loose, tight)]
    assert spread[1] < 0.05  # all images at the prior's mean
    assert spread[0] > 10 * spread[1]


def test_encodes_to_the_means_and_keeps_its_spreads(images, tmp_path):
    model, _ = trained(images, 0.01)
    mean, log_variance = model.posterior(jnp.asarray(images))
    np.testing.assert_allclose(jl.encode(model, images), mean, rtol=1e-5, atol=1e-6)
    jl.save_model(tmp_path / "model", model)
    again = jl.load_model(tmp_path / "model")
    assert again.config.variational
    np.testing.assert_array_equal(again.posterior(jnp.asarray(images))[1], log_variance)


def test_vectors_are_drawn_in_training_alone(images):
    """The same key gives the same training; without the draws, a weight of 0 would be the plain network's."""
    plain = jl.AutoencoderConfig(image_size=16, latent_dim=4, filters=(8, 8), channels=1)
    train = jl.TrainConfig(epochs=1, batch_size=16, kl_weight=0.0)
    losses = [
        jl.fit_autoencoder(jax.random.key(0), images, config, train)[1].records[0].train_loss
        for config in (CONFIG, CONFIG, plain)
    ]
    assert losses[0] == losses[1] != losses[2]
