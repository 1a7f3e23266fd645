"""A WebSocket client for tests, without a server between: plain ASGI."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.module_loading import import_string

from realtime.testing.kept_transactions import keep_transactions
from shardlayer import Position

_asgiref: Any = ApplicationCommunicator  # its methods are not typed

HOST = "testserver"  # that Django allows in tests
TIMEOUT = 10.0  # seconds


class CommandFailed(AssertionError):
    """The server answered a command with an error, or closed the connection.

    Attributes:
        code: The error's code, such as `forbidden`; or the number with which it was closed.
    """

    def __init__(self, code: str | int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class RealtimeCommunicator:
    """One browser's connection; as an asynchronous context manager it is open inside the block.

    Args:
        application: The ASGI application. Default: that of `ASGI_APPLICATION`, or without that
            setting the one of `realtime.routing`.
        user: Who is signed in; None for nobody. They are put into the scope, as a middleware would
            do it. An `AuthMiddlewareStack` around the application looks for a session instead:
            give the cookie among the headers.
        path: The address.
        origin: Whose page it is; None sends no Origin.
        headers: More headers of the handshake.
        timeout: Seconds that an answer or a push is waited for.
    """

    def __init__(
        self,
        application: Any = None,
        *,
        user: AbstractBaseUser | None = None,
        path: str = "/ws/",
        origin: str | None = f"http://{HOST}",
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        keep_transactions()
        path, _, query = path.partition("?")
        sent = {"Host": HOST, **({} if origin is None else {"Origin": origin}), **(headers or {})}
        scope: dict[str, Any] = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), text.encode()) for name, text in sent.items()],
            "client": ("127.0.0.1", 50_000),
            "server": (HOST, 80),
            "subprotocols": [],
        }
        if user is not None:
            scope["user"] = user
        self.timeout = timeout
        self._asgi = _asgiref(application or _application(), scope)
        self._pushes: deque[dict[str, Any]] = deque()
        self._id = 0

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()

    async def connect(self) -> None:
        """Open the connection.

        Raises:
            CommandFailed: It was refused, as to a page of another site; the code is 403.
        """
        await self._asgi.send_input({"type": "websocket.connect"})
        answer = await self._asgi.receive_output(self.timeout)
        if answer["type"] != "websocket.accept":
            raise CommandFailed(403, answer.get("reason") or "the handshake was refused")

    async def disconnect(self) -> None:
        """Close the connection, and wait until the consumer has ended. Raises what it raised."""
        if not self._asgi.future.done():
            await self._asgi.send_input({"type": "websocket.disconnect", "code": 1001})
        await self._asgi.wait(self.timeout)

    async def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command, such as `history={"room": "orders"}`, and return the reply.

        Pushes that come before it wait for `receive_push`.

        Raises:
            CommandFailed: The reply is an error.
        """
        self._id += 1
        text = json.dumps({"id": self._id, **command})
        await self._asgi.send_input({"type": "websocket.receive", "text": text})
        while (message := await self._receive()).get("id") != self._id:
            self._pushes.append(message)
        if "error" in message:
            raise CommandFailed(message["error"]["code"], message["error"]["message"])
        return message

    async def subscribe(self, room: str, since: Position | None = None) -> dict[str, Any]:
        """Join a room, from a position if one is given; return what the server says of it.

        Raises:
            CommandFailed: The room is not open to this client.
        """
        place = {} if since is None else {"offset": since.offset, "epoch": since.epoch}
        subscribed: dict[str, Any] = (await self.ask(subscribe={"room": room, **place}))[
            "subscribed"
        ]
        return subscribed

    async def publish(self, room: str, data: Any) -> dict[str, Any]:
        """Publish as a client does; return what the server says of it.

        Raises:
            CommandFailed: This client may not.
        """
        reply = await self.ask(publish={"room": room, "data": data})
        published: dict[str, Any] = reply["published"]
        return published

    async def receive_push(self) -> dict[str, Any]:
        """Return the next push, such as `{"room": "orders", "offset": 1, "data": …}`.

        Raises:
            TimeoutError: None came in time. The connection is of no use afterwards.
            CommandFailed: The server closed the connection.
        """
        return self._pushes.popleft() if self._pushes else await self._receive()

    async def receive_nothing(self, seconds: float = 0.1) -> bool:
        """Return whether no push waits, and none comes within so many seconds."""
        return not self._pushes and bool(await self._asgi.receive_nothing(seconds))

    async def _receive(self) -> dict[str, Any]:
        event = await self._asgi.receive_output(self.timeout)
        if event["type"] == "websocket.close":
            raise CommandFailed(event.get("code", 1000), event.get("reason") or "closed")
        message: dict[str, Any] = json.loads(event["text"])
        return message


def _application() -> Any:
    path = getattr(settings, "ASGI_APPLICATION", None)
    if path:
        return import_string(path)
    from realtime.routing import websocket_application

    return websocket_application
