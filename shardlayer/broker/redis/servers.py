"""The Redis servers of a layer: which one holds a shard, and how it is reached and heard.

Here the servers are listed and each holds its own shards, shard i on server i modulo n; a server
behind Sentinels is whichever they call the primary. `cluster.py` has the other way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Listener
from shardlayer.broker.redis.command_link import CommandLink
from shardlayer.broker.redis.greeting import Greeting
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.mending import RefusedByServer, is_about_data
from shardlayer.broker.redis.restarts import Lives
from shardlayer.broker.redis.sockets import Failure
from shardlayer.broker.redis.subscription import Probe, Subscription
from shardlayer.core import wire
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions
from shardlayer.core.sharding import hash_tags
from shardlayer.core.types import NodeId

Reply = TypeVar("Reply")
Send = Callable[[CommandLink], Awaitable[Reply]]
"""Sends something over the link that it is given. May be called again, on another link."""


class Servers:
    """Two connections to each server, one for commands and one for subscriptions.

    A third is made where something has to be waited for that would hold up the others.

    Attributes:
        keys: The names in Redis, by shard.
        lives: What is known of the servers' runs.
    """

    def __init__(self, options: LayerOptions, tasks: Tasks | None = None) -> None:
        self.lives = Lives(options)
        self.keys = [ShardKeys(tag) for tag in hash_tags(options.prefix, options.shards)]
        self._options = options
        self._tasks = (tasks or Tasks()).branch()
        self._greeting = Greeting(
            options, self.lives, shards_at=self._keys_at, has_layout=self._has_layout
        )
        self._links = {host.address: self._link_to(host) for host in options.hosts}
        self._apart: dict[str, CommandLink] = {}
        self._homes = list(self._links)
        self._subscriptions: dict[str, Subscription] = {}
        self._listens = False
        self._hears = [asyncio.Event() for _ in self.keys]
        self._has_ended = False

    @property
    def addresses(self) -> list[str]:
        """An address per server that holds shards."""
        return list(self._homes)

    def address_of(self, shard: int) -> str:
        """Return where a shard is."""
        return self._homes[shard % len(self._homes)]

    def bundle_of(self, shard: int) -> int:
        """Return the first shard of the bundle that a shard belongs to, all on one server.

        More bundles than one, so that the server has work while the answer of one is taken.
        """
        return shard % (len(self._homes) * self._options.bundles)

    def widest_bundle_of(self, shard: int) -> int:
        """Return the first shard of a server; of the bundle, where each shard is by itself."""
        homes = len(self._homes)
        if homes * self._options.bundles >= self._options.shards:
            return self.bundle_of(shard)
        return shard % homes

    async def run(self, shard: int, send: Send[Reply]) -> Reply:
        """Send something to the server that holds a shard.

        Raises:
            ShardUnavailable: If it can't be reached or refuses.
            RefusedByServer: If it does for what a key holds.
            ConfigurationError: If it can't serve this layer.
        """
        address = self.address_of(shard)
        try:
            return await send(self._links[address])
        except Failure as error:
            raise self._failed(error, shard, address) from error

    async def run_at(self, address: str, send: Send[Reply]) -> Reply:
        """Send something that concerns no shard to a server. Raises like `run`."""
        try:
            return await send(self._link(address))
        except Failure as error:
            raise self._unavailable(address, error) from error

    async def run_apart(self, address: str, send: Send[Reply]) -> Reply:
        """Send what holds up a connection over one that nothing else uses. Raises like `run`."""

        def send_apart(link: CommandLink) -> Awaitable[Reply]:
            apart = self._apart.get(link.address)
            if apart is None:
                timeout = self._options.publish_timeout
                apart = self._apart[link.address] = CommandLink(link.host, timeout=timeout)
            return send(apart)

        return await self.run_at(address, send_apart)

    @property
    def unheard(self) -> list[str]:
        """The addresses of servers that are listened to, and can't be heard at the moment."""
        if not self._listens:
            return []
        shards = (shard for shard, hears in enumerate(self._hears) if not hears.is_set())
        return sorted({self.address_of(shard) for shard in shards})

    async def listen(self, node: NodeId, listener: Listener) -> None:
        """Begin to hear all shards for a node."""
        self._listens = True
        for address, shards in self._shards_by_address().items():
            self._subscriptions[address] = self._subscribe(address, shards, node, listener)

    async def heard(self, shard: int) -> None:
        """Wait until a shard can be heard.

        Raises:
            ShardUnavailable: If this was closed: nothing is heard any more.
        """
        await self._hears[shard].wait()
        if self._has_ended:
            raise ShardUnavailable(
                shard=shard, server=self.address_of(shard), reason="the layer was closed"
            )

    async def aclose(self) -> None:
        """Close every connection. May be called again, if a call was cancelled."""
        self._has_ended = True
        for hears in self._hears:
            hears.set()  # who waits is told
        subscriptions = self._subscriptions.values()
        await asyncio.gather(*(subscription.aclose() for subscription in subscriptions))
        links = (*self._links.values(), *self._apart.values())
        await asyncio.gather(*(link.aclose() for link in links))
        await self._tasks.aclose()

    # For the other way to place shards, too

    def _link_to(self, host: Host) -> CommandLink:
        greet = partial(self._greeting.greet, host)
        return CommandLink(host, timeout=self._options.publish_timeout, greet=greet)

    def _link(self, address: str) -> CommandLink:
        link = self._links.get(address)
        if link is None:
            raise RedisConnectionError(f"{address} has left the Cluster")
        return link

    def _has_layout(self, address: str) -> bool:
        """Tell whether the key that says how many shards there are is on a server."""
        return True

    def _keys_at(self, address: str) -> list[ShardKeys]:
        return [self.keys[shard] for shard in self._shards_by_address().get(address, ())]

    def _failed(self, error: Exception, shard: int, address: str) -> Exception:
        """Return what the callers are told of a failure."""
        if isinstance(error, RedisError) and is_about_data(error):
            return RefusedByServer(str(error))
        return ShardUnavailable(shard=shard, server=address, reason=str(error))

    def _unavailable(self, address: str, error: Exception) -> ShardUnavailable:
        shards = (shard for shard in range(len(self.keys)) if self.address_of(shard) == address)
        return ShardUnavailable(shard=next(shards, 0), server=address, reason=str(error))

    def _shards_by_address(self) -> dict[str, list[int]]:
        placed: dict[str, list[int]] = {}
        for shard in range(len(self.keys)):
            placed.setdefault(self.address_of(shard), []).append(shard)
        return placed

    def _subscribe(
        self, address: str, shards: Sequence[int], node: NodeId, listener: Listener
    ) -> Subscription:
        link = self._links[address]
        channels = [(shard, self._channels(shard, node)) for shard in shards]
        sources = {name.encode(): shard for shard, names in channels for name in names}

        def resumed() -> None:
            link.check_again()  # it may lead to another server now, or to an empty one
            for shard in shards:
                self._hears[shard].set()
            listener.resumed(shards)

        def lost() -> None:
            self._stop_hearing(shards, listener)
            self._lost(address)

        return Subscription(
            link.host,
            [names for _, names in channels],
            on_message=lambda channel, data: listener.arrived(sources[channel], data),
            on_resumed=resumed,
            on_lost=lost,
            timeout=self._options.publish_timeout,
            probe=self._probe(address, shards[0], node),
            tasks=self._tasks,
        )

    def _channels(self, shard: int, node: NodeId) -> list[str]:
        """Return the channels of a shard on which a node hears."""
        keys = self.keys[shard]
        channels = [keys.inbox(node), keys.all_nodes]
        others = (other for other in range(len(self.keys)) if other != shard)
        if any(self.widest_bundle_of(other) == shard for other in others):
            channels.append(keys.joint_prefix + node)
        return channels

    def _stop_hearing(self, shards: Sequence[int], listener: Listener) -> None:
        if not self._has_ended:
            for shard in shards:
                self._hears[shard].clear()
        listener.lost(shards)

    def _probe(self, address: str, shard: int, node: NodeId) -> Probe:
        """Return how the node finds out that it can't hear a server any more."""
        inbox = self.keys[shard].inbox(node)
        batch = wire.pack_order(wire.Kind.PROBE, node)
        link = self._links[address]
        return Probe(
            # To this very server: another, which a slot has moved to, can't speak for it.
            publish=lambda: link.execute("SPUBLISH", inbox, batch),
            interval=self._options.probe_interval,
            timeout=self._options.probe_timeout,
        )

    def _lost(self, address: str) -> None:
        """Learn that a server can't be heard; its subscription goes on trying."""
