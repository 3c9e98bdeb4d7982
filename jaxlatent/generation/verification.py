"""Checking what generation has written, and making good what is lost."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent._cores import cores
from jaxlatent._files import lock
from jaxlatent._progress import progress_bar
from jaxlatent.generation.bulk import Outputs, generate_to
from jaxlatent.generation.formats import FORMATS
from jaxlatent.generation.formats.base import Entry, entry
from jaxlatent.generation.manifest import Record, read_manifest
from jaxlatent.generation.tiles import Filter
from jaxlatent.sampling.sampler import Sampler


@dataclass(frozen=True)
class Problem:
    """Something that is not as the manifest has it.

    Attributes:
        name: of the file, or of what else it is about.
        reason: what is wrong with it.
        shard: number of the shard that it belongs to; None if it belongs to none.
    """

    name: str
    reason: str
    shard: int | None = None


def verify(path: str | os.PathLike[str], *, progress: bool = False) -> list[Problem]:
    """Reads every file of a folder that `generate_to` wrote and compares size and SHA-256 digest.

    Args:
        path: the folder.
        progress: show a bar where standard error is a terminal.

    Returns:
        What is missing, damaged or not written yet; empty if all is well.

    Raises:
        FileNotFoundError: if the folder holds no generated records.
        ValueError: if its manifest is damaged.
    """
    folder = Path(path)
    manifest = read_manifest(folder).with_logs(folder)
    store = FORMATS[manifest.asked["format"]](folder, manifest.layout)
    problems = []
    lacking = [n for n in range(manifest.layout.n_shards) if n not in manifest.shards]
    if lacking:
        some = f"{len(lacking)} of {manifest.layout.n_shards} are not written yet, the first is {lacking[0]}"
        problems.append(Problem("shards", some))
    elif not manifest.complete:
        problems.append(Problem("manifest.json", "the job was stopped before its end"))

    def check(record: Record | None) -> list[Problem]:
        if record is None:
            return _compare(manifest.files, lambda name: entry(folder, name), None)
        return _compare(record.files, lambda name: store.entry(record.shard, name), record.shard.number)

    records = [None, *(manifest.shards[number] for number in sorted(manifest.shards))]
    with (
        progress_bar("verify", len(records), "shards", enabled=progress) as advance,
        ThreadPoolExecutor(cores()) as pool,
    ):
        for found in pool.map(check, records):
            problems += found
            advance(1)
    return problems


def _compare(files: tuple[Entry, ...], look: Callable[[str], Entry], shard: int | None) -> list[Problem]:
    problems = []
    for kept in files:
        try:
            found = look(kept.name)
        except FileNotFoundError:
            problems.append(Problem(kept.name, "missing", shard))
        except (OSError, ValueError) as error:
            problems.append(Problem(kept.name, f"cannot be read: {error}", shard))
        else:
            if found.bytes != kept.bytes:
                reason = f"has {found.bytes:,} bytes instead of {kept.bytes:,}"
                problems.append(Problem(kept.name, reason, shard))
            elif found.sha256 != kept.sha256:
                problems.append(Problem(kept.name, "its content has changed (SHA-256)", shard))
    return problems


def repair(
    path: str | os.PathLike[str],
    sampler: Sampler,
    decode: Any,
    *,
    filter: Filter | None = None,
    batch_size: int | None = None,
    progress: bool = False,
) -> list[Problem]:
    """Generates anew whatever `verify` finds missing or damaged, and nothing else.

    Args:
        path: a folder that `generate_to` wrote.
        sampler: the sampler it was made with.
        decode: the decoder it was made with.
        filter: the predicate it was made with, from latent vectors (b, d) to booleans (b,).
        batch_size: see `generate_to`.
        progress: show bars where standard error is a terminal.

    Returns:
        What was found and made good.

    Raises:
        ValueError: if sampler, decoder or filter are not those of the folder, or another process is writing
            to it; and as for `verify`.
    """
    folder = Path(path)
    problems = verify(folder, progress=progress)
    manifest = read_manifest(folder)
    if problems:
        broken = {problem.shard for problem in problems}
        with lock(folder):
            manifest = read_manifest(folder).with_logs(folder)
            sound = {n: record for n, record in manifest.shards.items() if n not in broken}
            replace(manifest, shards=sound, complete=False).write(folder)
    asked, items = manifest.asked, manifest.layout.items
    outputs: Outputs = "both" if len(items) == 2 else "images" if "images" in items else "latents"
    data = jnp.asarray(np.array(asked["key"]["data"], np.uint32))
    generate_to(
        folder,
        sampler,
        decode,
        manifest.layout.n,
        key=jax.random.wrap_key_data(data, impl=asked["key"]["impl"]),
        outputs=outputs,
        format=asked["format"],
        batch_size=batch_size,
        filter=filter,
        decoder_id=asked["decoder"] and asked["decoder"]["id"],
        progress=progress,
    )
    return problems
