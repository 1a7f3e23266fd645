"""Records to the layer: past rooms that can't be published to, in order, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from realtime import record_publisher as module
from realtime.record_publisher import RecordPublisher, RoutedRecord
from shardlayer import Backoff, Mark, Position, ScriptFailed, ShardedChannelLayer


def failure(*names: str) -> ScriptFailed:
    """Return what the layer raises about rooms."""
    return ScriptFailed(script="publish", names=names, shard=0, server="here", reason="foreign")


class FakeLayer:
    """Publishes, but not to some rooms.

    Attributes:
        broken: Rooms for which publishing fails.
        taken: The offsets that were published, in order.
        calls: Those that each call brought.
        together: Names beside the room's own that the next failures tell.
    """

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.taken: list[int] = []
        self.calls: list[list[int]] = []
        self.together: list[str] = []

    async def publish_marked(
        self, items: Sequence[tuple[str, bytes, Mark]], **more: Any
    ) -> list[Position | None]:
        """Take items up to the first whose room is broken; skip what was taken."""
        self.calls.append([mark.offset for _, _, mark in items])
        for room, _, mark in items:
            if room in self.broken:
                raise failure(room, *([self.together.pop()] if self.together else []))
            if mark.offset not in self.taken:
                self.taken.append(mark.offset)
        return [None] * len(items)

    async def marks(
        self, sources: Sequence[str], *, shard: int | None = None
    ) -> dict[str, Mark | None]:
        """Return the furthest mark."""
        last = max(self.taken, default=-1)
        return {source: None if last < 0 else Mark(source, last) for source in sources}

    def shard_of(self, name: str) -> int:
        """Return a room's shard: all rooms have one."""
        return 0


async def publish(layer: Any, rooms: str) -> list[int]:
    """Publish a record to each room, which is a letter; return those that were handed over."""
    handed: list[int] = []

    async def keep(record: Any, error: ScriptFailed) -> None:
        handed.append(record)

    real: ShardedChannelLayer = layer
    items: list[RoutedRecord] = [(room, b"x", Mark("t/0", n), n) for n, room in enumerate(rooms)]
    await RecordPublisher(real, keep).publish(items)
    return handed


async def test_one_call_where_all_goes_well() -> None:
    """What can go together does."""
    layer = FakeLayer()
    assert await publish(layer, "abcab") == []
    assert layer.calls == [[0, 1, 2, 3, 4]]


async def test_only_records_of_broken_rooms_are_handed_over() -> None:
    """Those around them go together, and in order."""
    layer = FakeLayer("x", "y")
    assert await publish(layer, "abxcdxye") == [2, 5, 6]
    assert layer.taken == [0, 1, 3, 4, 7]
    assert [3, 4] in layer.calls


async def test_what_left_with_others_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that failed as a whole says nothing of the one record: it is asked alone."""
    monkeypatch.setattr(Backoff, "failed", lambda self: 0.0)
    layer = FakeLayer("x")
    layer.together = ["z", "z", "z", "z"]
    assert await publish(layer, "axb") == [1]
    assert layer.calls.count([1]) == 3
    assert layer.taken == [0, 2]


async def test_failure_that_names_nobody() -> None:
    """Then all rooms of the call are asked alone."""

    class Nameless(FakeLayer):
        async def publish_marked(self, items: Any, **more: Any) -> Any:
            try:
                return await super().publish_marked(items)
            except ScriptFailed:
                raise failure() from None

    layer = Nameless("x")
    assert await publish(layer, "axb") == [1]
    assert layer.taken == [0, 2]


async def test_shard_that_fails_with_others() -> None:
    """What went to others of the call is published; rooms are looked at one by one on its own."""

    rooms = "abdcab"

    class Shards(FakeLayer):
        def shard_of(self, name: str) -> int:
            return ord(name) % 2

        async def marks(self, sources: Sequence[str], *, shard: int | None = None) -> Any:
            taken = [offset for offset in self.taken if self.shard_of(rooms[offset]) == shard]
            last = max(taken, default=-1)
            return {source: None if last < 0 else Mark(source, last) for source in sources}

    layer = Shards("d")  # on a shard with b; a and c are on the other
    assert await publish(layer, rooms) == [2]
    assert sorted(layer.taken) == [0, 1, 3, 4, 5]
    assert [0, 3, 4] in layer.calls


async def test_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of what is handed to the layer at a time take little memory."""
    monkeypatch.setattr(module, "CALL_BYTES", 2)
    layer = FakeLayer()
    await publish(layer, "abcde")
    assert layer.calls == [[0, 1], [2, 3], [4]]


async def test_age_is_that_of_the_oldest_record() -> None:
    """What a record says of when it began; one that does not know counts for nothing."""
    given: list[float] = []

    class Listening(FakeLayer):
        async def publish_marked(self, items: Any, **given_with: Any) -> Any:
            given.append(given_with["since"])

    async def keep(record: Any, error: ScriptFailed) -> None:
        raise AssertionError

    real: Any = Listening()
    publisher = RecordPublisher(real, keep, float)
    for times in ([7, 5, -1], [-1]):
        await publisher.publish([("a", b"x", Mark("t/0", n), time) for n, time in enumerate(times)])
    assert given == [5, 0]
