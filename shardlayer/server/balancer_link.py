"""A worker's side of the balancer: it takes the connections that another process has accepted.

The worker joins over a Unix socket, says how many connections it holds whenever that changes, and
takes what it is handed. What it takes it acknowledges first: until then the balancer keeps the
connection as well, and gives it to another worker when this one dies. So a connection that can't
be acknowledged, or that was handed over too long ago, is not taken. In doubt the worker ends the
link and joins anew; whatever it did not take is another worker's then.

A process whose table of open files is full gets fewer descriptors than it was handed: the kernel
drops the last ones. The worker gives these back, and keeps the link.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from shardlayer.aio.backoff import Backoff
from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import Throttle, ThrottledLog
from shardlayer.core.handover_frames import (
    MAX_BATCH,
    TAKE_WITHIN,
    BrokenHandover,
    GiveBack,
    Handover,
    HandoverFrame,
    HandoverReader,
    Join,
    Load,
    Share,
)
from shardlayer.server.server_counters import counters

logger = logging.getLogger(__name__)

REPORT_INTERVAL = 0.1  # seconds between two looks at how many connections there are
REJOIN_FIRST = 0.05  # seconds until the first try to join again
REJOIN_MAX = 1.0  # seconds between two tries
AWAY_PATIENCE = 10.0  # seconds that a balancer may be away, as when it is started again
READ_SIZE = 16 * 1024  # bytes

FULL = "too many files are open"

_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # Linux

_complain = ThrottledLog(logger, logging.WARNING)


class ConnectionTaker(Protocol):
    """The server, as its link sees it.

    Attributes:
        held: Connections that it holds now, however they came.
        busy: Those of them that have asked for something.
    """

    held: int

    @property
    def busy(self) -> int: ...

    def take_share(self, capacity: int, reserve: int) -> None: ...
    def adopt(self, descriptor: int, family: int) -> None: ...


class BalancerLink:
    """Keeps a worker joined to a balancer until it leaves; belongs to one event loop.

    Args:
        path: The balancer's socket.
        host: Who takes the connections.
        capacity: How many connections it can hold; 0 is no limit of its own.
        name: What the balancer's health calls it.
    """

    def __init__(self, path: str, host: ConnectionTaker, *, capacity: int, name: str) -> None:
        self._path = path
        self._host = host
        self._join = Join(capacity=capacity, name=name)
        self._tasks = Tasks()
        self._session: _Session | None = None
        self._left = False
        self._lost_at = -math.inf  # when a balancer that had this worker was gone
        self._away = Throttle()
        self._ended = Throttle()

    @property
    def is_joined(self) -> bool:
        """Whether a balancer has this worker, or had it until AWAY_PATIENCE ago.

        Not for one that never said what this worker may hold: it gives it nothing.
        """
        if self._session is not None and self._session.is_welcome:
            return True
        return time.monotonic() - self._lost_at < AWAY_PATIENCE

    def start(self, after: Callable[[], Awaitable[bool]]) -> None:
        """Join once `after()` has returned true, and again whenever the balancer was away."""

        async def keep() -> None:
            if await after():
                await self._keep()

        self._tasks.supervise(keep, "link to the balancer")

    def leave(self) -> None:
        """Take no more connections, for good; may be called again.

        What the balancer has handed over and this worker has not taken goes to another worker.
        Connections that it holds are not touched.
        """
        self._left = True
        if self._session is not None:
            self._session.close()

    async def aclose(self) -> None:
        """Leave, and end what runs."""
        self.leave()
        await self._tasks.aclose()

    async def _keep(self) -> None:
        backoff = Backoff(REJOIN_FIRST, REJOIN_MAX)
        while not self._left:
            try:
                joined = await self._connect()
            except OSError as error:
                if self._away.is_due():
                    logger.warning("No balancer at %s (%s); trying again.", self._path, error)
            else:
                if await self._serve(joined):
                    self._away.reset()
                    backoff.reset()  # and not for one that only lets itself be called
            if not self._left:
                await asyncio.sleep(backoff.failed())

    async def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _serve(self, connection: socket.socket) -> bool:
        """Take what comes until the link ends; return whether the balancer took this worker."""
        session = _Session(connection, self._host)
        if self._left:
            session.close()
            return False
        self._session = session
        try:
            session.begin(self._join)
            reason = await session.ended
        finally:
            self._session = None
            if session.is_welcome:
                self._lost_at = time.monotonic()
            session.close()
        if not self._left and self._ended.is_due():
            logger.warning("The link to the balancer ended (%s); joining again.", reason)
        return session.is_welcome


class _Session:
    """One connection to the balancer.

    Attributes:
        ended: Gets the reason when it is over.
        is_welcome: Whether the balancer has said what this worker may hold.
    """

    def __init__(self, connection: socket.socket, host: ConnectionTaker) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.is_welcome = False
        self._socket = connection
        self._host = host
        self._reader = HandoverReader()
        self._frames: deque[HandoverFrame] = deque()
        # Of each hand-over that is not done yet, in order: what came, and whether that is not all.
        self._batches: deque[tuple[list[int], bool]] = deque()
        self._takes_back = False
        self._ends_as = ""  # the reason to end as soon as what was acknowledged is adopted
        self._taken = 0
        self._told: tuple[int, int] | None = None  # what the balancer thinks is held and silent
        self._unsent = b""
        self._acknowledged: list[tuple[int, int]] = []  # to adopt once `_unsent` is sent
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, join: Join) -> None:
        """Join and take what comes."""
        self._loop.add_reader(self._socket, self._guarded, self._read)
        self._guarded(lambda: self._send(join.pack()))
        self._report()

    def close(self, reason: str = "left") -> None:
        """End the link at once; the balancer hears of it by that."""
        if self.ended.done():
            return
        self.ended.set_result(reason)
        if self._timer is not None:
            self._timer.cancel()
        # Out of the loop first, closed then: a number that is closed before may be used again at
        # once, and the loop would take the new descriptor for the old one.
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        for descriptors, _ in self._batches:
            for descriptor in descriptors:
                os.close(descriptor)
        for descriptor, _ in self._acknowledged:
            os.close(descriptor)
        self._batches.clear()
        self._acknowledged.clear()

    def _guarded(self, step: Callable[[], None]) -> None:
        """Do one thing; whatever goes wrong ends the link, and nothing else."""
        if self.ended.done():
            return
        try:
            step()
        except (OSError, BrokenHandover) as error:
            self.close(str(error))
        except Exception as error:
            logger.exception("The link to the balancer failed.")
            self.close(repr(error))

    def _read(self) -> None:
        try:
            data, descriptors, flags, _ = socket.recv_fds(
                self._socket, READ_SIZE, MAX_BATCH, _CLOSE_ON_EXEC
            )
        except BlockingIOError:
            return
        is_cut = bool(flags & socket.MSG_CTRUNC)
        if descriptors or is_cut:  # they come with the first byte of their frame, one batch a time
            self._batches.append((descriptors, is_cut))
        if not data:
            self.close("the balancer is gone")
            return
        self._frames.extend(self._reader.feed(data))
        self._work()

    def _work(self) -> None:
        """Do what the frames say, as long as what was said about it before is sent."""
        while self._frames and not (self._unsent or self._ends_as):
            frame = self._frames.popleft()
            if isinstance(frame, Share):
                if not self.is_welcome:
                    logger.info("Joined the balancer.")
                self.is_welcome = True
                self._takes_back = frame.takes_back
                self._host.take_share(frame.capacity, frame.reserve)
            elif isinstance(frame, Handover):
                self._take(frame)
        self._adopt()

    def _take(self, handover: Handover) -> None:
        descriptors, is_cut = self._batches[0] if self._batches else ([], False)
        missing = len(handover.families) - len(descriptors)
        if missing < 0 or (missing and not is_cut):
            raise BrokenHandover("Connections came without their descriptors.")
        age = time.monotonic() - handover.given_at
        if age > TAKE_WITHIN:
            # This process stood still. The balancer may have given them to others by now.
            raise BrokenHandover(f"Connections waited {age:.1f} s for this worker.")
        self._batches.popleft()
        if missing and descriptors:
            os.close(descriptors.pop())  # to adopt one needs a file more for a moment
            missing += 1
        self._acknowledged += zip(descriptors, handover.families, strict=False)
        self._taken += len(descriptors)
        receipt = self._load(more=len(self._acknowledged))
        if missing:
            receipt += self._give_back(missing)
        self._send(receipt)

    def _give_back(self, count: int) -> bytes:
        counters.given_back += count
        _complain("%d connections go back to the balancer: %s.", count, FULL)
        if self._takes_back:
            return GiveBack(count=count).pack()
        self._ends_as = FULL  # which an older balancer understands as well
        return b""

    def _adopt(self) -> None:
        if self._unsent:
            return
        acknowledged, self._acknowledged = self._acknowledged, []
        for descriptor, family in acknowledged:
            self._host.adopt(descriptor, family)
        if self._ends_as:
            self.close(self._ends_as)

    def _report(self) -> None:
        """Tell the balancer, every now and then, how many connections there are."""
        if self.ended.done():
            return
        self._timer = self._loop.call_later(REPORT_INTERVAL, self._report)
        if self._told != self._holds() and not self._unsent:
            self._guarded(lambda: self._send(self._load()))

    def _holds(self, more: int = 0) -> tuple[int, int]:
        """Return how many connections there are, and how many of them have asked for nothing.

        Args:
            more: Connections that are about to come. Each counts as one that asks for something,
                which it probably does by the next report.
        """
        held = self._host.held
        return held + more, held - self._host.busy

    def _load(self, more: int = 0) -> bytes:
        held, silent = self._told = self._holds(more)
        return Load(taken=self._taken, held=held, silent=silent).pack()

    def _send(self, data: bytes) -> None:
        self._unsent += data
        self._flush()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        self._unsent = self._unsent[sent:]
        if self._unsent:
            # A balancer that does not read gets to hand over nothing more until it does.
            self._loop.remove_reader(self._socket)
            self._loop.add_writer(self._socket, self._guarded, self._flush_more)

    def _flush_more(self) -> None:
        self._flush()
        if not self._unsent:
            self._loop.remove_writer(self._socket)
            self._loop.add_reader(self._socket, self._guarded, self._read)
            self._work()
