"""Whether the system lets a server hold as many connections as the settings allow."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

from realtime.checkup.finding import CheckRequest, Finding, ok, warning
from realtime.conf import conf
from shardlayer import room_for_connections

SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
FEW = 1024  # connections that may wait to be accepted; older kernels had 128


def check_limits(asked: CheckRequest) -> Iterator[Finding]:
    """Yield which limit of the system is below what is meant."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room, capacity = room_for_connections(hard), conf().ws_max_connections
    problems = [*_of_files(hard, room, capacity), *_of_waiting()]
    yield from problems
    if not problems:
        may = "any number" if not capacity else f"{capacity:,}"
        files = "no limit" if not room else f"{hard:,}"
        yield ok(f"Open files: {files} a process, for {may} connections of this machine.")


def _of_files(hard: int, room: int, capacity: int) -> Iterator[Finding]:
    if room and capacity > room:
        yield warning(
            f"A process of this shell may open {hard:,} files, so it holds about {room:,} "
            f"connections; WS_MAX_CONNECTIONS is {capacity:,} for all workers together.",
            f"Raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd) above {capacity:,} where "
            "one worker is to hold them all, or start more workers.",
        )


def _of_waiting() -> Iterator[Finding]:
    try:
        most = int(SOMAXCONN.read_text())
    except (OSError, ValueError):  # another system
        return
    if most < FEW:
        yield warning(
            f"Only {most:,} new connections may wait to be accepted, so many that come back at "
            "once are refused.",
            f"sysctl -w net.core.somaxconn={FEW * 4}",
        )
