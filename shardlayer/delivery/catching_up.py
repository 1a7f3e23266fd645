"""Members whose answers are ahead of their rooms by an epoch.

A room's count begins anew, under a new epoch, when its server has lost it. A member that comes then
is answered by the server, while its node may still wait for an earlier answer about the room, even
one of an epoch between the two. If that were written to the member, it would be taken back, and get
again what it has. So its answer waits until the room has come to the same epoch.
"""

from __future__ import annotations

import asyncio

from shardlayer.delivery.room import LocalRoom


class CatchingUp:
    """Who waits for a room's next answer. Not thread-safe.

    Attributes:
        is_closed: Whether nobody waits any more.
    """

    def __init__(self) -> None:
        self.is_closed = False
        self._waiting: dict[LocalRoom, set[asyncio.Future[None]]] = {}

    async def wait(self, room: LocalRoom) -> None:
        """Wait until a room has taken an answer, or is forgotten, or all of this is closed."""
        answered = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(room, set()).add(answered)
        try:
            await answered
        finally:
            others = self._waiting.get(room, set())
            others.discard(answered)
            if not others:
                self._waiting.pop(room, None)

    def go_on(self, room: LocalRoom) -> None:
        """Let those go on who wait for a room."""
        for answered in self._waiting.pop(room, ()):
            if not answered.done():
                answered.set_result(None)

    def close(self) -> None:
        """Let everybody go on, for good."""
        self.is_closed = True
        for room in list(self._waiting):
            self.go_on(room)

    def __len__(self) -> int:
        """Return how many rooms are waited for."""
        return len(self._waiting)
