"""A client of the consumer without a server between: plain ASGI, both ends in one loop."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from realtime.consumers import RoomConsumer
from shardlayer import Broadcast
from tests.waiting import PATIENCE


class RecordingSink:
    """A sink as shardlayer's own server offers it: takes what is written at once."""

    def __init__(self) -> None:
        self.texts: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed: tuple[int, str] | None = None
        self.is_closed = asyncio.Event()
        self.message_limit: int | None = None
        self.farewell: Callable[[float], bytes] | None = None
        self.client: object = None
        self.waiting = 0

    def limit_messages(self, size: int) -> None:
        self.message_limit = size

    def take_leave_with(self, encode: Callable[[float], bytes]) -> None:
        self.farewell = encode

    def write(self, broadcast: Broadcast) -> None:
        for text in broadcast.texts:
            self.texts.put_nowait(text)

    def close(self, code: int, reason: str = "") -> None:
        self.closed = (code, reason)
        self.is_closed.set()

    async def wait_drained(self) -> None:
        pass


def offering(token: str) -> dict[str, Any]:
    """Return what is more in the scope of a client that brings a token with its handshake."""
    encoded = urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return {"subprotocols": ["shardlayer", f"shardlayer-token.{encoded}"]}


class Client:
    """One connection to the RoomConsumer; as a context manager it is open inside the block.

    Args:
        query: The URL's query string.
        headers: The handshake's headers.
        sink: Offered to the application as an extension, as our own server does.
        more: More of the scope.
    """

    consumer: type[RoomConsumer] = RoomConsumer

    def __init__(
        self,
        query: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        sink: RecordingSink | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/ws/",
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in (headers or {}).items()
            ],
            "extensions": {"shardlayer": {"sink": sink}} if sink else {},
            **(more or {}),
        }
        self._sink = sink
        self._to_application: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_application: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._application: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Connect; the first event is the application's answer."""
        application = self.consumer.as_asgi()
        self._application = asyncio.create_task(
            application(self.scope, self._to_application.get, self._from_application.put)  # type: ignore[arg-type]
        )
        await self._to_application.put({"type": "websocket.connect"})

    async def __aenter__(self) -> Self:
        await self.begin()
        assert await self.event() == {"type": "websocket.accept"}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Go away, and wait until the application has ended without an error."""
        assert self._application is not None
        await self._to_application.put({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(self._application, PATIENCE)

    async def kill(self) -> None:
        """Cancel the application, as a server does that shuts down."""
        assert self._application is not None
        self._application.cancel()
        await asyncio.wait([self._application])

    async def send_text(self, text: str) -> None:
        """Send a text frame."""
        await self._to_application.put({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        await self._to_application.put({"type": "websocket.receive", "bytes": data})

    async def send(self, id: int, **command: Any) -> None:
        """Send a command without waiting for its answer."""
        await self.send_text(json.dumps({"id": id, **command}))

    async def ask(self, id: int, **command: Any) -> dict[str, Any]:
        """Send a command and return the next thing that comes."""
        await self.send(id, **command)
        return await self.receive()

    async def event(self) -> dict[str, Any]:
        """Return the next ASGI event of the application."""
        return await asyncio.wait_for(self._from_application.get(), PATIENCE)

    async def receive(self) -> dict[str, Any]:
        """Return the next message, an answer or a push."""
        if self._sink is not None:
            text: str | bytes = await asyncio.wait_for(self._sink.texts.get(), PATIENCE)
        else:
            event = await self.event()
            assert event["type"] == "websocket.send", event
            text = event["text"]
        message: dict[str, Any] = json.loads(text)
        return message

    def nothing_waits(self) -> bool:
        """Return whether everything that was sent has been received."""
        return self._from_application.empty() and (self._sink is None or self._sink.texts.empty())
