"""How long the client of a stream has for the rest, and in which pieces it is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from realtime.clients.queued_sink import FLUSH_TIMEOUT, PACED_SIZE
from realtime.event_streams import event_stream_sink
from realtime.event_streams.event_stream_sink import EventStreamSink, patience
from shardlayer import Broadcast
from tests.waiting import PATIENCE, until

EVENT = PACED_SIZE - 1000  # bytes
EVENTS = 16


class Client:
    """What a stream is sent to, of which each piece takes so many seconds, or until it `reads`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.pieces: list[bytes] = []
        self.asked = 0
        self.reads = asyncio.Event()
        if seconds:
            self.reads.set()
        self._seconds = seconds

    async def send(self, event: dict[str, Any]) -> None:
        self.asked += 1
        await asyncio.sleep(self._seconds)
        await self.reads.wait()
        self.pieces.append(event["body"])


def written(client: Client, *, size: int = EVENT, times: int = EVENTS, limit: int = 0) -> Any:
    """Return a sink to which so many events were written."""
    sink = EventStreamSink(client.send, ["a"], limit=limit)
    for number in range(1, times + 1):
        text = b'{"room":"a","offset":%d,"data":"%b"}' % (number, b"x" * size)
        sink.write(Broadcast([text], [number]))
    return sink


def test_patience_is_in_proportion() -> None:
    """Of a piece, and of what the server has taken before it."""
    one = FLUSH_TIMEOUT
    assert [patience(size) for size in (0, 1, PACED_SIZE)] == [one, 2 * one, 2 * one]
    assert patience(10 * PACED_SIZE) == 11 * one


async def test_a_slow_client_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes longer than FLUSH_TIMEOUT, but reads steadily: each piece has its time."""
    monkeypatch.setattr(event_stream_sink, "FLUSH_TIMEOUT", 2.5)
    client = Client(0.25)
    sink = written(client)
    sink.close(4003, "signed out")
    await sink.finish()
    assert sink.is_complete
    text = b"".join(client.pieces)
    assert text.count(b"id: ") == EVENTS
    assert text.endswith(b"\n\n")
    assert b'"code":4003' in client.pieces[-1]


async def test_who_reads_nothing_has_the_time_of_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever waits behind it: what waits is forgotten then."""
    monkeypatch.setattr(event_stream_sink, "FLUSH_TIMEOUT", 0.05)
    client = Client()
    sink = written(client, times=200 * EVENTS)
    await until(lambda: client.asked == 1)
    sink.close(4003, "signed out")
    await asyncio.wait_for(sink.finish(), PATIENCE)
    assert (client.pieces, sink.is_complete, sink.waiting) == ([], False, 0)


async def test_a_server_that_stops_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a client whose stream was closed before: it reads on, but has no more time."""
    monkeypatch.setattr(event_stream_sink, "FLUSH_TIMEOUT", PATIENCE)
    client = Client(0.1)
    sink = written(client, times=10_000)
    sink.close(4003, "signed out")
    monkeypatch.setattr(event_stream_sink, "FLUSH_TIMEOUT", 0.5)
    sink.leave(1012, "the server stops", 1.0)
    await asyncio.wait_for(sink.finish(), PATIENCE)
    assert not sink.is_complete
    assert len(client.pieces) < 100


@pytest.mark.parametrize("size", [100, 2 * PACED_SIZE])
async def test_an_id_goes_with_its_event(size: int) -> None:
    """The end that follows would have the id of an event that was never sent."""
    client = Client()
    sink = written(client, size=size, times=1)
    await until(lambda: client.asked == 1)
    for number in range(2, 3000):
        text = b'{"room":"a","offset":%d,"data":"%b"}' % (number, b"x" * size)
        sink.write(Broadcast([text], [number]))
    client.reads.set()
    await until(lambda: sink.waiting == 0)
    assert [piece for piece in client.pieces if not piece.endswith(b"\n\n")] == []
    await sink.finish()
