"""The measures of `scale`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from redis import Redis

from benchmarks.children import Servant
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.plans import Plan, run_plans
from benchmarks.scale.deployment import Deployment, Spent
from benchmarks.scale.emitters import room
from benchmarks.valkey import valkey
from shardlayer import ShardedChannelLayer

ONE_ROOM, OWN_ROOMS = "one room of all", "a room of each client"
RESUMING = "20,000 rooms of one node"
PER_DELIVERY = "workers and Redis, CPU per delivered message"
WORKERS_PER_DELIVERY = "of it the workers"
REDIS_PER_PUBLICATION = "Redis, CPU per publication"
LONGEST_TURN, P99_TURN = "longest turn of the event loop, CPU", "p99 of turns of 1 ms or more, CPU"
RESUMED_IN = "all resumed, and what was missed delivered"
JOINS_PER_WRITE = "joins in one write to Redis"


def with_nodes(count: int, rooms: str) -> str:
    """Return the name of a deployment with so many workers."""
    return f"{count} node{'s' * (count > 1)}, {rooms}"


def with_servers(count: int) -> str:
    """Return the name of a deployment with so many Redis servers."""
    return f"{count} Redis, {OWN_ROOMS}"


def _figures(name: str, round: int, spent: Spent) -> Iterator[Figure]:
    for measure, used, count in (
        (PER_DELIVERY, spent.workers + spent.redis, spent.delivered),
        (WORKERS_PER_DELIVERY, spent.workers, spent.delivered),
        (REDIS_PER_PUBLICATION, spent.redis, spent.published),
    ):
        yield Figure(
            measure=measure,
            layer=name,
            round=round,
            value=used / count / 1e3 if count else None,
            unit="µs",
            calls=count,
            lost=spent.lost,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployments:
    """Deployments of several sizes, one after the other; each worker has as many clients.

    Attributes:
        sizes: Of each: its name, how many workers and Redis servers, and whether each client has
            a room of its own.
        clients: Of each worker.
        seconds: Of publishing, one message to each room after the other.
    """

    sizes: tuple[tuple[str, int, int, bool], ...]
    clients: int = 250
    seconds: float = 4.0
    rounds: int = 3

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        ends = (self.sizes[0], self.sizes[1])
        return replace(self, sizes=ends, clients=20, seconds=0.5, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            for size in self.sizes if round % 2 else reversed(self.sizes):
                name, nodes, servers, has_own = size
                with Deployment(
                    nodes=nodes,
                    servers=servers,
                    clients=self.clients,
                    rooms=self.clients * nodes if has_own else 1,
                    placement=placement,
                    folder=folder,
                ) as deployment:
                    deployment.verify()
                    deployment.publish(self.seconds / 4)
                    yield from _figures(name, round, deployment.publish(self.seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resuming:
    """A node in many rooms stands still while each is published to, and its connections are cut."""

    rooms: int = 20_000
    rounds: int = 3
    patience: float = 120.0  # seconds

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, rooms=500, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        with (
            valkey("resuming-valkey", placement.others, folder) as (_, url),
            Redis.from_url(url, decode_responses=True) as redis,
            Servant(
                "resuming-node",
                ["benchmarks.scale.resuming_node", url],
                cpus=placement.server,
                folder=folder,
            ) as node,
        ):
            node.ask("join", self.patience, rooms=self.rooms)
            for round in range(1, self.rounds + 1):
                node.ask("watch", self.patience)
                with node.stopped():
                    asyncio.run(self._publish(url))
                    for kind in ("pubsub", "normal"):
                        redis.client_kill_filter(_type=kind, skipme=True)
                    before, began = _told(redis), time.monotonic()
                found = node.ask(
                    "resumed", self.patience + 5, count=self.rooms, patience=self.patience
                )
                seconds, after = time.monotonic() - began, _told(redis)
                joins, writes = (after[key] - before[key] for key in ("scripts", "reads"))
                for measure, value, unit in (
                    (LONGEST_TURN, found["longest_ms"], "ms"),
                    (P99_TURN, found["p99_ms"], "ms"),
                    (RESUMED_IN, seconds, "s"),
                    (JOINS_PER_WRITE, joins / writes, "joins"),
                ):
                    yield Figure(
                        measure=measure,
                        layer=RESUMING,
                        round=round,
                        value=value,
                        unit=unit,
                        calls=int(found["count"]),
                        lost=max(self.rooms - int(found["count"]), 0),
                        repeated=max(int(found["count"]) - self.rooms, 0),
                    )

    async def _publish(self, url: str) -> None:
        layer = ShardedChannelLayer(hosts=[url])
        try:
            for start in range(0, self.rooms, 2_000):
                numbers = range(start, min(start + 2_000, self.rooms))
                await layer.publish_many([(room(number), b"1") for number in numbers])
        finally:
            await layer.close()


def _told(redis: Any) -> dict[str, int]:
    """Return how many scripts a server has run, and how often it has read from a connection."""
    scripts = redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    return {"scripts": int(scripts), "reads": int(redis.info("stats")["total_reads_processed"])}


_NODES = (1, 2, 4, 8)
_SERVERS = (1, 2, 4)

PLANS: Final[Mapping[str, Callable[[], Plan]]] = {
    "nodes": partial(
        Deployments, sizes=tuple((with_nodes(n, ONE_ROOM), n, 1, False) for n in _NODES)
    ),
    "rooms": partial(
        Deployments, sizes=tuple((with_nodes(n, OWN_ROOMS), n, 1, True) for n in _NODES)
    ),
    "servers": partial(Deployments, sizes=tuple((with_servers(n), 2, n, True) for n in _SERVERS)),
    "resume": Resuming,
}

run_scale = partial(run_plans, PLANS)
"""Runs those named."""
