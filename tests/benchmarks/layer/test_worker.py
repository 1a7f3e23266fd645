"""The processes' parts, on the layer that keeps everything in memory."""

from __future__ import annotations

from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from benchmarks.layer.worker.members import Members
from benchmarks.layer.worker.messages import numbered
from benchmarks.layer.worker.senders import (
    Sent,
    do_nothing_synchronously,
    send_batches,
    send_blocking,
    send_concurrently,
    send_synchronously,
)
from tests.waiting import PATIENCE


class Lossy(InMemoryChannelLayer):  # type: ignore[misc]
    """Raises, loses and repeats where it is told to."""

    def __init__(self) -> None:
        super().__init__(capacity=100_000)
        self.refuses: set[int] = set()
        self.loses: set[int] = set()
        self.repeats: set[int] = set()
        self.breaks = 0  # how many receives raise

    async def receive(self, channel: str) -> dict[str, Any]:
        if self.breaks:
            self.breaks -= 1
            raise TimeoutError
        message: dict[str, Any] = await super().receive(channel)
        return message

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        number = message["number"]
        if number in self.refuses:
            raise ConnectionError(number)
        if number not in self.loses:
            await super().group_send(group, message)
        if number in self.repeats:
            await super().group_send(group, message)


@pytest.fixture
def layer() -> Lossy:
    """A layer that does nothing wrong unless it is told to."""
    return Lossy()


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_every_caller_sends_once_however_short_the_time_is(
    layer: Lossy, seconds: float
) -> None:
    """A process that got no CPU until its time was up has something to show all the same."""
    sent = await send_concurrently(layer, "g", first=1, callers=5, seconds=seconds)
    assert (sent.sent, sent.until) == (5, 6)
    sent = await send_batches(layer, "g", first=1, size=10, seconds=seconds)
    assert (sent.sent, sent.until) == (10, 11)
    assert do_nothing_synchronously(threads=2, seconds=seconds).sent == 2
    members = Members(layer)
    found = await members.round_trips(
        channel=await members.echo(), first=5, seconds=seconds, patience=PATIENCE
    )
    assert (found["count"], found["until"]) == (1, 6)


async def _collect(
    members: Members, sent: Sent, first: int, patience: float = PATIENCE
) -> dict[str, Any]:
    return await members.collect(
        group="g", first=first, until=sent.until, unsure=sent.unsure, patience=patience
    )


async def test_what_was_sent_is_counted_where_it_arrives(layer: Lossy) -> None:
    """All calls of all callers, each number once."""
    members = Members(layer)
    await members.join(["g"])
    sent = await send_concurrently(layer, "g", first=1, callers=5, seconds=0.02)
    assert sent.sent == sent.until - 1 > 0
    assert await _collect(members, sent, 1) == {"lost": 0, "repeated": 0, "receive_failed": {}}


async def test_lost_and_repeated_messages_are_found(layer: Lossy) -> None:
    """Whatever became of the others."""
    layer.loses, layer.repeats = {3, 5}, {4}
    members = Members(layer)
    await members.join(["g"])
    sent = await send_batches(layer, "g", first=1, size=10, seconds=0.001)
    assert await _collect(members, sent, 1, patience=3.0) == {
        "lost": 2,
        "repeated": 1,
        "receive_failed": {},
    }


async def test_call_that_raised_is_counted_and_its_message_not_missed(layer: Lossy) -> None:
    """Nobody knows whether it was sent."""
    layer.refuses = {2, 7}
    members = Members(layer)
    await members.join(["g"])
    sent = await send_batches(layer, "g", first=1, size=10, seconds=0.001)
    assert sent.failed == {"ConnectionError": 2}
    assert sent.unsure == [2, 7]
    assert sent.sent == sent.until - 1 - 2
    assert await _collect(members, sent, 1) == {"lost": 0, "repeated": 0, "receive_failed": {}}


async def test_member_whose_receive_raised_goes_on(layer: Lossy) -> None:
    """It is said, and what comes later is not lost for it."""
    layer.breaks = 1
    members = Members(layer)
    await members.join(["g"])
    sent = await send_batches(layer, "g", first=1, size=10, seconds=0.001)
    assert await _collect(members, sent, 1) == {
        "lost": 0,
        "repeated": 0,
        "receive_failed": {"TimeoutError (receive)": 1},
    }


async def test_echo_answers_whoever_asks(layer: Lossy) -> None:
    """There and back, one after the other."""
    members = Members(layer)
    found = await members.round_trips(
        channel=await members.echo(), first=5, seconds=0.02, patience=PATIENCE
    )
    assert found["count"] == found["until"] - 5 > 0
    assert found["lost"] == 0
    assert found["p50_ms"] > 0


def test_threads_call_as_views_do() -> None:
    """From threads without an event loop; each number is used once."""
    used: list[int] = []

    class Recorder:
        async def group_send(self, group: str, message: dict[str, Any]) -> None:
            used.append(message["number"])

    sent = send_synchronously(Recorder(), "g", first=10, threads=4, seconds=0.05)
    assert sent.sent == len(used) > 0
    assert sorted(used) == list(range(10, 10 + len(used)))
    assert sent.until >= 10 + len(used)


def test_threads_may_call_without_asgiref() -> None:
    """Each number is used once here too."""
    used: list[int] = []

    class Recorder:
        def group_send_sync(self, group: str, message: dict[str, Any]) -> None:
            used.append(message["number"])

    sent = send_blocking(Recorder(), "g", first=0, threads=2, seconds=0.02)
    assert sent.sent == len(used) > 0
    assert sorted(used) == list(range(len(used)))


def test_doing_nothing_is_counted_too() -> None:
    """It is what asgiref's part of a call is held against."""
    sent = do_nothing_synchronously(threads=2, seconds=0.02)
    assert sent.sent > 0
    assert not sent.failed


def test_message_carries_its_number() -> None:
    """As consumers send them: with a type."""
    assert numbered(7)["number"] == 7
    assert numbered(7)["type"] == "chat.message"
