"""A Redis Cluster: shards go where their slots are, and are followed when those move.

A shard is one slot, so a command goes to that slot's primary. Each primary has one connection for
commands and one for subscriptions, as a listed server has. The map of slots is read from any node
that answers; it is read again when a node says MOVED, when it can't be reached, and when a
subscription ends: a server ends the subscriptions of a slot that it gives away (SUNSUBSCRIBE).

While a slot is being moved key by key the source answers ASK for what has left and TRYAGAIN for a
script whose keys are on both sides; both before anything was written. Then the shard waits, until
the slot has moved or the caller's patience ends, and nothing is half applied.

redis-py's own cluster client is not used: it would make a connection per concurrent call, where
one pipelined connection per node serves all shards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError

from shardlayer.backends.base import Listener
from shardlayer.backends.connection import CommandLink, Failure
from shardlayer.backends.pipeline import Execute
from shardlayer.backends.probe import ServerReport
from shardlayer.backends.servers import Reply, Send, Servers
from shardlayer.backends.turnstile import Turnstile
from shardlayer.exceptions import ConfigurationError, ShardUnavailable
from shardlayer.hosts import Host
from shardlayer.keys import layout_tag
from shardlayer.options import LayerOptions
from shardlayer.sharding import slot_of
from shardlayer.tasks import Tasks
from shardlayer.types import NodeId

logger = logging.getLogger("shardlayer.redis")

PAUSE = 0.05  # seconds before a shard whose slot is on its way is tried again
LEARN_INTERVAL = 0.2  # seconds between two readings of the map of slots


class ClusterServers(Servers):
    """The primaries of a Redis Cluster. `hosts` are nodes to ask for the others first."""

    def __init__(self, options: LayerOptions) -> None:
        super().__init__(options)
        self._template = options.hosts[0]
        self._slots = [slot_of(keys.tag) for keys in self.keys]
        self._layout_slot = slot_of(layout_tag(options.prefix))
        self._owners: dict[int, str] = {}  # slot -> address, for the slots that matter
        self._learning: asyncio.Task[None] | None = None
        self._learned = 0.0
        self._map = Turnstile(
            is_ready=lambda: bool(self._owners), prepare=self._learn, name="map of the Cluster"
        )
        self._audience: tuple[NodeId, Listener] | None = None
        self._regrouping = asyncio.Lock()
        self._heard_at: dict[str, list[int]] = {}
        self._tasks = Tasks()

    @property
    def addresses(self) -> list[str]:
        return sorted(set(self._owners.values())) or list(self._homes)

    def address_of(self, shard: int) -> str:
        return self._owners.get(self._slots[shard], self._homes[0])

    def bundle_of(self, shard: int) -> int:
        return shard  # one call can't write to several slots

    async def run(self, shard: int, send: Send[Reply]) -> Reply:
        try:
            return await self._follow(self._slots[shard], send)
        except Failure as error:
            self._learn_soon()
            raise ShardUnavailable(
                shard=shard, server=self.address_of(shard), reason=str(error)
            ) from error

    async def run_at(self, address: str, send: Send[Reply]) -> Reply:
        if not self._owners:
            await self._learn()
        return await super().run_at(address if address in self._links else self._homes[0], send)

    async def listen(self, node: NodeId, listener: Listener) -> None:
        self._audience = (node, listener)
        self._tasks.start(self._regroup(), "hear the Cluster")

    async def aclose(self) -> None:
        if self._learning is not None:
            self._learning.cancel()
        await self._map.aclose()
        await self._tasks.aclose()
        await super().aclose()

    async def _follow(self, slot: int, send: Send[Reply]) -> Reply:
        """Send something to whichever node has the slot, until one takes it."""
        deadline = asyncio.get_running_loop().time() + self._options.publish_timeout
        while True:
            if not self._map.is_open:
                await self._map.enter()
            address = self._owners.get(slot, self._homes[0])
            try:
                return await self._send_to(address, send)
            except MovedError as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                self._owners[slot] = self._know(f"{error.host}:{error.port}")
                self._learn_soon()
            except AskError as error:
                return await self._ask_at(f"{error.host}:{error.port}", send)
            except (TryAgainError, ClusterDownError):
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(PAUSE)
                self._learn_soon()

    async def _ask_at(self, place: str, send: Send[Reply]) -> Reply:
        link = self._links[self._know(place)]
        return await send(link.asking())

    # The map of slots

    async def _learn(self) -> None:
        """Read the map of slots from any node; one reading serves all who wait for it."""
        if self._learning is None:
            self._learning = asyncio.ensure_future(self._read_map())
            self._learning.add_done_callback(self._end_learning)
        await asyncio.shield(self._learning)

    def _end_learning(self, task: asyncio.Task[None]) -> None:
        self._learning = None
        if not task.cancelled():
            task.exception()  # told to those who waited

    def _learn_soon(self) -> None:
        """Read the map in the background, unless that has just been done."""
        if asyncio.get_running_loop().time() - self._learned >= LEARN_INTERVAL:
            self._tasks.start(self._learn_and_regroup(), "learn where the Cluster's slots are")

    async def _learn_and_regroup(self) -> None:
        try:
            await self._learn()
        except Failure as error:
            logger.debug("No node of the Cluster tells where the slots are: %s", error)
        await self._regroup()

    async def _read_map(self) -> None:
        self._learned = asyncio.get_running_loop().time()
        failure: Exception = ConnectionError("no node of the Cluster answers")
        for address in [*self.addresses, *self._links]:
            try:
                ranges = await self._links[address].execute("CLUSTER", "SLOTS")
            except Failure as error:
                failure = error
                continue
            if not isinstance(ranges, list):
                raise ConfigurationError(f"{address} is no node of a Redis Cluster.")
            self._take_map(ranges, address)
            return
        raise failure

    def _take_map(self, ranges: Sequence[Any], asked: str) -> None:
        wanted = {*self._slots, self._layout_slot}
        for first, last, primary, *_replicas in ranges:
            host, port = primary[0], primary[1]
            # A node that does not know its own name is where it was asked.
            place = f"{host.decode()}:{port}" if host else asked.partition("://")[2]
            owner = self._know(place)
            for slot in wanted:
                if first <= slot <= last:
                    self._owners[slot] = owner

    def _know(self, place: str) -> str:
        """Return the address of a node at `host:port`, with a link to it."""
        scheme = self._template.url.partition("://")[0]
        host = Host(url=f"{scheme}://{place}", arguments=self._arguments())
        if host.address not in self._links:
            self._links[host.address] = self._link_to(host)
        return host.address

    def _arguments(self) -> dict[str, Any]:
        """Return how to connect to any node: as to the first that was listed."""
        credentials, _, _ = self._template.url.partition("://")[2].rpartition("@")
        user, _, password = credentials.partition(":")
        arguments = dict(self._template.arguments)
        if user:
            arguments["username"] = user
        if password:
            arguments["password"] = password
        return arguments

    # Hearing

    def _lost(self, address: str) -> None:
        self._learn_soon()

    async def _regroup(self) -> None:
        """Hear each shard where its slot is now; leave alone what has not moved."""
        async with self._regrouping:
            while not self._owners:
                try:
                    await self._learn()
                except Failure as error:
                    logger.warning("Can't reach the Cluster: %s. Waiting for it.", error)
                    await asyncio.sleep(1.0)
            if self._audience is None:
                return
            placed = self._shards_by_address()
            for address in [*self._subscriptions]:
                if self._heard_at.get(address) != placed.get(address):
                    await self._subscriptions.pop(address).aclose()
            for address, shards in placed.items():
                if address not in self._subscriptions:
                    self._heard_at[address] = shards
                    self._subscriptions[address] = self._subscribe(address, shards, *self._audience)

    async def _recognise(self, host: Host, report: ServerReport, execute: Execute) -> None:
        """Do nothing: shards move, so a server that is new to a shard says nothing of its data."""

    async def _check_layout(self, link: CommandLink) -> None:
        # The key that says how many shards there are is in one slot of the whole Cluster.
        if self._owners.get(self._layout_slot) == link.address:
            await super()._check_layout(link)
