"""What the memory backend keeps, and for how long."""

from __future__ import annotations

from shardlayer.broker.memory.store import Known, Shard
from shardlayer.broker.values import Outgoing
from shardlayer.core.room_options import NO_HISTORY


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
