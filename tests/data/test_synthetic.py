"""Procedural faces: determinism, ranges, agreement of sizes, and that each factor does its work."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent.data.faces import FACTORS, render_faces, sample_factors, synthetic, synthetic_faces

MIRRORED = ("parting", "yaw", "tilt", "light_direction")
SIZE = 64

pytestmark = pytest.mark.optimized


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, np.ndarray]:
    return synthetic_faces(96, image_size=SIZE, seed=3), np.asarray(sample_factors(3, 0, 96))


def neutral(count: int = 1, **values: float) -> np.ndarray:
    """Faces whose factors are 0 but for these."""
    factors = np.zeros((count, len(FACTORS)), np.float32)
    for name, value in values.items():
        factors[:, FACTORS.index(name)] = value
    return factors


def render(factors: np.ndarray) -> np.ndarray:
    """Renders any number of faces in batches of one shape."""
    padded = np.zeros((-(-len(factors) // 32) * 32, len(FACTORS)), np.float32)
    padded[: len(factors)] = factors
    batches = [render_faces(batch, SIZE) for batch in padded.reshape(-1, 32, len(FACTORS))]
    return np.concatenate(batches)[: len(factors)]


def test_shapes_types_and_ranges(faces):
    images, factors = faces
    assert images.shape == (96, SIZE, SIZE, 3)
    assert images.dtype == np.uint8
    assert factors.shape == (96, len(FACTORS))
    assert factors.dtype == np.float32
    assert np.abs(factors).max() <= 1
    assert len(set(FACTORS)) == len(FACTORS)
    assert all(f"`{name}`" in synthetic.__doc__ for name in FACTORS)
    pictures = render(factors)
    assert pictures.dtype == np.float32
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    # Two programs, and the other may come from a test without optimizing: where a value is half-way between
    # two bytes, either may be taken.
    assert np.abs(255 * pictures.astype(np.float64) - images).max() < 0.5 + 2e-3


def test_a_face_depends_on_seed_and_index_alone(faces):
    images, factors = faces
    for start, n in ((0, 1), (0, 33), (31, 2), (5, 64), (95, 1)):
        part = synthetic_faces(n, image_size=SIZE, seed=3, start=start)
        np.testing.assert_array_equal(part, images[start : start + n])
        np.testing.assert_array_equal(sample_factors(3, start, n), factors[start : start + n])


def test_factors_depend_on_seed_and_index_alone():
    whole = np.asarray(sample_factors(1, 0, 1100))
    np.testing.assert_array_equal(sample_factors(1, 1020, 10), whole[1020:1030])
    assert not np.array_equal(sample_factors(2, 0, 4), whole[:4])
    assert len(np.unique(whole, axis=0)) == 1100


def test_last_indices_and_the_largest_seed_work():
    images = synthetic_faces(2, image_size=SIZE, seed=2**32 - 1, start=2**32 - 2)
    assert not np.array_equal(images[0], images[1])


def test_no_faces():
    assert synthetic_faces(0, image_size=SIZE).shape == (0, SIZE, SIZE, 3)
    assert sample_factors(0, 0, 0).shape == (0, len(FACTORS))


def test_one_compilation_whatever_n(faces):
    compiled = synthetic._render_bytes._cache_size(), synthetic._draw_block._cache_size()
    for n in (1, 7, 40):
        synthetic_faces(n, image_size=SIZE, seed=n)
    assert (synthetic._render_bytes._cache_size(), synthetic._draw_block._cache_size()) == compiled


def test_marginals_are_spread_and_correlated_where_nature_is():
    n = 8192
    factors = np.asarray(sample_factors(0, 0, n), np.float64)
    spread = factors.std(0)
    assert spread.min() > 0.25
    assert spread.max() < 0.65
    # few faces sit at the ends, which would give the cloud edges
    assert (np.abs(factors) > 0.95).mean() < 0.01
    correlation = np.corrcoef(factors.T)

    def between(a: str, b: str) -> float:
        return correlation[FACTORS.index(a), FACTORS.index(b)]

    assert between("beard", "hair_length") < -0.5
    assert between("skin_tone", "hair_shade") < -0.3
    assert between("jaw", "beard") > 0.3
    # yaw and tilt are independent: standard error 1 / sqrt(n)
    assert abs(between("yaw", "tilt")) < 5 / np.sqrt(n)


def test_sizes_show_the_same_face(faces):
    _, factors = faces
    large = np.asarray(render_faces(factors[:8], 128))
    halved = large.reshape(8, SIZE, 2, SIZE, 2, 3).mean((2, 4))
    difference = np.abs(halved - render(factors[:8]))
    other = np.abs(halved - np.roll(halved, 1, 0))
    assert difference.mean() < 0.006
    assert difference.mean() < other.mean() / 15


def test_small_pictures_are_averages_of_larger_ones(faces):
    _, factors = faces
    tiny = np.asarray(render_faces(factors[:4], 16))
    mean = render(factors[:4]).reshape(4, 16, 4, 16, 4, 3).mean((2, 4))
    np.testing.assert_allclose(tiny, mean, atol=1e-5)


def test_every_factor_changes_the_picture_and_smoothly():
    count, step = len(FACTORS), 0.005
    # a face that shows every feature, away from the knots of the colour ramps
    base = neutral(**dict.fromkeys(FACTORS, 0.1) | {"glasses": -0.2})
    sweep = np.repeat(np.repeat(base, count, 0)[:, None], 5, 1)
    for j, name in enumerate(FACTORS):
        here = base[0, FACTORS.index(name)]
        sweep[j, :, j] = [-1, 1, here - step, here, here + step]
    low, high, before, here, after = np.moveaxis(
        render(sweep.reshape(-1, count)).reshape(count, 5, SIZE, SIZE, 3), 1, 0
    )
    for j, name in enumerate(FACTORS):
        assert np.abs(high[j] - low[j]).max() > 0.1, name
        forward, backward = after[j] - here[j], here[j] - before[j]
        assert 0 < np.abs(forward).mean() < 0.01, name
        assert np.abs(forward).max() < 0.1, name
        # a derivative exists: the two one-sided differences agree over the picture
        assert np.abs(forward - backward).sum() < 0.25 * np.abs(forward + backward).sum(), name


def test_a_mirrored_face_has_the_mirrored_picture(faces):
    _, factors = faces
    flipped = factors[:32].copy()
    flipped[:, [FACTORS.index(name) for name in MIRRORED]] *= -1
    np.testing.assert_allclose(render(flipped), render(factors[:32])[:, :, ::-1], atol=2e-3)


def test_what_the_names_say():
    rows = np.concatenate([
        neutral(beard=-1, glasses=-1),
        neutral(beard=-1, glasses=-1, skin_tone=1),
        neutral(beard=-1, glasses=-1, hair_shade=1),
        neutral(beard=-1, glasses=-1, light_warmth=1),
        neutral(beard=1, glasses=-1),
        neutral(beard=-1, glasses=-1, background_light=1),
        neutral(beard=-1, glasses=-1, light_direction=1),
    ])  # fmt: skip
    plain, dark, blond, warm, bearded, bright, from_right = render(rows)
    cheek, crown = np.s_[36:40, 38:42], np.s_[8:12, 28:36]
    chin, wall = np.s_[54:57, 30:34], np.s_[2:8, 2:8]
    assert dark[cheek].mean() < 0.6 * plain[cheek].mean()
    assert blond[crown].mean() > 1.5 * plain[crown].mean()
    assert warm[..., 0].mean() / warm[..., 2].mean() > plain[..., 0].mean() / plain[..., 2].mean()
    assert bearded[chin].mean() < 0.8 * plain[chin].mean()
    assert bright[wall].mean() > 1.2 * plain[wall].mean()
    assert from_right[:, 32:].mean() > 1.1 * from_right[:, :32].mean()


@pytest.mark.slow
def test_rendering_is_differentiable_at_an_odd_size():
    factors = jnp.asarray(neutral(**dict.fromkeys(FACTORS, 0.1)))
    brighter = jnp.asarray(neutral(skin_tone=-1.0, background_light=1.0))
    # run but once, so compiled fast rather than well
    derivative = jax.jit(
        lambda f: jax.jvp(lambda f: render_faces(f, 17), (f,), (brighter,)),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    pictures, slopes = derivative(factors)
    assert pictures.shape == (1, 17, 17, 3)
    assert np.isfinite(slopes).all()
    assert slopes.mean() > 0.02
    later, _ = derivative(factors + 0.01 * brighter)
    np.testing.assert_allclose(slopes, (later - pictures) / 0.01, atol=0.02)


def test_no_random_face_is_broken():
    factors = np.random.default_rng(0).choice([-1, 1], (32, len(FACTORS))).astype(np.float32)
    assert np.isfinite(render(factors)).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: synthetic_faces(-1), ValueError, "n: expected at least 0, got -1"),
        (lambda: synthetic_faces(1, image_size=15), ValueError, "image_size: expected at least 16"),
        (lambda: synthetic_faces(1, seed=-1), ValueError, "seed: expected at least 0, got -1"),
        (
            lambda: synthetic_faces(1, seed=2**64),
            ValueError,
            "seed: expected at most 18446744073709551615",
        ),
        (lambda: synthetic_faces(1, start=-2), ValueError, "start: expected at least 0, got -2"),
        (lambda: synthetic_faces(1, start=2**32), ValueError, "start + n: expected at most 2**32"),
        (lambda: synthetic_faces(True), TypeError, "n: expected an integer, got True"),
        (lambda: sample_factors(0, 0, -3), ValueError, "count: expected at least 0, got -3"),
        (
            lambda: render_faces(np.zeros((2, 5), np.float32)),
            ValueError,
            "factors: expected an arr",
        ),
        (lambda: render_faces(neutral(), 8), ValueError, "image_size: expected at least 16, got 8"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
