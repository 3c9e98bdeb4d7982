import threading

import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.explorer import Space
from jaxlatent.explorer.gallery import Attributes, Gallery, as_labels


def nearest(z, x, count):
    """In float64, the lower row first where two are as near."""
    distance = np.sqrt(np.square(np.asarray(z, np.float64).reshape(len(z), -1) - x).sum(axis=1))
    rows = np.argsort(distance, kind="stable")[:count]
    return rows, distance[rows]


@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_the_nearest_against_brute_force(z, mean, tmp_path):
    """Also where the points lie so far from 0 that the squares of float32 hide their differences."""
    z = z + np.float32(mean)
    np.save(tmp_path / "z.npy", z)
    rng = np.random.default_rng(0)
    queries = [
        z[5].astype(np.float64),
        *(z[rng.integers(400, size=5)] + rng.standard_normal((5, 6))),
        mean + np.full(6, 90.0),
    ]
    for points in (
        z,
        np.load(tmp_path / "z.npy", mmap_mode="r"),
        z.reshape(-1, 1, 2, 3),
        z.astype(np.float64),
    ):
        gallery = Gallery(points)
        for x in queries:
            rows, distance = gallery.nearest(x, 7)
            expected = nearest(z, x, 7)
            np.testing.assert_array_equal(rows, expected[0])
            np.testing.assert_allclose(distance, expected[1], rtol=1e-12)
    assert gallery.nearest(z[5].astype(np.float64), 1)[1][0] == 0


def test_blocks_of_many_points():
    z = np.random.default_rng(0).standard_normal((40_000, 3)).astype(np.float32)
    x = np.array([0.3, -1.0, 4.0])
    for found, expected in zip(Gallery(z).nearest(x, 24), nearest(z, x, 24), strict=True):
        np.testing.assert_allclose(found, expected)


def test_equal_points_and_fewer_than_asked_for():
    z = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    rows, distance = Gallery(z).nearest(np.eye(3)[1], 5)
    assert rows.tolist() == [4, 5, 6, 7, 0]
    np.testing.assert_allclose(distance, [0, 0, 0, 0, np.sqrt(2)])
    rows, distance = Gallery(z).nearest(np.zeros(3), 50)
    assert rows.tolist() == list(range(12))
    assert distance.shape == (12,)


def test_usual_distances(z):
    alone, unseen = Gallery(z), z[:70] + np.float32(0.25)
    assert alone.compared_with == "other z-points"
    square = np.square(z[:, None].astype(np.float64) - z).sum(axis=2)
    np.fill_diagonal(square, np.inf)
    every = np.sqrt(square.min(axis=1))
    assert alone.usual.shape == (200,)
    assert np.isin(np.round(alone.usual, 9), np.round(every, 9)).all()
    known = Gallery(z, None, unseen)
    assert known.compared_with == "unseen images"
    expected = np.sort([nearest(z, x, 1)[1][0] for x in unseen.astype(np.float64)])
    np.testing.assert_allclose(known.usual, expected, rtol=1e-9)


def test_the_usual_distance_of_copies_is_0():
    z = np.repeat(np.random.default_rng(0).standard_normal((20, 4)), 2, axis=0).astype(np.float32)
    assert not Gallery(z).usual.any()


def test_labels_of_all_forms(z):
    has = z[:, :2] > 3
    expected = [z[who].mean(axis=0) - z[~who].mean(axis=0) for who in has.T]
    forms = {
        "named": {"a": has[:, 0], "b": has[:, 1]},
        "signs": {"a": np.where(has[:, 0], 1, -1), "b": has[:, 1].astype(np.float64)},
        "records": jl.Labels(("a", "b"), has.astype(np.int8)),
    }
    for labels in (*forms.values(), has, has.astype(np.float32)):
        found = Attributes.of(z, as_labels(labels, len(z)))
        assert sorted(found.names) in (["a", "b"], ["attribute 1", "attribute 2"])
        order = np.argsort(found.names)
        np.testing.assert_allclose(found.vectors[order], expected, atol=1e-5)
        assert found.vectors.dtype == np.float64
    assert as_labels(has[:, 0], len(z)).names == ("attribute 1",)
    assert as_labels({}, len(z)).values.shape == (400, 0)


def test_attributes_are_ordered_by_how_well_they_are_told_apart_and_the_rest_is_left_out(z):
    chance = np.random.default_rng(0).random(len(z)) > 0.5
    y = (z - z.mean(axis=0)) @ np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[2].T
    labels = {
        "none": np.zeros(400),
        "chance": chance,
        "all": np.ones(400),
        "plain": y[:, 0] > 0,
        "gone": np.full(400, np.nan),
    }
    found = Attributes.of(z, as_labels(labels, 400))
    assert found.names == ("plain", "chance")
    assert found.accuracy[0] > 0.9
    assert abs(found.accuracy[1] - 0.5) < 5 * 0.5 / np.sqrt(80)
    assert Attributes.of(z, as_labels({"none": np.zeros(400)}, 400)).vectors.shape == (0, 6)
    shaped = Attributes.of(z.reshape(-1, 1, 2, 3), as_labels(labels, 400))
    np.testing.assert_allclose(shaped.vectors, found.vectors, rtol=1e-6)


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(
    ("labels", "kind", "line"),
    [
        (
            np.zeros((399, 2)),
            ValueError,
            r"labels: expected \(400, m\), a row for each z-point, got \(399, 2\)",
        ),
        (np.zeros((400, 2, 2)), ValueError, r"labels: expected \(400, m\)"),
        (np.float32(1), ValueError, r"labels: expected \(400, m\)"),
        (jl.Labels(("a",), np.zeros((400, 2))), ValueError, r"labels: expected \(400, m\)"),
        (
            {"a": np.zeros(400), "b": np.zeros(3)},
            ValueError,
            r"labels\['b'\]: expected \(400,\), one for each z-point, got \(3,\)",
        ),
        ({"a": np.zeros((400, 1))}, ValueError, r"labels\['a'\]: expected \(400,\)"),
        ({"a": np.array(["yes"] * 400)}, TypeError, r"labels\['a'\]: expected an array of real numbers"),
        (np.array(["yes"] * 400), TypeError, "labels: expected an array of real numbers"),
    ],
)
def test_refusals(labels, kind, line):
    with pytest.raises(kind, match=line):
        as_labels(labels, 400)


def test_what_is_loaded_is_there_for_all_who_wait_and_was_loaded_once(z, samplers):
    calls, begin = [], threading.Event()

    def load():
        calls.append(threading.get_ident())
        begin.wait(30)
        return Gallery(z, np.zeros((400, 2, 2, 3), np.uint8)), jl.Labels(("hat",), (z[:, :1] > 3))

    space = Space({"box": samplers["box"]}, z, load=load)
    assert space.progress == "loading"
    assert space.attributes.names == ()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(space.loaded().attributes.names)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    begin.set()
    for thread in threads:
        thread.join(60)
    assert found == [("hat",)] * 4
    assert len(calls) == 1
    assert space.progress == "ready"
    assert space.gallery.images is not None


def test_an_edit_of_an_attribute_loads_the_labels(z, samplers):
    load = lambda: (Gallery(z), jl.Labels(("hat",), z[:, :1] > 3))  # noqa: E731
    space = Space({"box": samplers["box"]}, z, load=load)
    step = z[z[:, 0] > 3].mean(axis=0) - z[z[:, 0] <= 3].mean(axis=0)
    np.testing.assert_allclose(space.vector("a.hat=1") - space.vector(""), step, atol=1e-5)


def test_a_vector_that_waits_for_labels_holds_nobody_up(z, samplers):
    """Neither those that read them, nor vectors that need none."""
    begun, gate, found = threading.Event(), threading.Event(), {}

    def load():
        begun.set()
        gate.wait(60)
        return Gallery(z), jl.Labels(("hat",), z[:, :1] > 3)

    def made(text):
        found[text] = space.vector(text)

    space = Space({"box": samplers["box"]}, z, load=load)
    loader, asking, other = (
        threading.Thread(target=target, args=arguments, daemon=True)
        for target, arguments in ((space.loaded, ()), (made, ("a.hat=1",)), (made, ("c1=1",)))
    )
    loader.start()
    assert begun.wait(60)
    asking.start()
    asking.join(0.05)
    other.start()
    other.join(30)
    assert list(found) == ["c1=1"]
    gate.set()
    for thread in (loader, asking):
        thread.join(30)
    assert list(found) == ["c1=1", "a.hat=1"]


def test_what_cannot_be_loaded_is_said_and_the_rest_works(z, samplers):
    def load():
        raise FileNotFoundError("images.npy:\n not there")

    space = Space({"box": samplers["box"]}, z, load=load)
    with pytest.raises(FileNotFoundError, match=r"images\.npy"):
        space.loaded()
    assert space.progress == "images: images.npy: not there"
    assert space.loaded() is space
    assert space.vector("c1=1&inside=1").shape == (6,)
    with pytest.raises(ValueError, match=r"no attribute 'hat' here; images: images\.npy: not there"):
        space.vector("a.hat=1")
