"""The WebSocket consumer: rooms for a browser.

An ASGI application with a receive loop of its own. Channels' consumers make a task and hop to a
thread for each message and each broadcast; here a client's commands are done one after another
in the connection's own coroutine, and broadcasts do not pass through it at all: the hub writes them
to the connection's sink.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs

from realtime.access.anonymous import User
from realtime.clients.asgi_sink import AsgiSink
from realtime.clients.protocol import replies
from realtime.clients.protocol.commands import CLOSE_BINARY
from realtime.clients.protocol.parsing import may_name_command
from realtime.clients.protocol.subprotocols import acceptance, offered_token
from realtime.clients.queued_sink import ClientSink, Send
from realtime.clients.session import NO_COMMANDS, ClientSession
from realtime.conf import conf

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# What is larger than MAX_CLIENT_MESSAGE is answered with an error, and past this many times its
# size our own server closes with 1009 and keeps nothing of it.
READ_FACTOR = 2

COMMAND: Final = "command_"  # begins the methods that are commands of a project's

# The extension of a scope by which this process asks, and no client, whether it comes to a
# consumer: a function that is called with its class. Nothing is accepted then, and nobody joins.
PROBE: Final = "realtime.probe"

_is_plain = re.compile(rb"room=[-._~0-9A-Za-z]+").fullmatch  # one room, and nothing to decode


class RoomConsumer:
    """Serves one connection by the protocol of docs/protocol.md.

    On shardlayer's own server the broadcasts go straight to the socket; on others through an
    `AsgiSink`.

    A subclass may have commands of its own beside those of the protocol. Each is a coroutine method
    `command_NAME` that takes what the client sent with it, and returns what it is answered:

        class ShopConsumer(RoomConsumer):
            async def command_stock(self, article):
                user = await self.user()
                return {"left": await stock_of(article, user)}

    A client says `{"id":5,"stock":7}` and is answered `{"id":5,"stock":{"left":3}}`, or an error.
    A command may raise ClientRefused; whatever else it raises is logged, and answered with
    `internal`. The limits on a client's commands hold for these too.
    """

    __slots__ = ("_receive", "_scope", "_send", "_session")

    commands: ClassVar[tuple[str, ...]] = ()  # of the project's

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._session: ClientSession | None = None

    def __init_subclass__(cls) -> None:
        """Find the commands of a subclass.

        Raises:
            TypeError: One has the name of a command of the protocol, or can't be awaited.
        """
        super().__init_subclass__()
        names = [name.removeprefix(COMMAND) for name in dir(cls) if name.startswith(COMMAND)]
        for name in names:
            if not may_name_command(name):
                raise TypeError(f"{cls.__name__}.{COMMAND}{name}: {name!r} is the protocol's own.")
            if not iscoroutinefunction(getattr(cls, COMMAND + name)):
                raise TypeError(f"{cls.__name__}.{COMMAND}{name} must be an async function.")
        cls.commands = tuple(names)

    # What a command may ask.

    @property
    def scope(self) -> Scope:
        """The connection's ASGI scope."""
        return self._scope

    async def user(self) -> User:
        """Return the user, with all fields; an anonymous one if nobody is signed in.

        Raises:
            ClientRefused: The connection is closing, say because its user was signed out, or is
                gone. So no command goes on for nobody.
        """
        return await self._served().loaded_user()

    @property
    def client_id(self) -> str:
        """The connection's id: `publish(…, exclude=self.client_id)` leaves this client out."""
        return self._served().client_id

    @property
    def rooms(self) -> list[str]:
        """The rooms that the client is in now, in no order."""
        return self._served().rooms

    def _served(self) -> ClientSession:
        if self._session is None:
            raise RuntimeError("The connection is not served yet.")
        return self._session

    @classmethod
    def as_asgi(cls) -> Application:
        """Return the ASGI application, as Channels' consumers have it."""

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await cls(scope, receive, send).run()

        return application

    async def run(self) -> None:
        """Serve the connection until it ends; leaves every room, also when cancelled."""
        if (await self._receive())["type"] != "websocket.connect":
            return
        extensions = self._scope.get("extensions", {})
        offered = extensions.get("shardlayer")
        if offered is not None:
            sink = offered["sink"]
            sink.limit_messages(conf().max_client_message * READ_FACTOR)
            sink.take_leave_with(replies.reconnect)
        elif PROBE in extensions:
            extensions[PROBE](type(self))
            return
        if self._scope.get("subprotocols"):
            await self._send(acceptance(self._scope["subprotocols"]))
        else:
            await self._send({"type": "websocket.accept"})
        if offered is not None:
            await self._serve(sink)
            return
        await self._serve_over_asgi()

    async def _serve_over_asgi(self) -> None:
        settings, loop = conf(), asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as serving:
                sink = AsgiSink(
                    self._send,
                    limit=settings.max_client_buffer,
                    max_text=settings.max_client_text,
                    on_failure=lambda: serving.reschedule(loop.time()),
                )
                try:
                    await self._serve(sink, max_text=settings.max_client_text)
                finally:
                    await sink.finish()
        except TimeoutError:
            if not serving.expired():
                raise
            # Nothing can be sent any more: a client that would be served on hears nothing of it.

    async def _serve(self, sink: ClientSink, max_text: int = 0) -> None:
        own = {name: getattr(self, COMMAND + name) for name in self.commands} or NO_COMMANDS
        session = await ClientSession.begin(self._scope, sink, max_text, own)
        self._session = session
        try:
            offered = self._scope.get("subprotocols")
            token = offered_token(offered) if offered else None
            if token is not None and not await session.sign_in_first(token):
                return
            if not await session.enter(rooms_of_url(self._scope)):
                return
            while (event := await self._receive())["type"] == "websocket.receive":
                text = event.get("text")
                if text is None:
                    sink.close(CLOSE_BINARY, "binary frames are not understood")
                    return
                if not await session.handle(text):
                    return
        finally:
            await session.end()


def rooms_of_url(scope: Scope) -> list[str]:
    """Return what the URL's `room` parameters say, each once, in order: rooms, or `ROOM~TOKEN`."""
    query = scope["query_string"]
    if not query:
        return []
    if _is_plain(query):  # nearly every one
        return [query.decode("ascii").removeprefix("room=")]
    return list(dict.fromkeys(parse_qs(query.decode("ascii", "replace")).get("room", ())))
