"""The clients of a hand-written server, by the rooms that they ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection


async def _hear_nothing(room: str) -> None:
    """Nobody has to be told that a room is wanted."""


class Members:
    """Who is in which room.

    Args:
        on_join: Awaited before a client is told that it is in a room, with the room.

    Attributes:
        of: The clients of each room, by its name in bytes.
    """

    def __init__(self, on_join: Callable[[str], Awaitable[object]] = _hear_nothing) -> None:
        self.of: dict[bytes, set[ServerConnection]] = {}
        self._on_join = on_join

    async def serve(self, client: ServerConnection) -> None:
        """Keep a client in the room of its URL until it goes."""
        query = urlsplit(client.request.path if client.request else "").query
        room = parse_qs(query)["room"][0]
        members = self.of.setdefault(room.encode(), set())
        members.add(client)
        await self._on_join(room)
        await client.send("subscribed")
        try:
            await client.wait_closed()
        finally:
            members.discard(client)
