"""Every public entry with the arrays and numbers of other libraries and machines.

The table `CASES` has each entry with arguments that suit it. They are sent as they are, and then as scalars
of NumPy, in the other byte order, masked and so on: the result has to be the same, or an error names them.
"""

import dataclasses
import json
import tempfile
import tracemalloc
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent import evaluation, latent, report
from jaxlatent._boundary import as_images
from jaxlatent._random import seed_key
from jaxlatent.data.faces import FACTORS, render_faces, sample_factors, synthetic_faces
from jaxlatent.evaluation.attributes import attribute_clusters, attribute_shares
from jaxlatent.latent.core import robust_core
from jaxlatent.latent.coverage import coverage_curves
from jaxlatent.latent.distribution import number_distribution
from jaxlatent.latent.fixed_interval import fixed_interval_half_width
from jaxlatent.latent.normality import component_tests, mardia, radius_law
from jaxlatent.latent.spectrum import correlation, spectrum

KEY = jax.random.key(7)
N, DIM = 64, 3


@dataclass(frozen=True)
class Case:
    """An entry, and what it is called with.

    Attributes:
        call: takes arrays and numbers by their names.
        arrays: floating point numbers of which float16 has all, or integers, or truth values.
        numbers: of which float32 has all; a tuple stands for a sequence.
    """

    call: Callable[..., Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)


def vectors(n: int, seed: int, dim: int = DIM) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(n, dim)) * (1 + np.arange(dim)) + 0.5
    return drawn.astype(np.float16).astype(np.float32)


def image_bytes(n: int, seed: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)


Z, OTHER = vectors(N, 1), vectors(48, 2)
WHERE = np.arange(N) % 4 > 0
IMAGES = image_bytes(24, 3)
LABELS = np.stack([np.arange(N) % 2, np.arange(N) % 3 == 0], axis=1).astype(np.int32)


@cache
def pca() -> jl.PCA:
    return jl.PCA.fit(Z, n_components=2)


@cache
def body() -> jl.EllipseBody:
    return jl.EllipseBody(jnp.asarray([4.0, 2.0], jnp.float32))


@cache
def model() -> Any:
    from jaxlatent.autoencoder.network import make_autoencoder

    return make_autoencoder(KEY, jl.AutoencoderConfig(image_size=32, latent_dim=DIM, filters=(2, 2, 2, 2)))


@cache
def exported() -> jl.Exported:
    path = Path(tempfile.mkdtemp()) / "model.jlx"
    jl.export(path, fitted("BoxSampler"), _pictures)
    return jl.load_exported(path)


def _pictures(z: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(jnp.broadcast_to(z[:, :, None, None], (*z.shape, 2, 3)))


@cache
def fitted(name: str) -> Any:
    case = CASES[f"{name}.fit"]
    return case.call(**case.arrays, **case.numbers)


def _fit(name: str, **numbers: Any) -> Case:
    # A mask says which points count; so it excludes the other ways to choose them.
    arrays = {"z": Z} if {"max_points", "within_sigma"} & numbers.keys() else {"z": Z, "where": WHERE}
    return Case(getattr(jl, name).fit, arrays, numbers)


def _config(record: type) -> Callable[..., Any]:
    """What JSON gives back of a configuration."""
    return lambda **numbers: json.loads(json.dumps(dataclasses.asdict(record(**numbers))))


def _sample(name: str) -> Case:
    return Case(lambda **numbers: fitted(name).sample(KEY, **numbers), {}, {"n": 3, "start": 2})


def _log_prob(name: str) -> Case:
    return Case(lambda z: fitted(name).log_prob(z), {"z": Z})


def _saved(temperature: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        jl.save(f"{folder}/sampler.npz", jl.GaussianSampler(pca(), temperature))
        return jl.load(f"{folder}/sampler.npz")


def _fit_autoencoder(images: Any, validation: Any) -> Any:
    config = jl.AutoencoderConfig(image_size=32, latent_dim=2, filters=(2, 2, 2, 2))
    network, history = jl.fit_autoencoder(
        KEY, images, config, jl.TrainConfig(epochs=1, batch_size=8), validation=validation
    )
    return network.to_latent.kernel[...], history.column("train_loss"), history.column("val_loss")


def _explored(**given: Any) -> Any:
    explorer = jl.explore(fitted("BoxSampler"), browser=False, **given)
    explorer.close()
    space = explorer.space
    return space.vector("image=5&c1=1"), space.gallery.images, space.gallery.usual, space.attributes.vectors


def _in_folder(write: Callable[[Path], Any], read: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "out")
        return np.load(Path(folder) / read)


def _encode_to(images: Any, batch_size: Any) -> Any:
    return _in_folder(
        lambda path: jl.encode_to(path.with_suffix(".npy"), model(), images, batch_size=batch_size), "out.npy"
    )


def _generate_to(**numbers: Any) -> Any:
    draw = partial(jl.generate_to, sampler=fitted("BoxSampler"), decode=None, key=KEY, outputs="latents")
    return _in_folder(lambda path: draw(path, **numbers), "out/latents-00000.npy")


def _classifier(images: Any, labels: Any) -> Any:
    config = evaluation.ClassifierConfig(filters=(4,), epochs=1, batch_size=8)
    features = evaluation.fit_features(KEY, images, labels, config=config)
    return features(images), features.skill(images, labels)


_SAMPLERS = {
    "BoxSampler": {"b": 1.5},
    "GaussianSampler": {"n_components": 2, "temperature": 0.75, "max_points": 32, "within_sigma": 3.0},
    "PairwiseSampler": {"n_components": 2, "fact": 0.75, "max_points": 32, "within_sigma": 3.0},
    "ExactSampler": {"n_components": 2, "fact": 0.75, "temperature": 1.0, "max_points": 32},
    "TiltedSampler": {"fact": 1.0, "sweeps": 2},
    "EllipsoidSampler": {"n_components": 2, "level": 2.0, "max_points": 32},
    "GaussianMixtureSampler": {
        "n_clusters": 2,
        "n_components": 2,
        "temperature": 0.75,
        "max_iter": 2,
        "tol": 0.125,
        "covariance_floor": 0.125,
    },
    "InterpolationSampler": {"max_points": 32},
    "BootstrapSampler": {"bandwidth": 0.5, "n_components": 2, "max_points": 32},
    "RecombinationSampler": {"n_parents": 3, "n_components": 2, "max_points": 32},
    "ClusterMixtureSampler": {
        "n_clusters": 2,
        "prior_count": 2.0,
        "temperature": 0.75,
        "coverage": 0.75,
        "n_components": 2,
    },
    "ClusterRecombinationSampler": {
        "n_clusters": 2,
        "n_parents": 2,
        "temperature": 0.75,
        "coverage": 0.75,
        "n_components": 2,
    },
    "PathSampler": {"plane": (0, 1), "level": 1.5, "angle": 0.5, "n_components": 2},
}
_AXES = np.asarray([4.0, 2.0], np.float32)
_UNIT = np.eye(2, dtype=np.float32)
_CONSTRUCTORS = {
    "PCA": Case(
        jl.PCA,
        {
            "mean": Z[0],
            "components": np.eye(2, DIM, dtype=np.float32),
            "explained_variance": np.asarray([2.0, 1.0], np.float32),
            "explained_variance_ratio": np.asarray([0.5, 0.25], np.float32),
        },
    ),
    "EllipseBody": Case(jl.EllipseBody, {"semi_axes": _AXES}),
    "TiltedBody": Case(jl.TiltedBody, {"mean": _AXES, "sigma": _AXES, "correlation": _UNIT}, {"level": 1.5}),
    "BodyUnion": Case(jl.BodyUnion, {"centres": _UNIT, "semi_axes": 1 + _UNIT}),
    "BoxSampler": Case(jl.BoxSampler, {"low": -_AXES, "high": _AXES}),
    "BoxSampler.cube": Case(jl.BoxSampler.cube, {}, {"b": 1.5, "dim": 3}),
    "GaussianSampler": Case(lambda **a: jl.GaussianSampler(pca(), **a), {}, {"temperature": 0.75}),
    "PairwiseSampler": Case(
        lambda semi_axes: jl.PairwiseSampler(pca(), jl.EllipseBody(semi_axes)), {"semi_axes": _AXES}
    ),
    "ExactSampler": Case(
        lambda **a: jl.ExactSampler(pca(), body(), "normal", **a), {}, {"temperature": 0.75}
    ),
    "EllipsoidSampler": Case(lambda **a: jl.EllipsoidSampler(pca(), **a), {}, {"level": 2.0}),
    "TiltedSampler": Case(lambda **a: jl.TiltedSampler(fitted("TiltedSampler").body, **a), {}, {"sweeps": 2}),
    "GaussianMixtureSampler": Case(
        lambda **a: jl.GaussianMixtureSampler(pca(), **a),
        {
            "weights": np.asarray([0.5, 0.5], np.float32),
            "means": _UNIT,
            "cholesky": np.stack([_UNIT, _UNIT]),
        },
        {"temperature": 0.75},
    ),
    "InterpolationSampler": Case(jl.InterpolationSampler, {"points": Z}),
    "BootstrapSampler": Case(
        lambda **a: jl.BootstrapSampler(pca(), **a), {"parents": Z[:, :2]}, {"bandwidth": 0.5}
    ),
    "RecombinationSampler": Case(
        lambda **a: jl.RecombinationSampler(pca(), **a), {"parents": Z[:, :2]}, {"n_parents": 3}
    ),
    "ClusterRecombinationSampler": Case(
        lambda **a: jl.ClusterRecombinationSampler(pca(), jl.BodyUnion(_UNIT, 1 + _UNIT), **a),
        {"parents": Z[:, :2], "bounds": np.asarray([0, 32, N], np.int32)},
        {"temperature": 0.75, "n_parents": 2},
    ),
    "PathSampler": Case(lambda **a: jl.PathSampler(pca(), **a), {"centre": _AXES, "axes": _UNIT}),
}
_CONFIGS = {
    "AutoencoderConfig": Case(
        _config(jl.AutoencoderConfig),
        {},
        {"image_size": 32, "latent_dim": 6, "filters": (4, 4, 8, 8), "kernel_size": 4},
    ),
    "TrainConfig": Case(
        _config(jl.TrainConfig),
        {},
        {
            "epochs": 2,
            "batch_size": 8,
            "learning_rate": 0.5,
            "warmup": 0.25,
            "weight_decay": 0.125,
            "ssim_weight": 0.5,
            "contrast_weight": 2.0,
            "mirror": True,
            "gradient_clip": 0.5,
            "patience": 3,
        },
    ),
    "evaluation.ClassifierConfig": Case(
        _config(evaluation.ClassifierConfig),
        {},
        {
            "filters": (4, 8),
            "epochs": 2,
            "batch_size": 8,
            "learning_rate": 0.5,
            "weight_decay": 0.125,
            "mirror": False,
        },
    ),
}
_DATA = {
    "load_images": Case(jl.load_images, {"spec": IMAGES}, {"image_size": 16, "limit": 5, "seed": 3}),
    "synthetic_faces": Case(synthetic_faces, {}, {"n": 2, "image_size": 16, "seed": 5, "start": 7}),
    "sample_factors": Case(sample_factors, {}, {"seed": 5, "start": 7, "count": 2}),
    "render_faces": Case(render_faces, {"factors": vectors(2, 5, len(FACTORS)) / 64}, {"image_size": 16}),
}
_MODELS = {
    "fit_autoencoder": Case(_fit_autoencoder, {"images": IMAGES[:8], "validation": IMAGES[8:16]}),
    "encode": Case(
        lambda **a: jl.encode(model(), **a), {"images": (IMAGES / 256).astype(np.float32)}, {"batch_size": 16}
    ),
    "encode bytes": Case(lambda images: jl.encode(model(), images, batch_size=16), {"images": IMAGES}),
    "encode_to": Case(_encode_to, {"images": IMAGES}, {"batch_size": 16}),
    "decode": Case(lambda **a: jl.decode(model(), **a), {"z": Z}, {"batch_size": 64}),
    "generate": Case(
        lambda **a: jl.generate(KEY, fitted("BoxSampler"), _pictures, **a), {}, {"n": 3, "batch_size": 2}
    ),
    "generate_to": Case(_generate_to, {}, {"n": 3, "batch_size": 2, "shard_size": 4}),
    "Exported.sample": Case(lambda **a: exported().sample(KEY, **a), {}, {"n": 3, "start": 2}),
    "Exported.generate": Case(lambda **a: exported().generate(KEY, **a), {}, {"n": 3, "start": 2}),
    "Exported.decode": Case(lambda z: exported().decode(z), {"z": Z}),
    "save": Case(_saved, {}, {"temperature": 0.75}),
}
_PAIR = {"a": Z, "b": OTHER}
_LATENT = {
    "PCA.fit": Case(jl.PCA.fit, {"z": Z, "where": WHERE}, {"n_components": 2}),
    "PCA.keep": Case(lambda n_components: pca().keep(n_components), {}, {"n_components": 2}),
    "PCA.transform": Case(lambda z: pca().transform(z), {"z": Z}),
    "PCA.inverse_transform": Case(lambda y: pca().inverse_transform(y), {"y": Z[:, :2]}),
    "half_width": Case(jl.half_width, {"y": Z}),
    "latent.moments": Case(latent.moments, {"z": Z}),
    "latent.trim": Case(
        lambda z, **numbers: np.asarray(latent.trim(z, key=KEY, **numbers), np.float32),
        {"z": Z},
        {"max_points": 16, "within_sigma": 2.0},
    ),
    "latent.confidence_ellipse": Case(
        latent.confidence_ellipse, {"mean": _AXES, "covariance": 1 + _UNIT}, {"level": 1.5}
    ),
    "attribute_direction": Case(jl.attribute_direction, {"z": Z, "labels": LABELS}),
    "edit": Case(
        lambda **a: jl.edit(sampler=jl.PairwiseSampler(pca(), body()), **a),
        {"z": np.full((4, DIM), 0.5, np.float32), "direction": Z[0]},
        {"strength": 0.125},
    ),
    "EllipseBody.contains": Case(lambda y: body().contains(y), {"y": Z[:, :2]}),
    "EllipseBody.gauge": Case(lambda y: body().gauge(y), {"y": Z[:, :2]}),
    "EllipseBody.coverage": Case(lambda y: body().coverage(y), {"y": Z[:, :2]}),
    "EllipseBody.at_coverage": Case(jl.EllipseBody.at_coverage, {"y": Z[:, :2], "widths": _AXES}, {"q": 0.5}),
    "EllipseBody.log_mass": Case(lambda sigma: body().log_mass(sigma), {"sigma": _AXES}),
    "EllipseBody.keep": Case(lambda n_components: body().keep(n_components), {}, {"n_components": 2}),
    "TiltedBody.fit": Case(jl.TiltedBody.fit, {"z": Z, "where": WHERE}, {"level": 1.5}),
    "TiltedBody.contains": Case(lambda y: fitted("TiltedSampler").body.contains(y), {"y": Z}),
    "BodyUnion.contains": Case(lambda y: fitted("ClusterMixtureSampler").body.contains(y), {"y": Z[:, :2]}),
    "PairwiseSampler.sample_components": Case(
        lambda **a: fitted("PairwiseSampler").sample_components(KEY, **a), {}, {"n": 3, "start": 2}
    ),
    "PathSampler.path": Case(lambda n: fitted("PathSampler").path(n), {}, {"n": 5}),
    "EllipsoidSampler.contains": Case(lambda z: fitted("EllipsoidSampler").contains(z), {"z": Z}),
    "core.robust_core": Case(robust_core, {"z": Z}, {"keep": 0.75, "max_iter": 3}),
    "coverage.coverage_curves": Case(
        coverage_curves, {"y": Z, "widths": Z[0] ** 2 + 1}, {"levels": (1.0, 2.0), "components": (2, 3)}
    ),
    "distribution.number_distribution": Case(number_distribution, {"y": Z}),
    "fixed_interval.fixed_interval_half_width": Case(fixed_interval_half_width, {"y": Z}, {"interval": 0.5}),
    "normality.mardia": Case(mardia, {"z": Z}, {"max_points": 32, "seed": 3}),
    "normality.component_tests": Case(
        component_tests, {"y": Z}, {"alpha": 0.125, "max_points": 32, "seed": 3}
    ),
    "normality.radius_law": Case(radius_law, {"z": Z}),
    "spectrum.spectrum": Case(spectrum, {"z": Z}),
    "spectrum.correlation": Case(correlation, {"z": Z}),
}
_EXPLORER = {
    "explore": Case(
        _explored,
        {"z": Z, "images": image_bytes(N, 4, 2), "labels": LABELS, "unseen": OTHER},
        {"port": 0},
    )
}
_EVALUATION = {
    "evaluation.frechet_distance": Case(evaluation.frechet_distance, _PAIR),
    "evaluation.frechet_infinity": Case(partial(evaluation.frechet_infinity, key=KEY), _PAIR),
    "evaluation.kernel_distance": Case(evaluation.kernel_distance, _PAIR),
    "evaluation.subset_kernel_distances": Case(
        partial(evaluation.subset_kernel_distances, key=KEY), _PAIR, {"subsets": 2, "subset_size": 8}
    ),
    "evaluation.manifold_metrics": Case(
        evaluation.manifold_metrics, {"real": Z, "generated": OTHER}, {"k": 3}
    ),
    "evaluation.nearest_distances": Case(
        evaluation.nearest_distances, {"points": Z, "references": OTHER}, {"k": 2}
    ),
    "evaluation.latent_statistics": Case(evaluation.latent_statistics, {"z_real": Z, "z_new": OTHER}),
    "evaluation.copies": Case(
        evaluation.copies, {"generated": Z, "training": OTHER, "held_out": vectors(40, 9)}, {"closest": 0.125}
    ),
    "evaluation.duplicates": Case(evaluation.duplicates, {"generated": Z}, {"threshold": 0.5}),
    "evaluation.duplicates of real": Case(evaluation.duplicates, {"generated": Z, "real": OTHER}),
    "evaluation.classifier_two_sample_test": Case(
        partial(evaluation.classifier_two_sample_test, key=KEY), _PAIR, {"max_points": 24}
    ),
    "evaluation.energy_distance": Case(evaluation.energy_distance, _PAIR),
    "evaluation.energy_test": Case(
        partial(evaluation.energy_test, key=KEY), _PAIR, {"permutations": 9, "max_points": 16}
    ),
    "evaluation.sweep": Case(
        lambda z, **numbers: [
            (cell.components, cell.fact, cell.real_inside, cell.spread)
            for cell in evaluation.sweep(z, key=KEY, **numbers)
        ],
        {"z": Z},
        {"components": (2,), "facts": (0.75, 1.0), "count": 4},
    ),
    "evaluation.extract": Case(
        lambda **a: evaluation.extract(lambda x: x.mean((1, 2), np.float32), **a),
        {"images": IMAGES},
        {"batch_size": 16},
    ),
    "evaluation.random_features": Case(evaluation.random_features, {"images": IMAGES}),
    "evaluation.EncoderFeatures": Case(
        lambda images: evaluation.EncoderFeatures(model())(images), {"images": IMAGES}
    ),
    "evaluation.fit_features": Case(_classifier, {"images": IMAGES, "labels": LABELS[:24]}),
    "evaluation.attribute_shares": Case(attribute_shares, {"z": Z, "present": LABELS == 1}),
    "evaluation.attribute_clusters": Case(
        partial(attribute_clusters, key=KEY), {"z": Z, "present": LABELS == 1}, {"n_clusters": 2}
    ),
    "report.image_grid": Case(report.image_grid, {"images": IMAGES[:4]}, {"columns": 2, "gap": 1}),
}

CASES: dict[str, Case] = {
    **{f"{name}.fit": _fit(name, **numbers) for name, numbers in _SAMPLERS.items()},
    **{f"{name}.sample": _sample(name) for name in _SAMPLERS},
    **{
        f"{name}.log_prob": _log_prob(name)
        for name in ("GaussianSampler", "ExactSampler", "EllipsoidSampler", "GaussianMixtureSampler")
    },
    **_CONSTRUCTORS,
    **_CONFIGS,
    **_DATA,
    **_MODELS,
    **_LATENT,
    **_EVALUATION,
    **_EXPLORER,
}


class Tensor:
    """What counts of a PyTorch tensor: NumPy gets its numbers only without gradient and off the device."""

    def __init__(self, array, *, gradient=True, on_device=True):
        self._array, self._gradient, self._on_device = array, gradient, on_device
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, f"torch.{array.dtype}"

    def __len__(self):
        return len(self._array)

    def __getitem__(self, index):
        return Tensor(self._array[index])

    def detach(self):
        return Tensor(self._array, gradient=False, on_device=self._on_device)

    def cpu(self):
        return Tensor(self._array, gradient=self._gradient, on_device=False)

    def __array__(self, dtype=None, copy=None):
        if self._gradient or self._on_device:
            raise TypeError("can't convert a tensor that requires grad, or lies on a device, to numpy")
        return np.array(self._array, dtype)


def _is_float(array):
    return array.dtype.kind == "f"


ARRAYS = {
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "longdouble": lambda x: x.astype(np.longdouble) if _is_float(x) else x,
    "float16": lambda x: x.astype(np.float16) if _is_float(x) else x,
    "masked array": lambda x: np.ma.array(x, mask=np.zeros(x.shape, bool)),
    "backwards in memory": lambda x: np.asfortranarray(x[::-1])[::-1],
    "JAX": jnp.asarray,
    "like a tensor": Tensor,
}
if find_spec("torch"):
    import torch

    ARRAYS["tensor of PyTorch"] = lambda x: torch.from_numpy(np.array(x))
NUMBERS = {
    "signed": lambda x: np.int64(x) if isinstance(x, int) else np.float32(x),
    "unsigned": lambda x: np.uint32(x) if isinstance(x, int) else np.float64(x),
    "array of no dimension": np.asarray,
    "JAX": lambda x: jnp.asarray(x, jnp.int32 if isinstance(x, int) else jnp.float32),
}

pytestmark = pytest.mark.usefixtures("as_without_type_checks")

# Those that make other programs, or go the way of another kind.
LESS_TYPICAL = {"longdouble", "float16", "backwards in memory", "unsigned", "array of no dimension"}


def kinds_of(names):
    return [pytest.param(name, marks=pytest.mark.slow) if name in LESS_TYPICAL else name for name in names]


@cache
def expected(name):
    case = CASES[name]
    return parts_of(case.call(**case.arrays, **case.numbers))


def parts_of(result):
    """The arrays and plain values that a result is made of."""
    if dataclasses.is_dataclass(result):
        result = [getattr(result, each.name) for each in dataclasses.fields(result)]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [part for each in result for part in parts_of(each)]
    return [result]


def assert_same(found, name, tolerance=0.0):
    for part, plain in zip(parts_of(found), expected(name), strict=True):
        if isinstance(plain, (jax.Array, np.ndarray)):
            assert isinstance(part, jax.Array) or type(part) is np.ndarray
            assert part.dtype == plain.dtype
            np.testing.assert_allclose(part, plain, tolerance, tolerance)
        elif isinstance(plain, float):
            # A dial that JAX holds stays on its device.
            assert isinstance(part, (float, jax.Array))
            np.testing.assert_allclose(part, plain, tolerance, tolerance)
        else:
            assert type(part) is type(plain)
            assert part == plain


def names_with(what):
    return [name for name, case in CASES.items() if getattr(case, what)]


@pytest.mark.parametrize("kind", kinds_of(ARRAYS))
@pytest.mark.parametrize("name", names_with("arrays"))
def test_arrays_of_any_kind_give_the_same(name, kind):
    case = CASES[name]
    arrays = {argument: ARRAYS[kind](array) for argument, array in case.arrays.items()}
    # Sums over an array that lies otherwise in memory are rounded otherwise.
    tolerance = {"float16": 2e-3, "backwards in memory": 1e-5}.get(kind, 0.0)
    assert_same(case.call(**arrays, **case.numbers), name, tolerance)


@pytest.mark.parametrize("kind", kinds_of(NUMBERS))
@pytest.mark.parametrize("name", names_with("numbers"))
def test_numbers_of_any_kind_give_the_same(name, kind):
    case = CASES[name]

    def convert(x):
        if isinstance(x, tuple):
            return tuple(map(convert, x))
        return np.bool_(x) if isinstance(x, bool) else NUMBERS[kind](x)

    numbers = {argument: convert(x) for argument, x in case.numbers.items()}
    assert_same(case.call(**case.arrays, **numbers), name)


@pytest.mark.parametrize("name", names_with("arrays"))
def test_masked_entries_are_refused(name):
    case = CASES[name]
    for argument, array in case.arrays.items():
        masked = np.ma.array(array, mask=np.zeros(array.shape, bool))
        masked[(1,) * array.ndim] = np.ma.masked
        with pytest.raises(ValueError, match=f"^{argument}: .*masked"):
            case.call(**{**case.arrays, argument: masked}, **case.numbers)


@pytest.mark.parametrize("name", names_with("arrays"))
def test_integers_are_refused_where_floats_are_wanted(name):
    case = CASES[name]
    for argument, array in case.arrays.items():
        if _is_float(array):
            with pytest.raises(TypeError, match=rf"^{argument}: expected .*float.*, got int64.*astype"):
                case.call(**{**case.arrays, argument: array.astype(np.int64)}, **case.numbers)


@pytest.mark.parametrize("name", names_with("numbers"))
def test_what_is_no_number_is_named(name):
    case = CASES[name]
    for argument, number in case.numbers.items():
        for wrong in ("many", 1.5 if isinstance(number, int) else 1j, np.asarray([1, 2, 3])):
            if isinstance(number, tuple):
                wrong = (wrong, wrong)
            with pytest.raises((TypeError, ValueError), match=f"^{argument}: expected "):
                case.call(**case.arrays, **{**case.numbers, argument: wrong})


#: Public names that are no entry of the table, and why.
EXCEPTIONS = {
    "takes paths, models or results alone": {
        *("Exported", "History", "Labels", "Autoencoder", "load", "load_exported", "load_model"),
        *("load_safetensors", "open_latents", "repair", "save_model", "save_safetensors", "verify", "export"),
        *(
            "evaluation.load_classifier",
            "evaluation.read_records",
            "evaluation.write_records",
        ),
        *("report.Pictured", "report.Evaluated", "report.plot_tradeoff", "report.save_figure"),
        *("report.plot_history", "latent.load_latents", "Spec", "Run", "load_labelled"),
    },
    "abstract": {"Sampler"},
    "what explore gives": {"Explorer"},
    "options, with the cases of what takes them": {"latent.PointOptions"},
    "an error": {"DivergenceError"},
    "a result": {
        *("Scores", "Threshold"),
        *("evaluation.Row", "evaluation.SweepCell", "evaluation.TradeoffPoint"),
        *("latent.Direction", "latent.Ellipse", "latent.Moments", "latent.ShardedVectors"),
    },
    "made by fit_features or load_classifier": {"evaluation.ClassifierFeatures"},
    "fit_features, kept in a folder": {"evaluation.cached_features"},
    "needs OpenCV": {"evaluation.face_rate"},
    "takes minutes: its parts are in the table": {
        *("evaluation.References", "evaluation.compare", "evaluation.tradeoff", "report.build"),
    },
    "draws pictures of arrays": {
        *("report.plot_comparison", "report.plot_images", "report.plot_sweep", "report.plot_plane"),
        *("report.plot_component_planes", "report.plot_latent_planes"),
    },
}


def test_every_public_name_is_in_the_table_or_excepted():
    public = {name for name in jl.__all__ if not isinstance(getattr(jl, name), types.ModuleType)}
    for module in (evaluation, latent, report):
        short = module.__name__.rpartition(".")[2]
        names = [n for n in vars(module) if not n.startswith("_") and n not in jl.__all__]
        for name in names:
            each = getattr(module, name)
            if callable(each) and getattr(each, "__module__", "").startswith("jaxlatent"):
                public.add(f"{short}.{name}")
    tested = {name.split()[0] for name in CASES}
    tested |= {name.rpartition(".")[0] for name in tested}
    excepted = set().union(*EXCEPTIONS.values())
    assert public - tested - excepted == set()
    assert excepted <= public


def test_all_bits_of_a_seed_count():
    for seed in (0, 5, 2**31, 2**32 - 1):
        assert seed_key(seed) == jax.random.key(np.uint32(seed))
    words = [tuple(jax.random.key_data(seed_key(seed)).tolist()) for seed in (2**32, 2**63 + 7, 2**64 - 1)]
    assert words == [(1, 0), (2**31, 7), (2**32 - 1, 2**32 - 1)]


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_of_no_64_bits_are_refused(seed):
    for call in (seed_key, partial(sample_factors, start=0, count=1), lambda s: synthetic_faces(1, seed=s)):
        with pytest.raises(ValueError, match=r"^seed: expected at (least 0|most 18446744073709551615), got "):
            call(seed)


def test_a_range_does_not_wrap_around():
    with pytest.raises(ValueError, match=r"^start \+ n: expected at most 2"):
        synthetic_faces(np.uint32(2), start=np.uint32(2**32 - 1))


class TestRangeOfImages:
    """Floats of 0 to 255 and of -1 to 1 were trained on and encoded in silence."""

    UNIT = (IMAGES / 255).astype(np.float32)
    UNIT[:, 0, 0] = 0, 0.5, 1

    @pytest.mark.parametrize(
        ("images", "message"),
        [
            (UNIT * 255, r"images: expected floating point in \[0, 1\], found 0 to 255; divide"),
            (UNIT * 2 - 1, r"images: expected floating point in \[0, 1\], found -1 to 1; .*\(x \+ 1\) / 2"),
            (jnp.asarray(UNIT * 255), "found 0 to 255"),
        ],
        ids=["0 to 255", "-1 to 1", "JAX"],
    )
    @pytest.mark.parametrize(
        "function",
        [
            lambda x: jl.encode(model(), x),
            lambda x: jl.fit_autoencoder(KEY, x, model().config),
            lambda x: jl.encode_to("/nowhere/z.npy", model(), x),
        ],
        ids=["encode", "fit_autoencoder", "encode_to"],
    )
    def test_others_are_named(self, function, images, message):
        with pytest.raises(ValueError, match=message):
            function(images)

    @pytest.mark.parametrize("change", [0.0, -0.05, 0.05, np.nan])
    def test_a_little_more_is_taken(self, change):
        as_images("images", self.UNIT + np.float32(change))

    def test_a_memory_map_is_looked_at_in_blocks(self, tmp_path):
        images = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (1000, 128, 128, 3))
        images[-1] = 255
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="found 0 to 255"):
                as_images("images", images)
            assert tracemalloc.get_traced_memory()[1] < images.nbytes / 20
        finally:
            tracemalloc.stop()
