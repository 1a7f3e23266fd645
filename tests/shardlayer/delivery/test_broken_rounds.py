"""A delivery that an error ends is logged and counted, and what it should have written comes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from shardlayer.delivery import hub as module
from shardlayer.delivery.room import LocalRoom, State
from tests.shardlayer.delivery.test_hub import (
    HubUnderTest,
    answer,
    deliver,
    offsets_of,
    publications,
)
from tests.shardlayer.fakes import RecordingSink


class Failing:
    """Raises at one call of a function that the hub uses, and else does what that does."""

    def __init__(self, function: Callable[..., Any], at: int) -> None:
        self._function = function
        self._at = at
        self._calls = 0

    def __call__(self, *arguments: Any) -> Any:
        self._calls += 1
        if self._calls == self._at:
            raise MemoryError
        return self._function(*arguments)


def failing(monkeypatch: pytest.MonkeyPatch, name: str, at: int = 1) -> None:
    monkeypatch.setattr(module, name, Failing(getattr(module, name), at))


def heal(hub: HubUnderTest, room: LocalRoom, last: int) -> None:
    """Answer what a room asks, as its shard would, up to its last offset."""
    assert room in hub.gaps
    hub.ask(room)
    here = room.position
    assert here is not None
    missed = publications(room.name, *range(here.offset + 1, last + 1))
    known = here.epoch == answer(0).position.epoch  # type: ignore[union-attr]
    hub.admit(room, answer(last, *missed, recovered=known))
    list(hub.deliver())


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("function", ["encode_push", "joined", "fan_out"])
async def test_each_room_of_a_broken_round_gets_all_of_it(
    function: str, at: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever it ended: a room that was written all of it is not asked for again."""
    hub = HubUnderTest()
    rooms = [hub.live_room(name) for name in ("a", "b", "c")]
    sinks = [hub.member(room) for room in rooms]
    failing(monkeypatch, function, at)
    hub.feed([*publications("a", 1), *publications("b", 1), *publications("c", 1)])
    with caplog.at_level(logging.ERROR, "shardlayer.delivery.hub"):
        await deliver(hub)
    assert "A delivery failed" in caplog.text
    assert hub.broken_rounds == 1
    assert hub.backlog == 0
    written = 0 if function == "encode_push" else at - 1
    assert hub.gaps == rooms[written:]
    for room in hub.gaps:
        heal(hub, room, last=1)
    hub.feed([*publications("a", 2), *publications("b", 2), *publications("c", 2)])
    await deliver(hub)
    assert [offsets_of(sink) for sink in sinks] == [[1, 2]] * 3
    assert all(room.state is State.LIVE for room in rooms)


async def test_what_was_written_before_does_not_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The room asks behind the last message that all of its members have."""
    hub = HubUnderTest(write_bytes=1)
    room = hub.live_room()
    sink = hub.member(room)
    failing(monkeypatch, "fan_out", 3)
    hub.feed(publications("general", 1, 2, 3, 4))
    await deliver(hub)
    assert offsets_of(sink) == [1, 2]
    heal(hub, room, last=4)
    assert offsets_of(sink) == [1, 2, 3, 4]


async def test_answer_that_is_not_written_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a reset that it had is told."""
    hub = HubUnderTest()
    room = hub.live_room(offset=3)
    sink = hub.member(room)
    hub.miss(room)
    hub.ask(room)
    hub.admit(room, answer(9, *publications("general", 7, 8, 9), recovered=False))
    failing(monkeypatch, "fan_out")
    await deliver(hub)
    assert room.state is State.HEALING
    hub.ask(room)
    hub.admit(room, answer(9, *publications("general", 7, 8, 9), recovered=False))
    await deliver(hub)
    assert offsets_of(sink) == [-6, 7, 8, 9]


async def test_answer_that_cant_be_taken_does_not_hold_its_room_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With history it is asked again, and without it goes on."""
    hub = HubUnderTest()
    room = hub.live_room()
    sink = hub.member(room)
    hub.miss(room)
    hub.ask(room)
    hub.admit(room, answer(1, *publications("general", 1)))
    failing(monkeypatch, "encode_push")
    await deliver(hub)
    heal(hub, room, last=1)
    assert offsets_of(sink) == [1]


async def test_loss_without_history_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can ask for it, and the next comes."""
    hub = HubUnderTest()
    room = hub.plain_room()
    sink = RecordingSink()
    hub.join(room, sink).open(room.position)
    failing(monkeypatch, "fan_out")
    hub.feed(publications("plain", 0, 0))
    await deliver(hub)
    assert (hub.dropped, sink.texts) == (2, [])
    assert room.state is State.LIVE
    hub.feed(publications("plain", 0))
    await deliver(hub)
    assert len(sink.texts) == 1
