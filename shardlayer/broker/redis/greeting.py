"""What is asked of a server on each new connection, before anything else is sent over it.

The questions: can it serve the layer, what may it have lost since the last connection, and do other
processes count its shards in the same way? It gets the scripts, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from redis.exceptions import AskError, ResponseError

from shardlayer.broker.redis.keys import ShardKeys, layout_key
from shardlayer.broker.redis.mending import is_about_data
from shardlayer.broker.redis.pipeline import Execute
from shardlayer.broker.redis.restarts import Lives, ask_one
from shardlayer.broker.redis.scripts import all_scripts
from shardlayer.broker.redis.server_report import read_report, require_supported
from shardlayer.broker.redis.sockets import Command
from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions

logger = logging.getLogger("shardlayer.broker.redis")


class Greeting:
    """Judges the connections to the servers of a layer.

    Args:
        options: The layer's options.
        lives: What is known of the servers' runs.
        shards_at: Returns the keys of the shards of a server, by its address.
        has_layout: Tells whether a server is the one that says how many shards there are.
    """

    def __init__(
        self,
        options: LayerOptions,
        lives: Lives,
        *,
        shards_at: Callable[[str], Sequence[ShardKeys]],
        has_layout: Callable[[str], bool],
    ) -> None:
        self._options = options
        self._lives = lives
        self._shards_at = shards_at
        self._has_layout = has_layout

    async def greet(self, host: Host, execute: Execute, *, again: bool) -> None:
        """Refuse a server that can't serve, and notice one that may have lost something.

        Over a connection that was greeted before it is only asked how many shards there are.

        Raises:
            ConfigurationError: If it can't serve this layer.
            RedisError, OSError: If it does not answer, or refuses; it is to be asked again.
        """
        if not again:
            await self._judge(host, execute)
        if self._has_layout(host.address):
            await self._check_layout(host, execute)

    async def _judge(self, host: Host, execute: Execute) -> None:
        # The scripts with it: while one that it lacks is sent, calls could overtake each other.
        info, *_ = await execute([("INFO", "everything"), *_load_scripts()])
        if isinstance(info, Exception):
            raise info
        report = read_report(host.address, info)
        require_supported(report, cluster=self._options.cluster)
        if report.evicts:
            logger.warning(
                "%s has maxmemory-policy %s: when its memory is full it deletes rooms, and clients "
                "lose messages. Set it to noeviction.",
                host.address,
                report.maxmemory_policy,
            )
        # In a Cluster shards move: a server that is new to one says nothing of its data.
        if not self._options.cluster:
            await self._lives.recognise(execute, report, host, self._shards_at(host.address))

    async def _check_layout(self, host: Host, execute: Execute) -> None:
        """Refuse a server that processes with other `shards` use."""
        layout, shards = layout_key(self._options.prefix), self._options.shards
        try:
            # Asked before it is set: a server whose memory is full can be read from.
            if (found := await ask_one(execute, "GET", layout)) is None:
                await ask_one(execute, "SETNX", layout, shards)
                found = await ask_one(execute, "GET", layout)
        except AskError:  # or MovedError: the slot has just gone elsewhere
            return
        except ResponseError as error:
            if not is_about_data(error):
                raise
            found = b"what is no text"
        if found != str(shards).encode():
            raise ConfigurationError(
                f"{host.address} holds {found.decode(errors='replace')} shards under the prefix "
                f"{self._options.prefix!r}, and this process has shards = {shards}: they would "
                f"not find each other's groups. See docs/operate.md for how to change it."
            )


def _load_scripts() -> Iterator[Command]:
    for script in all_scripts():
        yield ("SCRIPT", "LOAD", script.source)
