"""How well scores tell images of another kind, beside two outlier detectors of scikit-learn.

An autoencoder is trained on images; then the latents of images that it has not seen, and of images of another
kind, are scored. Printed is the area under the ROC curve: the probability that an image of the other kind is
scored as more unusual than an unseen one. 0.5 is chance, 1 perfect.

    python benchmarks/outliers.py --data celeba:DIR --others cifar10.zip
    python benchmarks/outliers.py --data mnist.npz --leave-out 4

Of data of classes, `--leave-out` takes one out of the training and makes it the other kind.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from common import machine
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

import jaxlatent as jl
from jaxlatent.latent.core import robust_core

COUNT = 4000  # of unseen images, and of others, at most
RATE = 0.01


def without(data: str, split: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The images of all classes but one, and those of that one."""
    images, labels = jl.load_labelled(data, split=split)
    is_left_out = labels.values[:, labels.names.index(name)] > 0
    return images[~is_left_out], images[is_left_out]


def latents(arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of training images, of unseen ones, and of others."""
    if arguments.leave_out:
        train, _ = without(arguments.data, "train", arguments.leave_out)
        unseen, others = without(arguments.data, "test", arguments.leave_out)
    else:
        train, unseen = (
            np.asarray(jl.load_images(arguments.data, split=split)) for split in ("train", "validation")
        )
        size, channels = train.shape[1:3], train.shape[3]
        others = np.asarray(jl.load_images(arguments.others, image_size=size, channels=channels, limit=COUNT))
    _, height, width, channels = train.shape
    config = jl.AutoencoderConfig((height, width), arguments.latent_dim, channels=channels)
    model, _ = jl.fit_autoencoder(
        jax.random.key(0), train, config, jl.TrainConfig(epochs=arguments.epochs), progress=True
    )
    z, z_unseen, z_others = (np.asarray(jl.encode(model, x)) for x in (train, unseen[:COUNT], others[:COUNT]))
    return z, z_unseen, z_others


def contestants(
    z: np.ndarray, arguments: argparse.Namespace
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What is fitted to latents, and how unusual it finds vectors: more is more unusual."""
    options = {"n_components": arguments.components}

    def robust() -> jl.GaussianSampler:
        return jl.GaussianSampler(jl.PCA.from_moments(robust_core(z).moments, arguments.components))

    # What is fitted, and the scores that are looked at.
    samplers: dict[str, tuple[Callable[[], jl.Sampler], tuple[str, ...]]] = {
        "GaussianSampler": (lambda: jl.GaussianSampler.fit(z, **options), ("log_prob",)),
        # With all components nothing lies off their plane.
        "GaussianSampler, half the components": (
            lambda: jl.GaussianSampler.fit(z, n_components=z.shape[1] // 2),
            ("distance",),
        ),
        "GaussianSampler of the robust core": (robust, ("log_prob",)),
        "GaussianMixtureSampler, 10 clusters": (
            lambda: jl.GaussianMixtureSampler.fit(z, n_clusters=10, **options),
            ("log_prob",),
        ),
        "BootstrapSampler": (lambda: jl.BootstrapSampler.fit(z, **options), ("log_prob",)),
        "ClusterMixtureSampler": (
            lambda: jl.ClusterMixtureSampler.fit(z, coverage=1.0, **options),
            ("log_prob", "gauge"),
        ),
        "ExactSampler": (lambda: jl.ExactSampler.fit(z, **options), ("gauge",)),
        "ExactSampler, within 3 sigma": (
            lambda: jl.ExactSampler.fit(z, within_sigma=3.0, **options),
            ("gauge",),
        ),
    }
    found: dict[str, Callable] = {}
    for name, (fit, scores) in samplers.items():
        start = time.perf_counter()
        sampler = fit()
        print(f"{name}: fitted in {time.perf_counter() - start:.1f} s", flush=True)
        for by in scores:
            found[f"{name}, {by}"] = lambda x, sampler=sampler, by=by: np.asarray(
                sampler.score(x).unusual(by)[1]
            )
    peers = (
        {}
        if arguments.no_peers
        else {
            "EllipticEnvelope": EllipticEnvelope(random_state=0),
            "IsolationForest": IsolationForest(random_state=0),
        }
    )
    for name, peer in peers.items():
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer.fit(z)
        print(f"{name}: fitted in {time.perf_counter() - start:.1f} s", flush=True)
        found[f"scikit-learn, {name}"] = lambda x, peer=peer: -peer.score_samples(x)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="the images, as for load_images")
    other = parser.add_mutually_exclusive_group(required=True)
    other.add_argument("--others", help="images of another kind")
    other.add_argument("--leave-out", metavar="CLASS", help="class of the data that is the other kind")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--latent-dim", type=int, default=256)
    parser.add_argument("--components", type=int, help="of the samplers; all by default")
    parser.add_argument("--no-peers", action="store_true", help="without scikit-learn, which takes minutes")
    parser.add_argument("--keep", type=Path, help="a .npz file for the latents, read where it exists")
    arguments = parser.parse_args()
    print(machine())
    if arguments.keep and arguments.keep.exists():
        with np.load(arguments.keep) as file:
            z, unseen, others = (file[name] for name in ("train", "unseen", "others"))
    else:
        z, unseen, others = latents(arguments)
        if arguments.keep:
            np.savez(arguments.keep, train=z, unseen=unseen, others=others)
    print(f"{len(z)} latents of {z.shape[1]} numbers; {len(unseen)} unseen, {len(others)} others")
    truth = np.repeat([0, 1], [len(unseen), len(others)])
    for name, unusual in contestants(z, arguments).items():
        unusual(unseen)
        unusual(others)  # compiled before it counts
        start = time.perf_counter()
        scores = np.concatenate([unusual(unseen), unusual(others)])
        rate = len(truth) / (time.perf_counter() - start)
        # log_prob may be -inf, where nothing is left to compare.
        scores = np.nan_to_num(scores, posinf=float(np.finfo(np.float32).max))
        print(f"{name:45} area {roc_auc_score(truth, scores):.4f}   {rate:10,.0f} vectors/s", flush=True)


if __name__ == "__main__":
    main()
