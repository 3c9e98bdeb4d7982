import sys
from types import ModuleType

import numpy as np
import pytest

from jaxlatent.data import load_images
from jaxlatent.evaluation.detection import face_rate, faces_found


@pytest.fixture(scope="module")
def faces():
    return load_images("synthetic:100", cache=False)


@pytest.fixture
def _opencv():
    pytest.importorskip("cv2")


@pytest.mark.usefixtures("_opencv")
class TestDetector:
    def test_faces_are_found(self, faces):
        found = faces_found(faces)
        assert found.dtype == bool
        assert found.shape == (100,)
        assert 0.9 <= face_rate(faces) == found.mean()

    def test_what_is_no_face_is_not(self, faces):
        noise = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), dtype=np.uint8)
        assert face_rate(noise) == 0
        assert face_rate(np.full((3, 64, 64, 3), 127, np.uint8)) == 0
        assert face_rate(faces[:50, ::-1]) < 0.2

    def test_order_and_threads_make_no_difference(self, faces):
        found = faces_found(faces)
        np.testing.assert_array_equal(faces_found(faces[::-1]), found[::-1])
        np.testing.assert_array_equal(faces_found(faces[40:41]), found[40:41])

    def test_floating_point_images_are_the_same_images(self, faces):
        unit = faces[:20].astype(np.float32) / 255
        np.testing.assert_array_equal(faces_found(unit), faces_found(faces[:20]))

    def test_images_need_not_be_square(self, faces):
        grey = np.full((10, 64, 40, 3), 127, np.uint8)
        wide = np.concatenate([grey, faces[:10], grey], axis=2)
        assert face_rate(wide) >= 0.8

    def test_more_neighbors_find_fewer_faces(self, faces):
        rates = [face_rate(faces[:40], neighbors=neighbors) for neighbors in (1, 10, 40)]
        assert rates == sorted(rates, reverse=True)
        assert rates[0] > rates[-1]

    @pytest.mark.usefixtures("as_without_type_checks")
    def test_errors(self, faces):
        with pytest.raises(ValueError, match="neighbors: expected at least 0, got -1"):
            faces_found(faces, neighbors=-1)
        with pytest.raises(ValueError, match=r"images: expected shape \(n, h, w, 3\)"):
            faces_found(faces[0])
        with pytest.raises(TypeError, match="images: expected uint8 or floating point"):
            faces_found(faces.astype(np.int32))


def test_a_missing_opencv_names_the_extra(faces, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        ImportError, match=r"not installed; install the extra: pip install 'jaxlatent\[faces\]'"
    ):
        face_rate(faces)


def test_opencv_5_names_the_extra(faces, monkeypatch):
    module = ModuleType("cv2")
    module.__version__ = "5.0.0"
    monkeypatch.setitem(sys.modules, "cv2", module)
    with pytest.raises(ImportError, match=r"OpenCV 5.0.0 has no CascadeClassifier; .*jaxlatent\[faces\]"):
        face_rate(faces)
