"""Runs what `jaxlatent.export` wrote: by JAX alone, without Flax, the network's code or the sampler's.

The file is a .zip of uncompressed members: "model.json", a description; "sampler.safetensors" and
"decoder.safetensors", the arrays, once for all platforms; and programs as `jax.export` serialises them:
"decode", for all platforms and with a symbolic batch; and for each platform "cpu/sample" and "cpu/images",
for one tile of vectors each.

The latter have fixed sizes and one platform each for the sake of the bits: JAX rewrites a program with a
symbolic size or several platforms before XLA compiles it, after which XLA fuses it, and so rounds, in another
way than the live model (seen in a TiltedSampler of density "normal"). A batch of any size is a loop over
tiles, whose sizes are the file's, whatever they are in this version of the package.
"""

import json
import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from jaxlatent._backend import start_backend
from jaxlatent._boundary import as_vectors
from jaxlatent._cores import cores
from jaxlatent.sampling.draws import checked_range
from jaxlatent.sampling.tiles import aligned, fill, map_tiles, to_jax

FORMAT = 1
DESCRIPTION = "model.json"
SAMPLER = "sampler.safetensors"
DECODER = "decoder.safetensors"

_PROGRAMS = {"sample": "{}/sample", "decode": "decode", "images": "{}/images"}

# Enough for a call to take longer than its dispatch; its results are held in memory.
_TILES_A_CALL = 16

_DTYPES = {
    **{f"F{8 * size}": np.dtype(f"f{size}") for size in (2, 4, 8)},
    **{f"I{8 * size}": np.dtype(f"i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"u{size}") for size in (1, 2, 4, 8)},
    "BF16": np.dtype(jnp.bfloat16),
    "BOOL": np.dtype(bool),
}


class Exported:
    """A sampler and a decoder in a file of `jaxlatent.export`; `load_exported` gives it.

    On one kind of device `sample` gives the bits of the live sampler's, and `generate` those of the images of
    `jaxlatent.generate_to`.

    Attributes:
        description: what the file says of itself: names, digests, versions.
        sampler: name of the sampler's class.
        platforms: for which it was exported.
        latent_shape: of a latent vector, (d,) or (c, h, w).
        image_shape: (h, w, c).
    """

    def __init__(
        self,
        description: dict[str, Any],
        sampler: dict[str, np.ndarray],
        decoder: dict[str, np.ndarray],
        programs: dict[str, jax.export.Exported],
    ):
        """Takes the contents of a file."""
        self.description = description
        self.sampler: str = description["sampler"]["name"].rpartition(".")[2]
        self.platforms: tuple[str, ...] = tuple(description["platforms"])
        self._draw_tile, *latent_shape = programs["sample"].out_avals[0].shape
        self.latent_shape: tuple[int, ...] = tuple(latent_shape)
        self._decode_tile, *shape = programs["images"].out_avals[0].shape
        self.image_shape: tuple[int, int, int] = tuple(shape)
        self._programs = programs
        self._arrays = jax.device_put((sampler, decoder))
        self._sample_tiles = jax.jit(self._traced_sample)
        self._decode_tiles = jax.jit(self._traced_decode)
        self._generate_tiles = jax.jit(self._traced_generate)

    def __repr__(self) -> str:
        vector, image = ("x".join(map(str, shape)) for shape in (self.latent_shape, self.image_shape))
        platforms = ", ".join(self.platforms)
        return f"<Exported: {self.sampler}, vectors {vector}, images {image}, for {platforms}>"

    def sample(self, key: jax.Array, n: int, *, start: int = 0) -> Float[Array, " {n} *latent"]:
        """Draws vectors, as `Sampler.sample` does.

        Args:
            key: a typed key, `jax.random.key(seed)`.
            n: number of vectors, at least 0.
            start: index of the first vector; `start + n` is at most 2^32.

        Returns:
            float32 (n, d).

        Raises:
            TypeError: if `key` is not a typed key or `n` not an integer.
            ValueError: if `n` or `start` is out of range.
        """
        seed, n, start = checked_range(key, n, start)

        def arguments(first: int, count: int) -> tuple[Any, ...]:
            return self._arrays, seed, self._begins(start + first, _TILES_A_CALL), np.int32(count)

        draw = self._sample_tiles.lower(*arguments(0, 0)).compile()
        z = aligned((n, *self.latent_shape))
        fill(
            (z,),
            self._draw_tile,
            _TILES_A_CALL,
            lambda first, count: (draw(*arguments(first, count)),),
            threads=_threads(),
        )
        return to_jax(z, seed.sharding)

    def decode(self, z: Float[Array | np.ndarray, " n *latent"]) -> Float[Array, "n h w c"]:
        """Maps latent vectors to images; inside `jax.jit`, all at once.

        Args:
            z: floating point (n, d); converted to float32.

        Returns:
            float32 (n, h, w, c) in [0, 1].

        Raises:
            TypeError, ValueError: if `z` is not a floating-point array (n, d).
        """
        z = as_vectors("z", z, math.prod(self.latent_shape)).reshape(-1, *self.latent_shape)
        if isinstance(z, jax.core.Tracer):
            return self._programs["decode"].call(self._arrays[1], z.astype(jnp.float32))
        rows = np.asarray(z, np.float32)
        tile = self._decode_tile

        shape = jax.ShapeDtypeStruct((_TILES_A_CALL, tile, *self.latent_shape), np.float32)
        program = self._decode_tiles.lower(self._arrays, shape, np.int32(0)).compile()

        def compute(first: int, count: int) -> tuple[jax.Array]:
            part = rows[first : first + _TILES_A_CALL * tile]
            part = np.pad(part, [(0, _TILES_A_CALL * tile - len(part)), *[(0, 0)] * len(self.latent_shape)])
            return (program(self._arrays, part.reshape(shape.shape), np.int32(count)),)

        images = aligned((len(rows), *self.image_shape))
        fill((images,), tile, _TILES_A_CALL, compute, threads=_threads())
        return jnp.asarray(images)

    def generate(self, key: jax.Array, n: int, *, start: int = 0) -> UInt8[np.ndarray, "{n} h w c"]:
        """Draws vectors and decodes them to 8-bit images; arguments and errors as for `sample`.

        Returns:
            uint8 (n, h, w, c), rounded and clipped, on the host.

        Raises:
            ValueError: if an image is not finite, too.
        """
        seed, n, start = checked_range(key, n, start)
        # Tiles start at multiples of their size, whatever is asked for, as in a job.
        skip = start % self._decode_tile

        drawn = -(-_TILES_A_CALL * self._decode_tile // self._draw_tile)

        def arguments(first: int, count: int) -> tuple[Any, ...]:
            return self._arrays, seed, self._begins(start - skip + first, drawn), np.int32(count)

        program = self._generate_tiles.lower(*arguments(0, 0)).compile()
        images, is_finite = np.empty((n, math.prod(self.image_shape)), np.uint8), np.empty(n, bool)
        fill(
            (images, is_finite),
            self._decode_tile,
            _TILES_A_CALL,
            lambda first, count: program(*arguments(first, count)),
            skip=skip,
            threads=_threads(),
        )
        if not is_finite.all():
            index = start + int(np.argmin(is_finite))
            raise ValueError(
                f"generate: image {index} has pixels that are NaN or infinite; check the decoder"
            )
        return images.reshape(-1, *self.image_shape)

    def _begins(self, begin: int, tiles: int) -> np.ndarray:
        """The index that each tile starts at; behind the last one they start again at 0."""
        return ((begin + self._draw_tile * np.arange(tiles, dtype=np.int64)) % 2**32).astype(np.uint32)

    def _traced_sample(self, arrays: Any, seed: jax.Array, begins: jax.Array, count: jax.Array) -> jax.Array:
        draw = self._programs["sample"].call
        z = map_tiles(lambda begin: draw(arrays[0], seed, begin), begins, count)
        return z.reshape(-1, *self.latent_shape)

    def _traced_decode(self, arrays: Any, z: jax.Array, count: jax.Array) -> jax.Array:
        images = map_tiles(lambda tile: self._programs["decode"].call(arrays[1], tile), z, count)
        return images.reshape(-1, *self.image_shape)

    def _traced_generate(
        self, arrays: Any, seed: jax.Array, begins: jax.Array, count: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        drawn = (count * self._decode_tile + self._draw_tile - 1) // self._draw_tile
        z = self._traced_sample(arrays, seed, begins, drawn)[: _TILES_A_CALL * self._decode_tile]
        z = z.reshape(-1, self._decode_tile, *self.latent_shape)

        # Rows, as in `generation.tiles.decode_tiles`.
        def decode(tile: jax.Array) -> tuple[jax.Array, jax.Array]:
            images, is_finite = self._programs["images"].call(arrays[1], tile)
            return images.reshape(self._decode_tile, -1), is_finite

        images, is_finite = map_tiles(decode, z, count)
        return images.reshape(-1, images.shape[-1]), is_finite.reshape(-1)


def load_exported(path: str | os.PathLike[str]) -> Exported:
    """Reads a sampler and a decoder that `jaxlatent.export` wrote, for the platform that JAX runs on.

    Damage is found by checksums. Beyond that the file has to be trusted as a program is, though one for XLA:
    there is no pickle and no Python in it.

    Raises:
        OSError: if the file cannot be opened; FileNotFoundError if there is none.
        ValueError: if the file is damaged, not one that `jaxlatent.export` wrote, of a newer version of
            jaxlatent or JAX, or not exported for this platform.
        RuntimeError: if JAX cannot start.
    """
    with Path(path).open("rb") as file:
        start_backend()
        try:
            return _read(file)
        except _RefusedError as error:
            raise ValueError(f"{path}: {error}") from error
        # Damaged bytes make zipfile, json and NumPy raise almost anything.
        except Exception as error:
            found = type(error).__name__
            raise ValueError(
                f"{path}: damaged, or not written by jaxlatent.export ({found}); write it again"
            ) from error


class _RefusedError(Exception):
    """Why a file that is whole cannot be used, and what to do."""


def _read(file: IO[bytes]) -> Exported:
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            # Before memory is taken for it.
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size > size:
                raise ValueError(f"{info.filename} is compressed, or larger than the file")
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"{damaged} does not have its checksum")
        about = json.loads(archive.read(DESCRIPTION))
        if about["format"] != FORMAT:
            raise _RefusedError(f"format {about['format']}, this version reads {FORMAT}; update jaxlatent")
        here = jax.export.default_export_platform()
        if here not in about["platforms"]:
            there = ", ".join(about["platforms"])
            raise _RefusedError(f"exported for {there}, JAX runs on {here}; export it for {here} as well")
        sampler, decoder = (_tensors(archive.read(name)) for name in (SAMPLER, DECODER))
        serialised = {
            name: bytearray(archive.read(member.format(here))) for name, member in _PROGRAMS.items()
        }
    try:
        programs = {name: jax.export.deserialize(program) for name, program in serialised.items()}
        for name, program in programs.items():
            # It is here that JAX reads all of it.
            _, *rest = jax.tree.unflatten(program.in_tree, program.in_avals)[0]
            rest = [jax.ShapeDtypeStruct(_concrete(aval.shape), aval.dtype) for aval in rest]
            jax.jit(program.call).lower(sampler if name == "sample" else decoder, *rest)
    except Exception as error:
        raise _RefusedError(
            f"written by JAX {about['jax']}, which JAX {jax.__version__} cannot read; "
            "update JAX, or export it again"
        ) from error
    return Exported(about, sampler, decoder, programs)


def _concrete(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else 1 for size in shape)


def _tensors(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file: a JSON header after its length in 8 bytes, and the numbers."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    # NumPy refuses what is not within the buffer.
    return {
        name: np.ndarray(entry["shape"], _DTYPES[entry["dtype"]], content, start + entry["data_offsets"][0])
        for name, entry in header.items()
    }


def _threads() -> int:
    """Computations of a CPU overlap; an accelerator computes while the results before are fetched."""
    return cores() if jax.default_backend() == "cpu" else 2
