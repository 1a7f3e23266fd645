"""Forgets rooms that nobody is in, a short while after the last member left.

So a client that comes and goes costs no round trips.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shardlayer.aio.side_by_side import side_by_side
from shardlayer.aio.tasks import Tasks
from shardlayer.core.options import LayerOptions
from shardlayer.delivery.hub import Hub
from shardlayer.delivery.registration import Registration
from shardlayer.delivery.room import ASKED, LocalRoom


class IdleRooms:
    """The rooms of one node that have no members.

    Args:
        hubs: Each shard's rooms.
        registration: Has the shards forget the rooms, too.
        options: The layer's options.
        tasks: Of the node's rooms.
    """

    def __init__(
        self,
        hubs: Sequence[Hub],
        registration: Registration,
        options: LayerOptions,
        *,
        tasks: Tasks,
    ) -> None:
        self._hubs = hubs
        self._registration = registration
        self._linger = options.linger
        self._tasks = tasks
        self._ends: dict[tuple[int, str], float] = {}  # in the loop's time, by shard and name

    def start(self) -> None:
        """Begin to forget rooms."""
        self._tasks.repeat(self.forget_all, "forget idle rooms", pause=lambda: self._linger / 2)

    def changed(self, shard: int, room: LocalRoom) -> None:
        """Note that a room's members changed; without any it is forgotten after the linger."""
        if len(room):
            self._ends.pop((shard, room.name), None)
        else:
            ends = asyncio.get_running_loop().time() + self._linger
            self._ends[shard, room.name] = ends

    def forget(self, shard: int, name: str) -> None:
        """Note that a room was forgotten, here and in its shard."""
        self._ends.pop((shard, name), None)

    async def forget_all(self) -> None:
        """Forget the rooms that have lingered, here and in their shards."""
        now = asyncio.get_running_loop().time()
        by_shard: dict[int, list[str]] = {}
        for (shard, name), ends in list(self._ends.items()):
            if ends > now:
                continue
            hub = self._hubs[shard]
            room = hub.rooms.get(name)
            if room is None or len(room):
                del self._ends[shard, name]  # nothing is to be forgotten
            elif room.state not in ASKED:  # else the answer would register the node again
                del self._ends[shard, name]
                hub.forget(room)
                by_shard.setdefault(shard, []).append(name)
        # Begun at once: who joins such a room now has to wait for it.
        leaving = [self._registration.leave(shard, names) for shard, names in by_shard.items()]
        await side_by_side(leaving)
