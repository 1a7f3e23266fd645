"""Putting together the whole deployment: totals now, and of the last minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from realtime.operations.kafka_status import KafkaStatus
from realtime.operations.node_status import NodesStatus, NodeStatus
from realtime.operations.overview_status import Overview, RecentTotals
from realtime.operations.shard_status import ShardsStatus
from realtime.operations.troubles import all_troubles
from shardlayer import TOTALS_STEP, TOTALS_STEPS, KnownReports

Number = TypeVar("Number", int, float)

SERIES = (
    *("connections", "subscriptions", "deliveries", "publications"),
    *("records", "errors", "lag"),
)


def overview_status(
    known: KnownReports, nodes: NodesStatus, shards: ShardsStatus, kafka: KafkaStatus
) -> Overview:
    """Return what the first page shows."""
    servers = shards.servers
    memory = [server.memory for server in servers if server.memory is not None]
    workers = [node for node in nodes.nodes if node.role == "worker"]
    capacities = [node.capacity for node in workers if node.capacity is not None]
    states = [shard.state for shard in shards.shards]

    def of_role(role: str) -> int | None:
        return sum(node.role == role for node in nodes.nodes) if nodes.is_known else None

    return Overview(
        workers=of_role("worker"),
        pools=of_role("pool"),
        relays=of_role("outbox"),
        connections=_total(nodes.nodes, lambda node: node.connections),
        capacity=(0 if 0 in capacities else sum(capacities)) if capacities else None,
        subscriptions=_total(nodes.nodes, lambda node: node.subscriptions),
        rooms=_sum([shard.rooms for shard in shards.shards]),
        rooms_most=_sum([shard.rooms_most for shard in shards.shards]),
        deliveries=_total(nodes.nodes, lambda node: node.deliveries),
        publications=_total(nodes.nodes, lambda node: node.publications),
        records=kafka.records,
        lag=kafka.lag,
        shards_up=None if "unknown" in states else len(states) - states.count("down"),
        shards=len(states),
        servers_up=sum(not server.why for server in servers),
        servers=len(servers),
        memory=sum(memory) if memory else None,
        recent=recent_totals(known) if nodes.is_known else None,
        troubles=all_troubles(servers, shards.shards, nodes, kafka),
        silent=shards.silent,
        is_known=nodes.is_known,
    )


def recent_totals(known: KnownReports) -> RecentTotals:
    """Return the totals of the steps that are over."""
    last = int(known.now // TOTALS_STEP) - 1
    steps = range(last - TOTALS_STEPS + 2, last + 1)
    return RecentTotals(
        step=TOTALS_STEP,
        ends=time.time() - (known.now - (last + 1) * TOTALS_STEP),
        series={
            name: tuple(
                known.totals[step].get(name, 0.0) / TOTALS_STEP if step in known.totals else None
                for step in steps
            )
            for name in SERIES
        },
    )


def _total(
    nodes: Sequence[NodeStatus], value_of: Callable[[NodeStatus], Number | None]
) -> Number | None:
    return _sum([value_of(node) for node in nodes])


def _sum(values: Sequence[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
