"""What the memory backend keeps, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shardlayer.broker.memory.store import Ear, Known, MemoryServer, Roster, Shard
from shardlayer.broker.presence_values import Attendee
from shardlayer.broker.values import Outgoing
from shardlayer.core.room_options import NO_HISTORY
from shardlayer.core.types import NodeId


class Deaf:
    """A listener whom nothing reaches."""

    def arrived(self, shard: int, batch: bytes) -> None:
        raise AssertionError

    def resumed(self, shards: Sequence[int]) -> None:
        raise AssertionError

    def lost(self, shards: Sequence[int]) -> None:
        raise AssertionError


def keyed(key: str) -> Outgoing:
    return Outgoing(0, "room", b"", NO_HISTORY, idempotency_key=key)


def test_idempotency_keys_go_when_their_time_is_over() -> None:
    """A process that gives every publication a key keeps those of the last minutes only."""
    shard = Shard()
    for second in range(1_000):
        shard.remember(keyed(str(second)), Known(None, ends=second + 10), now=second)
    assert len(shard.once) == 10
    assert shard.published_as(keyed("999"), now=999) is not None
    assert shard.published_as(keyed("989"), now=999) is None


def test_rosters_go_with_their_nodes() -> None:
    """One without people goes when the lease is over; people are left to those who tell rooms."""
    here, gone, left = NodeId("here"), NodeId("gone"), NodeId("left")
    people = Roster({Attendee("room", "ada", "1"): None}, number=1)
    shard = Shard(
        leases={here: 20.0, gone: 5.0},
        rosters={here: Roster(number=3), gone: Roster(number=2), left: people},
    )
    shard.sweep(now=10.0)
    assert shard.rosters == {here: Roster(number=3), left: people}


def test_loop_that_closes_while_its_node_is_told_is_no_error_of_who_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another thread closes it between the look whether it is closed and the call."""
    node = NodeId("here")
    loop = asyncio.new_event_loop()
    server = MemoryServer()
    server.listeners[node] = Ear(loop, Deaf())
    loop.close()
    assert not server.tell(node, 0, b"")
    monkeypatch.setattr(loop, "is_closed", lambda: False)
    assert not server.tell(node, 0, b"")
