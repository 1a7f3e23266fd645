"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_SPARE = 512  # descriptors that a process needs besides its connections


class TooFewDescriptors(RuntimeError):
    """The system doesn't let a process open as many sockets as the benchmark needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which CPUs the measured server has, and which all the others.

    On a machine with one CPU they share it.
    """

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_machine(cls) -> Placement:
        """Give the server a CPU of its own: a move between two would be charged to it."""
        first, *others = sorted(os.sched_getaffinity(0))
        server = frozenset({first})
        return cls(server=server, others=frozenset(others) or server)


def raise_descriptor_limit(connections: int) -> None:
    """Let this process and its children open `connections` sockets each.

    Raises:
        TooFewDescriptors: The hard limit is below that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise TooFewDescriptors(
            f"{connections} connections need {wanted} file descriptors, but the hard limit is "
            f"{hard}: raise it (ulimit -Hn) or ask for fewer connections"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def describe_machine() -> dict[str, str | int | float]:
    """Return what of the machine bears on the figures."""
    return {
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def describe_versions(distributions: Iterable[str], redis_server: Path) -> dict[str, str]:
    """Return the versions of installed distributions, of the Redis server and of this source."""
    found = {}
    for name in sorted(set(distributions), key=str.lower):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["redis server"] = _output(str(redis_server), "--version")
    found["source"] = _output("git", "describe", "--always", "--dirty", "--abbrev=12")
    return found


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(*command: str) -> str:
    """Return what a command prints, or why there is nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError as error:
        return str(error)
    return done.stdout.strip() or done.stderr.strip()
