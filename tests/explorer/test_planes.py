import numpy as np
import pytest

from jaxlatent.explorer import Recipe


def moved(space, start, plane, values):
    """The place in the plane after both of its edits, as the page makes them."""
    before = plane.coordinates(space.vector(start).reshape(1, -1))[0]
    recipe = Recipe.parse(
        "&".join([start, *(f"{name}={value}" for name, value in zip(plane.edits, values, strict=True))])
    )
    return before, plane.coordinates(space.vector(recipe).reshape(1, -1))[0]


def quoted(name):
    return str(Recipe(edits=((name, 0.0),))).split("&")[-1].removesuffix("=0")


@pytest.mark.parametrize("kind", ["components", "coordinates"])
def test_an_edit_sets_a_coordinate_of_the_plane(space, kind):
    plane = space.plane(kind, 2, 5)
    assert not plane.relative
    assert plane.edits == {"components": ("c2", "c5"), "coordinates": ("z2", "z5")}[kind]
    _, after = moved(space, "seed=3", plane, (0.5, -1.25))
    np.testing.assert_allclose(after, [0.5, -1.25], atol=1e-5)
    np.testing.assert_allclose(plane.response, np.eye(2), atol=1e-5)


def test_an_edit_of_attributes_moves_as_the_response_says(space):
    plane = space.plane("attributes", 1, 3)
    assert plane.relative
    assert plane.edits == tuple(f"a.{space.attributes.names[i]}" for i in (0, 2))
    named = [quoted(name) for name in plane.edits]
    before, both = (
        plane.coordinates(space.vector(f"seed=3{more}")[None])[0]
        for more in ("", f"&{named[0]}=0.5&{named[1]}=-2")
    )
    np.testing.assert_allclose(both - before, plane.response @ [0.5, -2], atol=1e-5)
    np.testing.assert_allclose(np.diag(plane.response), 1, atol=1e-9)


def test_the_coordinates_of_vectors(space):
    z = np.asarray(space.z, np.float64)
    mean = z.mean(axis=0)
    found = space.plane("components", 1, 4)
    rows = np.asarray(space.frame.components, np.float64)[[0, 3]]
    np.testing.assert_allclose(
        found.coordinates(space.z), (z - mean) @ rows.T / space.sigma[[0, 3]], atol=1e-5
    )
    np.testing.assert_array_equal(space.plane("coordinates", 6, 1).coordinates(space.z), space.z[:, [5, 0]])
    step = space.attributes.vectors[:2]
    expected = (z - mean) @ step.T / np.square(step).sum(axis=1)
    np.testing.assert_allclose(space.plane("attributes", 1, 2).coordinates(space.z), expected, atol=1e-5)


def test_a_memory_map_is_read_block_by_block(space, tmp_path):
    z = np.random.default_rng(0).standard_normal((20_000, 1, 2, 3)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    plane = space.plane("coordinates", 1, 2)
    found = plane.coordinates(np.load(tmp_path / "z.npy", mmap_mode="r"))
    np.testing.assert_array_equal(found, z.reshape(-1, 6)[:, :2])
    assert found.dtype == np.float32
    assert plane.coordinates(z[:0]).shape == (0, 2)


def test_labels_say_what_and_in_which_unit(space):
    assert space.plane("components", 1, 2).labels == ("component 1 (σ)", "component 2 (σ)")
    assert space.plane("coordinates", 3, 2).labels == ("latent coordinate 3", "latent coordinate 2")
    assert space.plane("attributes", 2, 1).labels == (space.attributes.names[1], space.attributes.names[0])


@pytest.mark.usefixtures("as_without_type_checks")
def test_refusals(space):
    with pytest.raises(
        ValueError, match="plane: expected one of components, coordinates, attributes, got 'x'"
    ):
        space.plane("x", 1, 2)
    for kind, most in (("components", 6), ("coordinates", 6), ("attributes", 3)):
        for i, j in ((0, 1), (1, most + 1), (2, 2), (-1, 1)):
            with pytest.raises(
                ValueError, match=f"plane: expected two different {kind} from 1 to {most}, got {i} and {j}"
            ):
                space.plane(kind, i, j)
