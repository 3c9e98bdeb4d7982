import numpy as np
import pytest

from jaxlatent.explorer.wire import pack

ARRAYS = {
    "float": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "half": np.arange(5, dtype=np.float16),
    "whole": np.array([-1, 2**31 - 1], np.int32),
    "bytes": np.arange(7, dtype=np.uint8),
    "one": np.float32(2.5)[()] * np.ones((), np.float32),
    "none": np.zeros((0, 2), np.float32),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "foreign": np.arange(3, dtype=">f4"),
}


def test_what_is_packed_can_be_read(unpack):
    for size in range(9):
        header = {"text": "ö" * size, "number": 1.5, "none": None, "list": [1, "a"], "nested": {"b": True}}
        found, arrays = unpack(pack(header, ARRAYS))
        assert found == header
        assert list(arrays) == list(ARRAYS)
        for name, array in arrays.items():
            assert array.shape == ARRAYS[name].shape
            np.testing.assert_array_equal(array, ARRAYS[name])
    assert unpack(pack({})) == ({}, {})


def test_what_cannot_be_packed():
    for dtype in (np.float64, np.int64, bool, np.uint16):
        with pytest.raises(TypeError, match="x: expected one of float32, float16, int32, uint8, got"):
            pack({}, {"x": np.zeros(2, dtype)})
    for number in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            pack({"number": number})
