"""What files another process has open, and may open. Linux only."""

from __future__ import annotations

import os

import psutil


def open_files(pid: int) -> set[int]:
    """Return the descriptors of a process."""
    return {int(name) for name in os.listdir(f"/proc/{pid}/fd")}


def allow_files(pid: int, count: int) -> None:
    """Let a process open so many files beyond those that it has."""
    opened = open_files(pid)
    limit = 0
    while count or limit in opened:
        count -= limit not in opened
        limit += 1
    _, hard = psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE)
    psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE, (limit, hard))
