"""What a folder of records holds: manifest.json, and the logs that lead up to it.

`manifest.json` says what was asked and which shards are done. It is written in one step, at the start of a
run and at its end. In between, each process appends a line for every shard it has written to its own log,
`log/process-00000.jsonl`; the next run takes into the manifest what logs have gained since it was written.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxlatent._files import atomic_path
from jaxlatent.generation.formats import Entry, Item, Layout, Shard

MANIFEST = "manifest.json"
LOGS = "log"
_FORMAT = 1


@dataclass(frozen=True)
class Record:
    """A shard that is done.

    Attributes:
        shard: which.
        files: what holds it.
        drawn: how many vectors were drawn for it; more than its count where a filter refused some.
    """

    shard: Shard
    files: tuple[Entry, ...]
    drawn: int


@dataclass(frozen=True)
class Manifest:
    """The state of a folder of records.

    Attributes:
        asked: what determines the records: number, format, key, digests of sampler and decoder, filter.
        layout: how they are divided.
        versions: of the libraries that the job was begun with.
        origin: what else was said of where the records come from; not compared.
        complete: whether everything is done.
        shards: those done, by number.
        files: what belongs to no single shard.
        read: how far, in bytes, each log is contained in `shards`.
    """

    asked: Mapping[str, Any]
    layout: Layout
    versions: Mapping[str, str]
    origin: Mapping[str, Any]
    complete: bool = False
    shards: Mapping[int, Record] = field(default_factory=dict)
    files: tuple[Entry, ...] = ()
    read: Mapping[str, int] = field(default_factory=dict)

    @property
    def acceptance(self) -> float:
        """The share of the vectors drawn that the filter accepted; 1 without a filter."""
        drawn = sum(record.drawn for record in self.shards.values())
        return sum(record.shard.count for record in self.shards.values()) / drawn if drawn else 1.0

    def write(self, folder: Path) -> None:
        """Writes it, durably and in one step."""
        content = {
            "format": f"jaxlatent records {_FORMAT}",
            "complete": self.complete,
            "asked": self.asked,
            "layout": {
                "n": self.layout.n,
                "shard_size": self.layout.shard_size,
                "items": {
                    name: {"shape": item.shape, "dtype": str(item.dtype)}
                    for name, item in self.layout.items.items()
                },
            },
            "versions": self.versions,
            "origin": self.origin,
            "files": [asdict(entry) for entry in self.files],
            "read": self.read,
        }
        # A line a shard, as there can be very many.
        shards = [json.dumps(_record_to_json(self.shards[number])) for number in sorted(self.shards)]
        with atomic_path(folder / MANIFEST, durable=True) as temporary:
            head = json.dumps(content, indent=1).removesuffix("\n}")
            temporary.write_text(head + ',\n "shards": [\n  ' + ",\n  ".join(shards) + "\n ]\n}\n")

    def with_logs(self, folder: Path) -> "Manifest":
        """The same with the shards that logs have recorded since it was written."""
        shards, read = dict(self.shards), dict(self.read)
        for path in sorted((folder / LOGS).glob("*.jsonl")):
            content = path.read_bytes()
            known = read.get(path.name, 0)
            if known > len(content):  # another file than the one that was read
                known = 0
            for line in content[known:].splitlines():
                event = _json_or_none(line)
                if event and event.get("event") == "shard":
                    record = _record_from_json(event, self.layout)
                    shards[record.shard.number] = record
            read[path.name] = len(content)
        return replace(self, shards=shards, read=read)


def read_manifest(folder: Path) -> Manifest:
    """Reads a folder's manifest.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, or of another version of jaxlatent.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: holds no generated records (no {MANIFEST})")
    try:
        content = json.loads(path.read_text())
        kind, _, number = content["format"].rpartition(" ")
        if kind != "jaxlatent records":
            raise ValueError(f"its format is {content['format']!r}")
        if int(number) > _FORMAT:
            raise ValueError(f"format {number}, this version reads {_FORMAT}; update jaxlatent")
        items = {
            name: Item(tuple(item["shape"]), np.dtype(item["dtype"]))
            for name, item in content["layout"]["items"].items()
        }
        layout = Layout(content["layout"]["n"], content["layout"]["shard_size"], items)
        records = [_record_from_json(each, layout) for each in content["shards"]]
        return Manifest(
            content["asked"],
            layout,
            content["versions"],
            content["origin"],
            content["complete"],
            {record.shard.number: record for record in records},
            tuple(Entry(**each) for each in content["files"]),
            content["read"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path}: not a manifest that this version of jaxlatent reads ({error!r})"
        ) from error


def _record_to_json(record: Record) -> dict[str, Any]:
    files = [asdict(entry) for entry in record.files]
    return {**asdict(record.shard), "drawn": record.drawn, "files": files}


def _record_from_json(content: Mapping[str, Any], layout: Layout) -> Record:
    shard = layout.shard(content["number"])
    if (content["start"], content["count"]) != (shard.start, shard.count):
        raise ValueError(f"shard {shard.number} does not fit the layout")
    return Record(shard, tuple(Entry(**each) for each in content["files"]), content["drawn"])


def _json_or_none(line: bytes) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:  # a process was killed while it wrote
        return None


class Log:
    """Appends events to the log of one process, each a line of JSON with the time in UTC."""

    def __init__(self, folder: Path, process: int):
        path = folder / LOGS / f"process-{process:05d}.jsonl"
        path.parent.mkdir(exist_ok=True)
        self._file = path.open("ab", buffering=0)
        if path.stat().st_size:
            self._file.write(b"\n")  # so that a torn last line stays alone

    def write(self, event: str, **values: Any) -> None:
        """Appends an event; what it says is on the disk when this returns."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps({"time": now, "event": event, **values}) + "\n"
        self._file.write(line.encode())  # in one call, whole between the lines of other threads
        os.fsync(self._file.fileno())

    def shard(self, record: Record, **values: Any) -> None:
        """Records a shard that is done."""
        self.write("shard", **_record_to_json(record), **values)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
