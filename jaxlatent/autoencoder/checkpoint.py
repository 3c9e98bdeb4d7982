"""Arrays and a description in one folder that is whole or absent; models are kept this way."""

import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxlatent._files import atomic_path
from jaxlatent._signals import signals_held
from jaxlatent.autoencoder.config import AutoencoderConfig
from jaxlatent.autoencoder.network import Autoencoder

_DESCRIPTION = "description.json"
_WEIGHTS = "weights"
_MODEL_FORMAT = "jaxlatent autoencoder 1"


def save_model(path: str | os.PathLike[str], model: Autoencoder) -> None:
    """Writes a network with its configuration to the folder `path`.

    A model that is there already is replaced.

    Raises:
        ValueError: if `path` exists and is no saved model.
    """
    path = Path(path)
    if path.exists() and not _is_model(path):
        raise ValueError(f"path: {path} exists and is no saved model; choose another folder")
    description = {"format": _MODEL_FORMAT, "config": model.config.to_dict()}
    write_checkpoint(path, nnx.split(model)[1], description)


def load_model(path: str | os.PathLike[str]) -> Autoencoder:
    """Reads a network that `save_model` wrote.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no model, or one that this version cannot read.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"path: there is no folder {path}; train a model and save it there")
    if not _is_model(path):
        raise ValueError(f"path: {path} holds no saved model; expected a folder of save_model")
    model = nnx.eval_shape(
        lambda: Autoencoder(AutoencoderConfig.from_dict(read_description(path)["config"]), rngs=nnx.Rngs(0))
    )
    graphdef, state = nnx.split(model)
    return nnx.merge(graphdef, read_checkpoint(path, state))


def _is_model(path: Path) -> bool:
    return (path / _DESCRIPTION).is_file() and read_description(path).get("format") == _MODEL_FORMAT


def write_checkpoint(path: Path, tree: Any, description: dict[str, Any]) -> None:
    """Writes a tree of arrays and a JSON description to a folder, replacing a folder that is there.

    A process that is killed on the way leaves the old folder or the new one. In the instant between the
    two renames of a replacement the old one is under a hidden name; `read_checkpoint` callers that
    cannot bear this write to a new name each time.
    """
    from orbax.checkpoint import v1

    with signals_held(), atomic_path(path) as temporary:
        temporary.mkdir()
        leaves = _named_leaves(tree)
        v1.save(temporary.absolute() / _WEIGHTS, leaves)
        description = {**description, "arrays": {k: _shape(v) for k, v in leaves.items()}}
        (temporary / _DESCRIPTION).write_text(json.dumps(description, indent=1))


def read_description(path: Path) -> dict[str, Any]:
    """Reads the JSON description of a checkpoint."""
    return json.loads((path / _DESCRIPTION).read_text())


def read_checkpoint(path: Path, like: Any) -> Any:
    """Reads the arrays of a checkpoint into the structure of `like`, arrays or their shapes.

    Raises:
        ValueError: if the checkpoint's arrays have other names, shapes or dtypes.
    """
    leaves = _named_leaves(like)
    shapes = {name: _shape(leaf) for name, leaf in leaves.items()}
    kept = read_description(path)["arrays"]
    for name in sorted(kept.keys() | shapes.keys()):
        if kept.get(name) != shapes.get(name):
            raise ValueError(
                f"path: {path} does not fit: {name} is {kept.get(name, 'missing')} there, "
                f"expected {shapes.get(name, 'none')}"
            )
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    wanted = {
        name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device) for name, leaf in leaves.items()
    }
    from orbax.checkpoint import v1

    with signals_held():
        found = v1.load(path.absolute() / _WEIGHTS, wanted)
    # Orbax sorts the names; the tree has an order of its own.
    return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in wanted])


def _named_leaves(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
    return {name: leaf for name, (_, leaf) in zip(names, leaves, strict=True)}


def _shape(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def host_copy(tree: Any) -> Any:
    """Copies a tree to NumPy arrays, which a donated buffer cannot take away."""
    return jax.tree.map(lambda a: np.array(a, copy=True), tree)
