"""django-prometheus' figures over all processes of a machine, by prometheus_client's own mode.

It keeps each process's values in files, under the process id. So a scrape takes longer with every
process that there ever was, and the files stay. Here they have a slot's number instead.

It writes through a memory map into files with holes. Where the disk is full the system then ends
the process (SIGBUS), which no code can catch. So the free space is checked before a value is added,
and the holes are filled after that.

Source: https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from realtime.metrics.slots import MetricsDirectoryError, Slot
from shardlayer import Throttle

logger = logging.getLogger(__name__)

ROOM = 8 * 1024 * 1024  # bytes that have to be free on the disk for another value

_slots: list[Slot] = []  # held until the process ends


def share_django_figures(directory: Path | str) -> None:
    """Keep this process's figures of prometheus_client in a directory, as all processes do.

    To be called in the settings: before django-prometheus, or anything else, makes a figure.
    Without prometheus_client it does nothing. With a directory that can't be used the process's
    figures stay its own, and the log says so.
    """
    try:
        from prometheus_client import values
    except ModuleNotFoundError:
        return
    own = Path(directory) / "django"
    try:
        slot = Slot(own, "process")
    except MetricsDirectoryError as error:
        logger.error("Django's figures are not shared: %s", error)
        return
    _slots.append(slot)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(own)
    make: Any = values.MultiProcessValue
    in_files = make(process_identifier=lambda: slot.number)
    values.ValueClass = _with_room(in_files, values.MutexValue, own, slot)


def _with_room(in_files: Any, in_memory: Any, directory: Path, slot: Slot) -> Any:
    """Return a class of values in files; what it makes where the disk is full is in memory."""
    is_due = Throttle().is_due

    class Value(in_files):  # type: ignore[misc]
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            if _has_room(directory):
                return super().__new__(cls)
            if is_due():
                text = "Figures of Django are not shared: less than %d MiB are free in %s"
                logger.error(text, ROOM // 2**20, directory)
            return in_memory(*args, **kwargs)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            _fill_holes(directory, slot)

    return Value


def _has_room(directory: Path) -> bool:
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize >= ROOM


def _fill_holes(directory: Path, slot: Slot) -> None:
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    for path in directory.glob(f"*_{slot.number}.db"):
        try:
            with path.open("r+b") as file:
                found = os.fstat(file.fileno())
                if found.st_blocks * 512 < found.st_size:
                    os.posix_fallocate(file.fileno(), 0, found.st_size)
        except OSError as error:
            logger.debug("%s can't be given its room: %s", path, error)
