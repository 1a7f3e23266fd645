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
from typing import Any
from urllib.parse import parse_qs

from realtime.clients.asgi_sink import AsgiSink, ClientSink, Send
from realtime.clients.protocol import replies
from realtime.clients.protocol.commands import CLOSE_BINARY, CLOSE_EXPIRED, ProtocolError
from realtime.clients.protocol.subprotocols import acceptance, offered_token
from realtime.clients.session import ClientSession
from realtime.conf import conf

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# What is larger than MAX_CLIENT_MESSAGE is answered with an error, and past this many times its
# size our own server closes with 1009 and keeps nothing of it.
READ_FACTOR = 2

_is_plain = re.compile(rb"room=[-._~0-9A-Za-z]+").fullmatch  # one room, and nothing to decode


class RoomConsumer:
    """Serves one connection by the protocol of docs/protocol.md.

    On shardlayer's own server the broadcasts go straight to the socket; on others through an
    `AsgiSink`.
    """

    __slots__ = ("_receive", "_scope", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

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
        offered = self._scope.get("extensions", {}).get("shardlayer")
        if offered is not None:
            sink = offered["sink"]
            sink.limit_messages(conf().max_client_message * READ_FACTOR)
            sink.take_leave_with(replies.reconnect)
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
        session = await ClientSession.begin(self._scope, sink, max_text)
        try:
            if self._scope.get("subprotocols") and not await _sign_in(self._scope, session, sink):
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


async def _sign_in(scope: Scope, session: ClientSession, sink: ClientSink) -> bool:
    """Sign in whoever brings a token with the handshake; return whether to go on."""
    token = offered_token(scope["subprotocols"])
    if token is None:
        return True
    try:
        await session.sign_in(token)
    except ProtocolError as error:
        error.id = 0
        session.push(replies.error(error))
        sink.close(CLOSE_EXPIRED, error.message)
        return False
    return True


def rooms_of_url(scope: Scope) -> list[str]:
    """Return what the URL's `room` parameters say, each once, in order: rooms, or `ROOM~TOKEN`."""
    query = scope["query_string"]
    if not query:
        return []
    if _is_plain(query):  # nearly every one
        return [query.decode("ascii").removeprefix("room=")]
    return list(dict.fromkeys(parse_qs(query.decode("ascii", "replace")).get("room", ())))
