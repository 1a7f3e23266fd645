"""The network between a worker and a Redis, in which what is sent may vanish.

`python -m benchmarks.faults.proxy PORT`, told by the benchmark what to do. It vanishes as where a
router forgets connections: neither side is told, and a connection out of which something
vanished never works again. Those that are made later work.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

from benchmarks.conversation import obey

LOOPBACK = "127.0.0.1"
_CHUNK = 65_536  # bytes


class Proxy:
    """Passes bytes on between clients and one server on this machine.

    Args:
        upstream: The server's port.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._swallowing = False
        self._dead: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> dict[str, Any]:
        """Begin, and answer with the port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return {"port": self._server.sockets[0].getsockname()[1]}

    async def swallow(self) -> dict[str, Any]:
        """Have all that is sent from now on vanish, on new connections too."""
        self._swallowing = True
        self._dead |= self._open
        return {"connections": len(self._open) // 2}

    async def restore(self) -> dict[str, Any]:
        """Let connections that are made from now on work."""
        self._swallowing = False
        return {}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server = await asyncio.open_connection(LOOPBACK, self._upstream)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, server}
        self._open |= ends
        if self._swallowing:
            self._dead |= ends
        await asyncio.gather(self._pass_on(reader, server), self._pass_on(server_reader, writer))
        for end in ends:
            end.transport.abort()
        self._open -= ends
        self._dead -= ends

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(_CHUNK):
                if target not in self._dead:
                    target.write(data)
                    await target.drain()
        if target not in self._dead:  # an end vanishes, too, where what is sent does
            target.transport.abort()


async def _run(upstream: int) -> None:
    proxy = Proxy(upstream)
    await obey({"open": proxy.open, "swallow": proxy.swallow, "restore": proxy.restore})


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))
