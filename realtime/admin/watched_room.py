"""A room that keeps no history, while somebody watches it in the admin: what came since.

The page's socket joins the room as a member of this process, and leaves it when it closes. So it
counts as a connection meanwhile, which the page says.
"""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import orjson

from realtime.admin.admin_page import CLOSING, Memory
from shardlayer import Broadcast, Node, Publication, ShardedChannelLayer

SHOWN = 50  # publications, the newest
LARGEST = 64 * 1024  # bytes of one; of a larger one it is only shown that it came
_MEMORY = "watched"


class Came(NamedTuple):
    """A push, and when it came."""

    text: bytes
    at: float


class WatchedRoom:
    """What came in a room since it was joined, as a sink.

    Args:
        node: Of the running loop.
        room: The room's name.
    """

    def __init__(self, node: Node, room: str) -> None:
        self._node = node
        self._room = room
        self._came: deque[Came] = deque(maxlen=SHOWN)

    def publications(self) -> list[Publication]:
        """Return what came, newest first."""
        found = []
        for text, at in reversed(self._came):
            try:
                data = orjson.dumps(orjson.loads(text)["data"])
            except (orjson.JSONDecodeError, orjson.JSONEncodeError, KeyError, TypeError):
                continue  # such as what tells that something was missed
            found.append(Publication(self._room, data, time=at))
        return found

    def leave(self) -> None:
        """Leave the room."""
        self._node.leave(self._room, self)

    # As a sink.

    def write(self, broadcast: Broadcast) -> None:
        """Keep the newest of what comes."""
        now = time.time()
        self._came.extend(Came(_kept(text), now) for text in broadcast.texts)

    def close(self, code: int, reason: str = "") -> None:
        """Do nothing: nobody closes a page's own sink."""


def _kept(text: bytes) -> bytes:
    """Return a push, or of one that is too long only how long it is: the rest is not kept."""
    if len(text) <= LARGEST:
        return text
    return orjson.dumps({"data": f"{len(text):,} bytes: too long to be shown here"})


async def watched_room(layer: ShardedChannelLayer, room: str, memory: Memory) -> WatchedRoom | None:
    """Return what came to a room since an open page first asked; None if no page is open.

    Raises:
        ShardUnavailable: The room could not be joined.
    """
    if CLOSING not in memory:
        return None
    watched: WatchedRoom | None = memory.get(_MEMORY)
    if watched is None:
        node = await layer.node()
        watched = WatchedRoom(node, room)
        joined = await node.join(room, watched)
        joined.release()
        memory[CLOSING].append(watched.leave)
        memory[_MEMORY] = watched
    return watched
