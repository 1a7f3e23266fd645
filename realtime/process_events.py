"""What the log says of a process of ours: when it began to work, and when it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from shardlayer import tell_event


@contextmanager
def told_as_running(role: str) -> Iterator[None]:
    """Tell that a process of a role starts, and with the end of the block that it has stopped.

    Args:
        role: As in the figures: `worker`, `pool`, `outbox`, `balancer`.
    """
    began = time.monotonic()
    tell_event("started", role=role, version=_version())
    try:
        yield
    finally:
        tell_event("stopped", role=role, seconds=round(time.monotonic() - began, 3))


def _version() -> str | None:
    try:
        return version("shardlayer")
    except PackageNotFoundError:  # run from its sources
        return None
