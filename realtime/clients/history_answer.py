"""What a client is answered that reads a room's history."""

from __future__ import annotations

from typing import Final

from realtime.clients.client_counters import counters
from realtime.clients.protocol import replies
from realtime.clients.protocol.commands import History
from realtime.conf import conf
from realtime.rooms.history import read_history
from shardlayer import ShardedChannelLayer

UNBOUNDED: Final = 2**31  # bytes; more than any answer has
ANSWER_OVERHEAD: Final = 512  # bytes that an answer has beside one publication's data


async def history_answer(
    layer: ShardedChannelLayer, command: History, *, max_bytes: int, max_text: int
) -> bytes:
    """Return the answer to `history`.

    Args:
        layer: Whose room it is.
        command: What the client asks for.
        max_bytes: Bytes of publications in the answer; 0: any amount.
        max_text: Bytes of one message that the client's server sends; 0: any amount. A publication
            that it can't send is left out.

    Raises:
        ShardUnavailable: The room's shard does not answer.
    """
    most, before = conf().max_client_history, command.before
    limit = min(command.limit or most, most)
    counters.histories_limited += (command.limit or 0) > most
    largest = max_text - ANSWER_OVERHEAD if max_text else UNBOUNDED
    while True:
        read = await read_history(
            layer, command.room, limit=limit, before=before, max_bytes=max_bytes or UNBOUNDED
        )
        sendable = [item for item in read.publications if len(item.data) <= largest]
        counters.too_large += len(read.publications) - len(sendable)
        if sendable or not read.left:
            break
        before, limit = read.publications[0].offset, read.left
    counters.answers_cut += read.left > 0
    return replies.history(
        command.id,
        room=command.room,
        position=read.position,
        publications=sendable,
        more=read.left,
    )
