"""What clients want is found out without taking it, and not for ever."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from shardlayer.balancer import first_look
from shardlayer.balancer.first_look import LOOK_TIMEOUT, FirstLook
from shardlayer.balancer.peeking import FirstBytes
from tests.server.client import request
from tests.shardlayer.balancer.connections import tcp_pairs
from tests.waiting import until

PAGE = b"GET /page HTTP/1.1\r\nHost: test\r\n\r\n"


class Looked:
    """Keeps what was decided."""

    def __init__(self) -> None:
        self.decided: list[tuple[socket.socket, FirstBytes]] = []
        self.gone: list[socket.socket] = []
        self.look = FirstLook(lambda *each: self.decided.append(each), self.gone.append)


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Three connections."""
    with tcp_pairs(3) as made:
        yield made


@pytest.mark.parametrize("data", [PAGE, request()])
async def test_in_pieces(pairs: list[tuple[socket.socket, socket.socket]], data: bytes) -> None:
    """Byte by byte it is the same, and all of it is still there for who gets the connection."""
    looked = Looked()
    client, accepted = pairs[0]
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    looked.look.look(accepted)
    for byte in data:
        client.send(bytes([byte]))
        await asyncio.sleep(0)
    await until(lambda: looked.decided)
    wanted = FirstBytes.PAGE if data is PAGE else FirstBytes.WEBSOCKET
    assert looked.decided == [(accepted, wanted)]
    assert accepted.recv(4096) == data
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
    assert len(looked.look) == 0


async def test_half_a_head_and_no_more(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    """A client that ends its half in the middle of a head wants nothing that can be served."""
    looked = Looked()
    client, accepted = pairs[0]
    client.send(PAGE[:9])
    looked.look.look(accepted)
    assert len(looked.look) == 1
    client.shutdown(socket.SHUT_WR)
    await until(lambda: looked.decided)
    assert looked.decided == [(accepted, FirstBytes.OTHER)]


async def test_gone(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """A client that leaves without a word is not decided about."""
    looked = Looked()
    client, accepted = pairs[0]
    looked.look.look(accepted)
    client.close()
    await until(lambda: looked.gone)
    assert looked.gone == [accepted]
    assert looked.decided == []


async def test_time(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Who says nothing for too long is decided about all the same."""
    looked = Looked()
    began = time.monotonic()
    looked.look.look(pairs[0][1])
    looked.look.check(began + LOOK_TIMEOUT / 2)
    assert looked.decided == []
    looked.look.check(time.monotonic() + LOOK_TIMEOUT + 1)
    assert looked.decided == [(pairs[0][1], FirstBytes.OTHER)]


async def test_number(
    pairs: list[tuple[socket.socket, socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond so many, who has been waited for longest is waited for no more."""
    monkeypatch.setattr(first_look, "MAX_LOOKED_AT", 2)
    looked = Looked()
    pairs[2][0].sendall(PAGE)
    for _, accepted in pairs:
        looked.look.look(accepted)
    assert looked.decided == [(pairs[2][1], FirstBytes.PAGE)]  # who says it at once displaces none
    with tcp_pairs() as [(_, another)]:
        looked.look.look(another)
        assert looked.decided[1:] == [(pairs[0][1], FirstBytes.OTHER)]
        looked.look.close()
        assert len(looked.decided) == 4


@pytest.mark.parametrize("ends", ["number", "time"])
async def test_request_that_was_not_read_in_time(
    pairs: list[tuple[socket.socket, socket.socket]], monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """If this process stood still, it looks once more before it waits no longer."""
    monkeypatch.setattr(first_look, "MAX_LOOKED_AT", 1)
    looked = Looked()
    looked.look.look(pairs[0][1])
    pairs[0][0].sendall(PAGE)
    if ends == "number":
        looked.look.look(pairs[1][1])
    else:
        looked.look.check(time.monotonic() + LOOK_TIMEOUT + 1)
    assert looked.decided == [(pairs[0][1], FirstBytes.PAGE)]
    looked.look.close()
