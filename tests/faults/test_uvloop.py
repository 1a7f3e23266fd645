"""The layer under uvloop, which raises RuntimeError where asyncio's own loop raises OSError."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import orjson
import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import LOOPBACK
from tests.waiting import PATIENCE, until

pytest.importorskip("uvloop", reason="left out: uvloop not installed")

RESETS = 5  # connections in a row, of each kind


class ResettingProxy:
    """Passes bytes on to a server, unless it is told to reset what comes.

    Such a connection gets one answer, as from a balancer that then finds its server gone, and is
    reset before the client can write again. Runs in threads: it must be faster than the client.

    Attributes:
        resets: Connections that are still to be reset.
    """

    def __init__(self, port: int) -> None:
        self.resets = 0
        self._upstream = port
        self._listening = socket.create_server((LOOPBACK, 0))
        self.url = f"redis://{LOOPBACK}:{self._listening.getsockname()[1]}"
        self._serving: list[threading.Thread] = []
        self._ends: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self) -> None:
        """Accept no more, and end what was accepted."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        for end in self._ends:
            _shut(end)
        for thread in self._serving:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self.resets:
                self.resets -= 1
                _reset(client)
            else:
                self._ends.append(client)
                self._serving.append(threading.Thread(target=self._serve, args=(client,)))
                self._serving[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection((LOOPBACK, self._upstream)) as server:
            back = threading.Thread(target=_pass_on, args=(server, client))
            back.start()
            _pass_on(client, server)
            back.join()


def _reset(client: socket.socket) -> None:
    with client, suppress(OSError):
        client.recv(4_096)
        client.sendall(b"+OK\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    _shut(source)
    _shut(target)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def resetting_proxy(port: int) -> Iterator[ResettingProxy]:
    """Run a proxy for one test."""
    proxy = ResettingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
async def test_proxy_that_accepts_and_resets(redis_server: EmbeddedValkey, kind: str) -> None:
    """The connection is made again, whichever it is; what was published meanwhile arrives."""
    with resetting_proxy(redis_server.port) as proxy, Redis.from_url(redis_server.url) as redis:
        member = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.uvloop_member", proxy.url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert member.stdin is not None
        assert member.stdout is not None

        async def says() -> bytes:
            assert member.stdout is not None
            async with asyncio.timeout(PATIENCE):
                return (await member.stdout.readline()).strip()

        try:
            assert await says() == b"joined"
            proxy.resets = RESETS
            redis.client_kill_filter(_type=kind, skipme=True)
            member.stdin.write(b"1\n")
            if kind == "pubsub":
                await until(lambda: not proxy.resets, within=PATIENCE)
            assert orjson.loads(await says())["data"] == 1
            member.stdin.write(b"2\n")
            assert orjson.loads(await says())["data"] == 2
            assert proxy.resets == 0
        finally:
            member.stdin.close()
            _, errors = await member.communicate()
        assert member.returncode == 0, errors
        assert kind == "normal" or b"Can't hear" in errors
