"""What a room still holds, and where it stands."""

from __future__ import annotations

from typing import NamedTuple

from shardlayer import Position, Publication, ShardedChannelLayer


class RoomHistory(NamedTuple):
    """What was read of a room's history.

    Attributes:
        position: The position after `publications`: to subscribe from it is to miss nothing in
            between. None in a room that keeps no history, `BEGINNING` in one that never had a
            publication.
        publications: Oldest first.
        left: How many of those asked for did not fit into the answer, and may be held.
    """

    position: Position | None
    publications: list[Publication]
    left: int = 0


async def read_history(
    layer: ShardedChannelLayer, room: str, *, limit: int, before: int = 0, max_bytes: int
) -> RoomHistory:
    """Return the newest publications, or the newest before an offset.

    At most `limit`, and at most `max_bytes`, but for one that is larger and comes alone.

    Raises:
        ShardUnavailable: The room's server did not answer.
    """
    if not layer.options.policy_of(room).keeps:
        return RoomHistory(None, [])
    page = await layer.history_page(room, limit, before=before, max_bytes=max_bytes)
    position = page.position
    if page.publications:
        position = Position(offset=page.publications[-1].offset, epoch=position.epoch)
    left = limit - len(page.publications) if page.more else 0
    return RoomHistory(position, page.publications, left)
