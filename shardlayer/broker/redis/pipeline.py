"""Commands to one server over one connection: written as they come, answered in their order.

Nobody waits for the reply before theirs, no task is needed to write or to read, and of what is put
within one turn of the event loop the first command leaves at once and the others together. A
command costs the client a third of the CPU that it costs through redis-py's pipeline, and arrives
after one turn of the event loop instead of four.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shardlayer.aio.fifo_gate import FifoGate
from shardlayer.broker.redis.sockets import Command, Failure, Socket, open_connection, pack
from shardlayer.core.exceptions import ShardLayerError

Execute = Callable[[Sequence[Command]], Awaitable[list[Any]]]
"""Sends commands over one connection; see `Pipeline.execute`."""

Greet = Callable[[Execute], Awaitable[None]]

_SAID = (*Failure, ShardLayerError)  # of a server: what its callers expect


class Pipeline:
    """A connection that is made when first needed, and again after it was lost.

    Args:
        redis: A client of redis-py that knows how to connect, and how to read replies. RESP2.
        timeout: Seconds without any reply after which the connection is given up.
        greet: Called with each new connection before anything else is sent over it; what it
            raises goes to those who wait for the connection, which is then closed.
    """

    def __init__(self, redis: Redis, *, timeout: float, greet: Greet | None = None) -> None:
        self._redis = redis
        self._timeout = timeout
        self._greet = greet
        self._exchange: _Exchange | None = None
        self._turnstile = FifoGate(
            is_ready=self._is_connected, prepare=self._connect, name="connection to Redis"
        )
        self._closed = False

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, with nothing between them, and return their replies.

        A reply that is an error is returned, not raised. A call that is cancelled may have been
        executed all the same.

        Raises:
            RedisError, OSError: If there is no connection; of what was sent, perhaps all was
                executed.
        """
        if not self._turnstile.is_open:
            await self._turnstile.enter()
        # Nothing is awaited before it is sent: who came first is first.
        if self._exchange is None:
            raise RedisConnectionError("the connection was closed")
        return await self._execute_on(self._exchange, commands)

    async def aclose(self) -> None:
        """Close the connection for good; calls that still wait raise ConnectionError."""
        self._closed = True
        try:
            await self._turnstile.aclose()
        finally:
            await self._put_away()

    async def _execute_on(self, exchange: _Exchange, commands: Sequence[Command]) -> list[Any]:
        replies = exchange.ask(commands)
        return [
            self._read(exchange, command, await reply)
            for command, reply in zip(commands, replies, strict=True)
        ]

    def _read(self, exchange: _Exchange, command: Command, reply: Any) -> Any:
        if isinstance(reply, Exception):
            if isinstance(reply, ReadOnlyError) and self._asks_sentinels():
                # A new connection asks the Sentinels anew.
                error = RedisConnectionError("the primary has become a replica")
                exchange.lose(error)
                return error
            return reply
        read: Callable[[Any], Any] | None = self._redis.response_callbacks.get(str(command[0]))
        if read is None:
            return reply
        try:
            return read(reply)
        except Exception as error:  # whatever redis-py makes of what no server should answer
            return InvalidResponse(f"{command[0]!r} was answered {reply!r:.200}: {error!r}")

    def _asks_sentinels(self) -> bool:
        return isinstance(self._redis.connection_pool, SentinelConnectionPool)

    def _is_connected(self) -> bool:
        return self._exchange is not None and not self._exchange.is_lost

    async def _connect(self) -> None:
        if self._closed:
            raise RedisConnectionError("the connection was closed")
        await self._put_away()
        exchange = _Exchange(await open_connection(self._redis), timeout=self._timeout)
        if self._greet is not None:
            try:
                await self._greet(partial(self._execute_on, exchange))
            except BaseException as error:
                await exchange.aclose()
                if isinstance(error, Exception) and not isinstance(error, _SAID):
                    raise RedisConnectionError(f"not understood: {error!r}") from error
                raise
        self._exchange = exchange

    async def _put_away(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.aclose()


class _Exchange(Socket):
    """One connection while it stands: what was asked, and the replies that are due."""

    def __init__(self, connection: AbstractConnection, *, timeout: float) -> None:
        super().__init__(connection)
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._due: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._corked = False
        self._heard = 0.0  # when a reply came, or was first waited for; the loop's time
        self._watch: asyncio.TimerHandle | None = None

    def ask(self, commands: Sequence[Command]) -> list[asyncio.Future[Any]]:
        """Send commands and return their replies to be.

        Raises:
            RedisConnectionError: If the connection is lost.
            TypeError, UnicodeEncodeError: If a command can't be written; none is sent.
        """
        if self.is_lost:
            raise RedisConnectionError("the connection is lost")
        # First of all: a reply that is due to a command that was not sent would be another's.
        packed = [pack(command) for command in commands]
        if not self._due:
            self._heard = self._loop.time()
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._look)
        replies = [self._loop.create_future() for _ in commands]
        self._due.extend(replies)
        self._unsent += packed
        if not self._corked:
            self._corked = True
            self._loop.call_soon(self._uncork)
            self._flush()
        return replies

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are complete."""
        self._heard = self._loop.time()
        super().data_received(data)

    def answered(self, answer: Any) -> None:
        """Give a reply to who waits for it."""
        if not self._due:
            raise InvalidResponse("nothing was asked")
        reply = self._due.popleft()
        if not reply.done():
            reply.set_result(answer)

    def ended(self, error: Exception) -> None:
        """Give who waits the error."""
        if self._watch is not None:
            self._watch.cancel()
        while self._due:
            reply = self._due.popleft()
            if not reply.done():
                reply.set_exception(error)
                reply.exception()  # whoever sent several commands asks for the first only

    def _flush(self) -> None:
        self.write(b"".join(self._unsent))
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
