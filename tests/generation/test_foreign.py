"""Decoders of PyTorch; without it there is nothing to test."""

import runpy
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.generation.decoder import Decoder
from jaxlatent.generation.tiles import decode_tile

torch = pytest.importorskip("torch")

N = 400
SCRIPT = Path(__file__).parents[2] / "scripts" / "foreign_decoder.py"


@pytest.fixture(scope="module")
def module():
    """Vectors (b, 5) to images (b, 3, 4, 4) in [0, 1]; untrained."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(5, 48),
        torch.nn.Unflatten(1, (3, 4, 4)),
        torch.nn.ConvTranspose2d(3, 3, 3, padding=1),
        torch.nn.Sigmoid(),
    ).eval()


@pytest.fixture(scope="module")
def decode(module):
    """What the documentation advises."""

    @torch.inference_mode()
    def call(z):
        return module(torch.from_dlpack(z)).permute(0, 2, 3, 1)

    return call


@pytest.fixture(scope="module")
def direct(module, sampler, key):
    """All images by PyTorch alone, as 8-bit numbers."""
    with torch.inference_mode():
        images = module(torch.tensor(np.asarray(sampler.sample(key, N))))
    return (images * 255).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)


@pytest.fixture
def run(tmp_path, sampler, key):
    """The images that `generate_to` leaves."""

    def call(decode, name="out", **options):
        jl.generate_to(tmp_path / name, sampler, decode, N, key=key, **options)
        return np.concatenate([np.load(file) for file in sorted((tmp_path / name).glob("images-*.npy"))])

    return call


def assert_close(images, expected):
    assert images.dtype == np.uint8
    assert images.shape == expected.shape
    assert len(np.unique(expected)) > 50
    np.testing.assert_allclose(images.astype(int), expected.astype(int), atol=1)


def test_images_are_those_of_the_decoder_alone(run, decode, direct):
    assert_close(run(decode), direct)


@pytest.mark.parametrize("batch_size", [1, 300, 1000])
def test_image_i_depends_on_the_key_and_i_alone(run, decode, batch_size):
    parts = run(decode, "parts", batch_size=batch_size, shard_size=150)
    np.testing.assert_array_equal(parts, run(decode, "whole"))


def test_latents_go_to_pytorch_without_a_copy(run, module, direct):
    seen = []

    def decode(z):
        tensor = torch.from_dlpack(z)
        seen.append((tuple(z.shape), tensor.data_ptr() == z.unsafe_buffer_pointer()))
        return module(tensor).permute(0, 2, 3, 1)

    assert_close(run(decode), direct)
    tile = decode_tile((4, 4, 3), "cpu")
    assert set(seen) == {((2, 5), True), ((tile, 5), True)}


def test_gradients_that_are_tracked(run, module, direct):
    def decode(z):
        images = module(torch.from_dlpack(z))
        assert images.requires_grad
        return images.permute(0, 2, 3, 1)

    assert_close(run(decode), direct)


# The coarsest, bfloat16, is off by up to 2^-9, half a step of 8 bits.
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_floating_point_of_any_width(run, decode, direct, dtype):
    assert_close(run(lambda z: decode(z).to(dtype)), direct)


def test_8_bit_images_pass_unchanged(run, decode):
    images = run(lambda z: (decode(z) * 255).round().to(torch.uint8))
    np.testing.assert_array_equal(images, run(decode, "float"))


def test_decoders_by_way_of_numpy(run, module, direct):
    @torch.inference_mode()
    def decode(z):
        return module(torch.tensor(np.asarray(z))).permute(0, 2, 3, 1).numpy()

    assert_close(run(decode), direct)


def test_channels_that_come_first(module):
    wide = torch.nn.Sequential(*module, torch.nn.Upsample(scale_factor=2))
    with pytest.raises(ValueError, match=r"got \(2, 3, 8, 8\), which looks like .*permute\(0, 2, 3, 1\)"):
        Decoder.of(lambda z: wide(torch.from_dlpack(z)), (5,))


def test_latents_of_pytorch_by_dlpack(key):
    z = torch.randn(500, 5, generator=torch.Generator().manual_seed(0))
    shared = jnp.from_dlpack(z)
    assert shared.unsafe_buffer_pointer() == z.data_ptr()
    drawn = [jl.ExactSampler.fit(points).sample(key, 10) for points in (shared, z.numpy())]
    np.testing.assert_array_equal(*drawn)


def test_the_script(tmp_path, monkeypatch, capsys):
    options = ["--out", str(tmp_path), "--data", "synthetic:64", "--epochs", "1", "--count", "20"]
    monkeypatch.setattr(sys, "argv", [SCRIPT.name, *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    first = capsys.readouterr().out
    assert "epoch 1 of 1" in first
    for sampler in ("pairwise", "exact"):
        assert len(list((tmp_path / sampler).rglob("*.png"))) == 20
    assert (tmp_path / "contact-sheet.png").stat().st_size > 10_000
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "epoch" not in capsys.readouterr().out  # the weights were kept, and the folder is theirs
