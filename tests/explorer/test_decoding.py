import numpy as np
import pytest

from jaxlatent.explorer.decoding import BlockDecoder


class Tensor:
    """Like one of PyTorch: NumPy gets it only once it is detached."""

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = values.shape, values.dtype

    def detach(self):
        return self

    def cpu(self):
        return self.values

    def __array__(self, *_, **__):
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )


def grey(z):
    """NumPy, one channel."""
    z = np.asarray(z)
    return 1 / (1 + np.exp(-np.repeat(np.repeat(z[:, :2, None, None], 3, axis=2), 1, axis=3)))


DECODERS = {
    "numpy": grey,
    "tensor": lambda z: Tensor(grey(np.asarray(z))),
    "uint8": lambda z: (255 * grey(z)).astype(np.uint8),
    "beyond": lambda z: np.asarray(z)[:, :3].reshape(-1, 1, 3, 1) * 5,
}


@pytest.mark.parametrize("name", DECODERS)
def test_foreign_decoders(z, name):
    decoder = BlockDecoder(DECODERS[name], (6,))
    images = DECODERS[name](z[:20])
    images = getattr(images, "values", images)
    expected = images if images.dtype == np.uint8 else np.rint(np.clip(images, 0, 1) * 255)
    assert decoder.shape == images.shape[1:]
    found = decoder(z[:20])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_blocks_give_the_same_as_one_by_one(z, decode):
    """Up to rounding, as these are two programs."""
    decoder, sizes = BlockDecoder(decode, (6,)), []
    alone = np.concatenate([decoder(row) for row in z[:40]]).astype(int)
    assert alone.shape == (40, 8, 8, 3)
    for count in (1, 2, 15, 16, 17, 40):
        assert np.abs(decoder(z[:count]) - alone[:count]).max() <= 1
    counted = BlockDecoder(lambda z: sizes.append(len(z)) or grey(z), (6,))
    sizes.clear()
    counted(z[:20])
    counted(z[0])
    assert sizes == [16, 16, 1]


def test_what_is_no_decoder():
    for bad, kind, line in (
        (3, TypeError, "decode: expected an Autoencoder or a function of latent vectors, got int"),
        (lambda z: z, ValueError, r"decode: expected images \(2, h, w, c\)"),
        (lambda z: np.zeros((2, 3, 8, 8)), ValueError, "looks like"),
        (lambda z: np.zeros((2, 8, 8, 3), np.int32), ValueError, "decode: expected floating-point images"),
    ):
        with pytest.raises(kind, match=line):
            BlockDecoder(bad, (6,))
