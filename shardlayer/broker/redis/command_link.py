"""How a process reaches one Redis server, and the connection over which it sends commands.

One connection carries the commands for all shards that live there, in the order in which they were
put, and none waits for another's reply. What is published is heard on another: `subscription.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import NoScriptError

from shardlayer.broker.redis.calls import Argument, Call
from shardlayer.broker.redis.pipeline import Greet, Pipeline
from shardlayer.broker.redis.sockets import Failure
from shardlayer.core.hosts import Host
from shardlayer.core.redis_clients import connect

CLOSE_TIMEOUT = 5.0  # seconds that a connection gets to close; a busy machine needs some


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
        greet: Called with each new connection before anything else is sent over it.
    """

    def __init__(self, host: Host, *, timeout: float, greet: Greet | None = None) -> None:
        self.host = host
        self.address = host.address
        self._prelude: tuple[tuple[Argument, ...], ...] = ()
        self._redis = connect(host, timeout=timeout)
        self._pipeline = Pipeline(self._redis, timeout=timeout, greet=greet)

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
        """Call a script and return its reply; sends it if the server does not know it."""
        values = (len(call.keys), *call.keys, *call.args)
        try:
            return await self.execute("EVALSHA", call.script.sha, *values)
        except NoScriptError:
            return await self.execute("EVAL", call.script.source, *values)

    async def call_all(self, calls: Sequence[Call]) -> list[Any]:
        """Call scripts that the server knows, in one write; errors are returned, not raised."""
        return await self._pipeline.execute(
            [("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args) for call in calls]
        )

    async def evaluate(self, calls: Sequence[Call], then: tuple[Argument, ...]) -> list[Any]:
        """Call small scripts, send one more command right behind, and return all replies.

        A reply that is an error is returned, not raised.
        """
        evals = (
            ("EVAL", call.script.source, len(call.keys), *call.keys, *call.args) for call in calls
        )
        return await self._pipeline.execute([*evals, then])

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
