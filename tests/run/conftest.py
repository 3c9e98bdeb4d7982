import shutil

import numpy as np
import pytest

import jaxlatent as jl

CONFIG = jl.AutoencoderConfig(image_size=32, latent_dim=6, filters=(4, 4, 8, 8))
TRAINING = jl.TrainConfig(epochs=2, batch_size=16, learning_rate=5e-3)


def images_of(seed, count=400):
    """Plain squares of random colours."""
    shades = np.random.default_rng(seed).integers(0, 255, (count, 1, 1, 3), np.uint8)
    return np.broadcast_to(shades, (count, 32, 32, 3))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A run with z-points, and its data."""
    folder = tmp_path_factory.mktemp("made")
    np.save(folder / "images.npy", images_of(0))
    run = jl.Run(folder / "run")
    run.train(str(folder / "images.npy"), CONFIG, TRAINING)
    run.encode()
    run.fit("pairwise:fact=0.7")
    return run


@pytest.fixture
def run(made, tmp_path):
    """A copy of one's own; its data are those of `made`."""
    return jl.Run(shutil.copytree(made.folder, tmp_path / "run"))


@pytest.fixture
def training():
    return TRAINING


@pytest.fixture
def other_images(tmp_path):
    """A file of the same name as the data of `made`, of other images."""
    np.save(tmp_path / "images.npy", images_of(1))
    return str(tmp_path / "images.npy")
