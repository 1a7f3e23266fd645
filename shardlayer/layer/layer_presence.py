"""Who is in a room, asked from anywhere; and who is told when a room turns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from shardlayer.broker.presence_values import PresencePage
from shardlayer.delivery.clearing import clear_gone
from shardlayer.layer.engine import Engine
from shardlayer.layer.engines import Engines

logger = logging.getLogger(__name__)

PRESENCE_LIMIT = 500  # people that one call of `presence` names, at most

RoomWatcher = Callable[[str, bool], object]
"""Told a room, and whether somebody is in it now (nobody was) or nobody is (somebody was)."""


class RoomWatchers:
    """Who is told that a room is occupied or vacated, if this process is the one that finds it.

    Called in whichever event loop and thread finds it. What one raises is logged.

    Attributes:
        watchers: Who is told, in order. Each at most once, however often it is added.
    """

    def __init__(self) -> None:
        self.watchers: list[RoomWatcher] = []

    def add(self, watcher: RoomWatcher) -> None:
        """Have somebody told from now on; again is no error."""
        if watcher not in self.watchers:
            self.watchers.append(watcher)

    def tell(self, turned: Mapping[str, bool]) -> None:
        """Tell of rooms that turned, and whether somebody is in each."""
        for room, is_occupied in turned.items():
            for watcher in self.watchers:
                try:
                    watcher(room, is_occupied)
                except Exception:
                    logger.exception("A watcher of rooms failed on %s", room)


class LayerPresence:
    """Reads who is in rooms, from any event loop and thread of the process.

    Attributes:
        room_watchers: Told when somebody comes to a room that nobody was in, on any node, and when
            the last one has gone. Of all processes one is told, at most once.
    """

    room_watchers: RoomWatchers
    shard_of: Callable[[str], int]
    require_valid_group_name: Callable[[str], bool]  # of Channels; raises TypeError
    _engines: Engines

    async def presence(self, room: str, *, limit: int = 100, after: str = "") -> PresencePage:
        """Return how many people are in a room, on all nodes, and name some of them.

        Names `limit` people at most, and no more than `PRESENCE_LIMIT`, in the order of their
        names, beginning after the name `after`; with 0 none. Everybody counts who came (see
        `NodePresence.come`) and did not go. People on a node whose lease has ended do not count:
        such a node is cleared first.

        Raises:
            ShardUnavailable: If the room's server can't be reached.
        """
        self.require_valid_group_name(room)
        shard, limit = self.shard_of(room), max(0, min(limit, PRESENCE_LIMIT))

        async def work(engine: Engine) -> PresencePage:
            if engine.node is not None:
                await engine.node.presence.settled(room)  # who asks finds itself
            backend = engine.backend
            page = await backend.present(shard, room, limit=limit, after=after)
            if page.gone:
                for node in page.gone:
                    self.room_watchers.tell(await clear_gone(backend, shard, node))
                page = await backend.present(shard, room, limit=limit, after=after)
            return page

        return await self._engines.run(work)
