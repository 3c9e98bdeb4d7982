"""Any image to an upright, centred, anti-aliased square of RGB."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxlatent.data.decode import to_mode, to_pixels


def as_square(image, size, crop=None):
    return to_pixels(image, (size, size, 3), crop)


def as_rgb(image):
    return to_mode(image, 3)


def stored(image: Image.Image, suffix: str, **options) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return Image.open(io.BytesIO(buffer.getvalue()))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_an_image_of_the_final_size_is_left_as_it_is():
    pixels = noise(32, 32, 3)
    np.testing.assert_array_equal(as_square(stored(Image.fromarray(pixels), "PNG"), 32), pixels)


@pytest.mark.parametrize("shape", [(32, 51), (51, 32), (33, 32)])
def test_the_centre_is_kept(shape):
    pixels = noise(*shape, 3)
    top, left = (shape[0] - 32) // 2, (shape[1] - 32) // 2
    expected = pixels[top : top + 32, left : left + 32]
    np.testing.assert_array_equal(as_square(Image.fromarray(pixels), 32), expected)


def test_crop_keeps_so_many_pixels_and_at_most_the_shorter_side():
    pixels = noise(218, 178, 3)
    expected = pixels[39:179, 19:159]
    np.testing.assert_array_equal(as_square(Image.fromarray(pixels), 140, crop=140), expected)
    small = noise(20, 30, 3)
    np.testing.assert_array_equal(as_square(Image.fromarray(small), 20, crop=140), small[:, 5:25])


@pytest.mark.parametrize("size", [8, 23, 64])
def test_reduction_does_not_alias(size):
    """Stripes one pixel wide are above every reduced image's resolution and must become grey."""
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    square = as_square(Image.fromarray(stripes), size)
    assert square.shape == (size, size, 3)
    assert np.abs(square[:, 1:-1].astype(int) - 127).max() <= 3


def test_small_images_are_enlarged():
    square = as_square(Image.new("RGB", (5, 9), (10, 20, 30)), 40)
    assert square.shape == (40, 40, 3)
    assert (square == (10, 20, 30)).all()


@pytest.mark.parametrize("size", [(801, 600), (600, 801), (600, 600)])
def test_a_jpeg_read_at_reduced_scale_matches_the_whole(size):
    y, x = np.mgrid[: size[1], : size[0]]
    pixels = np.stack([x * 255 / size[0], y * 255 / size[1], (x + y) * 0.1], -1).astype(np.uint8)
    jpeg = stored(Image.fromarray(pixels), "JPEG", quality=95)
    whole = as_square(Image.fromarray(np.asarray(jpeg)), 32)
    jpeg = stored(Image.fromarray(pixels), "JPEG", quality=95)
    reduced = as_square(jpeg, 32)
    assert jpeg.size[0] <= size[0] // 4, "libjpeg did not reduce"
    # The crop is whole pixels of the reduced image, so it may be off by a small part of a final
    # one, and a final pixel is 8 levels of these gradients.
    assert np.abs(reduced.astype(int) - whole).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["JPEG", "PNG"])
def test_exif_orientation_is_undone(orientation, suffix):
    upright = np.zeros((200, 300, 3), np.uint8)
    upright[:100, 50:150] = (255, 0, 0)
    upright[100:, 150:250] = (0, 0, 255)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = Image.fromarray(upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = image if undo is None else image.transpose(undo)
    square = as_square(stored(turned, suffix, exif=exif), 20).astype(int)
    assert np.abs(square[2:8, 2:8] - (255, 0, 0)).max() < 12
    assert np.abs(square[12:18, 12:18] - (0, 0, 255)).max() < 12
    assert square[2:8, 12:18].max() < 12


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "CMYK", "YCbCr", "HSV"])
def test_white_stays_white_in_every_mode(mode):
    image = Image.new("RGB", (4, 4), "white").convert(mode)
    assert (np.asarray(as_rgb(image)) == 255).all()


def test_grey_is_repeated_over_the_channels():
    grey = noise(6, 6)
    np.testing.assert_array_equal(as_rgb(Image.fromarray(grey)), np.stack([grey] * 3, -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_is_composited_over_white(mode):
    if mode == "P":
        image = stored(Image.new("RGB", (4, 4)).quantize(2), "PNG", transparency=0)
        assert image.mode == "P"
    else:
        image = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
    assert (np.asarray(as_rgb(image)) == 255).all()


def test_half_transparency_is_half_white():
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert np.asarray(as_rgb(image))[0, 0].tolist() == [127, 127, 127]


def test_a_palette_is_looked_up():
    pixels = np.repeat(np.array([[[200, 30, 90], [0, 77, 5]]], np.uint8), 2, axis=0)
    palette = Image.fromarray(pixels).quantize(4)
    np.testing.assert_array_equal(as_rgb(palette), pixels)


@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled(suffix):
    wide = np.array([[0, 257, 32896], [65535, 25700, 128]], np.uint16)
    expected = [[0, 1, 128], [255, 100, 0]]
    grey = np.asarray(as_rgb(stored(Image.fromarray(wide), suffix)))[..., 0]
    assert grey.tolist() == expected


def test_16_bit_rgb_is_scaled():
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    row = b"\0" + struct.pack(">3H", 65535, 25700, 257)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">2I5B", 1, 1, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )
    assert np.asarray(as_rgb(Image.open(io.BytesIO(png)))).tolist() == [[[255, 100, 1]]]


def test_pixels_of_unknown_range_are_refused():
    with pytest.raises(ValueError, match="floating-point pixels"):
        as_rgb(Image.fromarray(np.ones((2, 2), np.float32)))
    with pytest.raises(ValueError, match="outside 0 to 65535"):
        as_rgb(Image.fromarray(np.full((2, 2), 70_000, np.int32)))


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    animated = stored(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert as_square(animated, 8)[0, 0].tolist() == [255, 0, 0]
