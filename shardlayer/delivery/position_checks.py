"""Whether the rooms of a node are where Redis says they are.

A gap shows with the next publication. Where the last of them was lost on its way no other comes to
show it, so each room with history asks now and then. All rooms of a shard ask together, in calls
of a few hundred, and each shard at a time of its own.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from functools import partial

from shardlayer.aio.loop_delay import LoopDelay
from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Broker
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import Position
from shardlayer.delivery.room import LocalRoom, State
from shardlayer.delivery.rooms import Rooms

logger = logging.getLogger(__name__)

ROOMS_PER_CALL = 200
GRACE = 1.0  # seconds in which what was published before the answer must have arrived
JITTER = 0.25  # of the interval


class PositionChecks:
    """Compares where a node's rooms are with what their shards say.

    Attributes:
        found: Rooms that had missed something, and were entered again.
    """

    def __init__(
        self, rooms: Rooms, broker: Broker, options: LayerOptions, *, tasks: Tasks
    ) -> None:
        self.found = 0
        self._rooms = rooms
        self._broker = broker
        self._interval = options.position_check_interval
        self._tasks = tasks.branch()

    def start(self) -> None:
        """Begin to check each shard now and then, in tasks that `aclose` ends."""
        for shard in range(len(self._rooms.hubs)):
            self._tasks.repeat(
                partial(self._check_soon, shard),
                f"position checks of shard {shard}",
                pause=self._pause,
                first=random.uniform(0, self._interval),  # noqa: S311 (jitter)
            )

    async def aclose(self) -> None:
        """Stop checking."""
        await self._tasks.aclose()

    async def check(self, shard: int) -> None:
        """Compare the rooms of a shard once, and enter those again that missed something.

        Raises:
            ShardUnavailable: If the shard does not answer.
        """
        hub = self._rooms.hubs[shard]
        rooms = [room for room in hub.rooms.values() if self._can_tell(room)]
        doubtful: list[tuple[LocalRoom, Position | None]] = []
        with LoopDelay() as delay:
            for start in range(0, len(rooms), ROOMS_PER_CALL):
                doubtful += await self._compare(shard, rooms[start : start + ROOMS_PER_CALL])
            if not doubtful:
                return
            await asyncio.sleep(GRACE)
            if hub.backlog or delay.is_most():
                return  # what is missing may wait here, or in the socket
        for room, there in doubtful:
            if hub.rooms.get(room.name) is room and self._can_tell(room) and _misses(room, there):
                self.found += 1
                self._rooms.enter_again(room)

    async def _compare(
        self, shard: int, rooms: Sequence[LocalRoom]
    ) -> list[tuple[LocalRoom, Position | None]]:
        """Return the rooms that are not where the shard says, and where it says they are."""
        before = [room.position for room in rooms]
        names = [room.name for room in rooms]
        found = await self._broker.positions(shard, names)
        doubtful: list[tuple[LocalRoom, Position | None]] = []
        for room, here, there in zip(rooms, before, found, strict=True):
            if here is None:
                continue
            if there is not None and there.epoch == here.epoch and there.offset < here.offset:
                there = None  # what the members have it has lost
            if there is None or _misses(room, there):
                doubtful.append((room, there))
        return doubtful

    @staticmethod
    def _can_tell(room: LocalRoom) -> bool:
        return bool(room.sinks) and room.position is not None and room.state is State.LIVE

    async def _check_soon(self, shard: int) -> None:
        try:
            await self.check(shard)
        except ShardUnavailable as error:
            logger.debug("%s", error)  # said by whoever enters or publishes

    def _pause(self) -> float:
        return self._interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (jitter)


def _misses(room: LocalRoom, there: Position | None) -> bool:
    """Tell whether a room lacks what its shard has; None is a shard that has lost the room."""
    here = room.position
    if here is None:
        return False
    return there is None or there.epoch != here.epoch or there.offset > here.offset
