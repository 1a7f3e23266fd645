"""Commands to one server over one connection: written as they come, answered in their order.

No caller waits for the reply to the command before its own, and no task is needed to write or to
read: a command is written where it is put, and its reply is a future. A command that finds the
connection idle leaves at once. So does the first of a turn of the event loop; the others of the
turn leave together. A command costs the client a third of the CPU that it costs through redis-py's
pipeline, and arrives after one turn of the event loop instead of four.

The connection is judged once, when it is made: `Greet`. Callers that wait for that go on in the
order in which they came.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError

from shardlayer.aio.fifo_gate import FifoGate
from shardlayer.broker.redis.exchange import Exchange
from shardlayer.broker.redis.sockets import Command, Failure, open_connection
from shardlayer.core.exceptions import ShardLayerError

Execute = Callable[[Sequence[Command]], Awaitable[list[Any]]]
"""Sends commands over one connection; see `Pipeline.execute`."""


class Greet(Protocol):
    """Judges a connection before anything else is sent over it."""

    async def __call__(self, execute: Execute, *, again: bool) -> None:
        """Raise why nothing is to be sent; `again`: over a connection that was judged before."""


_SAID = (*Failure, ShardLayerError)  # of a server: what its callers expect


class Pipeline:
    """A connection that is made when first needed, and again after it was lost.

    Args:
        redis: A client of redis-py that knows how to connect, and how to read replies. RESP2.
        timeout: Seconds without any reply after which the connection is given up.
        greet: Judges each new connection, and one that is to be checked again. What it raises goes
            to those who wait for the connection; a new one is then closed.
    """

    def __init__(self, redis: Redis, *, timeout: float, greet: Greet | None = None) -> None:
        self._redis = redis
        self._timeout = timeout
        self._greet = greet
        self._exchange: Exchange | None = None
        self._is_checked = False
        self._gate = FifoGate(
            is_ready=self._is_connected, prepare=self._prepare, name="connection to Redis"
        )
        self._closed = False

    def ask(self, command: Command, *, asking: bool = False) -> Awaitable[Any]:
        """Send a command and return its reply to be, which raises an error that the server answers.

        Whoever asks first is first. If there is a connection, the command has been written when
        this returns; else it is when what was returned is awaited. A script that the server does
        not know is sent. A call that is cancelled may have been executed all the same.

        Args:
            command: The command.
            asking: Whether an ASKING goes before it (see `CommandLink.asking`).

        Raises:
            RedisError, OSError: If there is no connection, when it is awaited.
            TypeError, UnicodeEncodeError: If the command can't be written.
        """
        if self._gate.is_open and self._exchange is not None:
            return self._exchange.ask(command, asking=asking)
        return self._ask_later(command, asking=asking)

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, with nothing between them, and return their replies.

        A reply that is an error is returned, not raised. A call that is cancelled may have been
        executed all the same.

        Raises:
            RedisError, OSError: If there is no connection; of what was sent, perhaps all was
                executed.
        """
        if not self._gate.is_open:
            await self._gate.enter()
        # Nothing is awaited before it is sent: who came first is first.
        return await self._execute_on(self._connected(), commands)

    def check_again(self) -> None:
        """Have the connection greeted again before what is put next: it may lead elsewhere now."""
        self._is_checked = False

    async def aclose(self) -> None:
        """Close the connection for good; calls that still wait raise ConnectionError."""
        self._closed = True
        try:
            await self._gate.aclose()
        finally:
            await self._put_away()

    async def _ask_later(self, command: Command, *, asking: bool) -> Any:
        await self._gate.enter()
        return await self._connected().ask(command, asking=asking)

    async def _execute_on(self, exchange: Exchange, commands: Sequence[Command]) -> list[Any]:
        replies = []
        for reply in exchange.ask_all(commands):
            try:
                replies.append(await reply)
            except Exception as error:
                if error is exchange.loss:
                    raise
                replies.append(error)
        return replies

    def _connected(self) -> Exchange:
        if self._exchange is None:
            raise RedisConnectionError("the connection was closed")
        return self._exchange

    def _is_connected(self) -> bool:
        return self._is_checked and self._exchange is not None and not self._exchange.is_lost

    async def _prepare(self) -> None:
        if self._closed:
            raise RedisConnectionError("the connection was closed")
        if self._exchange is not None and not self._exchange.is_lost:
            try:
                await self._check(self._exchange, again=True)
                return
            except Failure:
                if not self._exchange.is_lost:
                    raise
                # It had gone deaf, perhaps. Whoever came since need not suffer for that.
        await self._put_away()
        exchange = Exchange(
            await open_connection(self._redis),
            timeout=self._timeout,
            readers=dict(self._redis.response_callbacks),
            # A new connection asks the Sentinels anew.
            leaves_replicas=isinstance(self._redis.connection_pool, SentinelConnectionPool),
        )
        try:
            await self._check(exchange, again=False)
        except BaseException:
            await exchange.aclose()
            raise
        self._exchange = exchange

    async def _check(self, exchange: Exchange, *, again: bool) -> None:
        self._is_checked = True  # unless it is to be checked once more meanwhile
        if self._greet is None:
            return
        try:
            await self._greet(partial(self._execute_on, exchange), again=again)
        except BaseException as error:
            self._is_checked = False
            if isinstance(error, Exception) and not isinstance(error, _SAID):
                raise RedisConnectionError(f"not understood: {error!r}") from error
            raise

    async def _put_away(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.aclose()
