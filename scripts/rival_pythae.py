"""The MAF sampler of pythae 0.1.2 on latent vectors, for `jaxlatent evaluate --vectors`.

    python3.11 -m venv pythae
    pythae/bin/pip install torch pythae==0.1.2
    pythae/bin/python scripts/rival_pythae.py RUN/latents.npy --budget 60 --count 10000 --out maf.npy
    jaxlatent evaluate RUN --vectors "pythae MAF, 60 s=maf.npy"

It does what pythae's `MAFSampler.fit` does once the images are encoded: its MAF, its trainer, both with their
defaults but for the learning rate; but in the whitened PCA frame, which makes it better. The trainer counts
epochs, not seconds: one epoch is timed, and as many are made as the budget has left.
"""

import argparse
import contextlib
import io
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from pythae.data.preprocessors import DataProcessor
from pythae.models.normalizing_flows import MAF, MAFConfig, NFModel
from pythae.trainers import BaseTrainer, BaseTrainerConfig

# Vectors that are drawn at once.
_BATCH = 500


def main() -> None:
    """Reads, fits, draws and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("latents", type=Path, help="z-points, a .npy file (n, d)")
    parser.add_argument("--out", type=Path, required=True, help="the .npy file to write, float32 (count, d)")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of wall clock for the fit")
    parser.add_argument("--count", type=int, default=10_000, help="vectors to draw")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the batches and the vectors")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="pythae's own is 1e-4")
    asked = parser.parse_args()
    z = np.load(asked.latents).astype(np.float64)
    if z.ndim != 2:
        parser.error(f"{asked.latents}: expected an array (n, d), got {z.shape}")
    logging.disable(logging.INFO)
    start = time.monotonic()
    mean = z.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(z.T))
    keep = values > 1e-10 * values[-1]
    to_white = vectors[:, keep] / np.sqrt(values[keep])
    y = ((z - mean) @ to_white).astype(np.float32)
    order = np.random.default_rng(asked.seed).permutation(len(y))
    held_out, training = np.split(y[order], [len(y) // 20])
    begun = time.monotonic()
    flow = trained(training, held_out, 1, asked)
    epoch = time.monotonic() - begun
    epochs = int((asked.budget - (time.monotonic() - start)) / epoch)
    if epochs > 1:
        flow = trained(training, held_out, epochs, asked)
    print(f"{max(epochs, 1)} epochs, {time.monotonic() - start:.1f} s")
    torch.manual_seed(asked.seed)
    with torch.no_grad():
        sizes = [min(_BATCH, asked.count - first) for first in range(0, asked.count, _BATCH)]
        drawn = [flow.inverse(torch.randn(size, y.shape[1])).out.numpy() for size in sizes]
    back = vectors[:, keep] * np.sqrt(values[keep])
    np.save(asked.out, (np.concatenate(drawn) @ back.T + mean).astype(np.float32))


def trained(training: np.ndarray, held_out: np.ndarray, epochs: int, asked: argparse.Namespace) -> MAF:
    """A MAF after so many epochs, of the epoch that is best on the vectors held out."""
    torch.manual_seed(asked.seed)
    dimension = training.shape[1]
    flow = MAF(MAFConfig(input_dim=(dimension,)))
    prior = torch.distributions.MultivariateNormal(torch.zeros(dimension), torch.eye(dimension))
    datasets = [DataProcessor.to_dataset(torch.from_numpy(each)) for each in (training, held_out)]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            learning_rate=asked.learning_rate,
            seed=asked.seed,
            no_cuda=True,
        )
        trainer = BaseTrainer(NFModel(prior, flow), *datasets, training_config=config)
        trainer.train()
        return MAF.load_from_folder(str(Path(trainer.training_dir) / "final_model"))


if __name__ == "__main__":
    main()
