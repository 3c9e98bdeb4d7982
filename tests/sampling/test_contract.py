"""What every sampler has to fulfil, each on the same z-points."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.sampling import pytree
from jaxlatent.sampling.words import directions

D = 12


@pytree
class Shell(jl.Sampler):
    """A sampler as a user writes it: uniform on a sphere about the mean of the z-points."""

    centre: jax.Array
    radius: float | jax.Array = 1.0

    @classmethod
    def fit(cls, z):
        z = jnp.asarray(z, jnp.float32)
        centre = z.mean(axis=0)
        return cls(centre, float(jnp.linalg.norm(z - centre, axis=1).mean()))

    def _draw(self, seed, index):
        return self.centre + self.radius * directions(seed, index, 0, self.centre.shape[0]).T


SAMPLERS = {
    "pairwise": lambda z: jl.PairwiseSampler.fit(z, n_components=7),
    "pairwise-all": lambda z: jl.PairwiseSampler.fit(z, fact=0.5, half_width="sigma"),
    "pairwise-permutation": lambda z: jl.PairwiseSampler.fit(z, n_components=4, order="permutation"),
    "exact-uniform": lambda z: jl.ExactSampler.fit(z, n_components=7, fact="matched"),
    "exact-normal": lambda z: jl.ExactSampler.fit(z, density="normal", temperature=0.8),
    "exact-empirical": lambda z: jl.ExactSampler.fit(z, density="empirical"),
    "tilted-uniform": lambda z: jl.TiltedSampler.fit(z, sweeps=4),
    "tilted-normal": lambda z: jl.TiltedSampler.fit(z, density="normal", sweeps=4),
    "ellipsoid-uniform": lambda z: jl.EllipsoidSampler.fit(z, n_components=7),
    "ellipsoid-normal": lambda z: jl.EllipsoidSampler.fit(z, density="normal"),
    "gaussian": lambda z: jl.GaussianSampler.fit(z, temperature=0.9),
    "mixture": lambda z: jl.GaussianMixtureSampler.fit(z, n_clusters=3),
    "box": lambda z: jl.BoxSampler.fit(z),
    "box-cube": lambda z: jl.BoxSampler.fit(z, b=1.5),
    "interpolation-linear": lambda z: jl.InterpolationSampler.fit(z),
    "interpolation-spherical": lambda z: jl.InterpolationSampler.fit(z, kind="spherical"),
    "bootstrap": lambda z: jl.BootstrapSampler.fit(z, n_components=7),
    "recombination": lambda z: jl.RecombinationSampler.fit(z, n_components=7),
    "recombination-random": lambda z: jl.RecombinationSampler.fit(z, n_parents=3, weights="random"),
    "cluster-mixture": lambda z: jl.ClusterMixtureSampler.fit(z, n_clusters=9),
    "cluster-recombination": lambda z: jl.ClusterRecombinationSampler.fit(z, n_components=7, coverage=0.9),
    "path-ellipse": lambda z: jl.PathSampler.fit(z),
    "path-line": lambda z: jl.PathSampler.fit(z, kind="line"),
    "a-users-own": Shell.fit,
}
CLASSES = [
    jl.PairwiseSampler,
    jl.ExactSampler,
    jl.TiltedSampler,
    jl.EllipsoidSampler,
    jl.GaussianSampler,
    jl.GaussianMixtureSampler,
    jl.BoxSampler,
    jl.InterpolationSampler,
    jl.BootstrapSampler,
    jl.RecombinationSampler,
    jl.ClusterMixtureSampler,
    jl.ClusterRecombinationSampler,
    jl.PathSampler,
]


WITHOUT_FRAME = [jl.BoxSampler, jl.TiltedSampler, jl.InterpolationSampler]


def test_every_public_sampler_is_here(make_z):
    public = {x for x in vars(jl).values() if isinstance(x, type) and issubclass(x, jl.Sampler)}
    assert public - {jl.Sampler} == set(CLASSES)


# One of each class, and those whose law is another program; the other options of a class are slow.
TYPICAL = [
    "pairwise",
    "exact-uniform",
    "exact-normal",
    "tilted-uniform",
    "ellipsoid-uniform",
    "gaussian",
    "mixture",
    "box",
    "interpolation-linear",
    "bootstrap",
    "recombination",
    "cluster-mixture",
    "cluster-recombination",
    "path-ellipse",
    "a-users-own",
]
# Of these, the few whose programs are of all kinds: tables, a loop of unknown length, z-points that are kept.
FEW = ["pairwise", "exact-normal", "box", "gaussian", "recombination", "a-users-own"]


def chosen(names):
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in SAMPLERS]


@pytest.fixture(scope="module", params=chosen(TYPICAL))
def sampler(request, make_z):
    return SAMPLERS[request.param](make_z(3000, D))


@pytest.fixture(scope="module", params=chosen(FEW))
def transformed(request, make_z):
    """A sampler to be put through transformations of JAX that are compiled anew for each."""
    return SAMPLERS[request.param](make_z(3000, D))


def test_shape_and_dtype(sampler, key):
    z = sampler.sample(key, 37)
    assert z.shape == (37, D)
    assert z.dtype == jnp.float32
    assert jnp.isfinite(z).all()


@pytest.mark.parametrize("n", [1, 128, 129, 300, 3000])
def test_vector_depends_on_key_and_index_alone(sampler, key, n):
    """Across tiles, programs and threads: bit for bit."""
    reference = np.asarray(sampler.sample(key, 5000))
    np.testing.assert_array_equal(sampler.sample(key, n), reference[:n])
    np.testing.assert_array_equal(sampler.sample(key, 40, start=n), reference[n : n + 40])


@pytest.mark.slow
def test_a_hundred_thousand(sampler, key):
    many = np.asarray(sampler.sample(key, 100_000))
    np.testing.assert_array_equal(many[99_900:], sampler.sample(key, 100, start=99_900))
    np.testing.assert_array_equal(many[:100], sampler.sample(key, 100))


def test_latents_of_any_shape(request, sampler, make_z, key):
    """The shape that a sampler is fitted to is the shape of what it draws; the numbers are the same."""
    if isinstance(sampler, Shell):
        pytest.skip("the shape of a sampler of one's own is one's own")
    z = np.asarray(make_z(3000, D))
    shaped = SAMPLERS[request.node.callspec.params["sampler"]](z.reshape(3000, 3, 2, 2))
    assert shaped.latent_shape == (3, 2, 2)
    drawn = np.asarray(shaped.sample(key, 40))
    np.testing.assert_array_equal(drawn.reshape(40, D), sampler.sample(key, 40))
    assert shaped.sample(key, (2, 5)).shape == (2, 5, 3, 2, 2)
    assert shaped.draw(key, jnp.arange(6).reshape(2, 3)).shape == (2, 3, 3, 2, 2)
    for found, expected in zip(shaped.score(drawn), sampler.score(drawn.reshape(40, D)), strict=True):
        assert (found is None) == (expected is None)
        if found is not None:
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_repeats_and_keys_differ(sampler, key):
    first = np.asarray(sampler.sample(key, 50))
    np.testing.assert_array_equal(first, sampler.sample(key, 50))
    other = np.asarray(sampler.sample(jax.random.key(99), 50))
    assert not (first == other).all(axis=1).any()
    assert len(np.unique(first, axis=0)) == 50


def test_none_asked_for(sampler, key):
    assert sampler.sample(key, 0).shape == (0, D)


def test_is_a_pytree_and_traceable(transformed, key):
    leaves, structure = jax.tree.flatten(transformed)
    again = jax.tree.unflatten(structure, leaves)
    traced = jax.jit(lambda s, k: s.sample(k, 300))(again, key)
    # Within the program, the inverse of a correlation is one of float32.
    is_inverted = isinstance(transformed, jl.TiltedSampler) and transformed.density == "normal"
    atol = 5e-5 if is_inverted else 1e-6
    np.testing.assert_allclose(traced, transformed.sample(key, 300), rtol=1e-5, atol=atol)


def test_vmap_over_keys(transformed):
    keys = jax.random.split(jax.random.key(3), 3)
    drawn = jax.vmap(lambda key: transformed.sample(key, 5))(keys)
    assert drawn.shape == (3, 5, D)
    for key, z in zip(keys, drawn, strict=True):
        np.testing.assert_allclose(z, transformed.sample(key, 5), rtol=1e-4, atol=1e-5)


def test_float64_mode_gives_the_same_float32_vectors(transformed, key):
    expected = np.asarray(transformed.sample(key, 40))
    with jax.enable_x64(True):
        z = transformed.sample(key, 40)
    assert z.dtype == jnp.float32
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-5)


def test_few_programs(sampler, key, compilations):
    """Any two numbers of vectors that need as many tiles share a program."""
    other = jax.random.key(5)
    sampler.sample(key, 5000)
    with compilations() as programs:
        for n in (4700, 5000, 5100):
            sampler.sample(key, n)
        sampler.sample(other, 5000, start=77)
    assert not programs


def test_leaves_may_be_anything(transformed, key):
    """JAX makes pytrees of placeholders, zeros, cotangents and stacks, and looks at shapes alone."""
    leaves, structure = jax.tree.flatten(transformed)
    assert jax.tree.leaves(jax.tree.unflatten(structure, [object()] * len(leaves)))
    zeros = jax.tree.map(jnp.zeros_like, transformed)
    assert jax.tree.structure(zeros) == structure
    assert jax.eval_shape(lambda s: s.sample(key, 5), transformed).shape == (5, D)
    slope = jax.grad(lambda s: jnp.sum(s.sample(key, 5)), allow_int=True)(transformed)
    assert jax.tree.structure(slope) == structure
    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(slope) if x.dtype == jnp.float32)


def test_stacked_samplers(transformed, key):
    both = jax.tree.map(lambda x: jnp.stack([x, x]), transformed)
    drawn = jax.vmap(lambda s: s.sample(key, 5))(both)
    for z in drawn:
        np.testing.assert_allclose(z, transformed.sample(key, 5), rtol=1e-4, atol=1e-4)


def inside(sampler, z):
    """Whether latent vectors lie in what a sampler says that it draws from, computed in float64."""
    mean, axes = (np.asarray(x, np.float64) for x in (sampler.pca.mean, sampler.pca.components))
    y = (np.asarray(z, np.float64) - mean) @ axes.T
    if isinstance(sampler, jl.EllipsoidSampler):
        unit = y / np.sqrt(np.asarray(sampler.pca.explained_variance, np.float64)) / float(sampler.level)
        return np.square(unit).sum(axis=1) <= 1
    lengths = np.atleast_2d(np.asarray(sampler.body.semi_axes, np.float64))
    centres = np.atleast_2d(np.asarray(getattr(sampler.body, "centres", np.zeros_like(lengths)), np.float64))
    largest = [np.sort(np.square((y - c) / a), axis=1)[:, -2:] for c, a in zip(centres, lengths, strict=True)]
    return (np.stack(largest).sum(axis=2) <= 1).any(axis=0)


@pytest.mark.parametrize(
    "make",
    [
        jl.PairwiseSampler.fit,
        jl.ExactSampler.fit,
        partial(jl.ExactSampler.fit, density="normal"),
        jl.EllipsoidSampler.fit,
        partial(jl.EllipsoidSampler.fit, density="normal"),
        partial(jl.ClusterMixtureSampler.fit, n_clusters=9, coverage=0.5),
        partial(jl.ClusterRecombinationSampler.fit, n_clusters=9, coverage=0.5),
    ],
)
def test_latent_vectors_are_inside(make, key):
    """In a rotated frame over four decades, far from the origin, where rounding is the largest."""
    rng, d = np.random.default_rng(0), 64
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    z = (rng.standard_normal((4000, d)) * np.geomspace(1, 1e-4, d)) @ rotation + rng.uniform(-3, 3, d)
    sampler = make(z.astype(np.float32))
    assert inside(sampler, sampler.sample(key, 20_000)).all()


def test_saved_and_loaded(sampler, key, tmp_path):
    jl.save(tmp_path / "sampler.npz", sampler)
    again = jl.load(tmp_path / "sampler.npz")
    assert type(again) is type(sampler)
    np.testing.assert_array_equal(again.sample(key, 20), sampler.sample(key, 20))


def test_components_are_the_same_vectors(sampler, key):
    y, z = sampler.sample_components(key, 60), sampler.sample(key, 60)
    assert y.shape == (60, sampler.n_components)
    back = y if sampler.frame is None else sampler.frame.inverse_transform(y)
    np.testing.assert_allclose(back, z, rtol=1e-5, atol=1e-5)


def test_shapes_batches_and_single_indices_are_the_same_vectors(sampler, key):
    z = np.asarray(sampler.sample(key, 60))
    np.testing.assert_array_equal(sampler.sample(key, (3, 20)).reshape(60, D), z)
    parts = list(sampler.batches(key, 50, 32, start=10))
    assert [len(part) for part in parts] == [32, 18]
    np.testing.assert_array_equal(np.concatenate(parts), z[10:])
    index = jnp.asarray([[59, 0], [7, 7]])
    drawn = jax.jit(lambda s, k, i: s.draw(k, i))(sampler, key, index)
    np.testing.assert_allclose(drawn, z[np.asarray(index)], rtol=1e-4, atol=1e-5)


def test_log_prob_or_what_to_do_instead(sampler, key):
    if sampler._log_density is None:
        with pytest.raises(NotImplementedError, match=f"log_prob: {type(sampler).__name__} has no density"):
            sampler.log_prob(sampler.sample(key, 2))
        with pytest.raises(NotImplementedError, match="no density"):
            sampler.sample_and_log_prob(key, 2)
        assert sampler.score(sampler.sample(key, 2)).log_prob is None
    else:
        z, log_prob = sampler.sample_and_log_prob(key, 40)
        np.testing.assert_allclose(z, sampler.sample(key, 40), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(log_prob, sampler.log_prob(z), rtol=1e-4, atol=1e-2)
        assert np.isfinite(log_prob).all()
        far = z.at[:20].add(1e3)
        assert (np.asarray(sampler.log_prob(far))[:20] < np.asarray(log_prob).min()).all()


def test_scores(sampler, key):
    z = sampler.sample(key, 200)
    scores = sampler.score(z)
    assert np.asarray(scores.distance).max() < 1e-4
    if scores.gauge is None:
        with pytest.raises(TypeError, match="has no body"):
            sampler.contains(z)
    else:
        assert np.asarray(sampler.contains(z)).all()
        assert sampler.coverage(z) == 1
        assert (np.asarray(sampler.score(z + 1e3).gauge) > 1).all()
    if sampler.n_components < D:
        normal = np.linalg.svd(np.asarray(sampler.pca.components))[2][-1]
        off = sampler.score(np.asarray(z) + 5 * normal.astype(np.float32))
        np.testing.assert_allclose(off.distance, 5, rtol=1e-4)


def test_keep(sampler, key):
    """The first components have the law that they have among all, as far as a body does not bind them."""
    if sampler.frame is None:
        with pytest.raises(TypeError, match="has no frame"):
            sampler.keep(2)
        return
    kept = sampler.keep(3)
    assert type(kept) is type(sampler)
    assert kept.n_components == 3
    y = np.asarray(kept.sample_components(key, 20_000))
    whole = np.asarray(sampler.sample_components(key, 20_000))[:, :3]
    assert y.shape == whole.shape
    np.testing.assert_allclose(y.mean(axis=0), whole.mean(axis=0), atol=0.05 * whole.std(axis=0).max())
    narrower = (jl.PairwiseSampler, jl.ExactSampler, jl.EllipsoidSampler)
    if not isinstance(sampler, narrower):
        np.testing.assert_allclose(y.std(axis=0), whole.std(axis=0), rtol=0.03)


def test_a_sampler_of_a_users_own(make_z, key):
    """All of the tests above take it too; here its law, and what it says of what it lacks."""
    z = make_z(3000, D)
    shell = Shell.fit(z)
    drawn = shell.sample(key, 5000)
    np.testing.assert_allclose(np.linalg.norm(drawn - shell.centre, axis=1), shell.radius, rtol=1e-5)
    np.testing.assert_allclose(drawn.mean(axis=0), shell.centre, atol=5 * shell.radius / np.sqrt(5000 * D))
    slope = jax.grad(lambda s: jnp.sum(jnp.square(s.sample(key, 5) - s.centre)))(shell)
    assert float(slope.radius) == pytest.approx(10 * shell.radius, rel=1e-4)
    with pytest.raises(NotImplementedError, match=r"Shell has no density .* take a sampler"):
        shell.log_prob(z)


@pytest.mark.usefixtures("as_without_type_checks")
def test_errors(sampler, key):
    with pytest.raises(TypeError, match=r"jax\.random\.key"):
        sampler.sample(jax.random.PRNGKey(0), 3)
    with pytest.raises(ValueError, match="single key"):
        sampler.sample(jax.random.split(key), 3)
    with pytest.raises(ValueError, match="n: expected at least 0, got -1"):
        sampler.sample(key, -1)
    with pytest.raises(TypeError, match="n: expected an integer"):
        sampler.sample(key, 2.5)
    with pytest.raises(ValueError, match="start"):
        sampler.sample(key, 2, start=-4)
    with pytest.raises(ValueError, match="another key"):
        sampler.sample(key, 2, start=2**32 - 1)


@pytest.mark.parametrize("cls", CLASSES)
def test_rank_deficient_points(cls, make_z, key):
    """Fewer points than dimensions, and a constant coordinate."""
    z = make_z(400, 5) @ jnp.eye(5, D) + 2.0
    drawn = np.asarray(cls.fit(z).sample(key, 200))
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn[:, 5:], 2.0, atol=1e-4)


@pytest.mark.parametrize("cls", CLASSES)
def test_subset(cls, make_z, key):
    """The vectors of a distant subset are near that subset."""
    z = np.asarray(make_z(3000, 4))
    where = np.arange(3000) < 1000
    z = z + np.where(where, 30.0, 0.0)[:, None].astype(np.float32)
    drawn = np.asarray(cls.fit(z, where=where).sample(key, 300))
    centre = z[where].mean(axis=0)
    assert np.linalg.norm(drawn.mean(axis=0) - centre) < 10 < np.linalg.norm(z.mean(axis=0) - centre)


@pytest.mark.parametrize("cls", [c for c in CLASSES if c not in WITHOUT_FRAME])
@pytest.mark.usefixtures("as_without_type_checks")
def test_one_component(cls, make_z, key):
    """A pair needs two; where none is asked for, one is as good as any number."""
    z = make_z(500, 4)
    if cls in (jl.PairwiseSampler, jl.ExactSampler, jl.PathSampler):
        with pytest.raises(ValueError, match=r"at least 2|two different components"):
            cls.fit(z, n_components=1)
    else:
        assert np.isfinite(cls.fit(z, n_components=1).sample_components(key, 50)).all()
    with pytest.raises(ValueError, match="n_components: expected at most 4"):
        cls.fit(z, n_components=5)


@pytest.mark.slow  # compiles for a minute
def test_two_devices():
    """The same bits on either of two devices, the same numbers from a program sharded over both."""
    names, script = sorted(SAMPLERS), Path(__file__).with_name("two_devices.py")
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    environment = os.environ | {"XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, script, *names], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == names
