"""The network between a layer and a Redis, in which what is sent may vanish.

It vanishes as where a router forgets connections: neither side is told, and a connection out of
which something vanished never works again. The tests use it in their own process; the benchmark
runs `python -m benchmarks.faults.proxy PORT` and tells it what to do.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from benchmarks.conversation import obey
from demo.embedded.ports import LOOPBACK

CHUNK = 65_536  # bytes


class LossyProxy:
    """Passes bytes on between clients and one server on this machine.

    Args:
        upstream: The server's port.

    Attributes:
        port: Where clients reach it, once it is open.
        refuse_subscribers: Whether a connection ends once it subscribes to something.
    """

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self.refuse_subscribers = False
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._lossy: set[asyncio.StreamWriter] = set()
        self._to_server: set[asyncio.StreamWriter] = set()
        self._to_client: set[asyncio.StreamWriter] = set()
        self._swallows_new = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where clients reach it, as Redis clients take it."""
        return f"redis://{LOOPBACK}:{self.port}"

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._to_client)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def open(self) -> None:
        """Begin."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def swallow(self, *, to_server: bool, to_client: bool) -> None:
        """Have all that is sent in a direction vanish from now on, on the connections of now.

        Neither side learns of it, as where a router has forgotten them. New connections work.
        """
        if to_server:
            self._lossy |= self._to_server
        if to_client:
            self._lossy |= self._to_client

    def swallow_all(self) -> None:
        """Have all that is sent from now on vanish, on new connections too, until `restore`."""
        self._swallows_new = True
        self.swallow(to_server=True, to_client=True)

    def restore(self) -> None:
        """Let connections that are made from now on work."""
        self._swallows_new = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends = {writer}
        try:
            upstream_reader, upstream = await asyncio.open_connection(LOOPBACK, self._upstream)
            ends.add(upstream)
            self._to_server.add(upstream)
            self._to_client.add(writer)
            if self._swallows_new:
                self._lossy |= ends
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, upstream))
                both.create_task(self._pass_on(upstream_reader, writer))
        except OSError:
            pass  # the server is not there: the client's connection ends
        finally:
            for end in ends:
                end.transport.abort()
            for known in (self._to_server, self._to_client, self._lossy):
                known -= ends
            self._tasks.discard(task)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(CHUNK):
                if self.refuse_subscribers and b"SUBSCRIBE" in data:
                    break
                if target not in self._lossy:
                    target.write(data)
                    await target.drain()
        # An end vanishes, too, where what is sent does.
        if target not in self._lossy:
            target.transport.abort()


async def _run(upstream: int) -> None:
    proxy = LossyProxy(upstream)

    async def begin() -> dict[str, Any]:
        await proxy.open()
        return {"port": proxy.port}

    async def swallow() -> dict[str, Any]:
        proxy.swallow_all()
        return {"connections": proxy.connections}

    async def restore() -> dict[str, Any]:
        proxy.restore()
        return {}

    await obey({"open": begin, "swallow": swallow, "restore": restore})


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))
