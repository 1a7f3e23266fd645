"""Commands to one server over one connection: written as they come, answered in their order.

redis-py makes the connection: TLS, password, database, name, and whom Sentinels call the primary.
From there on this module has the socket to itself. Nobody waits for the reply before theirs, no
task is needed to write or to read, and of what is put within one turn of the event loop the first
command leaves at once and the others together. A command costs the client a third of the CPU that
it costs through redis-py's pipeline, and arrives after one turn of the event loop instead of four.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

CLOSE_TIMEOUT = 5.0  # seconds that a connection gets to close; a busy machine needs some

Argument = str | bytes | int
Command = tuple[Argument, ...]

_INCOMPLETE = object()
_hiredis: Any = hiredis  # its stubs have pack_command take one argument
_pack: Callable[[Command], bytes] = _hiredis.pack_command


class Pipeline:
    """A connection that is made when first needed, and again after it was lost.

    Args:
        redis: A client of redis-py that knows how to connect, and how to read replies. RESP2.
        timeout: Seconds without any reply after which the connection is given up.
    """

    def __init__(self, redis: Redis, *, timeout: float) -> None:
        self._redis = redis
        self._timeout = timeout
        self._exchange: _Exchange | None = None
        self._opening: asyncio.Task[_Exchange] | None = None

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, with nothing between them, and return their replies.

        A reply that is an error is returned, not raised. A call that is cancelled may have been
        executed all the same.

        Raises:
            RedisError, OSError: If there is no connection; of what was sent, perhaps all was
                executed.
        """
        exchange = self._exchange
        if exchange is None or exchange.is_lost:
            exchange = await self._open()
        replies = exchange.ask(commands)
        return [
            self._read(exchange, command, await reply)
            for command, reply in zip(commands, replies, strict=True)
        ]

    async def aclose(self) -> None:
        """Close the connection; calls that still wait are cancelled."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._put_away()

    def _read(self, exchange: _Exchange, command: Command, reply: Any) -> Any:
        if isinstance(reply, Exception):
            if isinstance(reply, ReadOnlyError) and self._asks_sentinels():
                # A new connection asks the Sentinels anew.
                error = RedisConnectionError("the primary has become a replica")
                exchange.lose(error)
                return error
            return reply
        read: Callable[[Any], Any] | None = self._redis.response_callbacks.get(str(command[0]))
        return reply if read is None else read(reply)

    def _asks_sentinels(self) -> bool:
        return isinstance(self._redis.connection_pool, SentinelConnectionPool)

    async def _open(self) -> _Exchange:
        """Connect once for all who wait for it."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect(), name="connection to Redis")
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, task: asyncio.Task[_Exchange]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # told to those who waited

    async def _connect(self) -> _Exchange:
        await self._put_away()
        pool: Any = self._redis.connection_pool  # its methods are not typed
        connection = pool.make_connection()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._exchange = _Exchange(connection, timeout=self._timeout)
        return self._exchange

    async def _put_away(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.aclose()


class _Exchange(asyncio.Protocol):
    """One connection while it stands: what was asked, and the replies that are due.

    Attributes:
        is_lost: Whether it ended.
    """

    def __init__(self, connection: AbstractConnection, *, timeout: float) -> None:
        self.is_lost = False
        self._connection = connection
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._due: deque[asyncio.Future[Any]] = deque()
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=DefaultParser.parse_error,
            notEnoughData=_INCOMPLETE,
        )
        self._unsent: list[bytes] = []
        self._corked = False
        self._heard = 0.0  # when a reply came, or was first waited for; the loop's time
        self._watch: asyncio.TimerHandle | None = None
        # redis-py has no public name for it. All replies to its own commands have come.
        stream: Any = connection._writer
        self._transport: asyncio.Transport = stream.transport
        self._streams = self._transport.get_protocol()
        self._transport.set_protocol(self)

    def ask(self, commands: Sequence[Command]) -> list[asyncio.Future[Any]]:
        """Send commands and return their replies to be.

        Raises:
            RedisConnectionError: If the connection is lost.
        """
        if self.is_lost:
            raise RedisConnectionError("the connection is lost")
        if not self._due:
            self._heard = self._loop.time()
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._look)
        replies = [self._loop.create_future() for _ in commands]
        self._due.extend(replies)
        self._unsent.extend(_pack(command) for command in commands)
        if not self._corked:
            self._corked = True
            self._loop.call_soon(self._uncork)
            self._flush()
        return replies

    def lose(self, error: Exception | None) -> None:
        """Give the connection up; who waits gets the error, or is cancelled without one."""
        self.is_lost = True
        self._transport.abort()
        if self._watch is not None:
            self._watch.cancel()
        while self._due:
            reply = self._due.popleft()
            if reply.done():
                continue
            if error is None:
                reply.cancel()
            else:
                reply.set_exception(error)
                reply.exception()  # whoever sent several commands asks for the first only

    async def aclose(self) -> None:
        """Close the connection."""
        self.lose(None)
        with suppress(RedisError, OSError, TimeoutError):
            await asyncio.wait_for(self._connection.disconnect(), CLOSE_TIMEOUT)

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are complete."""
        self._heard = self._loop.time()
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not _INCOMPLETE:
                reply = self._due.popleft()
                if not reply.done():
                    reply.set_result(answer)
        except (InvalidResponse, IndexError) as error:
            self.lose(RedisConnectionError(f"not a reply: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell those who wait, and redis-py's streams, which wait for it when they close."""
        self._streams.connection_lost(error)
        self.lose(RedisConnectionError(f"the connection was lost: {error or 'closed by server'}"))

    def _flush(self) -> None:
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _uncork(self) -> None:
        self._corked = False
        if self._unsent and not self.is_lost:
            self._flush()

    def _look(self) -> None:
        """Give up a server that says nothing."""
        self._watch = None
        if not self._due:
            return
        rest = self._heard + self._timeout - self._loop.time()
        if rest > 0:
            self._watch = self._loop.call_later(rest, self._look)
        else:
            self.lose(RedisTimeoutError(f"no reply within {self._timeout:g} s"))
