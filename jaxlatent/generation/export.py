"""A sampler and a decoder as one file that runs wherever JAX does, and networks as safetensors."""

import dataclasses
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from jaxlatent._boundary import as_choice
from jaxlatent._files import atomic_path
from jaxlatent.exported import DECODER, DESCRIPTION, FORMAT, SAMPLER
from jaxlatent.generation.decoder import Decoder
from jaxlatent.generation.digest import identity
from jaxlatent.generation.tiles import decode_tile, decode_tiles
from jaxlatent.sampling.draws import draw_latent, equip, tables, tile_size
from jaxlatent.sampling.sampler import Sampler

if TYPE_CHECKING:
    from jaxlatent.autoencoder import Autoencoder

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_SEED = jax.ShapeDtypeStruct((2,), np.uint32)
_BEGIN = jax.ShapeDtypeStruct((), np.uint32)

# The only entry of the metadata: the package writes several in random order.
_CONFIG = "jaxlatent.AutoencoderConfig"


def export(
    path: str | os.PathLike[str],
    sampler: Sampler,
    decode: Any,
    *,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
) -> None:
    """Writes a sampler and a decoder to `path` (.jlx), for `jaxlatent.load_exported`.

    The file holds their programs as StableHLO and their arrays as safetensors (`jaxlatent.exported` describes
    it): what runs it needs neither Flax nor the code of the sampler and the network. On one kind of device it
    gives the same bits as the live model. The same arguments give the same bytes. Programs can be read by
    versions of JAX up to six months newer, at least: see "Compatibility guarantees" of `jax.export`.

    Args:
        path: what to write; a file that is there is replaced in one step.
        sampler: any sampler of this package.
        decode: an `Autoencoder`, of which only the decoder is written; or a function of JAX from latent
            vectors (b, d) to images (b, h, w, c), uint8 or floating point in [0, 1]. Arrays that a
            `jax.tree_util.Partial` holds are written once, those of any other function into each program.
        platforms: where it is to run, of "cpu", "cuda", "rocm" and "tpu". None of them need be here.

    Raises:
        TypeError: if `sampler` is no sampler, or `decode` neither of the above.
        ValueError: if a platform is unknown, or JAX cannot export `decode`.
        OSError: if the file cannot be written.
    """
    from safetensors.numpy import save

    if not isinstance(sampler, Sampler):
        raise TypeError(f"sampler: expected a sampler of this package, got {type(sampler).__name__}")
    if not platforms:
        raise ValueError(f"platforms: expected some of {', '.join(_PLATFORMS)}, got none")
    for platform in platforms:
        as_choice("platforms", platform, _PLATFORMS)
    with _portable():
        latent_shape = sampler.latent_shape
        decoder = Decoder.of(decode, latent_shape)
        if decoder.host:
            raise TypeError(
                "decode: JAX cannot trace it; expected an Autoencoder, or a function of JAX, to be exported"
            )
        if not callable(decode):
            # The names of a network are those of its state, which is the argument of a Partial.
            function = decoder.params
            decoder = dataclasses.replace(decoder, call=function.func, params=function.args[0])
        drawn = _Arrays(_Equipped(sampler, tables(sampler)))
        decoded = _Arrays(decoder.params, _used(decoder, latent_shape))
        programs = {"decode": _decode_program(decoded, decoder, latent_shape, platforms)}
        for platform in platforms:
            programs |= _tile_programs(drawn, decoded, decoder, latent_shape, platform)
    description = {
        "format": FORMAT,
        "jaxlatent": version("jaxlatent"),
        "jax": jax.__version__,
        "platforms": list(platforms),
        "sampler": identity(sampler),
        "decoder": identity(decode),
        "latent_shape": latent_shape,
        "image_shape": decoder.shape,
    }
    members = {
        DESCRIPTION: json.dumps(description, indent=1).encode(),
        SAMPLER: save(drawn.arrays),
        DECODER: save(decoded.arrays, None if callable(decode) else _metadata(decode)),
        **programs,
    }
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # dated 1980, whenever it is


def save_safetensors(path: str | os.PathLike[str], model: "Autoencoder") -> None:
    """Writes the weights of a network, encoder and decoder, to a safetensors file.

    Arrays have the network's own names, "up1.kernel"; those of convolutions have the shape (height, width,
    channels in, channels out) of a strided one, which a transposed one is the adjoint of. The metadata
    hold the configuration as JSON under "jaxlatent.AutoencoderConfig".

    Raises:
        TypeError: if `model` is no `Autoencoder`.
        OSError: if the file cannot be written.
    """
    from flax import nnx
    from safetensors.numpy import save

    from jaxlatent.autoencoder import Autoencoder

    if not isinstance(model, Autoencoder):
        raise TypeError(f"model: expected an Autoencoder, got {type(model).__name__}")
    content = save(_Arrays(nnx.split(model)[1]).arrays, _metadata(model))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def load_safetensors(path: str | os.PathLike[str]) -> "Autoencoder":
    """Reads a network that `save_safetensors` wrote; the weights come back bit for bit.

    Raises:
        OSError: if the file cannot be opened; FileNotFoundError if there is none.
        ValueError: if it is damaged, or does not hold an autoencoder of this package.
    """
    from flax import nnx
    from safetensors import SafetensorError, safe_open

    from jaxlatent.autoencoder import Autoencoder, AutoencoderConfig

    try:
        with safe_open(Path(path), "np") as file:
            config = AutoencoderConfig.from_dict(json.loads(file.metadata()[_CONFIG]))
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: damaged, or not written by jaxlatent.save_safetensors ({error}); write it again"
        ) from error
    graphdef, state = nnx.split(nnx.eval_shape(lambda: Autoencoder(config, rngs=nnx.Rngs(0))))
    wanted = _named(state)
    for name in sorted(wanted.keys() | found.keys()):
        here, there = (
            f"{x.dtype}{list(x.shape)}" if x is not None else "nothing"
            for x in (wanted.get(name), found.get(name))
        )
        if here != there:
            raise ValueError(f"{path}: {name} is {there}, expected {here}")
    leaves = [jnp.asarray(found[name]) for name in wanted]
    return nnx.merge(graphdef, jax.tree.unflatten(jax.tree.structure(state), leaves))


class _Equipped(NamedTuple):
    sampler: Sampler
    tables: Any


class _Arrays:
    """A pytree as named arrays, and back."""

    def __init__(self, tree: Any, used: Sequence[bool] | None = None):
        self._leaves = _named(tree)
        self._structure = jax.tree.structure(tree)
        names = self._leaves if used is None else [n for n, u in zip(self._leaves, used, strict=True) if u]
        leaves = {name: self._leaves[name] for name in names}
        # Weakly typed where a leaf is a Python number, as in the live program.
        self.shapes = jax.eval_shape(lambda leaves: leaves, leaves)
        self.arrays = {name: np.asarray(leaf, self.shapes[name].dtype, "C") for name, leaf in leaves.items()}

    def tree(self, arrays: dict[str, Any]) -> Any:
        """The pytree with these arrays, and its own where none are given."""
        return jax.tree.unflatten(self._structure, list((self._leaves | arrays).values()))


def _named(tree: Any) -> dict[str, Any]:
    """The leaves by their paths: of a network without the "value" that each ends in, of a sampler its own."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    names = (jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves)
    names = (name.removesuffix(".value").removeprefix("sampler.") for name in names)
    return {name: leaf for name, (_, leaf) in zip(names, leaves, strict=True)}


def _used(decoder: Decoder, latent_shape: tuple[int, ...]) -> list[bool]:
    """Which of the decoder's arrays anything is computed from: none of an encoder's."""
    z = jax.ShapeDtypeStruct((1, *latent_shape), np.float32)
    program = jax.make_jaxpr(decoder.call)(decoder.params, z).jaxpr
    read = {id(variable) for equation in program.eqns for variable in equation.invars}
    read |= {id(variable) for variable in program.outvars}
    return [id(variable) in read for variable in program.invars[:-1]]


def _decode_program(
    decoded: _Arrays, decoder: Decoder, latent_shape: tuple[int, ...], platforms: Sequence[str]
) -> bytes:
    """The decoder alone, of a batch of any size, for all platforms."""

    def decode(arrays: dict[str, Any], z: jax.Array) -> jax.Array:
        images = decoder.call(decoded.tree(arrays), z)
        is_integer = images.dtype == jnp.uint8
        images = images.astype(jnp.float32)
        return images / 255 if is_integer else images

    z = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("batch"), *latent_shape), np.float32)
    try:
        return _serialise(decode, platforms, decoded.shapes, z)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"decode: jax.export refuses it for {', '.join(platforms)} and a batch of any size "
            f"({' '.join(str(error).split())[:200]})"
        ) from error


def _tile_programs(
    drawn: _Arrays, decoded: _Arrays, decoder: Decoder, latent_shape: tuple[int, ...], platform: str
) -> dict[str, bytes]:
    """Those of one tile, for one platform."""
    tile = decode_tile(decoder.shape, platform)

    def sample(arrays: dict[str, Any], seed: jax.Array, begin: jax.Array) -> jax.Array:
        sampler = equip(*drawn.tree(arrays))
        index = begin + jnp.arange(tile_size(sampler, platform), dtype=jnp.uint32)
        return draw_latent(sampler, seed, index)

    def images(arrays: dict[str, Any], z: jax.Array) -> tuple[jax.Array, jax.Array]:
        images, is_finite = decode_tiles(decoder.call, decoded.tree(arrays), z, tile)
        return images.reshape(-1, *decoder.shape), is_finite

    z = jax.ShapeDtypeStruct((tile, *latent_shape), np.float32)
    return {
        f"{platform}/sample": _serialise(sample, [platform], drawn.shapes, _SEED, _BEGIN),
        f"{platform}/images": _serialise(images, [platform], decoded.shapes, z),
    }


def _serialise(function: Callable, platforms: Sequence[str], *shapes: Any) -> bytes:
    return bytes(jax.export.export(jax.jit(function), platforms=platforms)(*shapes).serialize())


def _metadata(model: "Autoencoder") -> dict[str, str]:
    return {_CONFIG: json.dumps(model.config.to_dict())}


@contextmanager
def _portable() -> Iterator[None]:
    """Without 64-bit types, and without the paths of source files, which belong to one machine."""
    before = jax.config.jax_traceback_in_locations_limit  # type: ignore[attr-defined]
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        with jax.enable_x64(False):
            yield
    finally:
        jax.config.update("jax_traceback_in_locations_limit", before)
