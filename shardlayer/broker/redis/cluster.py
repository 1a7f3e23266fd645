"""A Redis Cluster: shards go where their slots are, and are followed when those move.

A shard is one slot, so a command goes to that slot's primary. Each primary has one connection for
commands and one for subscriptions, as a listed server has. The map of slots is read from any node
that answers; it is read again when a node says MOVED, when it can't be reached, and when a
subscription ends: a server ends the subscriptions of a slot that it gives away (SUNSUBSCRIBE). It
is read now and then besides, so that nodes which left are let go, and often while some slot has no
node: the shard that is there can't be reached or heard then, and the others go on.

While a slot is being moved key by key the source answers ASK for what has left and TRYAGAIN for a
script whose keys are on both sides; both before anything was written. Then the shard waits, until
the slot has moved or the caller's patience ends, and nothing is half applied.

redis-py's own cluster client is not used: it would make a connection per concurrent call, where
one pipelined connection per node serves all shards.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Sequence
from typing import Any

from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError

from shardlayer.aio.fifo_gate import FifoGate
from shardlayer.aio.tasks import Tasks, is_cancelled
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.interface import Listener
from shardlayer.broker.redis.calls import text
from shardlayer.broker.redis.command_link import CommandLink
from shardlayer.broker.redis.keys import layout_tag
from shardlayer.broker.redis.servers import Reply, Send, Servers
from shardlayer.broker.redis.sockets import Failure
from shardlayer.core.exceptions import ConfigurationError, ShardUnavailable
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions
from shardlayer.core.redis_clients import CONNECT_TIMEOUT
from shardlayer.core.sharding import slot_of
from shardlayer.core.types import NodeId

logger = logging.getLogger("shardlayer.broker.redis")

PAUSE = 0.05  # seconds before a shard whose slot is on its way is tried again
LEARN_INTERVAL = 0.2  # seconds between two readings of the map of slots
MAP_INTERVAL = 60.0  # seconds after which it is read in any case
GAP_INTERVAL = 1.0  # seconds after which it is, while nobody serves some slot
FREE_HOPS = 3  # redirections that one command follows before it pauses for each


class ClusterServers(Servers):
    """The primaries of a Redis Cluster. `hosts` are nodes to ask for the others first."""

    def __init__(self, options: LayerOptions, tasks: Tasks | None = None) -> None:
        super().__init__(options, tasks)
        self._template = options.hosts[0]
        self._slots = [slot_of(keys.tag) for keys in self.keys]
        # The key that says how many shards there are is in one slot of the whole Cluster.
        self._layout_slot = slot_of(layout_tag(options.prefix))
        self._layout_owner: str | None = None
        self._wanted = {*self._slots, self._layout_slot}
        self._owners: dict[int, str] = {}  # slot -> address, for the slots that matter
        self._members: set[str] = set()  # addresses of all nodes that the map names
        self._learning: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None  # reads it now and then
        self._rereading: asyncio.Task[None] | None = None  # reads it once something has failed
        self._learned = 0.0
        self._head_start = min(CONNECT_TIMEOUT, options.publish_timeout / 2)
        self._teller = ""  # the address that told the map that is used
        self._map = FifoGate(
            is_ready=lambda: bool(self._owners), prepare=self._learn, name="map of the Cluster"
        )
        self._hearer: tuple[NodeId, Listener] | None = None
        self._regrouping = asyncio.Lock()
        self._heard_at: dict[str, list[int]] = {}
        self._complain = ThrottledLog(logger, logging.WARNING)

    @property
    def addresses(self) -> list[str]:
        # All that `address_of` may answer, also where nobody serves a slot.
        return sorted({self.address_of(shard) for shard in range(len(self.keys))})

    def address_of(self, shard: int) -> str:
        return self._owners.get(self._slots[shard], self._homes[0])

    def bundle_of(self, shard: int) -> int:
        return shard  # one call can't write to several slots

    def widest_bundle_of(self, shard: int) -> int:
        return shard

    async def run(self, shard: int, send: Send[Reply]) -> Reply:
        try:
            return await self._follow(self._slots[shard], send)
        except Failure as error:
            raise self._failed(error, shard, self.address_of(shard)) from error

    async def run_at(self, address: str, send: Send[Reply]) -> Reply:
        try:
            await self._enter()
        except Failure as error:
            raise self._unavailable(address, error) from error
        return await super().run_at(address if address in self._links else self._homes[0], send)

    async def listen(self, node: NodeId, listener: Listener) -> None:
        self._listens = True
        self._hearer = (node, listener)
        self._tasks.supervise(self._regroup, "follow the slots of the Cluster")

    async def aclose(self) -> None:
        self._has_ended = True  # from now on the map is read no more
        await self._map.aclose()
        await super().aclose()

    async def _enter(self) -> None:
        if not self._map.is_open:
            await self._map.enter()

    async def _follow(self, slot: int, send: Send[Reply]) -> Reply:
        """Send something to whichever node has the slot, until one takes it."""
        deadline = asyncio.get_running_loop().time() + self._options.publish_timeout
        asked = ""  # the node to ask this once, which is importing the slot
        hops = 0
        while True:
            await self._enter()
            address = asked or self._owners.get(slot, self._homes[0])
            try:
                link = self._link(address)
                if asked:
                    link, asked = link.asking(), ""
                return await send(link)
            except (MovedError, AskError) as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                there = self._know(error.host, error.port, answered=address)
                if isinstance(error, MovedError):  # which is an AskError, too
                    self._owners[slot] = there
                    self._learn_soon()
                else:
                    asked = there
                hops += 1
                if hops > FREE_HOPS:  # two that send it to each other
                    await asyncio.sleep(PAUSE)
            except (TryAgainError, ClusterDownError):
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(PAUSE)
                self._learn_soon()

    def _failed(self, error: Exception, shard: int, address: str) -> Exception:
        failed = super()._failed(error, shard, address)
        if not isinstance(failed, ShardUnavailable):
            return failed
        self._learn_soon()
        if isinstance(error, AskError):  # or MovedError, of which redis-py keeps numbers alone
            reason = f"its slot is on the way to {error.host} port {error.port}"
            return ShardUnavailable(shard=shard, server=address, reason=reason)
        return failed

    # The map of slots

    async def _learn(self) -> None:
        """Read the map of slots from any node; one reading serves all who wait for it."""
        if self._learning is None or self._learning.done():
            self._learning = self._tasks.share(self._read_map(), "read the map of the Cluster")
        if self._keeping is None:
            self._keeping = self._tasks.repeat(
                self._learn_and_regroup, "map of the Cluster", pause=self._pause
            )
        try:
            await asyncio.shield(self._learning)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise RedisConnectionError("the Cluster was not read to its end: closed") from None

    def _pause(self) -> float:
        is_complete = self._owners.keys() == self._wanted
        interval = MAP_INTERVAL if is_complete else GAP_INTERVAL
        return interval * random.uniform(0.75, 1.25)  # noqa: S311 (jitter)

    def _learn_soon(self) -> None:
        """Read the map in the background, unless that is being done, or has just been done."""
        if self._has_ended or not (self._rereading is None or self._rereading.done()):
            return  # more would only wait behind it, for as long as the Cluster is away
        if asyncio.get_running_loop().time() - self._learned >= LEARN_INTERVAL:
            self._rereading = self._tasks.supervise(
                self._learn_and_regroup, "learn where the Cluster's slots are"
            )

    async def _learn_and_regroup(self) -> None:
        try:
            await self._learn()
        except Failure as error:
            logger.debug("No node of the Cluster tells where the slots are: %s", error)
        await self._regroup()

    async def _read_map(self) -> None:
        """Ask nodes until one tells of all slots; else take the map that tells of most of them.

        The next node is asked once one fails or tells of too few, and also while one is silent: it
        may answer all the same, and what it is asked ends with the reading.
        """
        self._learned = asyncio.get_running_loop().time()
        told = _ToldMaps(self._wanted)
        asked: set[asyncio.Task[None]] = set()
        try:
            for address in self._whom_to_ask():
                link = self._links.get(address)
                if link is None:
                    continue
                asked.add(self._tasks.share(told.ask(link), f"ask {address} for the map"))
                asked = await _until_one_ends(asked, within=self._head_start)
                if told.most == len(self._wanted):
                    break  # else another may know more: this one has left the Cluster, perhaps
            # Silent nodes are waited for only if the map that is there would take slots away.
            while asked and told.most < max(len(self._owners), 1):
                asked = await _until_one_ends(asked)
        finally:
            for asking in asked:
                asking.cancel()
            if asked:
                await asyncio.wait(asked)
        self._teller, ranges = told.best()
        self._take_map(ranges, answered=self._teller)

    def _whom_to_ask(self) -> dict[str, None]:
        """Return addresses: the owners of slots, the one that told last before the others."""
        owners = sorted(self.addresses, key=lambda address: address != self._teller)
        return dict.fromkeys((*owners, *self._links))

    def _take_map(self, ranges: Sequence[Any], *, answered: str) -> None:
        owners: dict[int, str] = {}
        members: set[str] = set()
        for first, last, primary, *replicas in ranges:
            owner = self._know(primary[0], primary[1], answered=answered)
            members.add(owner)
            for host, port, *_ in replicas:
                members.add(self._host_at(host, port, answered=answered).address)
            owners.update((slot, owner) for slot in self._wanted if first <= slot <= last)
        self._owners = owners
        self._members = members
        before, self._layout_owner = self._layout_owner, owners.get(self._layout_slot)
        if self._layout_owner not in (None, before):
            self._links[self._layout_owner].check_again()  # it was greeted without knowing that

    def _know(self, host: bytes | str | None, port: int, *, answered: str) -> str:
        """Return the address of a node as another named it, with a link to it."""
        there = self._host_at(host, port, answered=answered)
        if there.address not in self._links:
            self._links[there.address] = self._link_to(there)
        return there.address

    def _host_at(self, host: bytes | str | None, port: int, *, answered: str) -> Host:
        # One without a name is where the one that answered is (Redis manual, CLUSTER SLOTS).
        name = text(host or b"")
        if name in ("", "?"):
            name = self._links[answered].host.hostname
        return self._template.at(name, port)

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
                    self._complain("Can't reach the Cluster; waiting for it. %s", error)
                if not self._owners:
                    await asyncio.sleep(1.0)
            if self._hearer is not None:
                await self._regroup_for(*self._hearer)
            self._forget_who_left()

    async def _regroup_for(self, node: NodeId, listener: Listener) -> None:
        placed: dict[str, list[int]] = {}
        unserved = []
        for shard, slot in enumerate(self._slots):
            if slot in self._owners:
                placed.setdefault(self._owners[slot], []).append(shard)
            else:  # asking for it would cost all of whichever server is asked
                unserved.append(shard)
        for address in [*self._subscriptions]:
            if self._heard_at[address] != placed.get(address):
                await self._subscriptions.pop(address).aclose()
                self._stop_hearing(self._heard_at.pop(address), listener)
        for address, shards in placed.items():
            if address not in self._subscriptions:
                self._heard_at[address] = shards
                self._subscriptions[address] = self._subscribe(address, shards, node, listener)
        if unserved:
            self._stop_hearing(unserved, listener)  # so they count as tried

    def _forget_who_left(self) -> None:
        """Close the links to nodes that the map names no more, once what they carry has ended."""
        needed = {*self._members, *self._owners.values(), *self._homes, *self._subscriptions}
        for address in self._links.keys() - needed:
            links = [self._links.pop(address)]
            if (apart := self._apart.pop(address, None)) is not None:
                links.append(apart)
            self._tasks.spawn(self._retire(links), f"close the connections to {address}")

    async def _retire(self, links: Sequence[CommandLink]) -> None:
        try:
            await asyncio.sleep(self._options.publish_timeout)  # by then all is answered
        finally:
            await asyncio.gather(*(link.aclose() for link in links))

    def _has_layout(self, address: str) -> bool:
        return self._layout_owner == address


class _ToldMaps:
    """The maps of slots that nodes told in one reading: the best of them.

    Args:
        wanted: The slots that matter.

    Attributes:
        most: How many of them the best map has.
    """

    def __init__(self, wanted: Collection[int]) -> None:
        self.most = 0
        self._wanted = wanted
        self._best: tuple[str, list[Any]] | None = None
        self._failure: Exception = ConnectionError("no node of the Cluster answers")

    async def ask(self, link: CommandLink) -> None:
        """Ask a node for its map. One that can't be reached is taken note of.

        Raises:
            ConfigurationError: If it answers what no node of a Cluster does.
        """
        try:
            ranges = await link.execute("CLUSTER", "SLOTS")
        except Failure as error:
            self._failure = error
            return
        if not isinstance(ranges, list):
            raise ConfigurationError(f"{link.address} is no node of a Redis Cluster.")
        self._failure = ConnectionError("no node of the Cluster serves a slot")
        served = sum(_serves(ranges, slot) for slot in self._wanted)
        if served > self.most:
            self.most = served
            self._best = link.address, ranges

    def best(self) -> tuple[str, list[Any]]:
        """Return the address of who told the best map, and what it told.

        Raises:
            RedisError, OSError: If none tells of a slot that matters: why, of who said it last.
        """
        if self._best is None:
            raise self._failure
        return self._best


async def _until_one_ends(
    asked: set[asyncio.Task[None]], *, within: float | None = None
) -> set[asyncio.Task[None]]:
    """Wait until one has ended, or for so many seconds; return those that have not ended."""
    ended, rest = await asyncio.wait(asked, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    for asking in ended:
        asking.result()
    return rest


def _serves(ranges: Sequence[Any], slot: int) -> bool:
    return any(first <= slot <= last for first, last, *_ in ranges)
