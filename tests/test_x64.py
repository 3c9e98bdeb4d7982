"""A run of a process with JAX_ENABLE_X64=1 is one of a process without it, and the reverse."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

import jaxlatent as jl
from jaxlatent.data.faces import sample_factors, synthetic_faces
from jaxlatent.evaluation.classifier import Classifier

CONFIG = jl.AutoencoderConfig(image_size=32, latent_dim=4, filters=(4, 4, 4, 8), norm="group")
TRAIN = jl.TrainConfig(epochs=1, batch_size=8)
KEY = jax.random.key(3)


def fit(folder, images, *, resume=False):
    return jl.fit_autoencoder(
        KEY, images, CONFIG, TRAIN, validation=images[:8], directory=folder / "training", resume=resume
    )


def write(folder):
    """Trains a tiny network, encodes, fits a sampler, and keeps what comes out of all."""
    images, factors = synthetic_faces(24, image_size=32, seed=2**40), sample_factors(2**40, 0, 24)
    model, history = fit(folder, images)
    z = jl.encode(model, images)
    sampler = jl.PairwiseSampler.fit(z, n_components=2)
    jl.save(folder / "sampler.npz", sampler)
    np.savez(
        folder / "numbers.npz",
        images=images,
        factors=factors,
        z=z,
        decoded=jl.decode(model, z),
        drawn=sampler.sample(KEY, 8),
        loss=history.column("train_loss"),
    )


def read(folder):
    """What the run in `folder`, of another process, gives here."""
    images = np.load(folder / "numbers.npz")["images"]
    model = jl.load_model(folder / "training" / "best")
    again, history = fit(folder, images, resume=True)  # finished: but reads the whole state
    z = jl.encode(model, images)
    np.testing.assert_array_equal(z, jl.encode(again, images))
    return {
        "z": z,
        "decoded": jl.decode(model, z),
        "drawn": jl.load(folder / "sampler.npz").sample(KEY, 8),
        "loss": history.column("train_loss"),
    }


def compare(folder):
    kept = np.load(folder / "numbers.npz")
    for name, value in read(folder).items():
        assert np.asarray(value).dtype == kept[name].dtype, name
        np.testing.assert_allclose(value, kept[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_a_run_is_the_same_with_and_without_64_bit_types(tmp_path):
    here, there = tmp_path / "without", tmp_path / "with"
    here.mkdir(), there.mkdir()
    write(here)
    environment = os.environ | {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, __file__, here, there], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    compare(there)
    ours, theirs = (np.load(folder / "numbers.npz") for folder in (here, there))
    assert np.abs(ours["images"].astype(int) - theirs["images"]).max() <= 1
    for name in ("factors", "z", "decoded", "loss"):
        assert ours[name].dtype == theirs[name].dtype, name
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_parameters_are_float32_with_64_bit_types_too():
    with jax.enable_x64(True):
        networks = [
            jl.Autoencoder(dataclasses.replace(CONFIG, norm=norm), rngs=nnx.Rngs(0))
            for norm in ("none", "batch", "group")
        ]
        networks.append(Classifier(3, (4, 4), 2, np.random.default_rng(0)))
        assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(networks))} == {"float32"}


if __name__ == "__main__":
    assert jax.config.jax_enable_x64
    compare(Path(sys.argv[1]))
    write(Path(sys.argv[2]))
