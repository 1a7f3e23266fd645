"""A 503 reaches its client, and nobody stays for it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Iterator

import pytest

from shardlayer.balancer import refusals
from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.balancer.refusals import ANSWER, LINGER, Refusals
from shardlayer.core.json_formatter import JsonFormatter
from tests.shardlayer.balancer.connections import tcp_pairs
from tests.waiting import until


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Three connections."""
    with tcp_pairs(3) as made:
        yield made


async def test_answer_arrives(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Also to a client that is still sending: a close would reset it, and the answer with it."""
    counters = BalancerCounters()
    refusing = Refusals(counters)
    client, accepted = pairs[0]
    client.send(b"GET / HTTP/1.1\r\n")
    refusing.refuse(accepted)
    client.send(b"Host: test\r\n\r\n" + b"x" * 10_000)
    await asyncio.sleep(0)
    assert await asyncio.to_thread(client.recv, 4096) == ANSWER
    assert client.recv(1) == b""
    assert len(refusing) == 1
    client.close()
    await until(lambda: len(refusing) == 0)
    assert counters.refused == 1


async def test_log(
    pairs: list[tuple[socket.socket, socket.socket]], caplog: pytest.LogCaptureFixture
) -> None:
    """Each is an event of the log, as a server's own refusals are, if anybody asked for these."""
    refusing = Refusals(BalancerCounters())
    caplog.set_level(logging.WARNING, "shardlayer.events")
    refusing.refuse(pairs[0][1])
    caplog.set_level(logging.INFO, "shardlayer.events")
    refusing.refuse(pairs[1][1])
    (record,) = caplog.records
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["status"], line["client"]) == ("refused", 503, "127.0.0.1")
    assert line["reason"] == "All connections are taken. Try again later."
    refusing.close()


async def test_time(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """A client that does not close is closed."""
    refusing = Refusals(BalancerCounters())
    began = time.monotonic()
    refusing.refuse(pairs[0][1])
    refusing.check(began + LINGER / 2)
    assert len(refusing) == 1
    refusing.check(time.monotonic() + LINGER + 1)
    assert len(refusing) == 0
    assert pairs[0][1].fileno() == -1


async def test_number(
    pairs: list[tuple[socket.socket, socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond so many, an answer is not waited for."""
    monkeypatch.setattr(refusals, "MAX_LINGERING", 1)
    refusing = Refusals(BalancerCounters())
    for client, accepted in pairs:
        refusing.refuse(accepted)
        assert client.recv(4096) == ANSWER
    assert len(refusing) == 1
    refusing.close()
    assert len(refusing) == 0


async def test_gone(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """A client that has left is only closed."""
    refusing = Refusals(BalancerCounters())
    client, accepted = pairs[0]
    client.close()
    await asyncio.sleep(0)
    refusing.refuse(accepted)
    assert len(refusing) == 0
