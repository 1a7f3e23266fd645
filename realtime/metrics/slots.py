"""A number for each process of a role on this machine, that is free again when it ends.

Prometheus keeps every value of a label that it has ever seen, so a process id must not be one. A
process takes the lowest free number of its role, by a lock that the system lets go when it dies.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

MAX_SLOTS = 1_000  # processes of one role


class MetricsDirectoryError(Exception):
    """The directory can't be used."""


class Slot:
    """A process's number in a directory, held until the process ends.

    Args:
        directory: Where all processes of this machine write. Made, for the user alone.
        role: Whose number.

    Attributes:
        number: From 0.
        name: The role and the number.

    Raises:
        MetricsDirectoryError: It can't be made, others may write to it, or no number is free.
    """

    def __init__(self, directory: Path, role: str) -> None:
        require_own(directory)
        for number in range(MAX_SLOTS):
            try:
                lock = _lock(directory / f"{role}-{number}.lock")
            except OSError as error:
                raise MetricsDirectoryError(f"{directory} can't be used: {error}") from error
            if lock is None:
                continue
            self._lock = lock  # kept open, and the lock with it; not inherited by programs
            self.number = number
            self.name = f"{role}-{number}"
            return
        raise MetricsDirectoryError(f"{MAX_SLOTS} processes of role {role!r} use {directory}.")

    @property
    def is_lost(self) -> bool:
        """Whether its file was deleted, so that others may take its number."""
        return os.fstat(self._lock).st_nlink == 0

    def release(self) -> None:
        """Free the number."""
        os.close(self._lock)


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds a file's lock, None if another process has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return lock


def is_held(directory: Path, name: str) -> bool:
    """Tell whether a process has that number now."""
    try:
        lock = os.open(directory / f"{name}.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def require_own(directory: Path) -> None:
    """Make a directory for this user alone, if there is none.

    Raises:
        MetricsDirectoryError: It can't be made, is another user's, or others may write to it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError as error:
        raise MetricsDirectoryError(f"{directory} can't be made: {error}") from error
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise MetricsDirectoryError(
            f"{directory} belongs to another user, or others may write to it. Prometheus gets "
            f"what is there: choose another METRICS_DIRECTORY, or run: chmod go-w {directory}"
        )
