"""What a room still holds, and where it stands."""

from __future__ import annotations

from shardlayer import BEGINNING, Position, Publication, ShardedChannelLayer


async def read_history(
    layer: ShardedChannelLayer, room: str, *, limit: int
) -> tuple[Position | None, list[Publication]]:
    """Return the newest publications, at most `limit`, oldest first, and the position after them.

    To subscribe from that position is to miss nothing in between. It is None in a room that keeps
    no history, and `BEGINNING` in one that never had a publication.

    Raises:
        ShardUnavailable: The room's server did not answer.
    """
    if not layer.options.policy_of(room).keeps:
        return None, []
    # In this order: should the history be empty, then nothing came before the position was read.
    info = await layer.room_info(room)
    publications = await layer.history(room, limit)
    if publications:
        last = publications[-1]
        return Position(offset=last.offset, epoch=last.epoch), publications
    return (Position(offset=info.offset, epoch=info.epoch) if info.epoch else BEGINNING), []
