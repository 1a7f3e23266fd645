"""A connection that redis-py makes, and whose socket this package then has to itself.

redis-py does what takes knowledge: TLS, password, database, name, and whom Sentinels call the
primary. From there on bytes are written to the transport and what comes is parsed where it
arrives, without a task or a turn of the event loop in between.

One read may bring thousands of answers that waited. They are handed out in as many turns of the
event loop as they take time for, and nothing more is read meanwhile.

A connection may end while redis-py still has it. Its streams are told then, and nobody is told
again, so whoever takes it over has to ask them.

redis-py has no public names for a connection's streams, `_reader` and `_writer`, read in 8.1.0;
nothing else private of it is used, and these only here.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from math import inf
from time import perf_counter
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, DefaultParser, SSLConnection
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shardlayer.aio.loop_delay import LoopDelay
from shardlayer.aio.tasks import is_cancelled, take_note
from shardlayer.aio.time_slices import TURN
from shardlayer.broker.redis.calls import Argument

Command = tuple[Argument, ...]

Failure = (RedisError, OSError, TimeoutError)
"""What a server that can't be reached, or refuses, raises."""

OPEN_TIMEOUT = 30.0  # seconds for all that a connection takes: credentials, several Sentinels
HANDSHAKE_GRACE = (
    2.0  # seconds, as long as a connection may take: on a busy machine a turn may take a part of it
)

_INCOMPLETE = object()
_hiredis: Any = hiredis  # its stubs have pack_command take one argument


def pack(command: Command) -> bytes:
    """Return a command as it goes over the wire (RESP2)."""
    packed: bytes = _hiredis.pack_command(command)
    return packed


async def open_connection(redis: Redis) -> AbstractConnection:
    """Return a new connection of a client, outside its pool. A cancelled call leaves none.

    One that timed out while the event loop stood still is tried once more, if there is time left
    of OPEN_TIMEOUT.

    Raises:
        RedisError, OSError: If it can't be made, for whatever reason: who provides credentials may
            raise anything or hang, and uvloop raises RuntimeError where the connection ends.
    """
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            with LoopDelay() as delay:
                try:
                    return await _open(redis)
                # The last: what redis-py makes of the Sentinels' time limits.
                except (RedisTimeoutError, TimeoutError, MasterNotFoundError):
                    if not delay.is_most():
                        raise
            return await _open(redis)
    except TimeoutError as error:
        raise RedisTimeoutError(f"no connection within {OPEN_TIMEOUT:g} s") from error


async def _open(redis: Redis) -> AbstractConnection:
    pool: Any = redis.connection_pool  # its methods are not typed
    connection: Any = pool.make_connection()
    try:
        await _connect(connection)
        if is_cancelled():  # redis-py 8.1 swallows some cancellations
            raise asyncio.CancelledError
    except BaseException as error:
        if connection.is_connected:
            _transport_of(connection).abort()
        await connection.disconnect(nowait=True)
        if isinstance(error, Exception) and is_cancelled():
            # Whoever raised this swallowed the cancellation, or `wait_for` of Python 3.11 did.
            raise asyncio.CancelledError from error
        if isinstance(error, Failure) or is_cancelled():
            raise
        if isinstance(error, Exception | asyncio.CancelledError):
            raise RedisConnectionError(f"can't connect: {error!r}") from error
        raise
    made: AbstractConnection = connection
    return made


async def _connect(connection: Any) -> None:
    """Connect. A TLS handshake under way when this is cancelled may go on for HANDSHAKE_GRACE.

    asyncio closes a transport whose handshake completes in the very turn of a cancellation with a
    goodbye that its peer has to answer, and nobody else has it to abort it: a loop that ends then
    leaves the socket open.
    """
    if not issubclass(type(connection), SSLConnection):
        await connection.connect()
        return
    connecting: asyncio.Future[None] = asyncio.ensure_future(connection.connect())
    try:
        await asyncio.shield(connecting)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([connecting], timeout=HANDSHAKE_GRACE)
        finally:
            connecting.cancel()
        await asyncio.wait([connecting])
        take_note(connecting)
        raise


class Socket(asyncio.Protocol, ABC):
    """One connection while it stands.

    Args:
        connection: Made by `open_connection`, used by nothing else from now on.

    Attributes:
        is_lost: Whether it ended.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self.is_lost = False
        self._is_paused = False  # answers have come that are to be handed out in the next turn
        self._is_limited = False  # with TLS: what the transport reads while it is paused
        self._connection = connection
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=DefaultParser.parse_error,
            notEnoughData=_INCOMPLETE,
        )
        # All replies to redis-py's own commands have come.
        self._transport = _transport_of(connection)
        self._limit_reading = getattr(self._transport, "set_read_buffer_limits", None)  # with TLS
        self._streams = self._transport.get_protocol()
        self._transport.set_protocol(self)
        if _has_ended(connection):
            over = RedisConnectionError("the connection was lost: closed by server")
            asyncio.get_running_loop().call_soon(self.lose, over)  # when all of this is made

    @abstractmethod
    def answered(self, answer: Any) -> None:
        """Take one reply or pushed message; a server's error is a RedisError.

        Raises:
            InvalidResponse: If nothing like it was due: the connection is given up.
        """

    def heard_of(self) -> None:
        """Learn that something came, or that a part of what came is handed out, before it is."""

    @abstractmethod
    def ended(self, error: Exception) -> None:
        """Learn, once, that nothing comes any more, and why."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._transport.write(data)
        except RuntimeError as error:  # uvloop's, of a connection that has just ended
            self.lose(RedisConnectionError(f"the connection was lost: {error}"))

    def lose(self, error: Exception) -> None:
        """Give the connection up."""
        if not self.is_lost:
            self.is_lost = True
            self._transport.abort()
            self.ended(error)

    async def aclose(self) -> None:
        """Close the connection. A cancelled call leaves nothing open."""
        self.lose(RedisConnectionError("the connection was closed"))
        await self._connection.disconnect(nowait=True)  # waits for nothing, as it says
        await asyncio.sleep(0)  # the turn in which the loop closes what was aborted

    def data_received(self, data: bytes) -> None:
        """Hand out the answers that are complete, as many as this turn has time for."""
        self._reader.feed(data)
        self.heard_of()
        self._hand_out()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell redis-py's streams, which wait for it when they close, and who waits here."""
        try:
            if self._is_paused:
                self._is_paused = False
                self._hand_out(seconds=inf)  # they had come before
        finally:
            self._streams.connection_lost(error)
            why = f"the connection was lost: {error or 'closed by server'}"
            self.lose(RedisConnectionError(why))

    def _hand_out(self, seconds: float = TURN) -> None:
        ends = perf_counter() + seconds
        try:
            while (answer := self._reader.gets()) is not _INCOMPLETE and not self.is_lost:
                self.answered(answer)
                if perf_counter() >= ends and not self.is_lost:
                    self._pause()
                    return
        except InvalidResponse as error:
            self.lose(RedisConnectionError(f"not a reply: {error}"))
        except BaseException as error:  # ours: nobody else would go on, or end this
            self.lose(RedisConnectionError(f"an answer could not be taken: {error!r}"))
            raise
        if self._is_paused:
            self._resume()

    def _pause(self) -> None:
        """Read nothing until what has come is handed out, from the next turn on.

        With TLS a paused transport reads on. What it has read then uvloop drops if it reads the end
        of the connection, too. So it is to stop as soon as it has read anything.
        """
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
            if self._limit_reading is not None and not self._transport.is_closing():
                self._is_limited = True
                self._limit_reading(high=1)
        asyncio.get_running_loop().call_soon(self._go_on)

    def _resume(self) -> None:
        self._is_paused = False
        if not self.is_lost:
            self._transport.resume_reading()
            if self._is_limited:  # until the transport has handed over what it has read
                asyncio.get_running_loop().call_soon(self._lift_limit)

    def _lift_limit(self) -> None:
        if self._limit_reading is None or self._is_paused or self._transport.is_closing():
            return
        self._is_limited = False
        self._limit_reading()  # as at first

    def _go_on(self) -> None:
        if self._is_paused:
            self.heard_of()
            self._hand_out()


def _has_ended(connection: AbstractConnection) -> bool:
    """Tell whether a connection ended while redis-py had it."""
    reader: Any = connection._reader
    return bool(
        reader.at_eof() or reader.exception() is not None or _transport_of(connection).is_closing()
    )


def _transport_of(connection: AbstractConnection) -> asyncio.Transport:
    writer: Any = connection._writer
    transport: asyncio.Transport = writer.transport
    return transport
