"""Who is in which rooms, kept on Redis: a `RedisBackend`'s role `Presence`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from shardlayer.broker.interface import Presence
from shardlayer.broker.presence_values import (
    ROLL_PAGE,
    Announced,
    Announcement,
    Attendee,
    PresencePage,
    Watch,
)
from shardlayer.broker.redis import presence_scripts
from shardlayer.broker.redis.calls import Call
from shardlayer.broker.redis.shard_calls import ShardCalls
from shardlayer.core.types import NodeId


class RedisPresence(ShardCalls, Presence):
    """Keeps people on Redis servers."""

    _nodes: dict[int, list[NodeId]]  # by shard, as they were when there was last a new one

    async def announce(self, shard: int, announcement: Announcement) -> Announced:
        call, rooms = presence_scripts.announce(self._keys[shard], announcement)
        return presence_scripts.read_announced(rooms, await self._call(shard, call))

    async def watch(self, shard: int, node: NodeId, number: int) -> Watch:
        lease_ttl = self._options.lease_ttl
        call = presence_scripts.watch(self._keys[shard], node, number, lease_ttl=lease_ttl)
        return presence_scripts.read_watch(await self._call(shard, call))

    async def roll(
        self, shard: int, node: NodeId, *, after: Attendee | None = None, limit: int = ROLL_PAGE
    ) -> list[Attendee]:
        command = presence_scripts.roll(self._keys[shard], node, after, limit)
        return presence_scripts.read_roll(await self._execute(shard, *command))

    async def clear(
        self, shard: int, node: NodeId, attendees: Sequence[Attendee], *, ends: bool = False
    ) -> Announced:
        call, rooms = presence_scripts.clear(
            self._keys[shard], node, attendees, ends=ends, lease_ttl=self._options.lease_ttl
        )
        return presence_scripts.read_announced(rooms, await self._call(shard, call))

    async def recount(self, shard: int, rooms: Sequence[str]) -> Mapping[str, bool]:
        make, turned = partial(presence_scripts.recount, self._keys[shard]), {}
        for room in rooms:  # one by one: a large room takes a while
            was, is_in = await self._call_with_nodes(shard, room, partial(make, room))
            if was != is_in:
                turned[room] = bool(is_in)
        return turned

    async def present(
        self, shard: int, room: str, *, limit: int = 0, after: str = ""
    ) -> PresencePage:
        make = partial(
            presence_scripts.present,
            self._keys[shard],
            room,
            limit=limit,
            after=after,
            lease_ttl=self._options.lease_ttl,
        )
        reply = await self._call_with_nodes(shard, room, make)
        return presence_scripts.read_present(reply, limit=limit)

    async def _call_with_nodes(
        self, shard: int, room: str, make: Callable[[Sequence[NodeId]], Call]
    ) -> Any:
        """Call a script that has to be given the nodes of a shard that have people there.

        All keys of a script are named, so that none is overlooked while a slot of a Cluster moves.
        """
        while True:
            reply = await self._call(shard, make(self._nodes.get(shard, ())), room)
            nodes = presence_scripts.read_nodes(reply)
            if nodes is None:
                return reply
            self._nodes[shard] = nodes
