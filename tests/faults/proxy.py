"""A network between a layer and its server, in which packets may vanish."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from demo.embedded.ports import LOOPBACK

CHUNK = 65_536  # bytes


class LossyProxy:
    """Passes bytes on between clients and one server on this machine.

    Args:
        port: Of the server.

    Attributes:
        url: Where clients reach it, as Redis clients take it.
        refuse_subscribers: Whether a connection ends once it subscribes to something.
    """

    def __init__(self, port: int) -> None:
        self.url = ""
        self.refuse_subscribers = False
        self._upstream = port
        self._server: asyncio.Server | None = None
        self._lossy: set[asyncio.StreamWriter] = set()
        self._to_server: set[asyncio.StreamWriter] = set()
        self._to_client: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://{LOOPBACK}:{port}"
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

    def swallow(self, *, to_server: bool, to_client: bool) -> None:
        """Have all that is sent in a direction vanish from now on, on the connections of now.

        Neither side learns of it, as where a router has forgotten them. New connections work.
        """
        if to_server:
            self._lossy |= self._to_server
        if to_client:
            self._lossy |= self._to_client

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream_reader, upstream = await asyncio.open_connection(LOOPBACK, self._upstream)
        self._to_server.add(upstream)
        self._to_client.add(writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, upstream))
                both.create_task(self._pass_on(upstream_reader, writer))
        finally:
            for end in (upstream, writer):
                end.transport.abort()
                for known in (self._to_server, self._to_client, self._lossy):
                    known.discard(end)
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
