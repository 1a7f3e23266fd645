"""Streams of events from real servers: our own, and uvicorn, which knows nothing of us."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pytest_django import Settings

from realtime import publish
from realtime.sharded_layer import sharded_layer
from tests.realtime.conftest import channel_layers
from tests.realtime.event_streams.stream import SocketStream
from tests.realtime.test_servers import Site, running
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

SERVERS = ["shardlayer-daphne", "uvicorn"]


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Iterator[Site]:
    """A server of the project with its Redis, to which this process publishes."""
    with running(request.param, tmp_path, "open_settings") as site:
        site.redis.start()
        settings.CHANNEL_LAYERS = channel_layers(hosts=[site.redis.url])
        wait_until(lambda: _is_ready(site))
        yield site
        asyncio.run(sharded_layer().close())


def _is_ready(site: Site) -> bool:
    body = site.get("/health/ready")[1]
    return isinstance(body, dict) and body.get("status") == "ready"


def test_events_come_and_a_stream_goes_on(site: Site) -> None:
    """With the headers that proxies look at; nothing is missing between two streams."""
    with SocketStream(site.port, "room=a&room=b") as stream:
        assert stream.response.status == 200
        assert stream.response.getheader("content-type") == "text/event-stream"
        assert stream.response.getheader("x-accel-buffering") == "no"
        assert stream.response.getheader("content-length") is None
        stream.message()
        publish("a", {"n": 1})
        event = stream.message()
        assert event.data == {"room": "a", "offset": 1, "data": {"n": 1}}
        assert event.id is not None
    publish("a", {"n": 2})
    publish("b", {"n": 3})
    with SocketStream(site.port, "room=a&room=b", last_event_id=event.id) as stream:
        rooms = stream.message().data["subscribed"]
        assert [room["recovered"] for room in rooms] == [True, True]
        got = [each["data"]["n"] for room in rooms for each in room["publications"]]
        assert got == [2, 3]


def test_a_stopping_server_sends_its_streams_away(site: Site) -> None:
    """On SIGTERM each stream ends with an event, and the server does not wait for more."""
    with SocketStream(site.port, "room=a") as stream:
        stream.message()
        os.kill(site.process.pid, signal.SIGTERM)
        events = list(stream.events())
    assert events[-1].type == "close"
    assert events[-1].data["code"] == 1012
    assert events[-1].retry is not None
    assert events[-1].retry <= 1_000
    wait_until(lambda: not site.process.runs(), what=site.process.output())
    assert "Traceback" not in site.process.output()


def test_a_client_that_does_not_read_is_given_up(site: Site) -> None:
    """What waits for it is bounded: past a limit its stream ends, and others go on.

    It is told if it reads again soon enough, and is cut off if not.
    """
    with socket.socket() as lazy, SocketStream(site.port, "room=a") as other:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", site.port))
        lazy.sendall(b"GET /sse/?room=a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert lazy.recv(12) == b"HTTP/1.1 200"
        other.message()
        for number in range(60):  # 12 MB
            publish("a", {"n": number, "text": "x" * 200_000})
            assert other.message().data["data"]["n"] == number
        wait_until(lambda: _members("a") == 1)
        lazy.settimeout(PATIENCE)
        received = b""
        with suppress(ConnectionResetError):
            while b"event: close" not in received and (chunk := lazy.recv(1_000_000)):
                received = received[-400:] + chunk
        assert b"event: close" not in received or b'"code":4008' in received


def test_a_client_that_leaves_is_noticed(site: Site) -> None:
    """Its room has no member any more, so Redis is told."""
    with SocketStream(site.port, "room=gone") as stream:
        stream.message()
        wait_until(lambda: _members("gone") == 1)
    wait_until(lambda: _members("gone") == 0)


def _members(room: str) -> int:
    async def ask() -> int:
        return (await sharded_layer().room_info(room)).members

    return asyncio.run(ask())
