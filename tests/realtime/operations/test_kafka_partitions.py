"""What the brokers know of partitions, together with what the pools said."""

from __future__ import annotations

import pytest

from realtime.kafka.group_look import GroupLook, PartitionLook
from realtime.kafka.group_questions import GroupMember
from realtime.operations import KafkaStatus, PartitionStatus, PoolMember
from realtime.operations.kafka_look import KafkaLook
from realtime.operations.kafka_partitions import kafka_partitions

MEMBER = GroupMember(id="m-1", client="site-0", host="10.0.0.1", partitions=frozenset())
NOTHING_TOLD = KafkaStatus(silent={}, is_known=False, why="Redis is away.")


def known(*, is_read: bool | None, is_paused: bool = False) -> KafkaLook:
    """Return what the brokers know of one partition."""
    one = PartitionLook(
        topic="events",
        partition=0,
        committed=None,
        end=9,
        lag=9,
        member=MEMBER if is_read else None,
        is_read=is_read,
        is_paused=is_paused,
    )
    group = GroupLook(
        group="site", state="Stable", members=(MEMBER,), partitions=(one,), missing=()
    )
    return KafkaLook(group=group)


def told(*, is_paused: bool = False, group: str = "site") -> KafkaStatus:
    """Return what a pool said of the same partition."""
    return KafkaStatus(
        members=(PoolMember(node="n-1", host="web-1", pid=7, age=1.0, group=group),),
        partitions=(
            PartitionStatus(
                topic="events", partition=0, node="n-1", lag=2, position=7, is_paused=is_paused
            ),
        ),
        silent={},
        is_known=True,
    )


@pytest.mark.parametrize(
    ("look", "status", "state", "reader"),
    [
        (known(is_read=True), NOTHING_TOLD, "read", "site-0, 10.0.0.1"),
        (known(is_read=True), told(), "read", "web-1:7"),
        (known(is_read=True, is_paused=True), NOTHING_TOLD, "paused", "site-0, 10.0.0.1"),
        (known(is_read=None), told(is_paused=True), "paused", "web-1:7"),
        (known(is_read=None), told(), "read", "web-1:7"),
        (known(is_read=None), NOTHING_TOLD, "unknown", ""),
        (known(is_read=None), told(group="another"), "unknown", ""),
        (known(is_read=False), NOTHING_TOLD, "unread", ""),
        (known(is_read=False), told(is_paused=True), "unread", ""),
        (KafkaLook(why="away"), told(), "read", "web-1:7"),
        (KafkaLook(why="away"), told(is_paused=True), "paused", "web-1:7"),
    ],
)
def test_state_and_reader(look: KafkaLook, status: KafkaStatus, state: str, reader: str) -> None:
    """The brokers know who reads, the pools on which machine; what nobody says is unknown."""
    [one] = kafka_partitions(look, status)
    assert (one.state, one.reader) == (state, reader)


def test_figures_of_either() -> None:
    """The brokers' figures count; without them, the pools'."""
    [one] = kafka_partitions(known(is_read=True), told())
    assert (one.lag, one.committed, one.end) == (9, -1, 9)
    [one] = kafka_partitions(KafkaLook(why="away"), told())
    assert (one.lag, one.committed, one.end) == (2, 7, None)
    assert list(kafka_partitions(KafkaLook(why="away"), NOTHING_TOLD)) == []
