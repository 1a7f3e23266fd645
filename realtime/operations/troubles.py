"""What is down, slow or full: found in what is known of servers, shards, processes and Kafka.

Each rule is a function from what is known to troubles. Limits stand here, beside each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from realtime.operations.kafka_status import KafkaStatus
from realtime.operations.node_status import NodesStatus, NodeStatus
from realtime.operations.overview_status import Trouble
from realtime.operations.shard_status import ServerStatus, ShardStatus

FULL = 0.9  # of the connections or the memory that there may be
BUSY_CPU = 90.0  # percent of a core
LATE_LOOP = 0.25  # seconds that an event loop is late
SLOW_CALL = 0.05  # seconds of a call to a shard
MUCH_BACKLOG = 8 * 1024 * 1024  # bytes that wait to be written in a process
MUCH_LAG = 10_000  # records of a partition
MAX_TROUBLES = 200  # that are told

KINDS = (
    *("down", "failing", "full", "late", "paused", "slow", "lag", "letters"),
    *("unknown", "draining"),
)
"""The kinds of trouble, the worst first."""


def all_troubles(
    servers: Sequence[ServerStatus],
    shards: Sequence[ShardStatus],
    nodes: NodesStatus,
    kafka: KafkaStatus,
) -> tuple[Trouble, ...]:
    """Return what hurts, the worst first."""
    found = [
        *(trouble for server in servers for trouble in _of_server(server)),
        *_of_shards(shards),
        *(trouble for node in (*nodes.lost, *nodes.nodes) for trouble in _of_node(node)),
        *_of_kafka(kafka),
    ]
    if not nodes.is_known:
        found.append(_trouble("unknown", "reports", "", nodes.why))
    found.sort(key=lambda trouble: KINDS.index(trouble.kind))
    return tuple(found[:MAX_TROUBLES])


def _trouble(kind: str, where: str, name: str, text: str) -> Trouble:
    return Trouble(kind=kind, where=where, name=name, text=text)


def _of_server(server: ServerStatus) -> Iterator[Trouble]:
    name = server.address
    if server.why:
        yield _trouble(
            "down",
            "server",
            name,
            _("%(name)s does not answer: %(why)s") % {"name": name, "why": server.why},
        )
    if server.memory is not None and server.memory_limit:
        share = server.memory / server.memory_limit
        if share >= FULL:
            yield _trouble(
                "full",
                "server",
                name,
                _("%(name)s has used %(share)s of its memory.")
                % {"name": name, "share": f"{share:.0%}"},
            )


def _of_shards(shards: Sequence[ShardStatus]) -> Iterator[Trouble]:
    slow: dict[int, list[ShardStatus]] = {}
    for shard in shards:
        if shard.call_p99 is not None and shard.call_p99 >= SLOW_CALL and shard.bundle is not None:
            slow.setdefault(shard.bundle, []).append(shard)
    for bundle, those in slow.items():
        milliseconds = (those[0].call_p99 or 0) * 1_000
        numbers = ", ".join(str(shard.shard) for shard in those)
        text = _("Of 100 calls to shards %(shards)s, one takes %(ms)s ms or more.") % {
            "shards": numbers,
            "ms": f"{milliseconds:.0f}",
        }
        yield _trouble("slow", "shard", str(bundle), text)


def _of_node(node: NodeStatus) -> Iterator[Trouble]:
    name = f"{node.role} {node.host}:{node.pid}"

    def of(kind: str, text: str, **values: object) -> Trouble:
        return _trouble(kind, "node", node.id, text % {"node": name, **values})

    if node.is_lost:
        yield of(
            "down",
            _("%(node)s is lost: it has not reported for %(age)s s, and did not say that it ends."),
            age=f"{node.age:.0f}",
        )
        return  # what else it says is of then
    if node.unheard:
        yield of("down", _("%(node)s can't hear %(servers)s."), servers=", ".join(node.unheard))
    if node.failing:
        yield of(
            "failing", _("%(node)s has tasks that fail: %(tasks)s."), tasks=", ".join(node.failing)
        )
    if node.is_late:
        yield of(
            "late",
            _("%(node)s has not reported for %(age)s s: it may have ended, or hang."),
            age=f"{node.age:.0f}",
        )
    if node.lease_age is not None and node.lease_ttl and node.lease_age > node.lease_ttl:
        yield of(
            "late",
            _("%(node)s has not renewed a lease for %(age)s s."),
            age=f"{node.lease_age:.0f}",
        )
    if node.fill is not None and node.fill >= FULL:
        yield of(
            "full",
            _("%(node)s holds %(part)s of %(whole)s connections."),
            part=f"{node.connections:,}",
            whole=f"{node.capacity:,}",
        )
    if node.backlog is not None and node.backlog >= MUCH_BACKLOG:
        yield of(
            "slow",
            _("%(node)s has %(size)s MiB that wait to be written."),
            size=f"{node.backlog / 2**20:.0f}",
        )
    if node.loop_delay is not None and node.loop_delay >= LATE_LOOP:
        yield of(
            "slow",
            _("%(node)s has an event loop that is %(delay)s s late."),
            delay=f"{node.loop_delay:.2f}",
        )
    if node.cpu is not None and node.cpu >= BUSY_CPU:
        yield of("slow", _("%(node)s uses %(share)s %% of a core."), share=f"{node.cpu:.0f}")
    if node.is_draining:
        yield of("draining", _("%(node)s sends its clients away and ends."))


def _of_kafka(kafka: KafkaStatus) -> Iterator[Trouble]:
    for part in kafka.partitions:
        name = f"{part.topic}/{part.partition}"
        if part.is_paused:
            text = _(
                "%(name)s is paused: a shard, or its dead letters' topic, does not answer."
            ) % {"name": name}
            yield _trouble("paused", "kafka", part.topic, text)
        elif part.lag is not None and part.lag >= MUCH_LAG:
            yield _trouble(
                "lag",
                "kafka",
                part.topic,
                _("%(lag)s records wait in %(name)s.") % {"lag": f"{part.lag:,}", "name": name},
            )
    for topic, waiting in (kafka.dead_letters or {}).items():
        if waiting:
            yield _trouble(
                "letters",
                "kafka",
                topic,
                _("%(topic)s has %(waiting)s dead letters.")
                % {"topic": topic, "waiting": f"{waiting:,}"},
            )
