"""Members whose answers are ahead of their rooms by an epoch.

A room's count begins anew, under a new epoch, when its server has lost it. A member that comes then
is answered by the server, while its node may still wait for an earlier answer about the room, even
one of an epoch between the two. If that were written to the member, it would be taken back, and get
again what it has. So its answer waits until the room has come to the same epoch.
"""

from __future__ import annotations

import asyncio

from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.delivery.room import LocalRoom


class CatchingUp:
    """Who waits until a room's members are told that its count is another. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting: dict[LocalRoom, set[asyncio.Future[None]]] = {}

    async def wait(self, room: LocalRoom) -> None:
        """Wait for the next reset of a room; raises what `fail` was told."""
        reset = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(room, set()).add(reset)
        try:
            await reset
        finally:
            others = self._waiting.get(room, set())
            others.discard(reset)
            if not others:
                self._waiting.pop(room, None)

    def reset(self, room: LocalRoom) -> None:
        """Let those go on who wait for a room."""
        for reset in self._waiting.pop(room, ()):
            if not reset.done():
                reset.set_result(None)

    def fail(self, room: LocalRoom, error: ShardUnavailable) -> None:
        """Have those raise an error who wait for a room."""
        for reset in self._waiting.pop(room, ()):
            if not reset.done():
                reset.set_exception(error)

    def rooms(self) -> list[LocalRoom]:
        """Return the rooms that are waited for."""
        return list(self._waiting)
