"""The sink over ASGI's send."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from realtime.clients import queued_sink
from realtime.clients.asgi_sink import AsgiSink
from realtime.clients.client_counters import counters
from realtime.clients.queued_sink import PACED_SIZE
from shardlayer import Broadcast

LIMIT = 100  # bytes


class Server:
    """An ASGI server whose `send` can be made to wait, or to fail."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.gone = False
        self.changed = asyncio.Condition()

    async def send(self, event: dict[str, Any]) -> None:
        await self.reading.wait()
        if self.gone:
            raise ConnectionResetError
        async with self.changed:
            self.sent.append(event)
            self.changed.notify_all()

    async def got(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many events and return all."""
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: len(self.sent) >= count)
        return self.sent


def text(event: dict[str, Any]) -> str:
    """Return the text of a send event."""
    assert event["type"] == "websocket.send"
    return str(event["text"])


async def test_texts_are_sent_in_order() -> None:
    """Broadcasts arrive as single texts, in the order in which they were written."""
    server = Server()
    sink = AsgiSink(server.send, limit=LIMIT)
    sink.write(Broadcast([b"a", "ä".encode()]))
    sink.write(Broadcast([b"c"]))
    assert [text(event) for event in await server.got(3)] == ["a", "ä", "c"]
    sink.write(Broadcast([b"d"]))
    assert text((await server.got(4))[3]) == "d"
    await sink.finish()


async def test_close_follows_what_is_queued() -> None:
    """A close comes after what was written before it; after it nothing comes."""
    server = Server()
    sink = AsgiSink(server.send, limit=LIMIT)
    sink.write(Broadcast([b"a"]))
    sink.close(1003, "why")
    sink.close(4008)
    sink.write(Broadcast([b"b"]))
    await sink.finish()
    assert text(server.sent[0]) == "a"
    assert server.sent[1:] == [{"type": "websocket.close", "code": 1003, "reason": "why"}]


async def test_slow_client_is_closed() -> None:
    """More than the limit unread drops the queue and closes with 4008, once the client reads."""
    server = Server()
    server.reading.clear()
    sink = AsgiSink(server.send, limit=LIMIT)
    sink.write(Broadcast([b"first"]))
    await asyncio.sleep(0)  # the drain task takes it and waits
    for _ in range(12):
        sink.write(Broadcast([b"x" * 11]))
    server.reading.set()
    await sink.finish()
    assert text(server.sent[0]) == "first"
    assert [event.get("code") for event in server.sent[1:]] == [4008]


async def test_limit_counts_what_is_unread() -> None:
    """A client that reads may get any amount in all."""
    server = Server()
    sink = AsgiSink(server.send, limit=LIMIT)
    for count in range(1, 20):
        sink.write(Broadcast([b"x" * LIMIT]))
        await server.got(count)
    await sink.finish()
    assert len(server.sent) == 19


@pytest.mark.parametrize(("first", "closed"), [(LIMIT, False), (LIMIT + 1, True)])
async def test_every_write_counts(first: int, closed: bool) -> None:
    """The first too; but the message that is sent next may have any size."""
    server = Server()
    server.reading.clear()
    sink = AsgiSink(server.send, limit=LIMIT)
    before = counters.slow_closed
    sink.write(Broadcast([b"z" * 2 * LIMIT, b"x" * first]))
    sink.write(Broadcast([b"y"]))
    server.reading.set()
    if closed:
        await sink.finish()
        assert [event.get("code") for event in server.sent] == [4008]
    else:
        assert [len(text(event)) for event in await server.got(3)] == [*(2 * LIMIT, first, 1)]
        await sink.finish()
    assert counters.slow_closed - before == closed


async def test_no_limit() -> None:
    """With a limit of 0 any amount waits."""
    server = Server()
    server.reading.clear()
    sink = AsgiSink(server.send, limit=0)
    for _ in range(10):
        sink.write(Broadcast([b"x" * LIMIT]))
    server.reading.set()
    assert len(await server.got(10)) == 10
    await sink.finish()


async def test_long_answers_parts_wait_for_the_client() -> None:
    """`wait_drained` returns when little is left, or when the client is gone."""
    for gone in (False, True):
        server = Server()
        server.reading.clear()
        sink = AsgiSink(server.send, limit=10 * PACED_SIZE)
        for _ in range(4):
            sink.write(Broadcast([b"x" * PACED_SIZE]))
        waits = asyncio.create_task(sink.wait_drained())
        await asyncio.sleep(0)
        assert not waits.done()
        server.gone = gone
        server.reading.set()
        await asyncio.wait_for(waits, 5)
        await sink.finish()


async def test_message_too_large_for_the_server_is_not_tried() -> None:
    """The client is closed with 4008: it comes back, and is told what it can't be sent."""
    server = Server()
    sink = AsgiSink(server.send, limit=LIMIT, max_text=10)
    sink.write(Broadcast([b"x" * 10]))
    await server.got(1)
    sink.write(Broadcast([b"x" * 11]))
    await sink.finish()
    assert [event.get("code") for event in server.sent] == [None, 4008]


async def test_refused_message_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """A server that refuses to send one message is told to close, and the owner hears of it."""
    sent: list[dict[str, Any]] = []
    failed = asyncio.Event()

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "websocket.send":
            raise ValueError("message exceeds the maximum")
        sent.append(event)

    before = counters.refused_writes
    sink = AsgiSink(send, limit=LIMIT, on_failure=failed.set)
    sink.write(Broadcast([b"a"]))
    await asyncio.wait_for(failed.wait(), 5)
    sink.write(Broadcast([b"b"]))
    await sink.finish()
    assert [(event["type"], event["code"]) for event in sent] == [("websocket.close", 1011)]
    assert counters.refused_writes == before + 1
    assert "message exceeds the maximum" in caplog.text


async def test_client_that_went_away_costs_nothing() -> None:
    """When sending fails the sink takes what is written and does nothing."""
    server = Server()
    server.gone = True
    sink = AsgiSink(server.send, limit=LIMIT)
    sink.write(Broadcast([b"a"]))
    await asyncio.sleep(0)
    sink.write(Broadcast([b"b"]))
    sink.close(1003)
    await sink.finish()
    assert server.sent == []


@pytest.mark.parametrize(("code", "own"), [(1003, 4009), (1011, 4008)])
async def test_server_that_sends_no_standard_code(code: int, own: int) -> None:
    """Where a server refuses a standard code, one of ours says the same of coming back."""
    sent: list[dict[str, Any]] = []

    async def send(event: dict[str, Any]) -> None:
        if event["code"] < 3000:
            raise ValueError("invalid close code")
        sent.append(event)

    sink = AsgiSink(send, limit=LIMIT)
    sink.close(code, "why")
    await sink.finish()
    assert sent == [{"type": "websocket.close", "code": own, "reason": "why"}]


async def test_finish_ends_the_task() -> None:
    """After finish no task is left, whether the client reads or not."""
    before = asyncio.all_tasks()
    idle, stalled = Server(), Server()
    stalled.reading.clear()
    first, second = AsgiSink(idle.send, limit=LIMIT), AsgiSink(stalled.send, limit=LIMIT)
    second.write(Broadcast([b"a"]))
    await first.finish()
    await second.finish()
    assert asyncio.all_tasks() == before


async def test_finish_does_not_wait_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A close that a stalled client does not take is given up."""
    monkeypatch.setattr(queued_sink, "FLUSH_TIMEOUT", 0.01)
    server = Server()
    server.reading.clear()
    sink = AsgiSink(server.send, limit=LIMIT)
    sink.write(Broadcast([b"a"]))
    sink.close(1003)
    await sink.finish()
    assert server.sent == []
