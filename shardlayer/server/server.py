"""Daphne's Server with another WebSocket half.

Importing this module installs Twisted's asyncio reactor, because importing Daphne's does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from daphne.server import Server as DaphneServer
from twisted.internet.defer import Deferred

from shardlayer.server.deadlines import Deadlines
from shardlayer.server.endpoints import BACKLOG, with_backlog
from shardlayer.server.handshake import MessageLimits
from shardlayer.server.http_limits import HTTP_MAX_BODY_SIZE, HTTP_REQUEST_TIMEOUT
from shardlayer.server.lifespan_events import Lifespan
from shardlayer.server.rate import FRAME_RATE
from shardlayer.server.reading import MESSAGE_TIMEOUT
from shardlayer.server.sink import CLIENT_BUFFER_LIMIT
from shardlayer.server.sniffer import Sniffer, UpgradeFactory
from shardlayer.server.websocket_protocol import WebSocketProtocol

logger = logging.getLogger(__name__)


class Server(DaphneServer):  # type: ignore[misc]
    """Takes all that Daphne's Server takes, and the limits below, of which 0 is none.

    Attributes:
        client_buffer_limit: Bytes that may wait for one client before it is closed with 4008.
        client_frame_rate: Frames a second, on average over 10 s, that a client may send before it
            is closed with 4029.
        client_message_timeout: Seconds that a message may take to arrive, else 1008.
        http_max_body_size: Bytes of a request's body, past which it is refused with 413.
        http_request_timeout: Seconds that a request may take to arrive, else 408.
        websockets: The task of each WebSocket's application, until client and task are gone.
    """

    endpoints: list[str]

    def __init__(
        self,
        application: Any,
        *args: Any,
        client_buffer_limit: int = CLIENT_BUFFER_LIMIT,
        client_frame_rate: int = FRAME_RATE,
        client_message_timeout: float = MESSAGE_TIMEOUT,
        http_max_body_size: int = HTTP_MAX_BODY_SIZE,
        http_request_timeout: float = HTTP_REQUEST_TIMEOUT,
        backlog: int = BACKLOG,
        ready_callable: Callable[[], object] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(application, *args, ready_callable=self._ready, **options)
        self.endpoints = [with_backlog(endpoint, backlog) for endpoint in self.endpoints]
        self.client_buffer_limit: int = client_buffer_limit
        self.client_frame_rate = client_frame_rate
        self.client_message_timeout = client_message_timeout
        self.http_max_body_size = http_max_body_size
        self.http_request_timeout = http_request_timeout
        self.websockets: dict[WebSocketProtocol, asyncio.Future[Any]] = {}
        self._leaving: Deadlines[WebSocketProtocol] = Deadlines(self.application_close_timeout)
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
        """Run the application for an HTTP request."""
        self._lifespan.share_state(scope)
        return super().create_application(protocol, scope)

    # WebSockets are not in Daphne's `connections`, all of which it looks through every second for
    # applications that have ended: the tasks tell.

    def open_websocket(self, protocol: WebSocketProtocol, scope: dict[str, Any]) -> None:
        """Run the application for a WebSocket; raises what the application raises when called."""
        self._lifespan.share_state(scope)
        instance = self.application(scope=scope, receive=protocol.inbox.receive, send=protocol.send)
        task = asyncio.ensure_future(instance)
        task.add_done_callback(protocol.application_ended)
        self.websockets[protocol] = task

    def websocket_lost(self, protocol: WebSocketProtocol) -> None:
        """Give the application of a client that is gone some time to end."""
        task = self.websockets.get(protocol)
        if task is None or task.done():
            self.forget(protocol)
        else:
            self._leaving.start(protocol, time.monotonic())

    def forget(self, protocol: WebSocketProtocol) -> None:
        """Drop a WebSocket whose client and application are both gone."""
        self.websockets.pop(protocol, None)
        self._leaving.stop(protocol)

    def timeout_checker(self) -> None:
        """Apply the limits in time; Daphne calls this every two seconds."""
        now = time.monotonic()
        for protocol in list(self.websockets):
            try:
                protocol.check_timeouts(now)
            except Exception:  # of one connection: the others keep their limits
                logger.exception("The limits in time failed for %r", protocol)
        for protocol in self._leaving.take_overdue(now):
            logger.warning("The application of %r did not end in time and was killed.", protocol)
            self.websockets[protocol].cancel()
            self._leaving.start(protocol, now)  # it may ignore that, so once more then
        super().timeout_checker()

    def kill_all_applications(self) -> Deferred[Any]:
        """Close the WebSockets with 1012 and cancel all applications, before the reactor stops.

        Unlike Daphne's, this takes a connection that has no application yet or any more, and
        does not wait for ever for one that ignores its cancellation.
        """
        instances = [details.get("application_instance") for details in self.connections.values()]
        for protocol, task in list(self.websockets.items()):
            protocol.go_away()
            instances.append(task)
        running = [each for each in instances if each is not None and not each.done()]
        for instance in running:
            instance.cancel()
        return Deferred.fromFuture(asyncio.ensure_future(self._wind_up(running)))

    async def _wind_up(self, running: list[asyncio.Future[Any]]) -> None:
        if running:
            await asyncio.wait(running, timeout=self.application_close_timeout)
        await self._lifespan.stop()
