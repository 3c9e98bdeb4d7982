import numpy as np
import pytest
from PIL import Image

import jaxlatent as jl
from jaxlatent.explorer import Recipe, Space
from jaxlatent.explorer.files import write_face


def test_a_face_and_its_vector(space, tmp_path):
    for path, state in ((tmp_path / "a.png", "c1=1&inside=1"), (f"{tmp_path}/B.PNG", Recipe("box", 0, 4))):
        image, vector = write_face(path, space, state)
        expected = space.vector(state)
        found = np.load(vector)
        assert (found.dtype, found.shape) == (np.float32, (1, 6))
        np.testing.assert_array_equal(found[0], expected)
        np.testing.assert_array_equal(np.asarray(Image.open(image)), space.images(expected)[0])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["B.PNG", "B.npy", "a.npy", "a.png"]


def test_grey_faces(z, tmp_path):
    space = Space({"box": jl.BoxSampler.cube(1.5, 6)}, z, lambda z: np.full((len(z), 2, 2, 1), 0.2))
    image, _ = write_face(tmp_path / "a.png", space, "")
    with Image.open(image) as opened:
        assert opened.mode == "L"
        assert (np.asarray(opened) == 51).all()


def test_refusals_leave_nothing_behind(space, z, tmp_path):
    bare = Space({"box": jl.BoxSampler.cube(1.5, 6)}, z)
    for path, given, state, line in (
        ("a.jpg", space, "", r"path: expected a name that ends in \.png, got .*a\.jpg"),
        ("a", space, "", r"path: expected a name that ends in \.png"),
        ("a.png", space, "x=1", "state: 'x' is not known"),
        ("a.png", space, "image=400", "state: image: expected at most 399, got 400"),
        ("a.png", bare, "", "decode: there is no decoder here, so there are no images"),
    ):
        with pytest.raises(ValueError, match=line):
            write_face(tmp_path / path, given, state)
    assert not list(tmp_path.iterdir())
