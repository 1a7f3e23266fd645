"""The balancer's side of one worker: hands connections over, and keeps each until it is taken.

A worker acknowledges before it takes a connection, and takes none that was handed over more than
`TAKE_WITHIN` seconds ago. What it has not acknowledged when its link ends, or after
`RECEIPT_TIMEOUT`, it will never take. So another worker gets that, and what the worker gives back.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable

from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.balancer.socket_file import Peer
from shardlayer.core.handover_frames import (
    MAX_BATCH,
    RECEIPT_TIMEOUT,
    VERSION,
    BrokenHandover,
    GiveBack,
    Handover,
    HandoverFrame,
    HandoverReader,
    Join,
    Load,
    Share,
)

logger = logging.getLogger(__name__)

STALLED_AFTER = 1.0  # seconds without a receipt, after which other workers are preferred
JOIN_TIMEOUT = 5.0  # seconds for a worker to say who it is
REST = 1.0  # seconds in which a worker gets nothing that gave something back
READ_SIZE = 64 * 1024  # bytes
CLOSED = "it closed its link"

_complain = ThrottledLog(logger, logging.WARNING)  # it will try again and again


class WorkerLink:
    """One worker; satisfies `worker_pool.PooledWorker`. Belongs to one event loop.

    Args:
        connection: The worker's socket.
        peer: Who it is by the kernel's account.
        on_join: Called when it has said who it is.
        on_return: Called with connections that it gave back.
        on_end: Called once, with the connections that it was handed and did not take.

    Attributes:
        name: What the worker calls itself; empty until it joined.
    """

    def __init__(
        self,
        connection: socket.socket,
        peer: Peer,
        counters: BalancerCounters,
        *,
        on_join: Callable[[WorkerLink], None],
        on_return: Callable[[list[socket.socket]], None],
        on_end: Callable[[WorkerLink, list[socket.socket]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._counters = counters
        self._on_join = on_join
        self._on_return = on_return
        self._on_end = on_end
        self._reader = HandoverReader()
        self._began = time.monotonic()
        self._outgoing: list[socket.socket] = []
        self._kept: deque[tuple[float, socket.socket]] = deque()  # when it was handed over
        self._taken = 0
        self._unsent = b""
        self._rests_until: float | None = None
        self._ended = False
        self.peer = peer
        self.name = ""
        self.own_capacity = 0
        self.connections = 0
        self.silent = 0
        self.capacity = 0
        self.reserve = 0
        self.takes = False
        self.stalled = False
        self._loop.add_reader(connection, self._readable)

    @property
    def waiting(self) -> int:
        """Connections that were handed over and not acknowledged."""
        return len(self._kept) + len(self._outgoing)

    def take_share(self, capacity: int, reserve: int) -> None:
        """Tell the worker what it may hold."""
        self.capacity, self.reserve = capacity, reserve
        self._send(Share(capacity=capacity, reserve=reserve).pack())

    def give(self, connection: socket.socket) -> None:
        """Hand a connection over with the next `flush`; until then it only counts."""
        self._outgoing.append(connection)
        self.connections += 1

    def flush(self) -> list[socket.socket]:
        """Hand over what was given; return what could not be, which is for another worker."""
        while self._outgoing and not self._ended and not self._unsent:
            batch, self._outgoing = self._outgoing[:MAX_BATCH], self._outgoing[MAX_BATCH:]
            now = time.monotonic()
            data = Handover(
                given_at=now, families=bytes([connection.family for connection in batch])
            ).pack()
            try:
                sent = socket.send_fds(
                    self._socket, [data], [connection.fileno() for connection in batch]
                )
            except OSError as error:
                # The worker does not read, it is gone, or too many descriptors are on their way.
                self._outgoing = batch + self._outgoing
                if not isinstance(error, BlockingIOError):
                    logger.debug("%s was handed nothing: %s", self, error)
                self._wait_writable()
                break
            self._kept.extend([(now, connection) for connection in batch])
            self._keep_unsent(data[sent:])
        left, self._outgoing = self._outgoing, []
        self.connections -= len(left)
        return left

    def check(self, now: float) -> None:
        """Look at how long the worker has been silent; called several times a second."""
        if self._ended:
            return
        if not self.name:
            if now - self._began > JOIN_TIMEOUT:
                self.end("it did not say who it is")
            return
        if self._age(now) > STALLED_AFTER:
            self._readable()  # this process may have been the one that stood still
        age = self._age(now)
        if age > RECEIPT_TIMEOUT:
            self.end(f"it has acknowledged nothing for {age:.1f} s")
            return
        self.stalled = age > STALLED_AFTER
        if self._rests_until is not None and now > self._rests_until:
            self._rests_until = None
            self._may_take()

    def dismiss(self) -> None:
        """Let go of the worker as the balancer stops; what it has acknowledged is read first."""
        self._readable()
        self.end("the balancer stops")

    def end(self, reason: str) -> None:
        """Let go of the worker; connections that it holds are its own and go on."""
        if self._ended:
            return
        self._ended = True
        self.takes = False
        # First out of the loop, then closed: the number may be used again at once.
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        # Whoever closes before joining may only have looked whether somebody is there.
        log = logger.info if self.name or reason == CLOSED else _complain
        log("%s is gone: %s.", self, reason)
        not_taken = [connection for _, connection in self._kept] + self._outgoing
        self._kept.clear()
        self._outgoing = []
        self._on_end(self, not_taken)

    def __str__(self) -> str:
        return f"Worker {self.name or '(not joined)'} (pid {self.peer.pid})"

    def _age(self, now: float) -> float:
        return now - self._kept[0][0] if self._kept else 0.0

    def _may_take(self) -> None:
        rests = self._rests_until is not None
        self.takes = bool(self.name) and not (self._ended or self._unsent or rests)

    def _readable(self) -> None:
        """Read all that there is: what was acknowledged before a link ended still counts."""
        try:
            while not self._ended:
                data = self._socket.recv(READ_SIZE)
                if not data:
                    self.end(CLOSED)
                    return
                for frame in self._reader.feed(data):
                    self._handle(frame)
                if len(data) < READ_SIZE:
                    return
        except BlockingIOError:
            return
        except (OSError, BrokenHandover) as error:
            self.end(str(error))

    def _handle(self, frame: HandoverFrame) -> None:
        if isinstance(frame, Load) and self.name:
            self._receipt(frame)
        elif isinstance(frame, GiveBack) and self.name:
            self._returned(frame.count)
        elif isinstance(frame, Join) and not self.name:
            if frame.version != VERSION:
                raise BrokenHandover(f"it speaks version {frame.version}, not {VERSION}")
            shown = "".join(each for each in frame.name if each.isprintable())  # it goes to logs
            self.name = shown or f"worker-{self.peer.pid}"
            self.own_capacity = frame.capacity
            self._may_take()
            self._on_join(self)
        else:
            raise BrokenHandover(f"it sent {type(frame).__name__} out of turn")

    def _receipt(self, load: Load) -> None:
        taken = load.taken - self._taken
        if not 0 <= taken <= len(self._kept):
            raise BrokenHandover("it acknowledged what it was not handed")
        for _ in range(taken):
            self._kept.popleft()[1].close()
        self._taken = load.taken
        if not self._kept:
            self.stalled = False
        self._counters.handed_over += taken
        self.silent = load.silent
        self.connections = load.held + self.waiting

    def _returned(self, count: int) -> None:
        if count > len(self._kept):
            raise BrokenHandover("it gave back what it was not handed")
        returned = [self._kept.popleft()[1] for _ in range(count)]
        self.connections -= count
        self._rests_until = time.monotonic() + REST
        self._may_take()
        self._on_return(returned)

    def _send(self, data: bytes) -> None:
        if self._ended:
            return
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # reading says why
        self._keep_unsent(data[sent:])

    def _keep_unsent(self, data: bytes) -> None:
        self._unsent += data
        if self._unsent:
            self._wait_writable()

    def _wait_writable(self) -> None:
        self.takes = False
        if not self._ended:
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket)
        unsent, self._unsent = self._unsent, b""
        if unsent:
            self._send(unsent)
        self._may_take()
