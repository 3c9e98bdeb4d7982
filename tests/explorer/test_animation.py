import io

import numpy as np
import pytest
from PIL import Image

from jaxlatent.explorer.animation import animate, to_picture


def frames(count, shape=(8, 8, 3)):
    """Each of one shade."""
    shades = np.linspace(20, 220, count).astype(np.uint8)
    return np.ones((count, *shape), np.uint8) * shades.reshape(-1, 1, 1, 1)


def shades(content):
    image = Image.open(io.BytesIO(content))
    found = []
    for number in range(image.n_frames):
        image.seek(number)
        found.append(float(np.asarray(image.convert("L")).mean()))
    return image, found


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_there_and_back(kind, channels):
    image, found = shades(animate(frames(5, (8, 8, channels)), kind, seconds=1.0))
    assert image.format == kind.upper()
    assert image.size == (256, 256)
    assert image.info["loop"] == 0
    assert image.info["duration"] == 200
    np.testing.assert_allclose(found, [20, 70, 120, 170, 220, 170, 120, 70], atol=3)


def test_two_frames_and_odd_sizes():
    for kind in ("gif", "webp"):
        image, found = shades(animate(frames(2, (5, 3, 3)), kind))
        assert image.size == (156, 260)
        np.testing.assert_allclose(found, [20, 220], atol=3)
    assert shades(animate(frames(2, (300, 200, 3)), "gif"))[0].size == (200, 300)


@pytest.mark.usefixtures("as_without_type_checks")
def test_refusals():
    with pytest.raises(ValueError, match="frames: expected at least 2, got 1"):
        animate(frames(1), "gif")
    for kind in ("png", "GIF", 3, None):
        with pytest.raises(ValueError, match="format: expected one of gif, webp, got"):
            animate(frames(2), kind)


def test_pictures_of_each_number_of_channels():
    assert [to_picture(frames(1, (4, 4, c))[0]).mode for c in (1, 3, 4)] == ["L", "RGB", "RGBA"]
