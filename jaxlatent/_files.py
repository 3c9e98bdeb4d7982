"""Files that are either whole or absent."""

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The file by which `lock` locks a folder.
LOCK = ".lock"


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, durable: bool = False) -> Iterator[Path]:
    """Gives a temporary path beside `path` and renames it to `path` when the block ends well.

    The temporary name keeps the suffix of `path`, as writers choose the format by it. What the block
    wrote is removed when it raises. A file or folder that is there already is replaced; of a folder, a
    process that is killed between the two renames this takes leaves the old one under a hidden name.

    Args:
        path: what to write.
        durable: wait until the content, and then the name, have reached the disk, so that a name
            which is there after a power cut stands for whole content.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    old = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        if durable:
            for each in [temporary, *temporary.rglob("*")] if temporary.is_dir() else [temporary]:
                sync(each)
        if temporary.is_dir() and path.exists():
            path.rename(old)
        temporary.replace(path)
        if durable:
            sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Removes what `atomic_path` left in a folder because its process was killed; undoes half a replacement.

    Only where no other process is writing to it.
    """
    for path in folder.iterdir():
        match = re.fullmatch(r"\.(.+)\.[0-9a-f]{8}\.tmp(\..*?)??(\.old)?", path.name)
        if match is None:
            continue
        kept = folder / f"{match[1]}{match[2] or ''}"
        if match[3] and not kept.exists():
            path.rename(kept)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keeps others from writing to a folder; a process that ends, however it ends, lets go of it.

    Raises:
        ValueError: if another process holds it.
    """
    import filelock

    try:
        with filelock.FileLock(folder / LOCK, blocking=False):
            yield
    except filelock.Timeout:
        raise ValueError(f"{folder}: another process is writing to it; wait for it or stop it") from None


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, has reached the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
