"""Decoders from files: of `jaxlatent.export`, and of any framework that writes ONNX."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.exported import load_exported

_CHANNELS = (1, 3)


def load_decoder(path: str | os.PathLike[str]) -> Callable[[Any], Any]:
    """Reads a decoder that `jaxlatent.generate_to` takes.

    Args:
        path: a .jlx file of `jaxlatent.export`, or an .onnx file, see `OnnxDecoder`.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is neither, or damaged.
        ImportError: if it is an .onnx file and ONNX Runtime is not installed.
    """
    path = Path(path)
    if path.suffix == ".jlx":
        return load_exported(path).decode
    if path.suffix == ".onnx":
        return OnnxDecoder(path)
    raise ValueError(f"decoder: expected a .jlx or .onnx file, got {path}")


class OnnxDecoder:
    """A decoder in an ONNX file, run on the CPU by ONNX Runtime (the extra `onnx`).

    The model has one input, latent vectors (b, d) or (b, c, h, w), float32, with a free batch; and one
    output, images in [0, 1], (b, h, w, c) or, as PyTorch has them, (b, c, h, w), with 1 or 3 channels.

    Attributes:
        digest: SHA-256 of the file.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Reads the file.

        Raises:
            OSError: if the file cannot be opened.
            ValueError: if it is no such model.
            ImportError: if ONNX Runtime is not installed.
        """
        content = Path(path).read_bytes()
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError('onnx: needs ONNX Runtime; pip install "jaxlatent[onnx]"') from error
        try:
            self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        except Exception as error:  # of classes of its own, of which none is documented
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{path}: ONNX Runtime cannot read it ({reason})") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or len(outputs[0].shape) != 4:
            shapes = ", ".join(f"{each.name} {each.shape}" for each in (*inputs, *outputs))
            raise ValueError(f"{path}: expected one input of vectors and one output of images, got {shapes}")
        self._name = inputs[0].name
        _, first, _, last = outputs[0].shape
        self._channels_last = last in _CHANNELS and first not in _CHANNELS
        self.digest = hashlib.sha256(content).hexdigest()

    def __call__(self, z: Float[Array | np.ndarray, " b *latent"]) -> Float[np.ndarray, "b h w c"]:
        """Decodes vectors on the host."""
        if isinstance(z, jax.core.Tracer):
            raise TypeError("an ONNX model runs outside of JAX")
        (images,) = self._session.run(None, {self._name: np.asarray(z, np.float32)})
        return images if self._channels_last else np.moveaxis(images, 1, 3)
