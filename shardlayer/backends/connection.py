"""The two connections that a process keeps to one Redis server, however many shards live there.

`CommandLink` sends commands. One connection carries them all, in the order in which they were put,
and none waits for another's reply.

`Subscription` hears sharded pub/sub channels (Redis 7+: SSUBSCRIBE). It reconnects by itself and
says each time when everything can be heard again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoScriptError, RedisError

from shardlayer.backends.pipeline import Pipeline
from shardlayer.backends.sockets import Argument, Socket, open_connection, pack
from shardlayer.commands import Call
from shardlayer.hosts import Host

logger = logging.getLogger("shardlayer.redis")

CONNECT_TIMEOUT = 2.0  # seconds
CLOSE_TIMEOUT = 5.0  # seconds that a connection gets to close; a busy machine needs some
RECONNECT_BASE = 0.05  # seconds, doubled with each failure
RECONNECT_MAX = 1.0  # seconds

Failure = (RedisError, OSError, TimeoutError)
"""What a server that can't be reached, or refuses, raises."""


def connect(host: Host, *, timeout: float) -> Redis:
    """Return a client that keeps one connection to a server and never retries by itself.

    It speaks RESP2, whose replies do not differ between Redis 7 and Valkey 9. Retries are the
    callers', who know which command may be repeated. `timeout` bounds a reply, in seconds. Behind
    Sentinels every new connection asks anew which server is the primary.
    """
    arguments: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": min(CONNECT_TIMEOUT, timeout),
        **host.arguments,
        "max_connections": 1,
        "protocol": 2,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "shardlayer",
    }
    if host.master_name:
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            host.sentinels,
            sentinel_kwargs={
                "socket_timeout": CONNECT_TIMEOUT,
                "socket_connect_timeout": CONNECT_TIMEOUT,
                **host.sentinel_arguments,
            },
        )
        pool: ConnectionPool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            host.master_name, sentinel, check_connection=True, **arguments
        )
        return Redis.from_pool(pool)
    return Redis.from_pool(ConnectionPool.from_url(host.url, **arguments))


async def close(redis: Redis) -> None:
    """Close a client that `connect` made, with its connections to Sentinels."""
    pool = redis.connection_pool
    sentinels = pool.sentinel_manager.sentinels if isinstance(pool, SentinelConnectionPool) else ()
    for client in (redis, *sentinels):
        with suppress(*Failure):
            # Not wait_for: cancelled before its task began, it would close nothing.
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await client.aclose()


class CommandLink:
    """Sends commands to one server over one connection.

    Args:
        host: The server.
        timeout: Seconds that a reply may take.
    """

    def __init__(self, host: Host, *, timeout: float) -> None:
        self.host = host
        self.address = host.address
        self._prelude: tuple[tuple[Argument, ...], ...] = ()
        self._redis = connect(host, timeout=timeout)
        self._pipeline = Pipeline(self._redis, timeout=timeout)

    def asking(self) -> CommandLink:
        """Return this link as one whose every command follows an ASKING.

        So a node takes it for a slot that it is importing (Redis Cluster specification, "ASK
        redirection"). The connection is the same.
        """
        link = copy(self)
        link._prelude = (("ASKING",),)
        return link

    async def execute(self, *command: Argument) -> Any:
        """Send one command and return its reply.

        Raises:
            RedisError, OSError: What the connection or the server answered.
        """
        return (await self._execute_all([*self._prelude, command]))[-1]

    async def call(self, call: Call) -> Any:
        """Call a script and return its reply; loads it if the server does not know it."""
        return (await self.call_then(call))[0]

    async def call_then(self, call: Call, *then: tuple[Argument, ...]) -> list[Any]:
        """Call a script, send more commands right behind it, and return all replies."""
        command = ("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args)
        commands = [*self._prelude, command, *then]
        try:
            replies = await self._execute_all(commands)
        except NoScriptError:
            await self.execute("SCRIPT", "LOAD", call.script.source)
            replies = await self._execute_all(commands)
        return replies[len(self._prelude) :]

    async def _execute_all(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        replies = await self._pipeline.execute(commands)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        return replies

    async def aclose(self) -> None:
        """Send nothing more and close the connection."""
        await self._pipeline.aclose()
        await close(self._redis)


class Subscription:
    """Hears channels of one server until it is closed.

    Args:
        host: The server.
        channels: The sharded pub/sub channels, those of one slot together.
        on_message: Called with a channel and what was published on it, in order.
        on_resumed: Called when all channels can be heard, the first time and after each loss.
        on_lost: Called when they can't be heard any more, or could not from the start.
        timeout: Seconds that connecting and subscribing may take.
    """

    def __init__(
        self,
        host: Host,
        channels: Sequence[Sequence[str]],
        *,
        on_message: Callable[[bytes, bytes], None],
        on_resumed: Callable[[], None],
        on_lost: Callable[[], None],
        timeout: float,
    ) -> None:
        self._address = host.address
        self._host = host
        self._channels = channels
        self._on_message = on_message
        self._on_resumed = on_resumed
        self._on_lost = on_lost
        self._hears = False
        self._timeout = timeout
        self._task = asyncio.create_task(self._run(), name=f"subscription to {self._address}")

    async def aclose(self) -> None:
        """Stop hearing and close the connection."""
        if not self._task.cancelling():  # a second cancellation would break off the closing
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        failures = 0
        redis = connect(self._host, timeout=self._timeout)
        try:
            while True:
                try:
                    await self._hear(redis, failures)
                except Failure as error:
                    if self._hears or failures == 0:
                        logger.warning("Can't hear %s: %s. Waiting for it.", self._address, error)
                    failures = 1 if self._hears else failures + 1
                    self._hears = False
                    self._on_lost()
                ceiling = min(RECONNECT_BASE * 2 ** min(failures, 10), RECONNECT_MAX)
                await asyncio.sleep(random.uniform(ceiling / 2, ceiling))  # noqa: S311 (jitter)
        finally:
            await close(redis)

    async def _hear(self, redis: Redis, failures: int) -> None:
        """Hear until the connection is lost; raises why."""

        def resumed() -> None:
            if failures:
                logger.info("%s can be heard again.", self._address)
            self._hears = True
            self._on_resumed()

        ear = _Ear(
            await open_connection(redis),
            self._channels,
            on_message=self._on_message,
            on_resumed=resumed,
        )
        try:
            async with asyncio.timeout(self._timeout):
                await ear.resumed.wait()
            await ear.deaf
        finally:
            await ear.aclose()


class _Ear(Socket):
    """One connection while it hears.

    Attributes:
        resumed: Set when all channels can be heard, or when that has failed.
        deaf: Raises why nothing can be heard any more.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        channels: Sequence[Sequence[str]],
        *,
        on_message: Callable[[bytes, bytes], None],
        on_resumed: Callable[[], None],
    ) -> None:
        super().__init__(connection)
        self.resumed = asyncio.Event()
        self.deaf: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_message = on_message
        self._on_resumed = on_resumed
        self._waiting = {channel.encode() for slot in channels for channel in slot}
        self.write(b"".join(pack(("SSUBSCRIBE", *slot)) for slot in channels))

    def answered(self, answer: Any) -> None:
        """Take a message, or the confirmation of a subscription."""
        if isinstance(answer, Exception):
            self.lose(answer)
            return
        try:
            kind, channel, value = answer
        except (TypeError, ValueError):
            raise InvalidResponse(f"{answer!r} is not a message") from None
        if kind == b"smessage":
            try:
                self._on_message(channel, value)
            except Exception:
                # The connection may be at fault as little as the rest of what comes over it, but
                # what was missed is found only by beginning anew.
                logger.exception("A message on %r could not be taken.", channel)
                self.lose(RedisConnectionError("a message could not be taken"))
        elif kind == b"ssubscribe" and self._waiting:
            self._waiting.discard(channel)
            if not self._waiting:
                self._on_resumed()
                self.resumed.set()
        elif kind == b"sunsubscribe":
            self.lose(RedisConnectionError("a slot has moved to another server"))

    def ended(self, error: Exception | None) -> None:
        """Say why nothing can be heard any more."""
        self.resumed.set()
        if error is None:
            self.deaf.cancel()
        elif not self.deaf.done():
            self.deaf.set_exception(error)
            self.deaf.exception()  # who closes before asking need not know
