"""What a process tells of itself, as JSON: written here, read by `realtime/operations/`.

Whoever reads it may run another release: a field that is missing is unknown, and one that is not
known is passed over.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from realtime.metrics.metric_sources import LOOP_DELAYS, Process, Sources
from realtime.nodes.readings import NodeReading, percentile, rate, rates, risen
from shardlayer import MAX_REPORT, __version__

TELLING_SHARE = 0.99  # of the values of the last minute: what is told of them is not exceeded by it
NAMED = 10  # failing tasks and servers, of each
NAME_LENGTH = 100  # characters of each
TOLD_PARTITIONS = 500  # of a pool

# What is left out, one after the other, where a report would be too large.
_DISPENSABLE = ("bundles", "shards", "pool")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """What of a process does not change.

    Attributes: see `NodeStatus` in `realtime/operations/node_status.py`.
    """

    id: str
    role: str
    interval: float
    lease_ttl: float | None
    can_drain: bool
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    version: str = __version__
    started: float = field(default_factory=time.time)


def compose(
    identity: NodeIdentity,
    process: Process,
    sources: Sources,
    *,
    now: NodeReading,
    before: NodeReading | None,
    minute_ago: NodeReading | None,
) -> bytes:
    """Return the report of a process. To be called in its event loop, whose tasks it counts.

    Args:
        identity: Who it is.
        process: What there is to tell of it.
        sources: Its figures now.
        now: The same as counts.
        before: The reading of the report before; None: there is none, so rates are unknown.
        minute_ago: The oldest reading of the last minute.
    """
    stats, worker, node = sources.stats, sources.worker, process.node
    lost, back = ({}, {}) if node is None else (node.lost_at, node.back_at)
    is_node = bool(sources.shards)
    told: dict[str, Any] = asdict(identity) | {
        "is_draining": worker is not None and worker.is_draining,
        "connections": None if worker is None else worker.held,
        "capacity": None if worker is None else worker.capacity,
        "memory": sources.resident_bytes(),
        "tasks": len(asyncio.all_tasks()),
        "rooms": stats.get("rooms") if is_node else None,
        "subscriptions": stats.get("members") if is_node else None,
        "backlog": stats.get("backlog_bytes") if is_node else None,
        "lease_age": None if node is None else node.lease_age,
        "unheard": [name[:NAME_LENGTH] for name in process.layer.unheard_servers[:NAMED]],
        "failing": [name[:NAME_LENGTH] for name in process.layer.failing_tasks[:NAMED]],
    }
    if is_node:
        told["shards"] = {
            "rooms": [counters.rooms for counters in sources.shards],
            "subscriptions": [counters.members for counters in sources.shards],
            "lost": {str(shard): at for shard, at in lost.items()},
            "back": {str(shard): at for shard, at in back.items()},
        }
    if before is not None and minute_ago is not None:
        seconds = now.at - before.at
        told |= {
            "cpu": 100 * rate(before.cpu, now.cpu, seconds),
            "deliveries": rate(before.delivered, now.delivered, seconds) if is_node else None,
            "publications": rate(before.published, now.published, seconds),
            "loop_delay": percentile(
                risen(minute_ago.loop_delays, now.loop_delays), LOOP_DELAYS, TELLING_SHARE
            ),
            "bundles": _bundles(minute_ago, now),
        }
        shards = told.setdefault("shards", {})
        shards["publications"] = rates(before.published_to, now.published_to, seconds)
        if is_node:
            shards["deliveries"] = rates(before.delivered_of, now.delivered_of, seconds)
    if process.pool is not None:
        told["pool"] = _pool(process, before, minute_ago, now)
    body = orjson.dumps(told)
    for name in _DISPENSABLE:
        if len(body) > MAX_REPORT:
            told.pop(name, None)
            body = orjson.dumps(told)
    return body


def totals_of(sources: Sources, now: NodeReading, before: NodeReading | None) -> dict[str, float]:
    """Return what this process adds to all processes' totals; what is held counts by its seconds.

    So a total by the seconds of its step is a mean, of what is held, or a rate.
    """
    if before is None:
        return {}
    seconds = now.at - before.at
    totals = {
        "deliveries": float(max(now.delivered - before.delivered, 0)),
        "publications": float(max(now.published - before.published, 0)),
        "errors": float(max(now.errors - before.errors, 0)),
    }
    if sources.worker is not None:
        totals["connections"] = sources.worker.held * seconds
    if sources.shards:
        totals["subscriptions"] = sources.stats.get("members", 0) * seconds
    if sources.pool is not None:
        totals["records"] = float(max(now.records - before.records, 0))
        totals["lag"] = sources.pool.lag() * seconds
    return totals


def _bundles(minute_ago: NodeReading, now: NodeReading) -> dict[str, Mapping[str, list[int]]]:
    found: dict[str, Mapping[str, list[int]]] = {}
    for bundle, (items, seconds) in now.bundles.items():
        items_before, seconds_before = minute_ago.bundles.get(bundle, ((), ()))
        if batch := risen(items_before, items):
            found[str(bundle)] = {"batch": batch, "call": risen(seconds_before, seconds)}
    return found


def _pool(
    process: Process, before: NodeReading | None, minute_ago: NodeReading | None, now: NodeReading
) -> dict[str, Any]:
    pool = process.pool
    assert pool is not None
    partitions: dict[str, list[tuple[int, int | None, int | None, bool]]] = {}
    for each in pool.partitions()[:TOLD_PARTITIONS]:
        line = (each.partition, each.lag, each.position, each.is_paused)
        partitions.setdefault(each.topic, []).append(line)
    told: dict[str, Any] = {
        "group": pool.group,
        "topics": list(pool.topics)[:NAMED],
        "consumers": pool.consumers,
        "skipped": pool.skipped.total,
        "partitions": partitions,
        "dead_letters": pool.dead_letters,
    }
    if before is not None and minute_ago is not None:
        told["records"] = rate(before.records, now.records, now.at - before.at)
        ages = risen(minute_ago.record_ages, now.record_ages)
        told["record_age"] = percentile(ages, pool.ages.bounds, TELLING_SHARE)
    return told
