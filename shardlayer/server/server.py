"""Daphne's Server with another WebSocket half.

Importing this module installs Twisted's asyncio reactor, because importing Daphne's does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from daphne.server import Server as DaphneServer
from twisted.internet.defer import Deferred

from shardlayer.server.handshake import MessageLimits
from shardlayer.server.inbox import Inbox, Message
from shardlayer.server.lifespan import Lifespan
from shardlayer.server.sink import CLIENT_BUFFER_LIMIT
from shardlayer.server.sniffer import Sniffer, UpgradeFactory
from shardlayer.server.websocket import WebSocketProtocol


class Server(DaphneServer):  # type: ignore[misc]
    """Takes all that Daphne's Server takes, and `client_buffer_limit`.

    Attributes:
        client_buffer_limit: Bytes that may wait for one client before it is closed with 4008.
    """

    def __init__(
        self,
        application: Any,
        *args: Any,
        client_buffer_limit: int = CLIENT_BUFFER_LIMIT,
        ready_callable: Callable[[], object] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(application, *args, ready_callable=self._ready, **options)
        self.client_buffer_limit = client_buffer_limit
        self._on_ready = ready_callable

    def _ready(self) -> None:
        """Put the sniffer before Daphne's HTTP.

        Daphne calls this when it listens and has not accepted anything yet. The factory's method
        is replaced on the instance: it stays the factory that TLS asks for its ALPN protocols.
        """
        build_http = self.http_factory.buildProtocol
        self.http_factory.buildProtocol = partial(Sniffer, self, build_http)
        self.ws_factory = UpgradeFactory(self)
        self._lifespan = Lifespan(self.application, self._startup_failed)
        self._lifespan.start()
        if self._on_ready is not None:
            self._on_ready()

    def _startup_failed(self) -> None:
        self.abort_start = True  # Daphne's command line then exits with 1
        self.stop()

    @property
    def message_limits(self) -> MessageLimits:
        """What a client may send; Daphne's options say 0 for no limit."""
        return self.websocket_max_message_size or None, self.websocket_max_frame_size or None

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Run the application for a connection and return the queue that it receives from.

        As Daphne does, but a WebSocket brings its own queue, with flow control.
        """
        if not isinstance(protocol, WebSocketProtocol):
            return super().create_application(protocol, scope)
        inbox: Inbox = protocol.inbox
        instance = self.application(
            scope=scope, receive=inbox.receive, send=partial(self.handle_reply, protocol)
        )
        task = asyncio.ensure_future(instance)
        # Daphne looks for ended applications once a second, and logs their exceptions then.
        task.add_done_callback(protocol.application_ended)
        self.connections[protocol]["application_instance"] = task
        return inbox

    async def handle_reply(self, protocol: Any, message: Message) -> None:
        """Pass on what an application sends; a WebSocket's waits while its client is behind."""
        await super().handle_reply(protocol, message)
        if isinstance(protocol, WebSocketProtocol) and not protocol.sink.is_idle:
            await protocol.sink.wait_drained()

    def kill_all_applications(self) -> Deferred[Any]:
        """Close the WebSockets with 1012 and cancel all applications, before the reactor stops.

        Unlike Daphne's, this takes a connection that has no application yet or any more, and
        does not wait for ever for one that ignores its cancellation.
        """
        running = []
        for protocol, details in list(self.connections.items()):
            if isinstance(protocol, WebSocketProtocol):
                protocol.go_away()
            instance = details.get("application_instance")
            if instance is not None and not instance.done():
                instance.cancel()
                running.append(instance)
        return Deferred.fromFuture(asyncio.ensure_future(self._wind_up(running)))

    async def _wind_up(self, running: list[asyncio.Future[Any]]) -> None:
        if running:
            await asyncio.wait(running, timeout=self.application_close_timeout)
        await self._lifespan.stop()
