"""Whether members may stay in their rooms: their rules are asked again, now and then.

A rule may take long, or for good, and a client may be in many rooms. So each question has its own
limit, a client's rooms are asked about a turn at a time, and several clients have turns side by
side. Every look comes to its end, and holds up no other client's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from realtime.access.client_permissions import Permissions
from realtime.clients.failures import log_failure
from shardlayer import Tasks, is_cancelled, stall_tolerant_timeout

RULE_PATIENCE: Final = 10.0  # seconds that one question about one member may take
TURN: Final = 1.0  # seconds after which a client's look goes on behind those of others
MOST_AT_ONCE: Final = 16  # clients whose rooms are asked about side by side


async def may_stay(permissions: Permissions, room: str, *, stays_on_error: bool) -> bool:
    """Return whether a member may stay in its room by the rule, which is asked for RULE_PATIENCE.

    Where the rule fails, or takes longer, nothing is known: `stays_on_error` is the answer.
    """
    try:
        async with stall_tolerant_timeout(RULE_PATIENCE) as limit:
            return await permissions.allows("subscribe", room)
    except (Exception, asyncio.CancelledError) as error:
        if is_cancelled():
            raise
        message = "A rule failed that was asked about a member again."
        if isinstance(error, TimeoutError) and limit.expired():
            message = "A rule took too long that was asked about a member again."
        log_failure(message, exc_info=error)
        return stays_on_error


class MemberOfRooms(Protocol):
    """A client, as looks at its rooms see it; hashed by identity."""

    def __hash__(self) -> int:
        """Tell clients apart."""

    def rooms_with_rules(self) -> Sequence[str]:
        """Return the rooms that the client is in by a rule."""

    async def look_at_room(self, room: str) -> None:
        """Ask the rule about a room again, whatever a note says; put out a client that may not."""


class RoomLooks:
    """Looks at the rooms of one event loop's clients.

    A client is looked at once at a time, and each look asks about all of its rooms.

    Args:
        tasks: Where they run.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._line: deque[MemberOfRooms] = deque()  # whose turn is to come
        self._left: dict[MemberOfRooms, deque[str] | None] = {}  # rooms; None before the first turn
        self._at_work = 0

    def begin(self, client: MemberOfRooms) -> None:
        """Look at a client's rooms soon; a look that is not over goes on in its place."""
        if client in self._left:
            return
        self._left[client] = None
        self._line.append(client)
        if self._at_work < MOST_AT_ONCE:
            self._at_work += 1
            self._tasks.supervise(self._work, "realtime: look at rooms again")

    async def _work(self) -> None:
        while self._line:
            client = self._line.popleft()
            is_over = True
            try:
                is_over = await self._turn(client)
            finally:
                if is_over:
                    del self._left[client]
            if not is_over:
                self._line.append(client)
        self._at_work -= 1

    async def _turn(self, client: MemberOfRooms) -> bool:
        """Ask about a client's rooms for a while; return whether that was all of them."""
        rooms = self._left[client]
        if rooms is None:
            rooms = self._left[client] = deque(client.rooms_with_rules())
        loop = asyncio.get_running_loop()
        ends = loop.time() + TURN
        while rooms:
            await client.look_at_room(rooms.popleft())
            if loop.time() >= ends:
                break
        await asyncio.sleep(0)  # rules that wait for nothing let the loop do nothing else
        return not rooms
