"""What a result was made from, so that none is used after that has changed."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxlatent._files import atomic_path

_LIBRARIES = ("jaxlatent", "jax", "flax", "optax", "numpy")


class StaleError(ValueError):
    """A result was made from something else than what is there now; the message says what to do."""


def library_versions() -> dict[str, str]:
    """Of what results depend on."""
    return {name: version(name) for name in _LIBRARIES}


@dataclass(frozen=True)
class Origin:
    """Where a result comes from.

    Attributes:
        step: the command that makes it and its options, without the folder: ("fit", "--sampler", "exact").
        inputs: what it was made from, each with its SHA-256 digest.
        sha256: of the result itself.
        options: what else it depends on.
        versions: of the libraries that made it.
    """

    step: tuple[str, ...]
    inputs: Mapping[str, str | None]
    sha256: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=library_versions)

    def write(self, path: Path) -> None:
        """Writes it as JSON."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Origin | None":
        """Reads what `write` wrote; None where it is not there, or not whole."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(**content | {"step": tuple(content["step"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def command(self, folder: Path) -> str:
        """The command that makes the result again."""
        return command(folder, *self.step)


def command(folder: Path, step: str, *options: str) -> str:
    """A command on a run folder, as a person would type it."""
    return f"`{shlex.join(['jaxlatent', step, str(folder), *options])}`"
