"""Whether a room has place for one more member, and the process for one more room."""

from __future__ import annotations

from realtime.clients.client_counters import counters
from realtime.clients.protocol.commands import ProtocolError
from realtime.conf import Conf
from shardlayer import Node


def check_place(node: Node, room: str, conf: Conf) -> None:
    """Raise ProtocolError, `full`, if nobody else may join a room here now."""
    members = node.members(room)
    if 0 < conf.max_room_members <= members:
        counters.rooms_full += 1
        raise ProtocolError("full", "The room is full; try again later.")
    if not members and 0 < conf.max_node_rooms <= node.rooms():
        counters.nodes_full += 1
        raise ProtocolError("full", "The server has no place for another room; try again later.")
