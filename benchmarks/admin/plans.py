"""The measures of `admin`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import redis

from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.plans import run_plans
from benchmarks.valkey import valkey

FIRST = "rooms page, the process's first look"
LATER = "rooms page, once all rooms were looked at"
FIRST_CPU, LATER_CPU = "the process's CPU for the first look", "its CPU for a later one"
LONGEST = "longest call to a Redis server meanwhile"
USUAL = "99 of 100 calls to a Redis server meanwhile, of those above 0.1 ms"
MEMORY = "memory that a room takes in the process"
WHOLE = "until all rooms were looked at"
SERVERS = 4
LOGGED = 100  # µs; shorter calls are not of interest
KEPT = 100_000  # calls that a server keeps in its log
PATIENCE = 600.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomsPage:
    """Processes that have not looked at rooms yet show the list, one after another."""

    rooms: int = 100_000
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, rooms=2_000, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        with ExitStack() as stack:
            urls = [
                stack.enter_context(valkey(f"valkey-{number}", placement.others, folder))[1]
                for number in range(SERVERS)
            ]
            environment = _environment(urls, folder)
            _django(environment, "migrate", "--verbosity", "0")
            _django(environment, "createsuperuser", "--noinput", "--email", "a@example.org")
            stack.enter_context(_crowd(environment, self.rooms))
            servers = [redis.Redis.from_url(url) for url in urls]
            for server in servers:
                stack.callback(server.close)
                server.config_set("slowlog-log-slower-than", LOGGED)
                server.config_set("slowlog-max-len", KEPT)
            for round in range(1, self.rounds + 1):
                for server in servers:
                    server.slowlog_reset()
                found = _visit(environment)
                calls = [entry for server in servers for entry in server.slowlog_get(KEPT)]
                took = sorted(entry["duration"] / 1e3 for entry in calls) or [None]

                def figure(
                    measure: str,
                    value: float | None,
                    unit: str = "ms",
                    round: int = round,
                    found: Mapping[str, Any] = found,
                ) -> Figure:
                    return Figure(
                        measure=measure,
                        layer=f"{self.rooms:,} rooms, {SERVERS} Redis",
                        round=round,
                        value=value,
                        unit=unit,
                        calls=found["rooms"],
                        lost=self.rooms - found["rooms"],
                    )

                yield figure(FIRST, found["cold"])
                yield figure(LATER, found["warm"])
                yield figure(FIRST_CPU, found["cold_cpu"])
                yield figure(LATER_CPU, found["warm_cpu"])
                yield figure(LONGEST, took[-1])
                yield figure(USUAL, took[int(0.99 * (len(took) - 1))])
                yield figure(MEMORY, found["grown"], "bytes")
                yield figure(WHOLE, found["whole"], "s")


PLANS = {"rooms": RoomsPage}
"""What can be asked for."""


run_admin = partial(run_plans, PLANS)
"""Runs those named."""


def _environment(urls: Sequence[str], folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "REDIS_URL": ",".join(urls),
        "DATABASE_URL": f"sqlite:///{folder / 'admin.sqlite3'}",
        "METRICS_DIRECTORY": str(folder / "metrics"),
        "DJANGO_DEBUG": "1",
        "LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DJANGO_SUPERUSER_USERNAME": "admin",
        "DJANGO_SUPERUSER_PASSWORD": "benchmark",
    }


def _django(environment: Mapping[str, str], *words: str) -> None:
    command = [sys.executable, "-m", "django", *words]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def _visit(environment: Mapping[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.admin.visit"]
    answer = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, timeout=PATIENCE
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@contextmanager
def _crowd(environment: Mapping[str, str], rooms: int) -> Iterator[None]:
    """Have somebody in each room inside the block."""
    command = [sys.executable, "-m", "benchmarks.admin.crowd", str(rooms)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("The rooms could not be filled.")
        try:
            yield
        finally:
            process.stdin.close()
