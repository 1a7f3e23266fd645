"""Clears the people of a node whose lease has ended, a page at a time.

Any process may do it, and several at the same time: each person goes once, and each room turns
once, in the answer to one of them.
"""

from __future__ import annotations

from shardlayer.broker.interface import Presence
from shardlayer.core.types import NodeId


async def clear_gone(presence: Presence, shard: int, node: NodeId) -> dict[str, bool]:
    """Clear all that a shard has of a node, unless it has a lease; return which rooms turned.

    Raises:
        ShardUnavailable, ScriptFailed: The rest is still there.
    """
    turned: dict[str, bool] = {}
    while True:
        attendees = await presence.roll(shard, node)
        cleared = await presence.clear(shard, node, attendees)
        turned |= cleared.turned
        if not attendees or not cleared.known:
            return turned
