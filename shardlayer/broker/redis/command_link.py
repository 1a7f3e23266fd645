"""How a process reaches one Redis server, and the connection over which it sends commands.

One connection carries the commands for all shards that live there, in the order in which they were
put, and none waits for another's reply. What is published is heard on another: `subscription.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from copy import copy
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool

from shardlayer.broker.redis.calls import Argument, Call
from shardlayer.broker.redis.pipeline import Greet, Pipeline
from shardlayer.broker.redis.sockets import Command, Failure
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

    Nothing here is a coroutine. If there is a connection, a command is written at once, in the
    order of the calls. The caller awaits what is returned.

    Args:
        host: The server.
        timeout: Seconds that a reply may take.
        greet: Judges each new connection before anything else is sent over it.
    """

    def __init__(self, host: Host, *, timeout: float, greet: Greet | None = None) -> None:
        self.host = host
        self.address = host.address
        self._is_asking = False
        self._redis = connect(host, timeout=timeout)
        self._pipeline = Pipeline(self._redis, timeout=timeout, greet=greet)

    def asking(self) -> CommandLink:
        """Return this link as one whose every command follows an ASKING.

        So a node takes it for a slot that it is importing (Redis Cluster specification, "ASK
        redirection"). The connection is the same.
        """
        link = copy(self)
        link._is_asking = True
        return link

    def execute(self, *command: Argument) -> Awaitable[Any]:
        """Send one command and return its reply to be.

        Raises:
            RedisError, OSError: What the connection or the server answered, when it is awaited.
        """
        return self._pipeline.ask(command, asking=self._is_asking)

    def call(self, call: Call) -> Awaitable[Any]:
        """Call a script and return its reply to be. Raises like `execute`."""
        return self._pipeline.ask(_command(call), asking=self._is_asking)

    def call_all(self, calls: Sequence[Call]) -> Awaitable[list[Any]]:
        """Call scripts, in one write; errors that the server answers are returned, not raised."""
        return self._pipeline.execute([_command(call) for call in calls])

    def evaluate(self, calls: Sequence[Call], then: Command) -> Awaitable[list[Any]]:
        """Call scripts and send one more command right behind. Otherwise as `call_all`."""
        evals = (
            ("EVAL", call.script.source, len(call.keys), *call.keys, *call.args) for call in calls
        )
        return self._pipeline.execute([*evals, then])

    def check_again(self) -> None:
        """Have the connection greeted again before what is sent next: it may lead elsewhere now."""
        self._pipeline.check_again()

    async def aclose(self) -> None:
        """Send nothing more and close the connection."""
        await self._pipeline.aclose()
        await close(self._redis)


def _command(call: Call) -> Command:
    return ("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args)
