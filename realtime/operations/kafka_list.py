"""Putting together what the pool's processes told of Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from realtime.operations.kafka_status import KafkaStatus, PartitionStatus, PoolMember
from realtime.operations.told import Told, count, number, texts, why_unknown
from shardlayer import KnownReports


def kafka_status(known: KnownReports, told: Sequence[Told], *, is_on: bool) -> KafkaStatus:
    """Return what the pool of all machines is."""
    why = why_unknown(known, is_on=is_on)
    if why:
        return KafkaStatus(silent=known.silent, is_known=False, why=why)
    pools = [(each, each.pool) for each in told if each.pool is not None]
    partitions = [part for each, pool in pools for part in _partitions(each, pool)]
    members = [_member(each, pool) for each, pool in pools]
    lags = [part.lag for part in partitions if part.lag is not None]
    records = [member.records for member in members if member.records is not None]
    return KafkaStatus(
        groups=tuple(sorted({member.group for member in members})),
        members=tuple(sorted(members, key=lambda each: (each.group, each.host, each.pid))),
        partitions=tuple(sorted(partitions, key=lambda each: (each.topic, each.partition))),
        lag=sum(lags) if lags or (pools and not partitions) else None,
        paused=sum(part.is_paused for part in partitions) if pools else None,
        records=sum(records) if records else None,
        dead_letters=_dead_letters(pools),
        silent=known.silent,
        is_known=True,
    )


def _member(told: Told, pool: Mapping[str, Any]) -> PoolMember:
    group, node = pool.get("group"), told.node
    return PoolMember(
        node=node.id,
        host=node.host,
        pid=node.pid,
        age=node.age,
        group=group if isinstance(group, str) else "",
        topics=texts(pool.get("topics")),
        consumers=count(pool.get("consumers")),
        records=number(pool.get("records")),
        skipped=count(pool.get("skipped")),
        record_age=number(pool.get("record_age")),
    )


def _partitions(told: Told, pool: Mapping[str, Any]) -> list[PartitionStatus]:
    by_topic = pool.get("partitions")
    if not isinstance(by_topic, dict):
        return []
    return [
        PartitionStatus(
            topic=topic,
            partition=partition,
            node=told.node.id,
            lag=count(lag),
            position=count(position),
            is_paused=is_paused is True,
        )
        for topic, lines in by_topic.items()
        for partition, lag, position, is_paused in _lines(lines)
    ]


def _lines(lines: object) -> list[tuple[int, object, object, object]]:
    return [
        (line[0], line[1], line[2], line[3])
        for line in (lines if isinstance(lines, list) else ())
        if isinstance(line, list) and len(line) >= 4 and isinstance(line[0], int)
    ]


def _dead_letters(pools: Sequence[tuple[Told, Mapping[str, Any]]]) -> dict[str, int] | None:
    """Return what the freshest report says of each topic; None if none says anything."""
    found: dict[str, int] = {}
    for _, pool in sorted(pools, key=lambda pair: -pair[0].node.age):
        counted = pool.get("dead_letters")
        if isinstance(counted, dict):
            found |= {topic: value for topic, value in counted.items() if isinstance(value, int)}
    return found or None
