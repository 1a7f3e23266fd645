"""How a client's bytes become the application's messages, without taking the loop from others.

One read of a socket brings up to 64 KiB, which may be 10,000 frames. So it is parsed slice by
slice, and after some frames the rest waits for the loop's next turn; meanwhile nothing is read from
this client. The same holds while its application is behind: what was read and not parsed waits as
it would in the kernel.
"""

from __future__ import annotations

import asyncio
import time

from websockets.frames import Frame
from websockets.server import ServerProtocol

from shardlayer.server.connection import Connection, ConnectionState
from shardlayer.server.deflate import Inflating
from shardlayer.server.host import WebSocketHost
from shardlayer.server.keepalive import Keepalive
from shardlayer.server.messages import MessageReader
from shardlayer.server.parser import is_within_message
from shardlayer.server.rate import is_too_fast, paid_until
from shardlayer.server.server_counters import counters

SLICE_SIZE = 1024  # bytes that are parsed at once: 170 frames at most
TURN_FRAMES = 100  # frames of one client, after which the others get a turn

TOO_FAST = 4029  # close code: more frames than a client may send; come back later
MESSAGE_TIMEOUT = 60  # seconds that a message may take to arrive
POLICY_VIOLATION = 1008  # close code (RFC 6455, 7.4.1)


class Reading(Connection):
    """The reading half of a connection; a subclass writes what the parser wants written."""

    __slots__ = (
        "_frames",
        "_inflating",
        "_keepalive",
        "_paid_until",
        "_reader",
        "_rest",
        "_turn",
        "_unfinished_since",
    )

    def __init__(self, server: WebSocketHost, now: float) -> None:
        super().__init__(server)
        self._frames: ServerProtocol | None = None  # from acceptance on
        self._reader = MessageReader()
        self._inflating: Inflating | None = None  # where compression was agreed on
        self._keepalive = Keepalive(now)
        self._rest = b""  # read and not parsed
        self._turn: asyncio.Handle | None = None  # that parses more of it
        self._paid_until = 0.0  # see rate.py
        self._unfinished_since: float | None = None  # when a message began that is not complete

    # What the transport calls.

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Take bytes from the client."""
        now = time.monotonic()
        self._keepalive.heard(now)
        frames = self._frames
        if frames is None:
            self._keep_early(data)
        elif self._rest:
            self._rest += data  # a paused TLS session passes on what it has decrypted
        elif len(data) <= SLICE_SIZE:
            self._take(frames, data, now)
        else:
            self._rest = data
            self._read_on()

    # What the inbox calls.

    def pauseProducing(self) -> None:  # noqa: N802
        """Read nothing from the client: its application is behind."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        """Read on, what waits here first."""
        if not self._rest:
            self._transport.resumeProducing()
        elif self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._read_on)

    # What a subclass has.

    def _keep_early(self, data: bytes) -> None:
        """Take bytes that came before the handshake was answered."""
        raise NotImplementedError

    def _flush(self, frames: ServerProtocol, *, lingers: bool = False) -> None:
        """Write what the parser wants written."""
        raise NotImplementedError

    # The rest.

    def _read_on(self) -> None:
        """Parse what waits, until it is the others' turn."""
        was_paused = self._turn is not None
        self._turn = None
        frames, data = self._frames, self._rest
        if frames is None:
            return
        now = time.monotonic()
        start = count = 0
        while start < len(data) and count < TURN_FRAMES and not self.inbox.paused:
            count += self._take(frames, data[start : start + SLICE_SIZE], now)
            start += SLICE_SIZE
        self._rest = data[start:]
        if self._rest:
            self._transport.pauseProducing()
            if not self.inbox.paused:
                self._turn = asyncio.get_running_loop().call_soon(self._read_on)
        elif was_paused and not self.inbox.paused:
            self._transport.resumeProducing()

    def _take(self, frames: ServerProtocol, data: bytes, now: float) -> int:
        """Parse bytes, pass on the messages that they complete, and return how many frames.

        What a compressed message grows by counts as more frames.
        """
        frames.receive_data(data)
        events = frames.events_received()
        is_open = self.state is ConnectionState.OPEN
        completed = False
        for frame in events:
            if is_open and isinstance(frame, Frame):
                message = self._reader.read(frame)
                if message is not None:
                    completed = True
                    self.inbox.put(message)
        self._flush(frames)
        if not is_within_message(frames):
            self._unfinished_since = None
        elif completed or self._unfinished_since is None:
            self._unfinished_since = now
        count = len(events)
        if self._inflating is not None:
            count += self._inflating.take_work()
        if count:
            self._charge(frames, count, now)
        return count

    def _charge(self, frames: ServerProtocol, count: int, now: float) -> None:
        """Close a client that sends more frames than it may."""
        rate = self._server.client_frame_rate
        if not rate:
            return
        self._paid_until = paid_until(self._paid_until, count, now, rate)
        if not is_too_fast(self._paid_until, now):
            return
        if self.state is ConnectionState.OPEN:
            counters.fast_closed += 1
            self._fail(frames, TOO_FAST, "too many frames")
        else:  # it was told to go, and goes on
            self._transport.abortConnection()

    def _check_message(self, frames: ServerProtocol, now: float) -> None:
        """Close a client that takes too long to send a message."""
        since = self._unfinished_since
        if since is None:
            return
        if self.inbox.paused or self._rest:
            self._unfinished_since = now  # it is not the client that we wait for
        elif 0 < self._server.client_message_timeout < now - since:
            counters.message_timeouts += 1
            self._fail(frames, POLICY_VIOLATION, "message timeout")

    def _fail(self, frames: ServerProtocol, code: int, reason: str) -> None:
        """Send a close frame and drop whatever else the client sends."""
        frames.fail(code, reason)
        self._flush(frames, lingers=True)

    def _stop_reading(self) -> None:
        """Drop what waits: the connection is gone."""
        self._rest = b""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._reader.clear()
