"""Processes that stand still for a while, of which some may end meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import psutil


@contextlib.contextmanager
def frozen(pids: Iterable[int]) -> Iterator[None]:
    """Stop processes (SIGSTOP), and let all of them run again in the end.

    A server's processes come and go: one that is gone is passed over.
    """
    stopped = []
    try:
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                process.suspend()
                stopped.append(process)
        yield
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
