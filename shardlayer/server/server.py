"""Daphne's Server with another WebSocket half.

Importing this module installs Twisted's asyncio reactor, because importing Daphne's does.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from operator import methodcaller
from types import CoroutineType
from typing import Any

from daphne.server import Server as DaphneServer
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred

from shardlayer.aio.deadlines import Deadlines
from shardlayer.aio.lingering import MAX_LINGERING, Lingering
from shardlayer.core.compression import Compression
from shardlayer.server.address_limits import AddressLimits
from shardlayer.server.adopting import adopt
from shardlayer.server.awaited_requests import AwaitedRequests
from shardlayer.server.balancer_link import BalancerLink
from shardlayer.server.connection import CLOSE_TIMEOUT
from shardlayer.server.connection_limits import ConnectionLimits
from shardlayer.server.drain import DRAIN_SECONDS
from shardlayer.server.endpoints import BACKLOG, with_backlog
from shardlayer.server.handshake import MessageLimits
from shardlayer.server.host import RefusedClient, WebSocket
from shardlayer.server.http_channel import PacedChannel
from shardlayer.server.http_limits import HTTP_MAX_BODY_SIZE, HTTP_REQUEST_TIMEOUT
from shardlayer.server.last_resort import end_after
from shardlayer.server.lifespan_events import Lifespan
from shardlayer.server.rate import FRAME_RATE
from shardlayer.server.reading import MESSAGE_TIMEOUT
from shardlayer.server.server_counters import counters
from shardlayer.server.shutdown import SHUTDOWN_TIMEOUT, Shutdown
from shardlayer.server.sink import CLIENT_BUFFER_LIMIT
from shardlayer.server.sniffer import Sniffer, UpgradeFactory
from shardlayer.server.stop_signals import on_stop_signal
from shardlayer.server.twisted_log import twisted_errors_logged
from shardlayer.server.watchdog import BLOCKING_THRESHOLD, HANG_TIMEOUT, Watchdog
from shardlayer.server.worker_view import WorkerView

reactor: Any = _reactor  # Twisted's stubs don't know the asyncio reactor's

logger = logging.getLogger(__name__)

DEFAULTS = ConnectionLimits()
GRACE = 5  # seconds: more than two looks at the limits in time

CHECK_INTERVAL, APPLICATION_CHECK_INTERVAL = 2, 1  # seconds, as Daphne's
RESERVE = 100  # connections beyond the capacity, for pages; a balancer says how many itself


class Server(DaphneServer):  # type: ignore[misc]
    """Takes all that Daphne's Server takes, and the limits below, of which 0 is none.

    Attributes:
        client_buffer_limit: Bytes that may wait for one client before it is closed with 4008.
        client_frame_rate: Frames a second, on average over 10 s, that a client may send before it
            is closed with 4029.
        client_message_timeout: Seconds that a message may take to arrive, else 1008.
        compression: How broadcasts are compressed for clients that offer it; None: not.
        http_max_body_size: Bytes of a request's body, past which it is refused with 413.
        http_request_timeout: Seconds that a request may take to arrive, else 408.
        limits: On connections.
        addresses: How many connections each address has.
        waiting: The connections that wait for a request.
        lingering: Those that were refused, and wait for their clients to close.
        capacity: Connections that it may hold; 0 is no limit. With a balancer it is this worker's
            share of all. A WebSocket beyond it is answered with 503. What waits for a request, or
            for the next one, does not count, nor does what was refused.
        room: Connections for which there are open files; 0 is no limit. Beyond it, the one goes
            that was refused first, or else has waited longest for a request.
        reserve: Connections beyond it that are served if they ask for anything but a WebSocket.
        held: Connections that it holds now, in whatever state.
        balancer_link: To the balancer that hands connections over, if there is one.
        drain_seconds: Over which the clients are sent away on SIGTERM; 0: all at once, as on any
            other way to stop.
        shutdown_timeout: Seconds from a signal until the process ends, whatever is left to do.
        hang_timeout: Seconds that the event loop may stand still before the process is ended.
        blocking_threshold: Seconds; what blocks the event loop for so long is counted.
        is_draining: Whether the server has begun to stop.
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
        compression: Compression | None = None,
        http_max_body_size: int = HTTP_MAX_BODY_SIZE,
        http_request_timeout: float = HTTP_REQUEST_TIMEOUT,
        drain_seconds: float = DRAIN_SECONDS,
        shutdown_timeout: float = SHUTDOWN_TIMEOUT,
        hang_timeout: float = HANG_TIMEOUT,
        blocking_threshold: float = BLOCKING_THRESHOLD,
        limits: ConnectionLimits = DEFAULTS,
        backlog: int = BACKLOG,
        capacity: int = 0,
        room: int = 0,
        balancer: str | None = None,
        worker_name: str = "",
        listens: bool = True,
        ready_callable: Callable[[], object] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(application, *args, ready_callable=self._ready, **options)
        self.endpoints = (
            [with_backlog(endpoint, backlog) for endpoint in self.endpoints] if listens else []
        )
        self.client_buffer_limit: int = client_buffer_limit
        self.client_frame_rate = client_frame_rate
        self.client_message_timeout = client_message_timeout
        self.compression = compression
        self.http_max_body_size = http_max_body_size
        self.http_request_timeout = http_request_timeout
        self.limits = limits
        self.addresses = AddressLimits(limits)
        self.waiting = AwaitedRequests(limits.http_idle_connections, room)
        self.lingering: Lingering[RefusedClient] = Lingering(
            methodcaller("abort"), patience=CLOSE_TIMEOUT, most=_most_lingering(room)
        )
        self.capacity = self._own_capacity = capacity
        self.room = room
        self.reserve = RESERVE
        self.held = 0
        self.balancer_link = (
            None
            if balancer is None
            else BalancerLink(balancer, self, capacity=capacity, name=worker_name)
        )
        self._front: Any = None  # the factory for what a balancer hands over
        self.drain_seconds = drain_seconds
        self.shutdown_timeout = shutdown_timeout
        self.hang_timeout = hang_timeout
        self.blocking_threshold = blocking_threshold
        self._watchdog: Watchdog | None = None
        self.is_draining = False
        self._is_ending = False
        self._view = WorkerView(self)
        self._spread = 0.0  # seconds, once it is known why the server stops
        self._ports: list[Any] = []
        self.websockets: dict[WebSocket, asyncio.Future[Any]] = {}
        self._leaving: Deadlines[WebSocket] = Deadlines(self.application_close_timeout)
        self._on_ready = ready_callable

    def _ready(self) -> None:
        """Put the sniffer before Daphne's HTTP, which is HTTP/1.1 whatever is installed.

        Daphne calls this when it listens and has not accepted anything yet. The factory's methods
        are replaced on the instance: it stays the factory that TLS asks for its ALPN protocols.
        """
        idle = self.limits.http_idle_timeout
        # Also of a body that stands still. Between requests the server's own limit is first.
        self.http_factory.timeOut = idle + GRACE if idle else None
        self.http_factory.protocol = PacedChannel
        self.http_factory.acceptableProtocols = lambda: [b"http/1.1"]
        build_http = self.http_factory.buildProtocol
        self.http_factory.buildProtocol = partial(Sniffer, self, build_http)
        self.ws_factory = UpgradeFactory(self)
        loop = asyncio.get_event_loop()
        self._watchdog = Watchdog(
            loop, hang_timeout=self.hang_timeout, blocking=self.blocking_threshold
        )
        self._watchdog.shows_stacks = loop.get_debug() or sys.flags.dev_mode
        self._watchdog.start()
        self._lifespan = Lifespan(self.application, self._startup_failed, worker=self._view)
        self._lifespan.start()
        if self._front is None:
            self._front = self.http_factory
        if self.balancer_link is not None:
            # Once the loop runs, which it does not yet.
            reactor.callLater(0, self.balancer_link.start, self._has_started)
        if self.signal_handlers:
            reactor.callWhenRunning(on_stop_signal, self._signalled)
        if self._on_ready is not None:
            self._on_ready()

    async def _has_started(self) -> bool:
        await self._lifespan.started()
        return not self.abort_start

    def run(self) -> None:
        """Serve until something ends it."""
        # From verbosity 2 on, Daphne logs all that Twisted does.
        errors = nullcontext() if self.verbosity > 1 else twisted_errors_logged()
        try:
            with errors:
                super().run()
        finally:
            if self._watchdog is not None:
                self._watchdog.stop()

    def warn_of_blocking(self) -> None:
        """Log where the event loop is blocked, from now on; for development."""
        if self._watchdog is not None:
            self._watchdog.shows_stacks = True

    def drain(self) -> None:
        """Begin to stop as on SIGTERM, unless it has begun."""
        self._signalled(signal.SIGTERM)

    def _signalled(self, number: signal.Signals) -> None:
        """Begin to stop; called wherever the main thread is just now."""
        if self._is_ending:  # it was told to drain before the signal came
            return
        self._is_ending = True
        if number == signal.SIGTERM:  # at a terminal, Ctrl-C is not to take ten seconds
            self._spread = self.drain_seconds
        reactor.callFromThread(self.stop)
        if self.shutdown_timeout:  # after that: it starts a thread, and a machine may have none
            end_after(self.shutdown_timeout, f"It did not stop in {self.shutdown_timeout:g} s.")

    def _startup_failed(self) -> None:
        self.abort_start = True  # Daphne's command line then exits with 1
        self.stop()

    @property
    def message_limits(self) -> MessageLimits:
        """What a client may send; Daphne's options say 0 for no limit."""
        return self.websocket_max_message_size or None, self.websocket_max_frame_size or None

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Run the application for an HTTP request, which may ask how worker and client do."""
        extension = {"worker": self._view, "pace": protocol.pace()}
        scope.setdefault("extensions", {})["shardlayer"] = extension
        self._lifespan.share_state(scope)
        queue = super().create_application(protocol, scope)
        if queue is not None:
            task = self.connections[protocol]["application_instance"]
            task.add_done_callback(protocol.application_ended)
        return queue

    # What comes from a balancer, and how many connections there are.

    @property
    def has_too_many(self) -> bool:
        """Whether more have asked for something than may, the reserve included."""
        return 0 < self.capacity < self.busy - self.reserve

    @property
    def busy(self) -> int:
        """Connections that want something: not those that wait for a request, or were refused."""
        return self.held - len(self.waiting) - len(self.lingering)

    @property
    def is_full(self) -> bool:
        """Whether as many connections have asked for something as may."""
        return 0 < self.capacity <= self.busy

    @property
    def is_joined(self) -> bool:
        """Whether a balancer has this server, lately at least; True if it is to have none."""
        return self.balancer_link is None or self.balancer_link.is_joined

    def listen_success(self, port: Any) -> None:
        """Have what a balancer hands over served as the first endpoint serves its own.

        Daphne sorts the endpoints, so the first is haproxy: or ssl: if there is one of these.
        """
        if self._front is None:
            self._front = getattr(port, "factory", None)
        self._ports.append(port)
        super().listen_success(port)

    def take_share(self, capacity: int, reserve: int) -> None:
        """Hold so many connections from now on, but no more than this server was told to."""
        self.capacity = min(filter(None, (capacity, self._own_capacity)), default=0)
        self.reserve = reserve

    def adopt(self, descriptor: int, family: int) -> None:
        """Serve a connection that a balancer has accepted; the descriptor is closed in any case."""
        adopt(reactor, self._front, descriptor, family)

    def connection_made(self) -> None:
        """Count a connection."""
        self.held += 1
        if 0 < self.room < self.held and not self.lingering.displace():
            self.waiting.displace()

    def connection_lost(self) -> None:
        """Count a connection that is gone."""
        self.held -= 1

    # WebSockets are not in Daphne's `connections`, all of which it looks through every second for
    # applications that have ended: the tasks tell.

    def open_websocket(self, websocket: WebSocket, scope: dict[str, Any]) -> None:
        """Run the application for a WebSocket; raises what the application raises when called."""
        self._lifespan.share_state(scope)
        instance = self.application(
            scope=scope, receive=websocket.inbox.receive, send=websocket.send
        )
        if type(instance) is CoroutineType:  # nearly always, and without two frames of asyncio's
            task = asyncio.get_running_loop().create_task(instance)
        else:
            task = asyncio.ensure_future(instance)
        task.add_done_callback(websocket.application_ended)
        self.websockets[websocket] = task

    def websocket_lost(self, websocket: WebSocket) -> None:
        """Give the application of a client that is gone some time to end."""
        self.held -= 1
        self.lingering.end(websocket)
        task = self.websockets.get(websocket)
        if task is None or task.done():
            self.forget(websocket)
        else:
            self._leaving.start(websocket, time.monotonic())

    def forget(self, websocket: WebSocket) -> None:
        """Drop a WebSocket whose client and application are both gone."""
        self.websockets.pop(websocket, None)
        self._leaving.stop(websocket)

    def timeout_checker(self) -> None:
        """Apply the limits in time; Daphne calls this every two seconds."""
        # First of all. Daphne does it last, so what raises before would end all checks.
        reactor.callLater(CHECK_INTERVAL, self.timeout_checker)
        now = time.monotonic()
        checks: dict[object, Callable[[], None]] = {
            **{websocket: partial(websocket.check_timeouts, now) for websocket in self.websockets},
            **{request: request.check_timeouts for request in self.connections},
        }
        for connection, check in checks.items():
            try:
                check()
            except Exception:  # of one connection: the others keep their limits
                logger.exception("The time limits of %r could not be checked", connection)
        for websocket in self._leaving.take_overdue(now):
            logger.warning("The application of %r did not end in time and was killed.", websocket)
            task = self.websockets[websocket]
            counters.applications_killed += not _is_cancelled(task)
            task.cancel()
            self._leaving.start(websocket, now)  # it may ignore that, so once more then
        self.waiting.check(now)
        self.lingering.check(now)

    def application_checker(self) -> None:
        """Cancel the applications of HTTP clients that are gone; Daphne calls this every second."""
        running = [task for task in self.requests_under_way() if not _is_cancelled(task)]
        try:  # as its last act it has itself called again
            super().application_checker()
        except Exception:
            logger.exception("Applications could not be checked")
            reactor.callLater(APPLICATION_CHECK_INTERVAL, self.application_checker)
        counters.applications_killed += sum(map(_is_cancelled, running))

    def kill_all_applications(self) -> Deferred[Any]:
        """Stop in order (see shutdown.py), before the reactor does; Daphne has it called then."""
        self.is_draining = True
        shutdown = Shutdown(
            self,
            self._lifespan.stop,
            drain_seconds=self._spread,
            timeout=self.shutdown_timeout,
        )
        return Deferred.fromFuture(asyncio.ensure_future(shutdown.run()))

    # What the shutdown calls.

    def stop_listening(self) -> None:
        """Accept no connection any more."""
        for port in self._ports:
            port.stopListening()
        self._ports.clear()

    def requests_under_way(self) -> list[asyncio.Future[Any]]:
        """Return the tasks of the HTTP requests that are not answered yet."""
        tasks = (each.get("application_instance") for each in self.connections.values())
        return [task for task in tasks if task is not None and not task.done()]

    def has_unsent(self) -> bool:
        """Tell whether bytes wait for a client to read."""
        return bool(reactor.getWriters())


def _most_lingering(room: int) -> int:
    """Return how many refused clients may take their time: fewer where few files may be open."""
    return min(MAX_LINGERING, max(1, room // 4)) if room else MAX_LINGERING


def _is_cancelled(task: asyncio.Future[Any]) -> bool:
    """Tell whether a task was told to end, which it may not have done."""
    return isinstance(task, asyncio.Task) and task.cancelling() > 0
