"""A stream of events as a client reads it: in plain ASGI, and over a socket."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from realtime.event_streams.event_stream_gate import EventStreamGate
from tests.waiting import PATIENCE


@dataclass(frozen=True)
class Event:
    """What arrived: a dispatched event, a comment (`type` is ":"), or a `retry` alone."""

    type: str
    data: Any = None
    id: str | None = None
    retry: int | None = None


def read_event(block: str) -> Event:
    """Return what the lines before a blank one say, as the HTML standard reads them."""
    fields: dict[str, list[str]] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "" in fields:
        return Event(":")
    (id,), (retry,), (kind,) = (fields.get(name, [None]) for name in ("id", "retry", "event"))
    data = json.loads("\n".join(fields["data"])) if "data" in fields else None
    return Event(kind or "message", data, id, None if retry is None else int(retry))


class Stream:
    """A stream from the gate, without a server between; open inside the block.

    Args:
        query: The URL's query string.
        headers: Of the request.
        more: More of the scope.
    """

    def __init__(
        self,
        query: str = "",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        sent = {"Host": "testserver", **(headers or {})}
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": "/sse/",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
            "extensions": {},
            **(more or {}),
        }
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_over = False
        self.reads = asyncio.Event()
        self.reads.set()
        self._to_application: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self._rest = ""

    async def __aenter__(self) -> Self:
        gate = EventStreamGate(_no_django)
        self._application = asyncio.create_task(
            gate(self.scope, self._to_application.get, self._send)
        )
        await self._to_application.put({"type": "http.request", "body": b"", "more_body": False})
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.reads.set()
        await self._to_application.put({"type": "http.disconnect"})
        await asyncio.wait_for(self._application, PATIENCE)

    async def ended(self) -> None:
        """Wait until the application has ended by itself."""
        await asyncio.wait_for(asyncio.shield(self._application), PATIENCE)

    async def leave(self) -> None:
        """Be gone."""
        await self._to_application.put({"type": "http.disconnect"})

    async def cancel(self) -> None:
        """Have the application cancelled, as a server does that stops."""
        self._application.cancel()
        await asyncio.wait([self._application], timeout=PATIENCE)
        assert self._application.cancelled()
        self._application = asyncio.create_task(asyncio.sleep(0))

    async def _send(self, event: dict[str, Any]) -> None:
        await self.reads.wait()
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.headers = {name.decode(): value.decode() for name, value in event["headers"]}
        else:
            assert not self.is_over
            self.is_over = not event.get("more_body", False)
            self._arrived.put_nowait(event["body"])

    async def event(self) -> Event:
        """Return the next event or comment."""
        while "\n\n" not in self._rest:
            self._rest += (await asyncio.wait_for(self._arrived.get(), PATIENCE)).decode()
        block, _, self._rest = self._rest.partition("\n\n")
        return read_event(block)

    async def message(self) -> Event:
        """Return the next event with data."""
        while (event := await self.event()).data is None:
            pass
        return event


async def _no_django(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError(f"{scope['path']} is not served.")


class SocketStream:
    """A stream over HTTP/1.1; closed behind the block.

    Args:
        port: Of a server on this machine.
        query: The URL's query string.
        headers: Of the request.
    """

    def __init__(self, port: int, query: str, **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", f"/sse/?{query}", headers=named)
        self.response = self._connection.getresponse()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.response.close()
        self._connection.close()

    def events(self) -> Iterator[Event]:
        """Yield events and comments until the stream ends."""
        lines: list[str] = []
        while line := self.response.readline().decode():
            if line != "\n":
                lines.append(line.rstrip("\n"))
            else:
                yield read_event("\n".join(lines))
                lines = []

    def message(self) -> Event:
        """Return the next event with data."""
        return next(event for event in self.events() if event.data is not None)
