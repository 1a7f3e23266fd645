"""Clients that come and go, and those that stay and are published to all the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from redis import Redis

from benchmarks.accounting import rss_bytes
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.scale.deployment import Deployment
from benchmarks.soak.slopes import Reading, settled, slope

WORKER, STORE = "the worker", "Redis"
MEMORY, DESCRIPTORS, THREADS = "memory, growth an hour", "open files, growth an hour", "threads"
KEYS = "keys, growth an hour"
CONNECTS = "connections a second that came and went"
DELIVERIES = "deliveries to those who stayed"

_BETWEEN = 5.0  # seconds between two readings
_READINGS = 12  # at least, in a short run: a slope needs three after the warm-up
_MB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """Two hundred clients stay; as many more come and go again and again, in rooms of their own.

    Attributes:
        minutes: How long.
        staying: Clients that are published to all the time, each in a room of its own.
        coming: Clients that come, and go, in each turn; into 500 rooms, one after the other.
    """

    minutes: float = 60.0
    staying: int = 200
    coming: int = 200

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, minutes=0.2, staying=20, coming=20)

    def run(
        self, placement: Placement, folder: Path, said: Callable[[Reading], None]
    ) -> Iterator[Figure]:
        """Yield the figures, having said each reading."""
        readings: list[Reading] = []
        between = min(_BETWEEN, self.minutes * 60 / _READINGS)
        came = delivered = lost = 0
        with Deployment(
            nodes=1,
            servers=1,
            clients=self.staying,
            rooms=self.staying,
            placement=placement,
            folder=folder,
        ) as deployment:
            deployment.verify()
            passers = deployment.passers_by()
            with Redis.from_url(deployment.redis_urls[0]) as redis:
                began, next_at = time.monotonic(), 0.0
                while (at := time.monotonic() - began) < self.minutes * 60:
                    passers.come(self.coming)
                    spent = deployment.publish(0.2)
                    passers.go()
                    came += self.coming
                    delivered += spent.delivered
                    lost += spent.lost
                    if at >= next_at:
                        next_at = at + between
                        readings.append(_reading(at, deployment.worker_pid, redis))
                        said(readings[-1])
        yield from self._figures(readings, came, delivered, lost)

    def _figures(
        self, readings: list[Reading], came: int, delivered: int, lost: int
    ) -> Iterator[Figure]:
        calm = settled(readings)
        seconds = self.minutes * 60
        for measure, what, value, unit in (
            (MEMORY, WORKER, slope(calm, "worker_bytes") / _MB, "MB"),
            (DESCRIPTORS, WORKER, slope(calm, "descriptors"), ""),
            (THREADS, WORKER, max(each.threads for each in calm), ""),
            (MEMORY, STORE, slope(calm, "redis_bytes") / _MB, "MB"),
            (KEYS, STORE, slope(calm, "redis_keys"), ""),
            (CONNECTS, WORKER, came / seconds, "1/s"),
            (DELIVERIES, WORKER, float(delivered), ""),
        ):
            yield Figure(
                measure=measure,
                layer=what,
                round=1,
                value=value if delivered else None,  # an idle worker is not what is looked at
                unit=unit,
                calls=len(readings),
                lost=lost,
            )


def _reading(at: float, pid: int, redis: Redis) -> Reading:
    process = Path(f"/proc/{pid}")
    return Reading(
        at=at,
        worker_bytes=rss_bytes(pid),
        descriptors=len(list((process / "fd").iterdir())),
        threads=len(list((process / "task").iterdir())),
        redis_bytes=redis.info("memory")["used_memory"],
        redis_keys=redis.dbsize(),
    )
