"""The vector of a recipe against float64, and its numbers against the sampler."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.explorer import Recipe, Space
from jaxlatent.explorer.law import Law, Points

SAMPLERS = ["pairwise", "exact", "groups", "tilted", "few", "gaussian", "box"]


def exactly(space, text):
    """The vector, as float64."""
    return np.asarray(space.vector(text), np.float64)


def frame(space):
    """Mean, components in rows, and deviations of the z-points, by NumPy alone."""
    z = np.asarray(space.z, np.float64)
    mean = z.mean(axis=0)
    _, singular, rows = np.linalg.svd(z - mean, full_matrices=False)
    return mean, rows, singular / np.sqrt(len(z) - 1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_draw_has_the_bits_of_sample(space, samplers, name):
    for seed, index in ((0, 0), (5, 17), (2**31, 2**32 - 1)):
        expected = samplers[name].sample(jax.random.key(seed), 1, start=index)[0]
        found = space.vector(Recipe(name, seed, index))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    many = samplers[name].sample(jax.random.key(0), 3)
    np.testing.assert_array_equal(space.vector(f"sampler={name}&index=2"), many[2])


def test_all_bits_of_a_seed_count_and_the_first_sampler_is_the_default(space):
    np.testing.assert_array_equal(space.vector("seed=4"), space.vector("sampler=pairwise&seed=4"))
    vectors = [space.vector(Recipe(seed=seed)) for seed in (1, 1 + 2**32, 2**64 - 1)]
    assert len({vector.tobytes() for vector in vectors}) == 3


def test_latents_of_any_shape(z, decode):
    shaped = z.reshape(-1, 1, 2, 3)
    sampler = jl.PairwiseSampler.fit(shaped, fact=0.7)
    space = Space({"s": sampler}, shaped, lambda z: decode(z.reshape(-1, 6)))
    expected = sampler.sample(jax.random.key(2), 1, start=3)[0]
    assert expected.shape == (1, 2, 3)
    np.testing.assert_array_equal(space.vector("seed=2&index=3"), expected)
    np.testing.assert_array_equal(space.vector("image=9"), shaped[9])
    assert space.vector("seed=2&c1=0.5&inside=1").shape == (1, 2, 3)
    assert space.images(space.vector("")).shape == (1, 8, 8, 3)
    assert space.look(Recipe()).vector.shape == (6,)
    with pytest.raises(
        ValueError, match=r"sampler: expected vectors of shape \(1, 2, 3\), got \(6,\) of 'b'"
    ):
        Space({"a": sampler, "b": jl.BoxSampler.cube(1.0, 6)}, shaped)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_leading_components_are_a_projection(space, count):
    mean, rows, _ = frame(space)
    for name in ("exact", "box"):
        z = exactly(space, f"sampler={name}&index=4")
        expected = mean + (z - mean) @ rows[:count].T @ rows[:count]
        found = exactly(space, f"sampler={name}&index=4&components={count}")
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_all_components_leave_a_vector_as_it_is(space):
    for count in (6, 7, 10**6):
        np.testing.assert_array_equal(space.vector(f"components={count}"), space.vector(""))


DIALS = {
    "pairwise&fact=1.2": lambda z: jl.PairwiseSampler.fit(z, fact=1.2),
    "few&fact=0.5": lambda z: jl.PairwiseSampler.fit(z, n_components=3, fact=0.5),
    "exact&fact=1.2": lambda z: jl.ExactSampler.fit(z, density="normal", fact=1.2),
    "exact&temperature=0.5": lambda z: jl.ExactSampler.fit(z, density="normal", fact=0.7, temperature=0.5),
    "gaussian&temperature=1.5": lambda z: jl.GaussianSampler.fit(z, temperature=1.5),
    "groups&temperature=0.6": lambda z: jl.ClusterRecombinationSampler.fit(
        z, n_clusters=3, coverage=0.9, temperature=0.6
    ),
    "box&edge=0.7": lambda z: jl.BoxSampler.cube(0.7, 6),
}


@pytest.mark.parametrize("text", DIALS)
def test_a_dial_gives_the_sampler_that_was_made_with_its_value(space, z, text):
    expected = DIALS[text](z).sample(jax.random.key(0), 1, start=5)[0]
    np.testing.assert_allclose(space.vector(f"sampler={text}&index=5"), expected, rtol=1e-5, atol=1e-5)


def test_which_dials_there_are(space, z):
    known = {name: {dial.name: dial.value for dial in space.law(name).dials} for name in SAMPLERS}
    assert {name: list(dials) for name, dials in known.items()} == {
        "pairwise": ["fact"],
        "exact": ["fact", "temperature"],
        "groups": ["temperature"],
        "tilted": [],
        "few": ["fact"],
        "gaussian": ["temperature"],
        "box": ["edge"],
    }
    assert known["pairwise"]["fact"] == pytest.approx(0.7, rel=1e-5)
    assert known["box"]["edge"] == 1.5
    # A density that was measured within the body does not follow it, a uniform one has no temperature.
    assert Law(jl.ExactSampler.fit(z, density="empirical", fact=0.7), space.points).dials == []
    assert [dial.name for dial in Law(jl.ExactSampler.fit(z), space.points).dials] == ["fact"]
    # No cube about 0, so that there is no edge.
    for box in (jl.BoxSampler.fit(z), jl.BoxSampler(jnp.zeros(6), jnp.ones(6)), jl.BoxSampler.cube(0.0, 6)):
        assert Law(box, space.points).dials == []
    with pytest.raises(ValueError, match=r"state: edge: this sampler has no such dial; it has fact$"):
        space.vector("edge=1")
    with pytest.raises(ValueError, match=r"state: fact: this sampler has no such dial; it has none$"):
        space.vector("sampler=tilted&fact=1")


@pytest.mark.parametrize("start", ["sampler=groups&index=3", "sampler=box", "image=7"])
def test_edits_hit_their_target(space, labels, start):
    mean, rows, sigma = frame(space)
    z = exactly(space, start)
    for row in (0, 5):
        # Of either sign in NumPy's frame.
        sign = np.sign(rows[row][np.argmax(np.abs(rows[row]))])
        y = (rows @ (z - mean))[row] * sign
        expected = z + (-1.25 * sigma[row] - y) * sign * rows[row]
        np.testing.assert_allclose(exactly(space, f"{start}&c{row + 1}=-1.25"), expected, atol=3e-5)
        found = exactly(space, f"{start}&z{row + 1}=0.375")
        np.testing.assert_array_equal(found, np.where(np.arange(6) == row, 0.375, z))
    points, has = np.asarray(space.z, np.float64), labels["smile"]
    step = points[has].mean(axis=0) - points[~has].mean(axis=0)
    np.testing.assert_allclose(exactly(space, f"{start}&a.smile=-0.7"), z - 0.7 * step, atol=3e-5)


def test_edits_are_done_one_after_the_other(space):
    """A coordinate is set last, whatever a component did to it before."""
    assert space.vector("z2=1.5&c1=1")[1] != 1.5
    assert space.vector("c1=1&z2=1.5")[1] == 1.5
    look = space.look(Recipe.parse("a.smile=1&z2=0&c3=0.5&c1=-1&c2=2"))
    np.testing.assert_allclose(look.components[:3], [-1, 2, 0.5], atol=1e-6)


def test_a_thousand_edits(space):
    """As many as a recipe may have; of a drag only the last one is done."""
    edits = "&".join(f"z{i % 6 + 1}={i}&a.smile={i}" if i % 2 else f"c{i % 6 + 1}={i}" for i in range(9))
    many = tuple((f"c{i % 6 + 1}", 0.25) for i in range(1000))
    np.testing.assert_allclose(space.look(Recipe(edits=many)).components, 0.25, atol=1e-6)
    assert len(space._made) <= 512
    for value in (0.5, 1.0):
        one_by_one = Recipe.parse(f"{edits}&c6={value}")
        z = exactly(space, Recipe(seed=9))
        for name, each in one_by_one.edits:
            step, strength = space._edit(z, name, each)
            z = z + strength * step
        found = space.vector(Recipe(seed=9, edits=one_by_one.edits))
        np.testing.assert_allclose(found, z, atol=2e-5)


def test_edits_inside_the_region_hit_their_target_where_it_is_inside(space, samplers):
    """Also where the vector is outside before: what counts is where it is once it was pulled inside."""
    far = str(Recipe.of_vector(space.mean + 9 * (space.z[3] - space.mean), "pairwise"))
    pulled = space.look(Recipe.parse(f"{far}&inside=1"))
    assert not space.look(Recipe.parse(far)).inside
    assert pulled.inside
    target = pulled.components[0] / 2
    found = space.look(Recipe.parse(f"{far}&c1={target}&inside=1"))
    np.testing.assert_allclose(found.components[0], target, atol=1e-5)
    np.testing.assert_allclose(found.components[1:], pulled.components[1:], atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_numbers_of_a_vector(space, samplers, name):
    recipe = Recipe.parse(f"sampler={name}&index=6&c1=0.5")
    look, sampler = space.look(recipe), samplers[name]
    mean, rows, sigma = frame(space)
    z = exactly(space, str(recipe))
    np.testing.assert_array_equal(look.vector, z.astype(np.float32))
    expected = rows @ (z - mean) / sigma
    signs = np.sign(rows[np.arange(6), np.argmax(np.abs(rows), axis=1)])
    np.testing.assert_allclose(look.components, expected * signs, atol=3e-5)
    has_density = sampler._log_density is not None
    law = sampler if has_density else jl.GaussianSampler.fit(space.z)
    at = float(law.log_prob(look.vector[None])[0])
    assert look.log_density == pytest.approx(at, rel=1e-5)
    share = np.mean(np.asarray(law.log_prob(space.z)) < at)
    assert look.rank == pytest.approx(share, abs=0.003)
    if hasattr(sampler, "body"):
        assert look.gauge == pytest.approx(float(sampler.score(look.vector[None]).gauge[0]), rel=1e-4)
        assert look.inside == bool(sampler.contains(look.vector[None])[0]) == (look.gauge <= 1)
    assert space.law(name).has_region == hasattr(sampler, "body")
    assert space.law(name).has_density == has_density


@pytest.mark.parametrize("name", ["gaussian", "box"])
def test_the_region_that_stands_in_holds_99_percent(space, name):
    region = space.law(name).region
    inside = np.array([region.gauge(np.asarray(z, np.float64)) <= 1 for z in space.z])
    assert 0.99 <= inside.mean() < 0.995
    assert space.turned(Recipe(name))[1] is region is space.law("gaussian").region


def test_a_turned_body_is_the_region(space):
    wide, narrow = (space.look(Recipe.parse(f"fact={fact}&c1=1&c2=1")) for fact in (1.4, 0.7))
    assert wide.gauge == pytest.approx(narrow.gauge / 2, rel=1e-4)


def test_images_need_a_decoder(z, samplers):
    space = Space({"box": samplers["box"]}, z)
    assert space.image_shape is None
    assert space.decoder is None
    with pytest.raises(ValueError, match="decode: there is no decoder here, so there are no images"):
        space.images(space.vector(""))
    with pytest.raises(ValueError, match="encode: there is no encoder here"):
        space.encoded(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ("sampler=none", "state: there is no sampler 'none'; there are pairwise, exact, groups, .*box$"),
        ("image=400", "state: image: expected at most 399, got 400"),
        ("vector=AACAPw", "state: vector: expected 6 numbers, got 1"),
        ("c7=1", "state: c7: expected a number up to 6"),
        ("z7=1", "state: z7: expected a number up to 6"),
        ("a.frown=1", "state: there is no attribute 'frown' here$"),
        ("components=x", "state: components: expected a whole number"),
    ],
)
def test_refusals(space, state, line):
    with pytest.raises(ValueError, match=line):
        space.vector(state)


@pytest.mark.usefixtures("as_without_type_checks")
def test_arguments(z, samplers):
    box = samplers["box"]
    with pytest.raises(ValueError, match="sampler: expected at least one"):
        Space({}, z)
    with pytest.raises(TypeError, match="sampler: expected a sampler, got str for 'a'"):
        Space({"a": "box"}, z)
    for name in (3, ""):
        with pytest.raises(TypeError, match="sampler: expected a text as the name of each, got"):
            Space({name: box}, z)
    with pytest.raises(ValueError, match="z: expected at least 10 vectors, got 9"):
        Space({"box": box}, z[:9])
    with pytest.raises(ValueError, match=r"z: expected an array of shape \(n, 6\), got \(400, 5\)"):
        Space({"box": box}, z[:, :5])
    with pytest.raises(TypeError, match="z: expected floating-point numbers, got int64"):
        Space({"box": box}, z.astype(np.int64))
    with pytest.raises(ValueError, match=r"z: .*NaN"):
        Space({"box": box}, np.full((20, 6), np.nan, np.float32))
    line = np.outer(np.arange(20), np.ones(6)).astype(np.float32)
    with pytest.raises(ValueError, match="z: expected vectors that vary in at least 2 directions"):
        Space({"box": box}, line)


def test_an_encoder_that_gives_no_vectors(z, samplers):
    def space(encode):
        return Space({"box": samplers["box"]}, z, encode=encode)

    image = np.full((8, 8, 3), 255, np.uint8)
    assert space(lambda images: images.reshape(1, -1)[:, :6] / 255).encoded(image).tolist() == [1.0] * 6
    with pytest.raises(ValueError, match=r"encode: expected an array of shape \(n, 6\), got \(1, 5\)"):
        space(lambda images: np.ones((1, 5))).encoded(image)
    with pytest.raises(ValueError, match="encode: gives NaN or infinite numbers"):
        space(lambda images: np.full((1, 6), np.nan)).encoded(image)


def test_many_points_are_measured_by_some_of_them(space):
    rows = np.arange(25_000, dtype=np.float32)
    points = Points(np.repeat(rows[:, None], 6, axis=1), space.frame)
    assert len(points.z) == 8334
    np.testing.assert_array_equal(points.z[:, 0], rows[::3])


def test_threads_get_the_same_as_one_after_the_other(z, samplers):
    """Draws are kept, but for so many only."""
    space = Space({name: samplers[name] for name in ("pairwise", "box")}, z)
    texts = [f"sampler={name}&index={i}&c1=0.1" for i in range(8) for name in ("pairwise", "box")]
    found = [{} for _ in range(4)]

    def work(k):
        for text in texts[k:] + texts[:k]:
            found[k][text] = space.vector(text).tobytes()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [{text: space.vector(text).tobytes() for text in texts}] * 4
    for i in range(600):
        space._made[i] = None
    space.vector("index=99")
    assert len(space._made) <= 512
