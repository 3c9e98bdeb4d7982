import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import jaxlatent as jl
from jaxlatent.autoencoder import decoder
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.generation.digest import identity

CONFIG = jl.AutoencoderConfig(image_size=32, latent_dim=4, filters=(4, 4, 4, 4))


def of(obj):
    return identity(obj)["sha256"]


def test_networks_differ_by_weights_and_by_shape(key):
    model = make_autoencoder(key, CONFIG)
    again = make_autoencoder(key, CONFIG)
    other = make_autoencoder(jax.random.key(1), CONFIG)
    relu = make_autoencoder(key, dataclasses.replace(CONFIG, activation="relu"))
    assert of(model) == of(again)
    assert len({of(model), of(other), of(relu)}) == 3
    assert identity(model)["name"] == "jaxlatent.autoencoder.network.Autoencoder"
    assert of(decoder(model)) == of(decoder(again)) != of(decoder(other))
    assert of(partial(jl.decode, model)) == of(partial(jl.decode, again)) != of(partial(jl.decode, other))


def test_samplers_differ_by_arrays_and_by_settings(sampler):
    permuted = jl.PairwiseSampler(sampler.pca, sampler.body, "permutation")
    wider = jl.PairwiseSampler(sampler.pca, jl.EllipseBody(sampler.body.semi_axes * 2))
    assert len({of(sampler), of(permuted), of(wider)}) == 3
    leaves, tree = jax.tree.flatten(sampler)
    assert of(jax.tree.unflatten(tree, leaves)) == of(sampler)


def test_methods_and_partials(sampler):
    body = sampler.body
    assert of(body.contains) == of(jl.EllipseBody(body.semi_axes).contains) is not None
    assert of(body.contains) != of(jl.EllipseBody(body.semi_axes * 2).contains)
    first, second = (partial(max, np.zeros(3), key=np.full(2, value)) for value in (1, 2))
    assert of(first) != of(second)


def test_what_cannot_be_seen():
    class Foreign:
        def decode(self, z):
            return z

    assert identity(lambda z: z)["sha256"] is None
    assert identity(np.sum)["name"] == "numpy.sum"
    # Not by its address, which is another one in every process.
    assert of(Foreign().decode) == of(Foreign().decode)


def test_what_knows_its_own_digest():
    class Known:
        def __init__(self, digest):
            self.digest = digest

        def __call__(self, images):
            return images

    first, again, other, unknown = (identity(Known(digest)) for digest in ("a", "a", "b", None))
    assert first == again
    assert first["sha256"] != other["sha256"]
    assert unknown["sha256"] is None


def test_every_kind_of_number():
    for dtype in (jnp.bfloat16, jnp.float16, jnp.int8, bool):
        assert of({"weights": jnp.ones(3, dtype)}) != of({"weights": jnp.zeros(3, dtype)})
