"""What the processes of this machine have written of their figures, a file each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from realtime.metrics.slots import is_held

ENDING = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The figures of one process at one moment.

    Attributes:
        role: What the process is.
        worker: Its number among those of its role.
        figures: By name, as `figures.read_all` returns them.
    """

    role: str
    worker: int
    figures: Mapping[str, Any]


def write_snapshot(directory: Path, snapshot: Snapshot) -> None:
    """Put a process's figures in the place of those before. Who reads sees the one or the other.

    Raises:
        OSError: They can't be written.
    """
    name = f"{snapshot.role}-{snapshot.worker}"
    new = directory / f"{name}.new"
    new.write_bytes(orjson.dumps(snapshot))
    new.replace(directory / f"{name}{ENDING}")


def read_snapshots(directory: Path) -> Iterator[Snapshot]:
    """Yield what the processes that live have written, and delete what others have left."""
    for path in sorted(directory.glob(f"*{ENDING}")):
        try:
            if is_held(directory, path.stem):
                yield Snapshot(**orjson.loads(path.read_bytes()))
            else:
                path.unlink(missing_ok=True)
        except (OSError, ValueError, TypeError):  # gone meanwhile, or another release's
            continue


def forget_snapshot(directory: Path, name: str) -> None:
    """Delete what a process has written, as it ends."""
    for ending in (ENDING, ".new"):
        (directory / f"{name}{ending}").unlink(missing_ok=True)
