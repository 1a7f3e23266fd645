"""Calls of scripts and commands for the shards on Redis.

A call that fails because of what a key holds is no outage. A key of a wrong type is removed, with
the keys that are wrong without it, and the call is made once more. If it fails again, ScriptFailed
is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.redis import calls
from shardlayer.broker.redis.calls import Argument, Call
from shardlayer.broker.redis.command_link import CommandLink
from shardlayer.broker.redis.mending import RefusedByServer, mend
from shardlayer.broker.redis.servers import Servers
from shardlayer.broker.values import Batch
from shardlayer.core.exceptions import ScriptFailed, ShardUnavailable
from shardlayer.core.options import LayerOptions

logger = logging.getLogger("shardlayer.broker.redis")

NAMED = 5  # rooms that an error names


class ShardCalls:
    """What all roles of a backend on Redis stand on."""

    def __init__(self, options: LayerOptions, servers: Servers) -> None:
        self._options = options
        self._servers = servers
        self._keys = servers.keys
        self._complain = ThrottledLog(logger, logging.ERROR)

    async def _call(self, shard: int, call: Call, about: str | Batch = "") -> Any:
        """Call a script of a shard, for a group, for a channel or for the groups of a batch."""
        name, run = call.script.name, partial(CommandLink.call, call=call)
        try:
            return await self._run(shard, run, name, call.keys)
        except RefusedByServer as refused:
            if isinstance(about, Batch):
                names = list(dict.fromkeys(item.group for item in about.items))
            else:
                names = [about] if about else []
            raise self._failed(shard, name, names, refused) from refused

    async def _execute(self, shard: int, *command: Argument) -> Any:
        """Run a command of a shard, which names its key first."""
        name, *keys = (str(word) for word in command[:2])
        try:
            return await self._run(shard, lambda link: link.execute(*command), name, keys)
        except RefusedByServer as refused:
            raise self._failed(shard, name, keys, refused) from refused

    async def _run(
        self,
        shard: int,
        run: Callable[[CommandLink], Awaitable[Any]],
        name: str,
        keys: Sequence[str],
    ) -> Any:
        """Run something on these keys; if one has a wrong type, remove it and run it once more.

        Raises:
            RefusedByServer: It can't be mended.
        """
        try:
            return await self._servers.run(shard, run)
        except RefusedByServer:
            if (mending := mend(keys)) is None:
                raise
        for key in await self._servers.run(shard, partial(CommandLink.call, call=mending)):
            logger.error(
                "%s failed on the key %s, which had a wrong type. The key was removed",
                *(name, calls.text(key)),
            )
        # Once more, whoever removed it: another process that failed, too, may have.
        return await self._servers.run(shard, run)

    def _failed(
        self, shard: int, name: str, names: Sequence[str], refused: Exception
    ) -> ScriptFailed:
        error = ScriptFailed(
            script=name,
            names=names[:NAMED],
            shard=shard,
            server=self._servers.address_of(shard),
            reason=str(refused),
        )
        self._complain("%s", error)
        return error

    async def _execute_at(self, server: int, *command: Argument) -> Any:
        address = self._address(server)
        return await self._servers.run_at(address, lambda link: link.execute(*command))

    def _address(self, server: int) -> str:
        addresses = self._servers.addresses
        if server < len(addresses):
            return addresses[server]
        # Whoever counted them has waited since, and the Cluster has shrunk.
        raise ShardUnavailable(shard=0, server=f"server {server}", reason="it is none any more")
