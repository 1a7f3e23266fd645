"""Joins the parts: what arrives goes to a worker, is looked at, or is refused."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.balancer.accept_loop import PAUSE, AcceptLoop
from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.balancer.balancer_status import details_of
from shardlayer.balancer.first_look import FirstLook
from shardlayer.balancer.peeking import FirstBytes
from shardlayer.balancer.refusals import Refusals
from shardlayer.balancer.socket_file import SocketFile, peer_of
from shardlayer.balancer.status_server import StatusServer
from shardlayer.balancer.worker_link import WorkerLink
from shardlayer.balancer.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 12_000  # of all workers together
RESERVE = 100  # connections beyond that, for pages
BACKLOG = 1024  # connections that may wait to be accepted; the kernel has a limit of its own
MAX_WORKERS = 256
CHECK_INTERVAL = 0.25  # seconds between two looks at what takes too long
STOP_TIMEOUT = 2.0  # seconds for what is under way when the balancer stops


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerOptions:
    """How a balancer runs.

    Attributes:
        hosts: Where clients come in: addresses or names of this machine.
        port: The TCP port; 0 is any that is free.
        socket: Path of the Unix socket at which workers join.
        socket_group: A group whose members may be workers, too; None is this user's processes.
        max_connections: Of all workers together; 0 is no limit.
        reserve: Connections beyond that, for pages.
        backlog: Connections that may wait to be accepted.
        health_host: Where the balancer's own health listens.
        health_port: Its port; 0 is any that is free, None is none at all.
    """

    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = 8000
    socket: str
    socket_group: str | None = None
    max_connections: int = MAX_CONNECTIONS
    reserve: int = RESERVE
    backlog: int = BACKLOG
    health_host: str = "127.0.0.1"
    health_port: int | None = None


class Balancer:
    """Belongs to the event loop in which it is made, and needs no other."""

    def __init__(self, options: BalancerOptions) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self.counters = BalancerCounters()
        self._pool: WorkerPool[WorkerLink] = WorkerPool(options.max_connections, options.reserve)
        self._links: set[WorkerLink] = set()  # those that have not said who they are as well
        self._doors: list[AcceptLoop] = []
        self._given: set[WorkerLink] = set()  # to whom something is to be flushed
        self._look = FirstLook(self._decided, self._drop)
        self._refusals = Refusals(self.counters)
        self._status = StatusServer(self._details)
        self._tasks = Tasks()
        self._stopping = False
        self._pause: asyncio.TimerHandle | None = None  # until workers are heard again
        self._complain = ThrottledLog(logger, logging.ERROR)

    async def run(self, stop: asyncio.Event) -> None:
        """Balance until `stop` is set; then accept no more, and end what is under way.

        Raises:
            ListenError: A port can't be listened on.
            SocketFileError: The socket for the workers can't be made.
        """
        options = self._options
        # The port first: who has it may replace a socket file that is left there.
        with ExitStack() as doors:
            for host in options.hosts:
                door = AcceptLoop(host, options.port, options.backlog, self.counters, self._arrived)
                doors.callback(door.close)
                self._doors.append(door)
                logger.info("Listening on TCP address %s:%s", *door.address)
            workers = SocketFile(options.socket, options.socket_group)
            await self._run(workers, doors, stop)

    async def _run(self, workers: SocketFile, doors: ExitStack, stop: asyncio.Event) -> None:
        options = self._options
        try:
            if options.health_port is not None:
                address = await self._status.listen(options.health_host, options.health_port)
                logger.info("Health on TCP address %s:%s", *address)
            self._hear(workers)
            self._tasks.repeat(self._check, "balancer's checks", pause=lambda: CHECK_INTERVAL)
            await stop.wait()
        finally:
            for door in self._doors:
                door.accept_rest()
            doors.close()
            if self._pause is not None:
                self._pause.cancel()
            self._loop.remove_reader(workers.listener)
            workers.close()
            await self._end()

    async def _end(self) -> None:
        self._stopping = True
        self._look.close()
        deadline = time.monotonic() + STOP_TIMEOUT
        while self._is_busy() and time.monotonic() < deadline:  # noqa: ASYNC110 - many parts end
            await asyncio.sleep(0.02)
        for link in list(self._links):
            link.dismiss()
        self._refusals.close()
        await self._tasks.aclose()
        await self._status.aclose()

    def _is_busy(self) -> bool:
        return len(self._refusals) > 0 or any(link.waiting for link in self._links)

    def _details(self) -> dict[str, Any]:
        return details_of(
            self._pool,
            self._pool,
            self.counters,
            looked_at=len(self._look),
            refusing=len(self._refusals),
        )

    # Workers.

    def _hear(self, workers: SocketFile) -> None:
        self._loop.add_reader(workers.listener, self._worker_came, workers)

    def _worker_came(self, workers: SocketFile) -> None:
        try:
            connection, _ = workers.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # it is gone already
        except OSError as error:  # there are too many open files: it would be tried all the time
            self._complain("A worker can't be accepted: %s", error)
            self._loop.remove_reader(workers.listener)
            self._pause = self._loop.call_later(PAUSE, self._hear, workers)
            return
        connection.setblocking(False)
        peer = peer_of(connection)
        if not workers.may_join(peer):
            logger.warning("Process %d of user %d may not be a worker.", peer.pid, peer.uid)
            connection.close()
        elif len(self._links) >= MAX_WORKERS:
            logger.error("There are %d workers: no more may join.", MAX_WORKERS)
            connection.close()
        else:
            self._links.add(
                WorkerLink(
                    connection,
                    peer,
                    self.counters,
                    on_join=self._worker_joined,
                    on_return=self._taken_back,
                    on_end=self._worker_ended,
                )
            )

    def _worker_joined(self, link: WorkerLink) -> None:
        self.counters.joined += 1
        self._pool.join(link)
        logger.info("%s joined; there are %d.", link, len(self._pool))

    def _worker_ended(self, link: WorkerLink, not_taken: list[socket.socket]) -> None:
        self._links.discard(link)
        self._given.discard(link)
        if link in self._pool:
            self._pool.leave(link)
        self._taken_back(not_taken)

    def _taken_back(self, connections: list[socket.socket]) -> None:
        self.counters.taken_back += len(connections)
        self._place_all(connections)

    async def _check(self) -> None:
        now = time.monotonic()
        for link in list(self._links):
            link.check(now)
        self._look.check(now)
        self._refusals.check(now)

    # Clients.

    def _arrived(self, connections: list[socket.socket]) -> None:
        self._place_all(connections)

    def _place_all(self, connections: Iterable[socket.socket]) -> None:
        for connection in connections:
            self._place(connection, None, self._look.look)
        self._flush()

    def _decided(self, connection: socket.socket, wanted: FirstBytes) -> None:
        self._place(
            connection, wanted, self._drop if wanted is FirstBytes.TLS else self._refusals.refuse
        )
        self._flush()

    def _place(
        self,
        connection: socket.socket,
        wanted: FirstBytes | None,
        otherwise: Callable[[socket.socket], None],
    ) -> None:
        link = None if self._stopping else self._pool.pick(wanted)
        if link is None:
            if self._stopping and wanted is None:
                otherwise = self._refusals.refuse  # nobody is looked at any more
            otherwise(connection)
        else:
            link.give(connection)
            self._given.add(link)

    def _flush(self) -> None:
        """Hand over what was given. Who can't take it is not chosen again, so this ends."""
        while self._given:
            for connection in self._given.pop().flush():
                self._place(connection, None, self._look.look)

    def _drop(self, connection: socket.socket) -> None:
        self.counters.dropped += 1
        connection.close()
